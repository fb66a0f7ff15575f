//! Which fields does a message have? An ordered list that keeps case, order and repeats, which a
//! proxy must pass on.

use std::{fmt, sync::Arc};

use smallvec::SmallVec;

use super::{
    error::InvalidField,
    syntax::{is_field_value, is_token},
};

/// How many fields a list holds without allocating for its offsets: more than most messages have.
const INLINE: usize = 16;

/// Fields whose values are credentials, and never shown in debug output.
const SECRET: [&str; 4] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
];

/// One field line: a name and a value, as they stand in the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, in the case it was sent in. Names are compared without regard to case.
    pub name: &'a str,
    /// The value, without the white space around it. It may hold bytes that are not UTF-8.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether the field is called `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if SECRET.iter().any(|name| self.is(name)) {
            write!(f, "{}: [redacted]", self.name)
        } else {
            write!(f, "{}: {}", self.name, self.value.escape_ascii())
        }
    }
}

/// The fields of a message in their order, with case and repeats kept.
///
/// A list that was parsed shares the one buffer of its head; what is pushed goes to a second one.
/// Debug output hides the values of credentials.
///
/// ```
/// use libp2p_http_proxy::h1::Fields;
///
/// let mut fields = Fields::default();
/// fields.push("Set-Cookie", "a=1")?;
/// fields.push("set-cookie", "b=2")?;
/// assert_eq!(fields.get_all("Set-Cookie").count(), 2);
/// assert!(fields.push("X-Split", "a\r\nSet-Cookie: c=3").is_err());
/// # Ok::<(), libp2p_http_proxy::h1::InvalidField>(())
/// ```
#[derive(Clone, Default)]
pub struct Fields {
    /// What was parsed. Never changed, so that the start line of a head can share it.
    text: Arc<[u8]>,
    /// What was pushed. Its offsets follow on those of `text`.
    pushed: Vec<u8>,
    lines: SmallVec<[Line; INLINE]>,
}

/// A range of the two buffers of a list, as if they were one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    name: Span,
    value: Span,
}

