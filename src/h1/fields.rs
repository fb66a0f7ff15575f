//! Which fields does a message have? An ordered list that keeps case, order and repeats, which a
//! proxy must pass on.

mod copy;
mod kind;
mod line;

use std::{fmt, iter, sync::Arc};

use smallvec::SmallVec;

pub(crate) use self::{copy::Passed, kind::Kind, line::Span};
use self::{
    kind::Kinds,
    line::{LINE_END, Line, Packed, SEPARATOR},
};
use super::{
    error::InvalidField,
    syntax::{is_field_value, is_token},
};

/// How many fields a list that was made holds without allocating for their offsets.
const INLINE: usize = 8;

/// How many fields a head has at most, as a rule.
const USUAL: usize = 32;

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

    /// Whether the value is a credential.
    pub(crate) fn is_secret(&self) -> bool {
        SECRET.iter().any(|name| self.is(name))
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret() {
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
    /// The text that was parsed, and behind it one packed line for each of its fields. Never
    /// changed, so that the start line of a head can share it.
    parsed: Arc<[u8]>,
    /// Where the packed lines begin.
    table: u32,
    /// What the fields are; after a removal perhaps more than that.
    kinds: Kinds,
    /// What holds instead of the packed lines, once the list was changed.
    changed: Option<Box<Changed>>,
}

/// A list of which not every field was parsed.
#[derive(Clone, Default)]
struct Changed {
    lines: SmallVec<[Packed; INLINE]>,
    /// What was pushed, as an encoder writes it. Its offsets follow on those of what was parsed.
    pushed: Vec<u8>,
}

/// A field of a list. Its name and its value were checked when it got there.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    text: Text<'a>,
    line: Line<'a>,
}

/// The two buffers of a list.
#[derive(Clone, Copy)]
struct Text<'a> {
    parsed: &'a [u8],
    pushed: &'a [u8],
}

/// The lines of a text, while it is not known yet how much of it is the head.
pub(crate) struct Lines {
    packed: [Packed; USUAL],
    count: usize,
    limit: usize,
    kinds: Kinds,
}

impl Lines {
    /// Room for so many lines, but not for more than heads have as a rule.
    pub(crate) fn up_to(limit: usize) -> Self {
        Self {
            packed: [Packed::default(); USUAL],
            count: 0,
            limit: limit.min(USUAL),
            kinds: Kinds::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Adds a canonical line, if there is room, with the field called `name`. It begins at `start`,
    /// and its line end at `end`, within what a head may have.
    #[inline]
    pub(crate) fn push(&mut self, name: &[u8], start: usize, end: usize) -> Option<()> {
        let kind = Kind::of(name);
        let place = self.packed[..self.limit].get_mut(self.count)?;
        *place = Line::canonical(kind, name, start, end);
        self.count += 1;
        self.kinds.insert(kind);
        Some(())
    }
}

impl Fields {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many fields there are, repeats counted.
    pub fn len(&self) -> usize {
        self.lines().len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The fields in their order.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.entries().map(|entry| entry.field())
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
        let text = self.buffers();
        let start = text.parsed.len() + text.pushed.len();
        let line = Line::written(start, name.as_bytes(), value)
            .ok_or_else(|| InvalidField::too_large(name))?;

        self.kinds.insert(Line(&line).kind());
        let changed = self.change();
        for part in [name.as_bytes(), SEPARATOR, value, LINE_END] {
            changed.pushed.extend_from_slice(part);
        }
        changed.lines.push(line);
        Ok(())
    }

    /// Removes every field called `name` and appends one with `value`.
    ///
    /// # Errors
    ///
    /// As for [`push`](Self::push). The list is unchanged then.
    pub fn set(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), InvalidField> {
        let before = self.len();
        self.push(name, value)?;
        // The new one is the last, and the only one to keep.
        let last = self.change().lines.remove(before);
        self.remove(name);
        self.change().lines.push(last);
        Ok(())
    }

    /// Removes every field called `name`, in any case, and says how many there were.
    pub fn remove(&mut self, name: &str) -> usize {
        let before = self.len();
        if !self.contains(name) {
            return 0;
        }
        let parsed = Arc::clone(&self.parsed);
        let Changed { lines, pushed } = self.change();
        let text = Text {
            parsed: &parsed,
            pushed,
        };
        lines.retain(|line| {
            let found = text.slice(Line(line).name());
            !found.eq_ignore_ascii_case(name.as_bytes())
        });
        before - self.len()
    }

    /// The list of what httparse found in `text`, which is copied.
    pub(crate) fn parsed(text: &[u8], headers: &[httparse::Header<'_>]) -> Self {
        let lines = headers.iter().map(|header| Line::parsed(text, header));
        let lines: SmallVec<[Packed; USUAL]> = lines.collect();
        let mut kinds = Kinds::default();
        lines
            .iter()
            .for_each(|line| kinds.insert(Line(line).kind()));
        Self::copied(text, &lines, kinds)
    }

    /// The list of the lines that were found in `text`, which is copied.
    pub(crate) fn found(text: &[u8], lines: &Lines) -> Self {
        Self::copied(text, &lines.packed[..lines.count], lines.kinds)
    }

    fn copied(text: &[u8], lines: &[Packed], kinds: Kinds) -> Self {
        let table = lines.as_flattened();
        // One allocation, of which only the size is known before.
        let mut parsed: Arc<[u8]> = iter::repeat_n(0, text.len() + table.len()).collect();
        if let Some(room) = Arc::get_mut(&mut parsed) {
            let (copy, behind) = room.split_at_mut(text.len());
            copy.copy_from_slice(text);
            behind.copy_from_slice(table);
        }
        Self {
            parsed,
            // A head is far smaller than what can be counted.
            table: text.len().try_into().unwrap_or(u32::MAX),
            kinds,
            changed: None,
        }
    }

    /// The text that was parsed, and what stands behind it.
    pub(crate) fn text(&self) -> &Arc<[u8]> {
        &self.parsed
    }

    /// The fields in their order.
    #[inline]
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry<'_>> + Clone {
        let text = self.buffers();
        self.lines().iter().map(move |line| Entry {
            text,
            line: Line(line),
        })
    }

    /// The values of all fields of a kind, in their order.
    #[inline]
    pub(crate) fn values(&self, kind: Kind) -> impl Iterator<Item = &[u8]> + Clone {
        // Most kinds are not there, and then nothing is looked at.
        let lines = match self.kinds.contains(kind) {
            true => self.lines(),
            false => &[],
        };
        let text = self.buffers();
        let lines = lines.iter().map(Line);
        lines
            .filter(move |line| line.kind() == kind)
            .map(move |line| text.slice(line.value()))
    }

    fn lines(&self) -> &[Packed] {
        match &self.changed {
            Some(changed) => &changed.lines,
            None => {
                let table = self.parsed.get(self.table as usize..).unwrap_or_default();
                table.as_chunks().0
            }
        }
    }

    fn buffers(&self) -> Text<'_> {
        Text {
            parsed: &self.parsed,
            pushed: self.changed.as_ref().map_or(&[], |changed| &changed.pushed),
        }
    }

    fn change(&mut self) -> &mut Changed {
        if self.changed.is_none() {
            let changed = Changed {
                lines: self.lines().into(),
                pushed: Vec::new(),
            };
            self.changed = Some(Box::new(changed));
        }
        self.changed.get_or_insert_default()
    }

    fn named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> + Clone {
        let kind = Kind::of(name.as_bytes());
        let has_name =
            move |entry: &Entry<'_>| entry.kind() == kind && (!kind.is_any() || entry.is(name));
        self.entries().filter(has_name).map(|entry| entry.value())
    }
}

impl<'a> Entry<'a> {
    #[inline]
    pub(crate) fn kind(&self) -> Kind {
        self.line.kind()
    }

