// How are there many connections in one WebSocket? By yamux (https://github.com/hashicorp/yamux/blob/master/spec.md), here as
// much of it as the side needs that takes streams and opens none.
//
// A frame is a head of 12 bytes, and behind the head of a data frame so many bytes as it says:
//
//   version  type  flags  stream id  length       all of them big-endian
//   8 bits   8     16     32         32

import { Duplex } from 'node:stream';

const DATA = 0;
const WINDOW_UPDATE = 1;
const PING = 2;
const GO_AWAY = 3;

const SYN = 1;
const ACK = 2;
const FIN = 4;
const RST = 8;

const HEAD = 12;
// What a sender may send before it is told that there is room again.
const WINDOW = 256 * 1024;
// The largest frame that we send, so that no stream keeps the others waiting.
const LARGEST = 16 * 1024;
const NOTHING = Buffer.alloc(0);

// A yamux connection. `send` gets bytes to send and a function to call when they have left; `accept` gets each new stream.
export class Yamux {
  #send;
  #accept;
  #streams = new Map();
  #unread = NOTHING;

  constructor(send, accept) {
    this.#send = send;
    this.#accept = accept;
  }

  // Bytes came.
  receive(bytes) {
    this.#unread = this.#unread.length > 0 ? Buffer.concat([this.#unread, bytes]) : bytes;
    while (this.#unread.length >= HEAD) {
      const head = this.#unread;
      const [version, type] = head;
      const [flags, id, length] = [head.readUInt16BE(2), head.readUInt32BE(4), head.readUInt32BE(8)];
      if (version !== 0 || type > GO_AWAY) throw new Error('this is not yamux');
      const end = HEAD + (type === DATA ? length : 0);
      if (length > WINDOW && type === DATA) throw new Error('a frame is larger than the window');
      if (head.length < end) return;
      this.#unread = head.subarray(end);
      this.#frame(type, flags, id, length, head.subarray(HEAD, end));
    }
  }

  #frame(type, flags, id, length, data) {
    if (type === PING && flags & SYN) return this.frame(PING, ACK, 0, length);
    if (type === PING) return;
    if (type === GO_AWAY) return this.end(new Error('the other side goes away'));
    if (flags & SYN) {
      if (this.#streams.has(id)) throw new Error(`there are two streams ${id}`);
      const stream = new YamuxStream(this, id);
      this.#streams.set(id, stream);
      this.frame(WINDOW_UPDATE, ACK, id, 0);
      this.#accept(stream);
    }
    const stream = this.#streams.get(id);
    // What was on its way to a stream that we have dropped.
    if (!stream) return;
    if (type === DATA) stream.data(data);
    else stream.room(length);
    if (flags & FIN) stream.ended();
    if (flags & RST) stream.reset();
  }

  // Sends a frame.
  frame(type, flags, id, length, data = NOTHING, done = () => {}) {
    const head = Buffer.alloc(HEAD);
    head[1] = type;
    head.writeUInt16BE(flags, 2);
    head.writeUInt32BE(id, 4);
    head.writeUInt32BE(length, 8);
    this.#send(data.length > 0 ? Buffer.concat([head, data]) : head, done);
  }

  forget(id) {
    this.#streams.delete(id);
  }

  // The connection has ended, and all of its streams with it.
  end(error = new Error('the connection has ended')) {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.destroy(error);
  }
}

// A stream, which is what a socket is to Node's `http`.
class YamuxStream extends Duplex {
  #yamux;
  #id;
  // What we may send.
  #window = WINDOW;
  // What was read, and what the other side may still be told about.
  #credit = 0;
  // What waits for room.
  #waiting = null;
  #isEnded = false;
  #hasEnded = false;
  #isReset = false;

  constructor(yamux, id) {
    super({ readableHighWaterMark: WINDOW });
    this.#yamux = yamux;
    this.#id = id;
  }

  data(data) {
    if (data.length === 0) return;
    this.#credit += data.length;
    if (this.push(data)) this._read();
  }

  room(length) {
    this.#window += length;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting) this._write(waiting.chunk, 'buffer', waiting.done);
  }

  ended() {
    this.#isEnded = true;
    this.push(null);
  }

  reset() {
    this.#isReset = true;
    this.destroy(new Error('the other side reset the stream'));
  }

  // Somebody reads: there is room again.
  _read() {
    if (this.#credit < WINDOW / 2 || this.#isEnded) return;
    this.#yamux.frame(WINDOW_UPDATE, 0, this.#id, this.#credit);
    this.#credit = 0;
  }

  _write(chunk, _, done) {
    if (this.#window === 0) {
      this.#waiting = { chunk, done };
      return;
    }
    const part = chunk.subarray(0, Math.min(this.#window, LARGEST));
    const rest = chunk.subarray(part.length);
    this.#window -= part.length;
    const next = rest.length === 0 ? done : (error) => (error ? done(error) : this._write(rest, 'buffer', done));
    this.#yamux.frame(DATA, 0, this.#id, part.length, part, next);
  }

  _final(done) {
    this.#hasEnded = true;
    this.#yamux.frame(DATA, FIN, this.#id, 0, NOTHING, done);
  }

  _destroy(error, done) {
    if (!(this.#hasEnded && this.#isEnded) && !this.#isReset) this.#yamux.frame(DATA, RST, this.#id, 0);
    this.#yamux.forget(this.#id);
    this.#waiting?.done(error);
    this.#waiting = null;
    done(error);
  }
}
