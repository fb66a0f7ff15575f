//! How is the head of a request written, and when not?

use bytes::BytesMut;

use super::{
    super::{
        error::{Error, Misuse},
        fields::Field,
        framing::{CloseReason, Length, RequestContext},
        role::Client,
        target,
        version::Version,
        write,
        write::{FieldWriter, RequestLine, Sending, Start},
    },
    Encoder, State,
};

impl Encoder<Client> {
    /// Writes the head of a request, and returns what must be known to read the response to it.
    ///
    /// # Errors
    ///
    /// If a strict server would refuse the head: its start line, its fields or its Host. Host is
    /// the caller's to give. Fields that [`Sending`] is about must not be among `fields`.
    pub fn request<'f>(
        &mut self,
        start: RequestLine<'_>,
        fields: impl IntoIterator<Item = Field<'f>>,
        options: Sending<'_>,
        out: &mut BytesMut,
    ) -> Result<RequestContext, Misuse> {
        self.request_with(&start.into(), options, out, |writer| {
            fields.into_iter().try_for_each(|field| writer.put(field))
        })
    }

    /// As [`request`](Self::request), with the fields that `put` writes.
    pub(crate) fn request_with<'f>(
        &mut self,
        start: &Start<'_>,
        options: Sending<'_>,
        out: &mut BytesMut,
        put: impl FnOnce(&mut FieldWriter<'_, 'f>) -> Result<(), Misuse>,
    ) -> Result<RequestContext, Misuse> {
        self.check_ready()?;
        let form = match start.is_checked {
            true => None,
            false => Some(check(start).map_err(Misuse::Malformed)?),
        };
        write::check_upgrade(options.upgrade)?;
        if options.upgrade.is_some() && !options.length.is_bodiless() {
            return Err(Misuse::UpgradeWithBody);
        }

        let expects = write::all_or_nothing(out, |out| {
            write::request_line(start, out);
            let mut fields = FieldWriter::new(out);
            put(&mut fields)?;
            let seen = fields.seen();
            if let Some(form) = form {
                seen.check(form).map_err(Misuse::Malformed)?;
            }
            write::length(options.length, out);
            write::connection(&options, None, out);
            write::empty_line(out);
            Ok(seen.expect_continue)
        })?;

        self.state = match options.length {
            Length::Absent => State::Length {
                declared: 0,
                left: 0,
            },
            Length::Known(length) => State::Length {
                declared: length,
                left: length,
            },
            Length::Chunked => State::Chunked,
        };
        self.close = options.close.then_some(CloseReason::LocalAskedClose);
        Ok(RequestContext {
            head_method: start.method == b"HEAD",
            version: Version::Http11,
            close: self.close,
            upgrade: options.upgrade.is_some(),
            expect_continue: expects && !options.length.is_bodiless(),
        })
    }
}

