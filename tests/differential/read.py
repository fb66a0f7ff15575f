"""What does h11 make of some bytes? Answers the questions of tests/differential/process.rs."""

import struct
import sys

import h11

LARGE = 1 << 20


def requests(data):
    """Reads requests as a server that answers each of them at once."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LARGE)
    connection.receive_data(data)
    message = None
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            yield message
            return str(error)
        if event is h11.NEED_DATA:
            yield message
            return None
        if isinstance(event, h11.Request):
            start = b"%s %s HTTP/%s" % (event.method, event.target, event.http_version)
            message = Message(start, event.headers)
        elif isinstance(event, h11.Data):
            message.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            yield message.end(event)
            message = None
            connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            connection.send(h11.EndOfMessage())
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return None
            connection.start_next_cycle()
        else:
            return repr(event)


def response(method, data):
    """Reads one response to a request, behind which the connection ends."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGE)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    message = None
    while True:
        try:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(b"")
                event = connection.next_event()
        except h11.RemoteProtocolError as error:
            yield message
            cut = "closed connection" in str(error)
            return None if cut else str(error)
        if isinstance(event, h11.Response):
            start = b"HTTP/%s %d" % (event.http_version, event.status_code)
            message = Message(start, event.headers)
        elif isinstance(event, h11.Data):
            message.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            yield message.end(event)
            return None
        elif not isinstance(event, h11.InformationalResponse):
            yield message
            return repr(event)


class Message:
    def __init__(self, start, headers):
        self.start = start
        self.fields = headers
        self.body = b""
        self.trailers = []
        self.complete = False

    def end(self, event):
        self.trailers = event.headers
        self.complete = True
        return self

    def __str__(self):
        parts = [self.start, lines(self.fields), bytes(self.body), lines(self.trailers)]
        return "message %d %s" % (self.complete, " ".join(part.hex() or "-" for part in parts))


def lines(fields):
    return b"".join(b"%s: %s\n" % (bytes(name), bytes(value)) for name, value in fields)


def main():
    while header := sys.stdin.buffer.read(5):
        kind, length = struct.unpack(">BI", header)
        data = sys.stdin.buffer.read(length)
        found = requests(data) if kind == 0 else response("GET" if kind == 1 else "HEAD", data)
        refused = None
        while True:
            try:
                message = next(found)
            except StopIteration as stop:
                refused = stop.value
                break
            if message is not None:
                print(message)
        print("end" if refused is None else "refused " + refused.encode().hex())
    sys.stdout.flush()


main()
