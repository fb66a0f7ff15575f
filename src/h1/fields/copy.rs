//! How are fields written again that stand in a list already? Nothing of them is checked twice, and
//! neighbours that stand there as they are to be written are copied as one piece.

use bytes::BytesMut;

use super::{
    Entry, Fields, Kind,
    line::{LINE_END, SEPARATOR, Span},
};

/// What becomes of a field that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed<'v> {
    Kept,
    Dropped,
    /// It gets another value, which its owner knows to be valid.
    Replaced(&'v [u8]),
}

impl Fields {
    /// Writes every field as `name: value`, or as `decide` says. With `keeps_others` it is not asked
    /// about fields of [`Kind::Other`], which are most.
    #[inline]
    pub(crate) fn write<'s>(
        &'s self,
        out: &mut BytesMut,
        keeps_others: bool,
        mut decide: impl FnMut(&Entry<'s>) -> Passed<'s>,
    ) {
        let text = self.buffers();
        // What is to be copied next.
        let mut run = Span::default();
        for entry in self.entries() {
            let is_kept = keeps_others && entry.kind() == Kind::Other;
            let passed = if is_kept {
                Passed::Kept
            } else {
                decide(&entry)
            };
            let value = match passed {
                Passed::Dropped => continue,
                Passed::Kept if entry.line.is_canonical() => {
                    let whole = entry.line.whole();
                    if run.end != whole.start {
                        out.extend_from_slice(text.slice(run));
                        run.start = whole.start;
                    }
                    run.end = whole.end;
                    continue;
                }
                Passed::Kept => entry.value(),
                Passed::Replaced(value) => value,
            };
            out.extend_from_slice(text.slice(run));
            run = Span::default();
            for part in [entry.name(), SEPARATOR, value, LINE_END] {
                out.extend_from_slice(part);
            }
        }
        out.extend_from_slice(text.slice(run));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(source: &str) -> Fields {
        let mut headers = [httparse::EMPTY_HEADER; 8];
        match httparse::parse_headers(source.as_bytes(), &mut headers) {
            Ok(httparse::Status::Complete((_, headers))) => {
                Fields::parsed(source.as_bytes(), headers)
            }
            other => panic!("{source:?}: {other:?}"),
        }
    }

    /// What is written of the fields, without those whose name is in `dropped`.
    fn written(fields: &Fields, dropped: &[&str]) -> String {
        let mut out = BytesMut::from("before ");
        fields.write(&mut out, false, |entry| {
            let name = entry.field().name;
            match name {
                "Replaced" => Passed::Replaced(b"new"),
                _ if dropped.contains(&name) => Passed::Dropped,
                _ => Passed::Kept,
            }
        });
        let written = String::from_utf8(out.to_vec()).expect("only ASCII is written");
        written.strip_prefix("before ").expect("is kept").to_owned()
    }

    #[test]
    fn any_may_be_dropped() {
        let source = "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n";
        let lines = ["A: 1\r\n", "B: 2\r\n", "C: 3\r\n", "D: 4\r\n"];
        let names = ["A", "B", "C", "D"];
        let mut fields = parsed(source);
        for change in ["parsed", "changed"] {
            for set in 0..1 << names.len() {
                let is_dropped = |at: &usize| set & 1 << at != 0;
                let (dropped, kept): (Vec<usize>, Vec<usize>) =
                    (0..names.len()).partition(is_dropped);
                let dropped: Vec<_> = dropped.iter().map(|&at| names[at]).collect();
                let expected: String = kept.iter().map(|&at| lines[at]).collect();
                assert_eq!(written(&fields, &dropped), expected, "{change}");
            }
            fields.push("E", "5").expect("valid");
            fields.remove("E");
        }
    }

    #[test]
    fn white_space_becomes_one_space() {
        for (source, expected) in [
            ("A: 1\r\n", "A: 1\r\n"),
            ("A:1\r\n", "A: 1\r\n"),
            ("A:\t1\r\n", "A: 1\r\n"),
            ("A:  1\r\n", "A: 1\r\n"),
            ("A: 1 \r\n", "A: 1\r\n"),
            ("A: 1\t\r\n", "A: 1\r\n"),
            ("A: 1  2\r\n", "A: 1  2\r\n"),
            ("A:\r\n", "A: \r\n"),
            ("A: \r\n", "A: \r\n"),
            ("A:  \t \r\n", "A: \r\n"),
        ] {
            // Alone, and between others that are as they are to be written.
            for (before, behind) in [("", ""), ("X: x\r\n", "Y: y\r\n"), ("X: x\r\n", "Y:y\r\n")] {
                let fields = parsed(&format!("{before}{source}{behind}\r\n"));
                let behind = behind.replace("Y:y", "Y: y");
                let found = written(&fields, &[]);
                assert_eq!(found, format!("{before}{expected}{behind}"), "{source:?}");
            }
        }
    }

    #[test]
    fn parsed_and_pushed_follow_on_each_other() {
        let mut fields = parsed("A: 1\r\nReplaced: old\r\nB:2\r\n\r\n");
        fields.push("C", "3").expect("valid");
        fields.push("D", "").expect("valid");
        fields.push("E", "5").expect("valid");
        assert_eq!(
            written(&fields, &["D"]),
            "A: 1\r\nReplaced: new\r\nB: 2\r\nC: 3\r\nE: 5\r\n"
        );
        fields.set("a", "6").expect("valid");
        assert_eq!(
            written(&fields, &[]),
            "Replaced: new\r\nB: 2\r\nC: 3\r\nD: \r\nE: 5\r\na: 6\r\n"
        );
        assert_eq!(written(&Fields::default(), &[]), "");
    }

    #[test]
    fn it_may_be_asked_about_few() {
        let mut fields = parsed("host: h\r\nA: 1\r\n\r\n");
        fields.push("TE", "trailers").expect("valid");
        for (keeps_others, asked, kept) in [
            (false, &[Kind::Host, Kind::Other, Kind::Te][..], ""),
            (true, &[Kind::Host, Kind::Te], "A: 1\r\n"),
        ] {
            let (mut kinds, mut out) = (Vec::new(), BytesMut::new());
            fields.write(&mut out, keeps_others, |entry| {
                kinds.push(entry.kind());
                Passed::Dropped
            });
            assert_eq!((&kinds[..], &out[..]), (asked, kept.as_bytes()));
        }
    }
}
