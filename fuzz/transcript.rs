//! What does a decoder make of some bytes? Reads them, cut in any way, and writes down all it
//! found.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

use std::{fmt, sync::Arc};

use libp2p_http_proxy::h1::{
    Client, CloseReason, Decoder, Eof, Error, Fields, Limits, RequestContext, RequestHead,
    ResponseHead, Role, Server, Step,
};

/// One thing that was found. Neighbouring pieces of a body are one.
#[allow(clippy::large_enum_variant, reason = "there are few of them in a test")]
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found<H> {
    Head(H),
    Body(Vec<u8>),
    End(Option<Fields>),
}

/// Everything that was found in some bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Transcript<H> {
    pub(crate) found: Vec<Found<H>>,
    /// How many bytes were used before the decoder paused, failed or had no more.
    pub(crate) used: usize,
    /// What the decoder said at the end of the input, or the error with which it stopped.
    pub(crate) end: Result<Eof, Error>,
    pub(crate) close: Option<CloseReason>,
    pub(crate) switched: bool,
    /// How many bytes the decoder looked at.
    pub(crate) examined: u64,
}

/// A side whose decoder can be told to go on.
pub(crate) trait Side: Role {
    /// Makes the decoder ready for one more message, if this side gets another.
    fn go_on(decoder: &mut Decoder<Self>, requests: &mut dyn Iterator<Item = RequestContext>)
    where
        Self: Sized;

    fn start_line(head: &Self::Incoming) -> String;
}

impl Side for Server {
    fn go_on(decoder: &mut Decoder<Self>, _: &mut dyn Iterator<Item = RequestContext>) {
        decoder.next_request();
    }

    fn start_line(head: &RequestHead) -> String {
        format!("{} {}", head.method(), head.target())
    }
}

impl Side for Client {
    fn go_on(decoder: &mut Decoder<Self>, requests: &mut dyn Iterator<Item = RequestContext>) {
        if let Some(request) = requests.next() {
            decoder.expect_response(request);
        }
    }

    fn start_line(head: &ResponseHead) -> String {
        head.status().to_string()
    }
}

/// Reads requests from `input`, which arrives in pieces that end at `cuts` and at its end.
pub(crate) fn requests(
    input: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    limits: &Limits,
) -> Transcript<RequestHead> {
    read::<Server>(input, cuts, limits, &mut std::iter::empty())
}

/// Reads the responses to `requests` from `input`, which arrives in pieces as for [`requests`].
pub(crate) fn responses(
    input: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    limits: &Limits,
    requests: impl IntoIterator<Item = RequestContext>,
) -> Transcript<ResponseHead> {
    read::<Client>(input, cuts, limits, &mut requests.into_iter())
}

/// Where to cut so that every byte arrives on its own.
pub(crate) fn bytewise(input: &[u8]) -> std::ops::Range<usize> {
    1..input.len()
}

fn read<R: Side>(
    input: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    limits: &Limits,
    requests: &mut dyn Iterator<Item = RequestContext>,
) -> Transcript<R::Incoming> {
    let mut decoder = Decoder::<R>::new(Arc::new(limits.clone()));
    let mut found = Vec::new();
    let mut used = 0;
    let mut failed = None;
    R::go_on(&mut decoder, requests);

    let mut arrived = 0;
    for cut in cuts.into_iter().chain([input.len()]) {
        // Whatever the cuts are, the pieces follow on each other.
        arrived = cut.clamp(arrived, input.len());
        if let Err(error) = read_piece(
            &mut decoder,
            &input[..arrived],
            &mut used,
            &mut found,
            requests,
        ) {
            assert_eq!(
                decoder.decode(&input[used..]),
                Err(error),
                "an error is repeated"
            );
            assert_eq!(decoder.decode(&[]), Err(error), "an error is repeated");
            failed = Some(error);
            break;
        }
        let held = arrived - used;
        let room = limits.head_size().max(limits.trailers_size());
        assert!(
            held <= room || is_paused(&mut decoder, &input[used..arrived]),
            "{held} bytes are held"
        );
    }

    let end = match failed {
        Some(error) => Err(error),
        None => decoder.end_of_input(input.len() - used),
    };
    Transcript {
        found,
        used,
        end,
        close: decoder.close_reason(),
        switched: decoder.is_switched(),
        examined: decoder.examined(),
    }
}

/// Reads until the decoder needs more than `input`.
fn read_piece<R: Side>(
    decoder: &mut Decoder<R>,
    input: &[u8],
    used: &mut usize,
    found: &mut Vec<Found<R::Incoming>>,
    requests: &mut dyn Iterator<Item = RequestContext>,
) -> Result<(), Error> {
    loop {
        let rest = &input[*used..];
        let (now, step) = decoder.decode(rest)?;
        assert!(now <= rest.len(), "more was used than there is");
        *used += now;
        match step {
            Step::NeedMore => {
                assert!(
                    !matches!(decoder.decode(&input[*used..]), Ok((1.., _))),
                    "it stopped early"
                );
                return Ok(());
            }
            Step::Head(head) => found.push(Found::Head(head)),
            Step::Data(data) => {
                assert!(!data.is_empty(), "data is never empty");
                assert_eq!(
                    data.as_ptr_range().end,
                    rest[..now].as_ptr_range().end,
                    "data comes last"
                );
                match found.last_mut() {
                    Some(Found::Body(body)) => body.extend_from_slice(data),
                    _ => found.push(Found::Body(data.to_vec())),
                }
            }
            Step::End(trailers) => {
                assert!(decoder.is_complete(), "the end completes a message");
                found.push(Found::End(trailers));
                R::go_on(decoder, requests);
            }
            Step::Paused => {
                assert_eq!(now, 0, "nothing is used while paused");
                return Ok(());
            }
        }
    }
}

fn is_paused<R: Role>(decoder: &mut Decoder<R>, held: &[u8]) -> bool {
    matches!(decoder.decode(held), Ok((0, Step::Paused)))
}

impl<H> Transcript<H> {
    /// Whether two transcripts tell the same, apart from what it cost.
    pub(crate) fn is_same(&self, other: &Self) -> bool
    where
        H: PartialEq,
    {
        self.found == other.found
            // How far the bad part of a message was read does depend on the pieces.
            && (self.used == other.used || self.end.is_err())
            && self.end == other.end
            && self.close == other.close
            && self.switched == other.switched
    }
}

/// The found things in a short form: `POST /a 'body' .(Trailer: value) GET /b . !Truncated`.
pub(crate) struct Short<'a, R: Side>(pub(crate) &'a Transcript<R::Incoming>);

impl<R: Side> fmt::Display for Short<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for found in &self.0.found {
            match found {
                Found::Head(head) => write!(f, "{} ", R::start_line(head))?,
                Found::Body(body) => write!(f, "'{}' ", body.escape_ascii())?,
                Found::End(None) => f.write_str(". ")?,
                Found::End(Some(trailers)) => {
                    f.write_str(".(")?;
                    for field in trailers.iter() {
                        write!(f, "{}={};", field.name, field.value.escape_ascii())?;
                    }
                    f.write_str(") ")?;
                }
            }
        }
        match self.0.end {
            Ok(Eof::Clean) => Ok(()),
            Ok(Eof::EndOfBody) => f.write_str(". "),
            Err(error) => write!(f, "!{error:?}"),
        }
    }
}
