//! What does our decoder make of some bytes?

use std::sync::Arc;

use libp2p_http_proxy::h1::{
    Client, Decoder, Eof, Error, Fields, Limits, RequestContext, RequestHead, ResponseHead, Role,
    Server, Step,
};

use super::reading::{End, Kind, Lines, Message, Reading};

/// Reads `input` until it ends, is refused, or a message ends the connection.
pub(crate) fn read(kind: Kind, input: &[u8]) -> Reading {
    let limits = Arc::new(Limits::default());
    match kind {
        Kind::Requests => {
            let decoder = Decoder::<Server>::new(limits);
            read_all(decoder, input, start_of_request, Decoder::next_request)
        }
        Kind::ToGet | Kind::ToHead => {
            let mut decoder = Decoder::<Client>::new(limits);
            let mut request = RequestContext::default();
            request.head_method = kind == Kind::ToHead;
            decoder.expect_response(request);
            read_all(decoder, input, start_of_response, |_| {})
        }
    }
}

/// What is compared of a head; nothing of an interim one, and whether it ends the connection for HTTP.
type Started = (Option<Message>, bool);

fn start_of_request(head: &RequestHead) -> Started {
    let start = format!("{} {} {}", head.method(), head.target(), head.version());
    let context = head.context();
    let is_last = context.close.is_some() || context.upgrade;
    (Some(Message::begin(start, lines(head.fields()))), is_last)
}

fn start_of_response(head: &ResponseHead) -> Started {
    let start = format!("{} {}", head.version(), head.status());
    let message = Message::begin(start, lines(head.fields()));
    (Some(message).filter(|_| !head.is_interim()), true)
}

fn lines(fields: &Fields) -> Lines {
    Lines::new(fields.iter().map(|field| (field.name, field.value)))
}

fn read_all<R: Role>(
    mut decoder: Decoder<R>,
    mut input: &[u8],
    start: impl Fn(&R::Incoming) -> Started,
    go_on: impl Fn(&mut Decoder<R>),
) -> Reading {
    let mut messages: Vec<Message> = Vec::new();
    let mut is_last = false;
    let end = loop {
        let (used, step) = match decoder.decode(input) {
            Ok(found) => found,
            Err(error) => break End::Refused(error.to_string()),
        };
        input = &input[used..];
        match step {
            Step::Head(head) => {
                let (message, last) = start(&head);
                messages.extend(message);
                is_last = last;
            }
            Step::Data(data) => messages.last_mut().expect("a head came").body.extend(data),
            Step::End(trailers) => {
                let message = messages.last_mut().expect("a head came");
                message.trailers = lines(&trailers.unwrap_or_default());
                message.complete = true;
                if is_last {
                    break End::Closed;
                }
                go_on(&mut decoder);
            }
            Step::NeedMore | Step::Paused => break at_end(&mut decoder, input, &mut messages),
        }
    };
    Reading { messages, end }
}

fn at_end<R: Role>(decoder: &mut Decoder<R>, input: &[u8], messages: &mut [Message]) -> End {
    match decoder.end_of_input(input.len()) {
        Ok(Eof::EndOfBody) => {
            if let Some(message) = messages.last_mut() {
                message.complete = true;
            }
            End::Closed
        }
        Ok(Eof::Clean) | Err(Error::Truncated) if input.is_empty() => End::Open,
        Ok(Eof::Clean) | Err(Error::Truncated) => End::Waiting,
        Err(error) => End::Refused(error.to_string()),
    }
}
