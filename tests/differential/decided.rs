//! Where do other readers differ from ours, and who is right?
//!
//! Nobody may read another message than we do: all that is decided here is who stops, and why that is no harm.

use super::reading::{End, Message, Reading};

/// Why a reader stops where we go on.
struct Decided {
    reader: &'static str,
    /// The section of RFC 9112, unless another one is named, and what it says.
    #[allow(dead_code, reason = "for whoever reads this list")]
    why: &'static str,
    /// How to tell, from the last message that both have read, or begun to read, and from what the reader said.
    applies: fn(Option<&Message>, &str) -> bool,
}

const DECIDED: &[Decided] = &[
    Decided {
        reader: "h11",
        why: "2.2: a server should ignore an empty line before a request. Old browsers sent one behind a body.",
        applies: |_, said| said == "no request line received",
    },
    Decided {
        reader: "h11",
        why: "9.3: an HTTP/1.0 client may ask to keep the connection, and a server need not do it.",
        applies: |last, said| {
            said.is_empty() && last.is_some_and(|message| message.start.ends_with(b"HTTP/1.0"))
        },
    },
    Decided {
        reader: "node",
        why: "9110 9.1: any token is a method. Node.js knows a list of them.",
        applies: |_, said| said.starts_with("HPE_INVALID_METHOD"),
    },
    Decided {
        reader: "node",
        why: "9110 7.8: an upgrade may be ignored, and we do so where the request has a body. Node.js reads nothing behind \
              such a request, whatever it answers. The next hop never sees it: the upgrade is not passed on.",
        applies: |last, said| said.is_empty() && last.is_some_and(|message| message.has("upgrade")),
    },
    Decided {
        reader: "node",
        why: "C.2.2: Proxy-Connection is not a field of HTTP, and no proxy should heed it. We do not pass it on.",
        applies: |last, said| {
            said.starts_with("HPE_CLOSED_CONNECTION")
                && last.is_some_and(|message| message.has("proxy-connection"))
        },
    },
    Decided {
        reader: "node",
        why: "5.1: a tab behind a value is not part of it. Node.js does not find `keep-alive` before one.",
        applies: |last, said| {
            said.starts_with("HPE_CLOSED_CONNECTION")
                && last.is_some_and(|message| message.start.ends_with(b"HTTP/1.0"))
        },
    },
    Decided {
        reader: "node",
        why: "9110 15.2: a client must be able to read interim responses. Node.js ends the connection behind one that has \
              `Connection: close`, we behind the final response.",
        applies: |last, said| said.starts_with("HPE_CLOSED_CONNECTION") && last.is_none(),
    },
    Decided {
        reader: "node",
        why: "7.1.1: what a recipient does not know of an extension it ignores. We do not read any of it, and pass none \
              on; its line has an end that nobody can mistake.",
        applies: |_, said| said.contains("chunk extensions"),
    },
    Decided {
        reader: "node",
        why: "7.1.1: white space before the semicolon of an extension must be taken, and not sent on.",
        applies: |_, said| said.starts_with("HPE_INVALID_CHUNK_SIZE"),
    },
    Decided {
        reader: "h11",
        why: "7.1.1: white space before the semicolon of an extension must be taken, and not sent on.",
        applies: |_, said| said.starts_with("illegal chunk header"),
    },
    // 3.2: an invalid target should be refused, and what browsers leave unescaped must not be. What could end a target is
    // refused by all.
    Decided {
        reader: "node",
        why: "3.2: Node.js takes no bytes above 0x7f in a target, and only letters in a scheme.",
        applies: |_, said| said.starts_with("HPE_INVALID_URL"),
    },
    Decided {
        reader: "h11",
        why: "3.2: h11 takes no bytes above 0x7f in a target.",
        applies: |_, said| said.starts_with("illegal request line"),
    },
    Decided {
        reader: "hyper",
        why: "3.2: hyper takes no `<`, `>` and `\"` in a query.",
        applies: |_, said| said == "hyper::Error(Parse(Uri))",
    },
];

/// Whether it was decided that the reader which found `theirs` may stop there.
pub(crate) fn is_decided(reader: &str, ours: &Reading, theirs: &Reading) -> bool {
    let theirs_complete: Vec<_> = theirs.complete().collect();
    let ours_complete: Vec<_> = ours.complete().collect();
    if !ours_complete.starts_with(&theirs_complete) {
        return false;
    }
    let said = match &theirs.end {
        End::Refused(reason) => reason,
        End::Open | End::Waiting | End::Closed => "",
    };
    let ours_next = ours.messages.get(theirs_complete.len());
    if let (Some(begun), Some(next)) = (theirs.begun(), ours_next)
        && !next.is_same_so_far(begun)
    {
        return false;
    }
    let last = theirs.messages.last();
    DECIDED
        .iter()
        .any(|decided| decided.reader == reader && (decided.applies)(last, said))
}
