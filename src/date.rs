//! When was a response made? What its `Date` says (RFC 9110, section 6.6.1).

use std::{
    cell::Cell,
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use httpdate::HttpDate;

use crate::h1::{Field, FieldWriter, Fields, Kind};

pub(crate) const DATE: &str = "Date";

/// The first second of the year 10000, which no `Date` can name.
const END: u64 = 253_402_300_800;

type Text = [u8; LENGTH];

const LENGTH: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();

thread_local! {
    /// The last second that this thread wrote, and its text: most responses are made in the same one as the one before.
    static LAST: Cell<(u64, Text)> = const { Cell::new((END, [0; LENGTH])) };
}

/// Writes the `Date` of a final response whose fields are `fields`, if none of them is one: who answers a request, or
/// passes the answer on, says when.
pub(crate) fn put_date(writer: &mut FieldWriter<'_, '_>, fields: &Fields) {
    if !is_dated(fields)
        && let Some(text) = date(SystemTime::now())
    {
        writer.put_valid(Field {
            name: DATE,
            value: &text,
        });
    }
}

/// Whether the fields of a response say when it was made.
pub(crate) fn is_dated(fields: &Fields) -> bool {
    fields.values(Kind::Date).next().is_some()
}

/// The value of a `Date`; `None` if the clock was never set, as a node without a clock must send none.
pub(crate) fn date(now: SystemTime) -> Option<Text> {
    let seconds = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
    if seconds >= END {
        return None;
    }
    let (last, mut text) = LAST.get();
    if last == seconds {
        return Some(text);
    }
    write!(&mut text[..], "{}", HttpDate::from(now)).ok()?;
    LAST.set((seconds, text));
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn seconds_as_text() {
        for (seconds, expected) in [
            (0, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
            (784_111_777, Some("Sun, 06 Nov 1994 08:49:37 GMT")),
            (784_111_778, Some("Sun, 06 Nov 1994 08:49:38 GMT")),
            (784_111_777, Some("Sun, 06 Nov 1994 08:49:37 GMT")),
            (END - 1, Some("Fri, 31 Dec 9999 23:59:59 GMT")),
            (END, None),
            (END + 1, None),
        ] {
            for nanos in [0, 999_999_999] {
                let now = UNIX_EPOCH + Duration::new(seconds, nanos);
                let text = date(now);
                let text = text
                    .as_ref()
                    .map(|text| str::from_utf8(text).expect("ASCII"));
                assert_eq!(text, expected, "{seconds}");
            }
        }
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), None);
    }
}