impl Fields {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many fields there are, repeats counted.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.lines.iter().map(|line| self.field(line))
    }

    /// The value of the first field called `name`, in any case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.named(name).next()
    }

    /// The values of all fields called `name`, in any case, in their order.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.named(name)
    }

    /// Whether there is a field called `name`, in any case.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Appends a field.
    ///
    /// # Errors
    ///
    /// If the name is not a token, or the value holds a control byte or begins or ends with white
    /// space (RFC 9110, sections 5.1 and 5.5). The list is unchanged then.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let value = value.as_ref();
        if !is_token(name.as_bytes()) {
            return Err(InvalidField::name(name));
        }
        if !is_field_value(value) {
            return Err(InvalidField::value(name));
        }
        let start = self.text.len() + self.pushed.len();
        let line = Line::new(start, name.len(), value.len())
            .ok_or_else(|| InvalidField::too_large(name))?;

        self.pushed.extend_from_slice(name.as_bytes());
        self.pushed.extend_from_slice(value);
        self.lines.push(line);
        Ok(())
    }

    /// Removes every field called `name` and appends one with `value`.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push). The list is unchanged then.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let before = self.lines.len();
        self.push(name, value)?;
        // The new one is the last, and the only one to keep.
        let last = self.lines.remove(before);
        self.remove(name);
        self.lines.push(last);
        Ok(())
    }

    /// Removes every field called `name`, in any case, and says how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let before = self.lines.len();
        let (text, pushed) = (&self.text, &self.pushed);
        self.lines
            .retain(|line| !slice(text, pushed, line.name).eq_ignore_ascii_case(name.as_bytes()));
        before - self.lines.len()
    }

    /// The list of what httparse found in `source`, of which `text` is the copy to keep.
    pub(crate) fn parsed(text: Arc<[u8]>, source: &[u8], headers: &[httparse::Header<'_>]) -> Self {
        let lines = headers
            .iter()
            .map(|header| {
                let name = Span::within(source, header.name.as_bytes());
                // An empty slice may point anywhere.
                let value = match header.value {
                    [] => Span {
                        start: name.end,
                        end: name.end,
                    },
                    value => Span::within(source, value),
                };
                Line { name, value }
            })
            .collect();
        Self {
            text,
            pushed: Vec::new(),
            lines,
        }
    }

    /// For each parsed field its name, its value, and all that stands between its colon and its
    /// line end.
    pub(crate) fn raw_lines(&self) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
        self.lines.iter().map(|line| {
            let colon = line.name.end as usize;
            let rest = self.text.get(colon + 1..).unwrap_or_default();
            let raw = rest.split(|&byte| byte == b'\r').next().unwrap_or_default();
            (self.slice(line.name), self.slice(line.value), raw)
        })
    }

    fn field(&self, line: &Line) -> Field<'_> {
        Field {
            // A token is ASCII, so this cannot fail.
            name: str::from_utf8(self.slice(line.name)).unwrap_or_default(),
            value: self.slice(line.value),
        }
    }

    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.lines
            .iter()
            .filter(move |line| self.slice(line.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|line| self.slice(line.value))
    }

    fn slice(&self, span: Span) -> &[u8] {
        slice(&self.text, &self.pushed, span)
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Fields {}

impl Line {
    fn new(start: usize, name: usize, value: usize) -> Option<Self> {
        let end = start.checked_add(name)?.checked_add(value)?;
        let (start, middle, end) = (
            start.try_into().ok()?,
            (start + name).try_into().ok()?,
            end.try_into().ok()?,
        );
        Some(Self {
            name: Span { start, end: middle },
            value: Span { start: middle, end },
        })
    }
}

impl Span {
    /// Where `part` lies in `whole`, of which it is a slice. A head is far smaller than the offsets
    /// can count.
    pub(crate) fn within(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
        Self::new(start, start.wrapping_add(part.len()))
    }

    /// The range from `start` to `end`, empty if it cannot be counted.
    pub(crate) fn new(start: usize, end: usize) -> Self {
        match (start.try_into(), end.try_into()) {
            (Ok(start), Ok(end)) => Self { start, end },
            _ => Self::default(),
        }
    }

    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

fn slice<'a>(text: &'a [u8], pushed: &'a [u8], span: Span) -> &'a [u8] {
    let (start, end) = (span.start as usize, span.end as usize);
    match start.checked_sub(text.len()) {
        None => text.get(start..end),
        Some(start) => pushed.get(start..end - text.len()),
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(fields: &[(&str, &str)]) -> Fields {
        let mut list = Fields::default();
        for (name, value) in fields {
            list.push(name, value).expect("valid");
        }
        list
    }

    #[test]
    fn order_case_and_repeats_are_kept() {
        let fields = list(&[("X-A", "1"), ("x-b", ""), ("x-a", "2")]);

        let seen: Vec<_> = fields
            .iter()
            .map(|field| (field.name, field.value))
            .collect();
        assert_eq!(seen, [("X-A", &b"1"[..]), ("x-b", b""), ("x-a", b"2")]);
        assert_eq!(fields.get("X-a"), Some(&b"1"[..]));
        assert_eq!(fields.get_all("X-A").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(fields.get("X-B"), Some(&b""[..]));
        assert!(!fields.contains("X-C"));
    }

    #[test]
    fn set_replaces_all_and_remove_counts() {
        let mut fields = list(&[("A", "1"), ("b", "2"), ("a", "3")]);

        fields.set("a", "4").expect("valid");
        assert_eq!(fields, list(&[("b", "2"), ("a", "4")]));
        assert_eq!(fields.remove("A"), 1);
        assert_eq!(fields.remove("A"), 0);
        assert_eq!(fields, list(&[("b", "2")]));
    }

    #[test]
    fn nothing_invalid_gets_in() {
        let mut fields = list(&[("a", "1")]);
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:", "x"),
            ("é", "x"),
            ("a", "x\ny"),
            ("a", " x"),
            ("a", "x\0"),
        ] {
            assert!(fields.push(name, value).is_err(), "{name:?}: {value:?}");
            assert!(fields.set(name, value).is_err(), "{name:?}: {value:?}");
        }
        assert_eq!(fields, list(&[("a", "1")]));
    }

    #[test]
    fn parsed_and_pushed_fields_are_one_list() {
        let source = b"A: 1\r\nEmpty:\r\nB:\t2 \r\n\r\n";
        let mut headers = [httparse::EMPTY_HEADER; 4];
        let Ok(httparse::Status::Complete((_, headers))) =
            httparse::parse_headers(source, &mut headers)
        else {
            panic!("valid fields");
        };
        let mut fields = Fields::parsed(Arc::from(&source[..]), source, headers);
        fields.push("C", "3").expect("valid");

        assert_eq!(
            fields,
            list(&[("A", "1"), ("Empty", ""), ("B", "2"), ("C", "3")])
        );
        fields.set("empty", "no more").expect("valid");
        assert_eq!(
            fields,
            list(&[("A", "1"), ("B", "2"), ("C", "3"), ("empty", "no more")])
        );
    }

    #[test]
    fn raw_lines_show_the_white_space() {
        let source = b"A: \t1 \r\nB:\r\n\r\n";
        let mut headers = [httparse::EMPTY_HEADER; 4];
        let Ok(httparse::Status::Complete((_, headers))) =
            httparse::parse_headers(source, &mut headers)
        else {
            panic!("valid fields");
        };
        let fields = Fields::parsed(Arc::from(&source[..]), source, headers);

        let raw: Vec<_> = fields.raw_lines().collect();
        assert_eq!(
            raw,
            [(&b"A"[..], &b"1"[..], &b" \t1 "[..]), (b"B", b"", b"")]
        );
    }

    #[test]
    fn credentials_are_not_shown() {
        let fields = list(&[
            ("Cookie", "s3cret"),
            ("authorization", "s3cret"),
            ("X", "a\u{e9}"),
        ]);

        assert_eq!(
            format!("{fields:?}"),
            "[Cookie: [redacted], authorization: [redacted], X: a\\xc3\\xa9]"
        );
    }
}
