//! Which bytes may stand where? Tokens, field values, lists and numbers of RFC 9110, section 5.

/// How many bytes are looked at together.
const BLOCK: usize = 16;

/// Whether `bytes` is a token (RFC 9110, section 5.6.2): one or more of `!#$%&'*+-.^_`|~`, letters
/// and digits.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// The members of a comma-separated list (RFC 9110, section 5.6.1), without white space around them
/// and without the empty ones, which a recipient must ignore.
///
/// For lists of tokens: a comma inside of a quoted string is not special here.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value
        .split(|&byte| byte == b',')
        .map(trim_ows)
        .filter(|member| !member.is_empty())
}

/// Reads decimal digits and nothing else: no sign, no space, no separator, no overflow, at least
/// one digit.
pub fn digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |value, byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => return None,
        };
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Reads hexadecimal digits and nothing else: no sign, no prefix, no overflow, at least one digit.
pub fn hex_digits(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |value, &byte| {
        value
            .checked_mul(16)?
            .checked_add(u64::from(hex_digit(byte)?))
    })
}

/// The value of one hexadecimal digit.
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Whether `value` can stand in a field (RFC 9110, section 5.5): no control byte but HTAB, no white
/// space around it.
pub(crate) fn is_field_value(value: &[u8]) -> bool {
    is_text(value) && trim_ows(value).len() == value.len()
}

/// Whether every byte is HTAB, SP, visible or obs-text: what values and reason phrases consist of.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    !any(bytes, is_control)
}

/// Whether any of the bytes is one of `these`. Without an early end, so that the compiler can look
/// at many bytes at once.
#[inline]
pub(crate) fn any(bytes: &[u8], these: impl Fn(u8) -> bool) -> bool {
    let any = |part: &[u8]| part.iter().fold(false, |found, &byte| found | these(byte));
    match bytes.last_chunk::<BLOCK>() {
        None => any(bytes),
        // The last block may share bytes with the one before it.
        Some(last) => {
            let (blocks, _) = bytes.as_chunks::<BLOCK>();
            blocks
                .iter()
                .fold(any(last), |found, block| found | any(block))
        }
    }
}

/// Where the first byte is that is one of `these`.
#[inline(always)]
pub(crate) fn find(bytes: &[u8], these: impl Fn(u8) -> bool) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    for (number, block) in blocks.iter().enumerate() {
        // A mark for each byte, and all of them as one number: the compiler needs no loop.
        let mut marks = [0; BLOCK];
        for (mark, &byte) in marks.iter_mut().zip(block) {
            *mark = if these(byte) { u8::MAX } else { 0 };
        }
        if marks.iter().fold(0, |any, mark| any | mark) != 0 {
            let before = u128::from_le_bytes(marks).trailing_zeros() / u8::BITS;
            return Some(number * BLOCK + before as usize);
        }
    }
    let at = rest.iter().position(|&byte| these(byte))?;
    Some(blocks.len() * BLOCK + at)
}

/// Whether `byte` is a control byte other than HTAB.
pub(crate) fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}

/// Whether `byte` is SP or HTAB, the white space of RFC 9110, section 5.6.3.
pub(crate) fn is_ows(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `bytes` without optional white space at either end.
pub(crate) fn trim_ows(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether `value` is a list of protocols as an Upgrade field has it (RFC 9110, section 7.8): at
/// least one `token` or `token/token`.
pub(crate) fn is_protocol_list(value: &[u8]) -> bool {
    let mut members = tokens(value).peekable();
    members.peek().is_some()
        && members.all(|member| {
            let mut parts = member.splitn(2, |&byte| byte == b'/');
            parts.all(is_token)
        })
}

fn is_token_byte(byte: u8) -> bool {
    const TABLE: [bool; 256] = alphanumeric_and(b"!#$%&'*+-.^_`|~");
    TABLE[usize::from(byte)]
}

/// For each byte whether it is a letter, a digit or one of `others`.
pub(crate) const fn alphanumeric_and(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < others.len() {
        table[others[at] as usize] = true;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_digits_only() {
        for (input, expected) in [
            ("0", Some(0)),
            ("5", Some(5)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999999", None),
            ("", None),
            ("+5", None),
            ("-5", None),
            (" 5", None),
            ("5 ", None),
            ("1_000", None),
            ("0x5", None),
            ("5,5", None),
            ("٥", None),
        ] {
            assert_eq!(digits(input.as_bytes()), expected, "{input:?}");
        }
    }

    #[test]
    fn hexadecimal_digits_only() {
        for (input, expected) in [
            ("0", Some(0)),
            ("1aF", Some(0x1af)),
            ("ffffffffffffffff", Some(u64::MAX)),
            ("10000000000000000", None),
            ("", None),
            ("0x5", None),
            ("+5", None),
            ("5g", None),
        ] {
            assert_eq!(hex_digits(input.as_bytes()), expected, "{input:?}");
        }
    }

    #[test]
    fn tokens_are_what_the_grammar_lists() {
        let listed =
            b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        for byte in 0..=255 {
            assert_eq!(is_token(&[byte]), listed.contains(&byte), "byte {byte:#x}");
        }
        assert!(!is_token(b""));
        assert!(!is_token(b"a b"));
    }

    #[test]
    fn list_members_are_trimmed_and_empty_ones_skipped() {
        for (input, expected) in [
            ("", &[][..]),
            (",", &[]),
            ("close", &["close"]),
            ("keep-alive, Upgrade", &["keep-alive", "Upgrade"]),
            (" a\t,, b ,", &["a", "b"]),
        ] {
            let members: Vec<_> = tokens(input.as_bytes())
                .map(|member| str::from_utf8(member).unwrap())
                .collect();
            assert_eq!(members, expected, "{input:?}");
        }
    }

    #[test]
    fn field_values() {
        for (value, expected) in [
            (&b""[..], true),
            (b"a b\tc", true),
            (b"caf\xc3\xa9 \xff", true),
            (b" a", false),
            (b"a\t", false),
            (b"a\r\nb", false),
            (b"a\0b", false),
            (b"a\x7fb", false),
            (b"a\x0bb", false),
        ] {
            assert_eq!(is_field_value(value), expected, "{value:?}");
        }
    }

    #[test]
    fn one_byte_is_found_anywhere() {
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert!(is_text(&bytes) && !any(&bytes, |byte| byte == b'x'));
            for at in 0..length {
                bytes[at] = 0x7f;
                assert!(!is_text(&bytes), "{at} of {length}");
                assert_eq!(find(&bytes, is_control), Some(at), "of {length}");
                assert_eq!(find(&bytes, |byte| byte == b'x'), None);
                bytes[at] = b'a';
            }
        }
    }

    #[test]
    fn upgrade_protocols() {
        for (value, expected) in [
            ("websocket", true),
            ("HTTP/2.0, SHTTP/1.3", true),
            ("", false),
            (",", false),
            ("web socket", false),
            ("websocket/", false),
            ("/1", false),
            ("a/b/c", false),
        ] {
            assert_eq!(is_protocol_list(value.as_bytes()), expected, "{value:?}");
        }
    }
}