    #[inline]
    pub(crate) fn name(&self) -> &'a [u8] {
        self.text.slice(self.line.name())
    }

    #[inline]
    pub(crate) fn name_length(&self) -> usize {
        let name = self.line.name();
        (name.end - name.start) as usize
    }

    /// Whether the field is called `name`, in any case.
    #[inline]
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    #[inline]
    pub(crate) fn value(&self) -> &'a [u8] {
        self.text.slice(self.line.value())
    }

    /// What stands behind the colon of a parsed field: the rest of its line with all white space,
    /// and what follows on that.
    pub(crate) fn rest(&self) -> &'a [u8] {
        let behind_colon = self.line.name().end as usize + 1;
        self.text.parsed.get(behind_colon..).unwrap_or_default()
    }

    pub(crate) fn field(&self) -> Field<'a> {
        Field {
            // A token is ASCII, so this cannot fail.
            name: str::from_utf8(self.name()).unwrap_or_default(),
            value: self.value(),
        }
    }
}

impl<'a> Text<'a> {
    #[inline]
    fn slice(&self, span: Span) -> &'a [u8] {
        let (start, end) = (span.start as usize, span.end as usize);
        match start.checked_sub(self.parsed.len()) {
            None => self.parsed.get(start..end),
            Some(start) => self.pushed.get(start..end - self.parsed.len()),
        }
        .unwrap_or_default()
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
        let mut fields = Fields::parsed(source, headers);
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
    fn the_rest_of_a_line_shows_the_white_space() {
        let source = b"A: \t1 \r\nB:\r\n\r\n";
        let mut headers = [httparse::EMPTY_HEADER; 4];
        let Ok(httparse::Status::Complete((_, headers))) =
            httparse::parse_headers(source, &mut headers)
        else {
            panic!("valid fields");
        };
        let fields = Fields::parsed(source, headers);

        let mut lines = fields.entries();
        for (name, value, rest) in [("A", "1", " \t1 \r\n"), ("B", "", "\r\n\r\n")] {
            let entry = lines.next().expect("two lines");
            assert_eq!(
                entry.field(),
                Field {
                    name,
                    value: value.as_bytes()
                }
            );
            assert!(entry.rest().starts_with(rest.as_bytes()), "{name}");
        }
        assert!(lines.next().is_none());
    }

    #[test]
    fn values_of_a_kind_are_found_among_parsed_and_pushed() {
        let source = b"via: 1\r\nX-Via: 2\r\n\r\n";
        let mut headers = [httparse::EMPTY_HEADER; 2];
        let Ok(httparse::Status::Complete((_, headers))) =
            httparse::parse_headers(source, &mut headers)
        else {
            panic!("valid fields");
        };
        let mut fields = Fields::parsed(source, headers);
        let values = |fields: &Fields| fields.values(Kind::Via).collect::<Vec<_>>().concat();
        assert_eq!(values(&fields), b"1");
        fields.push("VIA", "3").expect("valid");
        assert_eq!(values(&fields), b"13");
        assert_eq!(fields.remove("Via"), 2);
        assert_eq!(values(&fields), b"");
        assert_eq!(fields.values(Kind::Host).count(), 0);
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
