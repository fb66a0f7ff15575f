//! How is the head of a response written, and what does its body become?

use bytes::BytesMut;

use super::{
    super::{
        error::Misuse,
        fields::Field,
        framing::{CloseReason, Length, RequestContext},
        role::Server,
        version::Version,
        write,
        write::{FieldWriter, Sending, StatusLine},
    },
    Encoder, State,
};

impl Encoder<Server> {
    /// Writes an interim response: 100, or 102 to 199.
    ///
    /// An HTTP/1.0 client must not be sent one (RFC 9110, section 15.2): that is the caller's to
    /// know.
    ///
    /// # Errors
    ///
    /// If the status is not interim, the final response was begun, or a field is invalid or
    /// reserved.
    pub fn interim<'f>(
        &mut self,
        status: u16,
        reason: &[u8],
        fields: impl IntoIterator<Item = Field<'f>>,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        let start = StatusLine { status, reason };
        self.interim_with(start, out, |writer| {
            fields.into_iter().try_for_each(|field| writer.put(field))
        })
    }

    /// As [`interim`](Self::interim), with the fields that `put` writes.
    pub(crate) fn interim_with<'f>(
        &mut self,
        start: StatusLine<'_>,
        out: &mut BytesMut,
        put: impl FnOnce(&mut FieldWriter<'_, 'f>) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        self.check_ready()?;
        let status = start.status;
        if !matches!(status, 100 | 102..=199) {
            return Err(Misuse::Status { status });
        }
        write::all_or_nothing(out, |out| {
            write::status_line(start, out)?;
            put(&mut FieldWriter::new(out))?;
            write::empty_line(out);
            Ok(())
        })
    }

    /// Writes the head of the final response, or of the 101 that switches the protocol.
    ///
    /// A body that is chunked goes to an HTTP/1.0 client unframed, and ends with the connection.
    ///
    /// # Errors
    ///
    /// If the status is not within 200 to 599, or is a 101 that was not asked for; if a response
    /// was begun already; or if a field is invalid, or one that [`Sending`] is about.
    pub fn response<'f>(
        &mut self,
        request: &RequestContext,
        start: StatusLine<'_>,
        fields: impl IntoIterator<Item = Field<'f>>,
        options: Sending<'_>,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        self.response_with(request, start, options, out, |writer| {
            fields.into_iter().try_for_each(|field| writer.put(field))
        })
    }

    /// As [`response`](Self::response), with the fields that `put` writes.
    pub(crate) fn response_with<'f>(
        &mut self,
        request: &RequestContext,
        start: StatusLine<'_>,
        options: Sending<'_>,
        out: &mut BytesMut,
        put: impl FnOnce(&mut FieldWriter<'_, 'f>) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        self.check_ready()?;
        write::check_upgrade(options.upgrade)?;
        match start.status {
            101 if !request.upgrade || options.upgrade.is_none() => {
                return Err(Misuse::SwitchNotAsked);
            }
            101 | 200..=599 => {}
            status => return Err(Misuse::Status { status }),
        }
        let body = ResponseBody::of(request, start.status, options.length);
        let close = response_close(request, start.status, &options, body);
        let options = Sending {
            close: close.is_some() && start.status != 101,
            te_trailers: false,
            ..options
        };

        write::all_or_nothing(out, |out| {
            write::status_line(start, out)?;
            put(&mut FieldWriter::new(out))?;
            write::length(body.declared, out);
            write::connection(&options, Some(request.version), out);
            write::empty_line(out);
            Ok(())
        })?;

        self.state = body.state;
        self.close = close;
        Ok(())
    }
}

/// How the body of a response goes out: what its head declares, and the state for it.
#[derive(Clone, Copy)]
struct ResponseBody {
    declared: Length,
    state: State,
}

