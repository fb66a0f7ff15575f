//! How is text of strangers shown, so that it is what it seems to be?

/// Printable ASCII as it is, everything else as `\u{…}`: controls, marks that turn the direction of writing, invisible
/// characters, and letters that only look like others. A backslash is two. Cut after `max` bytes.
pub(super) fn shown(text: &str, max: usize) -> String {
    let mut shown = String::new();
    for (at, char) in text.char_indices() {
        if at + char.len_utf8() > max {
            shown.push('…');
            break;
        }
        match char {
            '\\' => shown.push_str(r"\\"),
            ' '..='~' => shown.push(char),
            // How messages of this program shorten.
            '…' => shown.push(char),
            _ => shown.extend(char.escape_unicode()),
        }
    }
    shown
}

/// A request target without its query, which is where secrets are.
pub(super) fn path(target: &str, max: usize) -> String {
    match target.split_once('?') {
        Some((path, _)) => shown(path, max) + "?…",
        None => shown(target, max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown_that_deceives() {
        for (text, expected) in [
            ("", ""),
            ("/a%20b~", "/a%20b~"),
            (
                "/<img src=x onerror=alert(1)>",
                "/<img src=x onerror=alert(1)>",
            ),
            ("a\r\n\0b", r"a\u{d}\u{a}\u{0}b"),
            ("exe.\u{202e}gpj", r"exe.\u{202e}gpj"),
            (
                "\u{200b}\u{2066}\u{feff}\u{61c}",
                r"\u{200b}\u{2066}\u{feff}\u{61c}",
            ),
            ("p\u{430}y", r"p\u{430}y"),
            // Not to be taken for what it was made of.
            (r"\u{202e}", r"\\u{202e}"),
        ] {
            assert_eq!(shown(text, 512), expected, "{text:?}");
        }
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shown("abcdef", 6), "abcdef");
        assert_eq!(shown("abcdefg", 6), "abcdef…");
        assert_eq!(shown("ab\u{20ac}d", 4), "ab…");
        assert_eq!(shown("", 0), "");
    }

    #[test]
    fn queries_are_not_shown() {
        for (target, expected) in [
            ("/a?token=secret", "/a?…"),
            ("/a?", "/a?…"),
            ("/a?b?c", "/a?…"),
            ("/a", "/a"),
        ] {
            assert_eq!(path(target, 512), expected);
        }
        assert_eq!(path("/abcdef?x", 4), "/abc…?…");
    }
}