fn check<'a>(start: &Start<'a>) -> Result<target::Form<'a>, Error> {
    target::check_method(start.method)?;
    target::form(start.method, start.target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h1::InvalidField;

    const GET: RequestLine<'static> = RequestLine {
        method: "GET",
        target: "/a",
    };
    const HOST: Field<'static> = Field {
        name: "Host",
        value: b"h",
    };

    fn send(
        start: RequestLine<'_>,
        fields: &[Field<'_>],
        options: Sending<'_>,
    ) -> Result<(String, RequestContext), Misuse> {
        let mut out = BytesMut::from("before ");
        let mut encoder = Encoder::<Client>::new();
        let result = encoder.request(start, fields.iter().copied(), options, &mut out);
        if result.is_err() {
            assert_eq!(out, "before ", "nothing is written");
            assert!(!encoder.is_started(), "nothing is changed");
        }
        let written = String::from_utf8(out[7..].to_vec()).expect("only ASCII is sent here");
        result.map(|context| (written, context))
    }

    #[test]
    fn exactly_one_framing_is_written() {
        let sending = |length| Sending {
            length,
            ..Sending::default()
        };
        for (options, written) in [
            (sending(Length::Absent), ""),
            (sending(Length::Known(0)), "Content-Length: 0\r\n"),
            (
                sending(Length::Known(u64::MAX)),
                "Content-Length: 18446744073709551615\r\n",
            ),
            (sending(Length::Chunked), "Transfer-Encoding: chunked\r\n"),
            (
                Sending {
                    close: true,
                    ..Sending::default()
                },
                "Connection: close\r\n",
            ),
            (
                Sending {
                    te_trailers: true,
                    ..sending(Length::Chunked)
                },
                "Transfer-Encoding: chunked\r\nConnection: TE\r\nTE: trailers\r\n",
            ),
            (
                Sending {
                    close: true,
                    upgrade: Some(b"a/1, b"),
                    te_trailers: true,
                    ..Sending::default()
                },
                "Connection: close, Upgrade, TE\r\nUpgrade: a/1, b\r\nTE: trailers\r\n",
            ),
        ] {
            let (head, _) = send(GET, &[HOST], options).expect("a valid head");
            assert_eq!(head, format!("GET /a HTTP/1.1\r\nHost: h\r\n{written}\r\n"));
        }
    }

    #[test]
    fn the_context_is_what_was_asked_for() {
        let expect = Field {
            name: "expect",
            value: b"100-Continue",
        };
        let body = Sending {
            length: Length::Chunked,
            ..Sending::default()
        };
        let upgrade = Sending {
            upgrade: Some(b"websocket"),
            ..Sending::default()
        };
        let close = Sending {
            close: true,
            ..Sending::default()
        };

        let context = |start, fields: &[Field<'_>], options| {
            let (_, context) = send(start, fields, options).expect("a valid head");
            context
        };
        let head = RequestLine {
            method: "HEAD",
            ..GET
        };
        assert!(context(head, &[HOST], Sending::default()).head_method);
        assert!(!context(GET, &[HOST], Sending::default()).head_method);
        assert!(context(GET, &[HOST, expect], body).expect_continue);
        assert!(!context(GET, &[HOST, expect], Sending::default()).expect_continue);
        assert!(context(GET, &[HOST], upgrade).upgrade);
        assert_eq!(
            context(GET, &[HOST], close).close,
            Some(CloseReason::LocalAskedClose)
        );
    }

    #[test]
    fn what_a_strict_server_would_refuse_is_not_written() {
        let line = |method, target| RequestLine { method, target };
        let host = |value| Field {
            name: "host",
            value,
        };
        let expect = Field {
            name: "Expect",
            value: b"x",
        };
        for (start, fields, error) in [
            (GET, &[][..], Error::MissingHost),
            (GET, &[HOST, HOST], Error::RepeatedHost),
            (GET, &[host(b"a b")], Error::InvalidHost),
            (GET, &[HOST, expect], Error::Expectation),
            (line("GET", "http://a/"), &[HOST], Error::HostConflict),
            (line("GET", "/a b"), &[HOST], Error::Target),
            (line("GET", "/a\r\nX: y"), &[HOST], Error::Target),
            (line("GET", "/a#b"), &[HOST], Error::Fragment),
            (line("GET", "a"), &[HOST], Error::TargetForm),
            (line("GE T", "/"), &[HOST], Error::Method),
            (line("", "/"), &[HOST], Error::Method),
            (line("CONNECT", "a:1"), &[HOST], Error::ConnectMethod),
        ] {
            let refused = send(start, fields, Sending::default());
            assert_eq!(
                refused,
                Err(Misuse::Malformed(error)),
                "{start:?} {fields:?}"
            );
        }
    }

    #[test]
    fn no_field_splits_the_head_or_frames_it() {
        for name in [
            "Content-Length",
            "transfer-encoding",
            "CONNECTION",
            "Keep-Alive",
            "Proxy-Connection",
            "Upgrade",
            "te",
        ] {
            let refused = send(
                GET,
                &[HOST, Field { name, value: b"1" }],
                Sending::default(),
            );
            assert_eq!(
                refused,
                Err(Misuse::ReservedField {
                    name: name.to_owned()
                })
            );
        }
        for (name, value) in [
            ("X", &b"a\r\nY: b"[..]),
            ("X", b"a\n"),
            ("X", b"\0"),
            ("X", b" a"),
            ("X:", b"a"),
            ("", b"a"),
        ] {
            let refused = send(GET, &[HOST, Field { name, value }], Sending::default());
            assert!(
                matches!(refused, Err(Misuse::InvalidField(_))),
                "{name:?}: {value:?}"
            );
        }
        for upgrade in [&b""[..], b"a\r\nX: b", b"a b", b"a "] {
            let options = Sending {
                upgrade: Some(upgrade),
                ..Sending::default()
            };
            let refused = Misuse::InvalidField(InvalidField::Value {
                name: "Upgrade".to_owned(),
            });
            assert_eq!(send(GET, &[HOST], options), Err(refused));
        }
        let options = Sending {
            length: Length::Known(1),
            upgrade: Some(b"websocket"),
            ..Sending::default()
        };
        assert_eq!(send(GET, &[HOST], options), Err(Misuse::UpgradeWithBody));
    }
}