impl ResponseBody {
    fn of(request: &RequestContext, status: u16, length: Length) -> Self {
        let is_http10 = request.version == Version::Http10;
        // RFC 9112, section 6.1: an HTTP/1.0 client does not know chunks.
        let unframed = is_http10 && length == Length::Chunked;
        let (declared, state) = match (status, length) {
            (101, _) => (Length::Absent, State::Switched),
            // RFC 9110, section 8.6.
            (204, _) => (Length::Absent, State::Suppressed),
            // What the response to a GET would declare (RFC 9110, sections 9.3.2 and 15.4.5).
            _ if request.head_method || status == 304 => (
                if unframed { Length::Absent } else { length },
                State::Suppressed,
            ),
            _ if unframed => (Length::Absent, State::UntilClose),
            (_, Length::Chunked) => (Length::Chunked, State::Chunked),
            (_, Length::Absent) => (
                Length::Known(0),
                State::Length {
                    declared: 0,
                    left: 0,
                },
            ),
            (_, Length::Known(length)) => (
                Length::Known(length),
                State::Length {
                    declared: length,
                    left: length,
                },
            ),
        };
        Self { declared, state }
    }
}

fn response_close(
    request: &RequestContext,
    status: u16,
    options: &Sending<'_>,
    body: ResponseBody,
) -> Option<CloseReason> {
    if body.state == State::UntilClose {
        Some(CloseReason::UntilClose)
    } else if request.close.is_some() {
        request.close
    } else if request.upgrade && status != 101 {
        // The client may have sent bytes of the other protocol already. Read as a request they
        // could be anything.
        Some(CloseReason::UpgradeRefused)
    } else {
        options.close.then_some(CloseReason::LocalAskedClose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::Error;

    const NO_FIELDS: [Field<'static>; 0] = [];

    fn get() -> RequestContext {
        RequestContext::default()
    }

    fn http10(close: Option<CloseReason>) -> RequestContext {
        RequestContext {
            version: Version::Http10,
            close,
            ..get()
        }
    }

    fn sending(length: Length) -> Sending<'static> {
        Sending {
            length,
            ..Sending::default()
        }
    }

    /// What is written for a whole response with `body`, and the reason to close after it.
    fn send(
        request: RequestContext,
        status: u16,
        options: Sending<'_>,
        body: &[u8],
    ) -> Result<(String, Option<CloseReason>), Misuse> {
        let mut out = BytesMut::new();
        let mut encoder = Encoder::<Server>::new();
        let start = StatusLine {
            status,
            reason: b"R",
        };
        encoder.response(&request, start, NO_FIELDS, options, &mut out)?;
        if !encoder.is_switched() {
            encoder.data(body, &mut out)?;
            encoder.end(None, &mut out)?;
            assert!(encoder.is_complete());
        }
        let written = String::from_utf8(out.to_vec()).expect("only ASCII is sent here");
        let rest = written
            .strip_prefix(&format!("HTTP/1.1 {status} R\r\n"))
            .expect("a status line");
        Ok((rest.to_owned(), encoder.close_reason()))
    }

    #[test]
    fn bodies_are_framed_for_their_request() {
        let head = RequestContext {
            head_method: true,
            ..get()
        };
        let upgrade = RequestContext {
            upgrade: true,
            ..get()
        };
        let close = Sending {
            close: true,
            ..sending(Length::Known(1))
        };
        let switch = Sending {
            upgrade: Some(b"websocket"),
            ..sending(Length::Chunked)
        };
        let asked = Some(CloseReason::PeerAskedClose);
        let old = Some(CloseReason::Http10);

        for (request, status, options, body, written, reason) in [
            (
                get(),
                200,
                sending(Length::Known(1)),
                "x",
                "Content-Length: 1\r\n\r\nx",
                None,
            ),
            (
                get(),
                200,
                sending(Length::Absent),
                "",
                "Content-Length: 0\r\n\r\n",
                None,
            ),
            (get(), 304, sending(Length::Absent), "", "\r\n", None),
            (
                get(),
                304,
                sending(Length::Known(7)),
                "x",
                "Content-Length: 7\r\n\r\n",
                None,
            ),
            (get(), 204, sending(Length::Known(7)), "x", "\r\n", None),
            (
                get(),
                200,
                sending(Length::Chunked),
                "0123456789",
                "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
                None,
            ),
            (
                get(),
                200,
                sending(Length::Chunked),
                "",
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                None,
            ),
            (head, 200, sending(Length::Absent), "", "\r\n", None),
            (
                head,
                200,
                sending(Length::Known(7)),
                "x",
                "Content-Length: 7\r\n\r\n",
                None,
            ),
            (
                head,
                200,
                sending(Length::Chunked),
                "x",
                "Transfer-Encoding: chunked\r\n\r\n",
                None,
            ),
            (
                get(),
                200,
                close,
                "x",
                "Content-Length: 1\r\nConnection: close\r\n\r\nx",
                Some(CloseReason::LocalAskedClose),
            ),
            (
                RequestContext {
                    close: asked,
                    ..get()
                },
                204,
                sending(Length::Absent),
                "",
                "Connection: close\r\n\r\n",
                asked,
            ),
            // HTTP/1.0 knows neither chunks nor connections that stay, unless it asks.
            (
                http10(old),
                200,
                sending(Length::Known(1)),
                "x",
                "Content-Length: 1\r\nConnection: close\r\n\r\nx",
                old,
            ),
            (
                http10(None),
                200,
                sending(Length::Known(1)),
                "x",
                "Content-Length: 1\r\nConnection: keep-alive\r\n\r\nx",
                None,
            ),
            (
                http10(None),
                200,
                sending(Length::Chunked),
                "x",
                "Connection: close\r\n\r\nx",
                Some(CloseReason::UntilClose),
            ),
            (
                RequestContext {
                    head_method: true,
                    ..http10(None)
                },
                200,
                sending(Length::Chunked),
                "x",
                "Connection: keep-alive\r\n\r\n",
                None,
            ),
            // An upgrade is granted, or the connection ends.
            (
                upgrade,
                101,
                switch,
                "",
                "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                Some(CloseReason::Switched),
            ),
            (
                upgrade,
                403,
                sending(Length::Absent),
                "",
                "Content-Length: 0\r\nConnection: close\r\n\r\n",
                Some(CloseReason::UpgradeRefused),
            ),
            (
                RequestContext::unreadable(Error::BareLf),
                400,
                sending(Length::Absent),
                "",
                "Content-Length: 0\r\nConnection: close\r\n\r\n",
                Some(CloseReason::Error(Error::BareLf)),
            ),
        ] {
            let sent = send(request, status, options, body.as_bytes());
            assert_eq!(
                sent,
                Ok((written.to_owned(), reason)),
                "{request:?} {status} {options:?}"
            );
        }
    }

    #[test]
    fn statuses_that_cannot_be_sent() {
        let upgrade = RequestContext {
            upgrade: true,
            ..get()
        };
        let switch = Sending {
            upgrade: Some(b"websocket"),
            ..Sending::default()
        };
        for (request, status, options, misuse) in [
            (get(), 99, Sending::default(), Misuse::Status { status: 99 }),
            (
                get(),
                100,
                Sending::default(),
                Misuse::Status { status: 100 },
            ),
            (
                get(),
                600,
                Sending::default(),
                Misuse::Status { status: 600 },
            ),
            (get(), 101, switch, Misuse::SwitchNotAsked),
            (upgrade, 101, Sending::default(), Misuse::SwitchNotAsked),
        ] {
            assert_eq!(send(request, status, options, b""), Err(misuse), "{status}");
        }
    }

    #[test]
    fn interim_responses_come_before_the_final_one() {
        let mut out = BytesMut::new();
        let mut encoder = Encoder::<Server>::new();
        let link = Field {
            name: "Link",
            value: b"</a>",
        };

        encoder
            .interim(100, b"Continue", NO_FIELDS, &mut out)
            .expect("valid");
        encoder.interim(103, b"", [link], &mut out).expect("valid");
        assert_eq!(
            out,
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: </a>\r\n\r\n"
        );

        let before = out.clone();
        for status in [99, 101, 200] {
            let misuse = encoder.interim(status, b"", NO_FIELDS, &mut out);
            assert_eq!(misuse, Err(Misuse::Status { status }));
        }
        assert_eq!(
            encoder.interim(100, b"a\r\nb", NO_FIELDS, &mut out),
            Err(Misuse::Reason)
        );
        let start = StatusLine {
            status: 200,
            reason: b"a\nb",
        };
        let refused = encoder.response(&get(), start, NO_FIELDS, Sending::default(), &mut out);
        assert_eq!(refused, Err(Misuse::Reason));
        assert_eq!(out, before, "nothing is written");

        let start = StatusLine {
            status: 200,
            reason: b"",
        };
        encoder
            .response(&get(), start, NO_FIELDS, Sending::default(), &mut out)
            .expect("valid");
        let late = encoder.interim(100, b"", NO_FIELDS, &mut out);
        assert_eq!(late, Err(Misuse::HeadAlreadySent));
    }
}
