//! What must hold of rules about paths, whoever reads a path? Called by a fuzz target, and by tests.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

use libp2p_http_proxy::PathPrefix;

/// At which characters a reader ends a path, where it ends it early: in C at a NUL, and at a query or a fragment whoever looks
/// for them when the escapes are resolved.
const ENDS: [&[char]; 3] = [&[], &['\0'], &['?', '#']];

/// The first line is the prefix of a rule, and the second a path: no reader sees the path outside of a prefix that holds it.
pub(crate) fn path_rule(data: &[u8]) {
    let Some((prefix, path)) = str::from_utf8(data)
        .ok()
        .and_then(|text| text.split_once('\n'))
    else {
        return;
    };
    let Ok(prefix) = prefix.parse::<PathPrefix>() else {
        return;
    };
    assert_eq!(prefix.to_string().parse().as_ref(), Ok(&prefix));
    let shown = prefix.to_string();
    // The prefix itself is not decoded by the rule, and by readers once or more.
    if shown != "/" && !shown.contains('%') && path.starts_with('/') && prefix.holds(path) {
        let inside = seen(&shown, (0, false, false), &[]);
        assert!(
            all_see(path, |stack| stack.starts_with(&inside)),
            "{prefix} {path}"
        );
    }
}

/// Whether all readers see something of a path, by its segments.
pub(crate) fn all_see(path: &str, is: impl Fn(&[String]) -> bool) -> bool {
    let (path, _) = path.split_once('?').unwrap_or((path, ""));
    (0..4).all(|layers| {
        [(false, false), (false, true), (true, false), (true, true)]
            .into_iter()
            .flat_map(|(backslash, parameters)| {
                ENDS.map(|ends| ((layers, backslash, parameters), ends))
            })
            .all(|(reader, ends)| is(&seen(path, reader, ends)))
    })
}

/// Where a reader sees a path: it resolves escapes so often, takes a backslash for a slash or not, cuts parameters off or not,
/// and ends the path at one of these characters or at none.
fn seen(
    path: &str,
    (layers, backslash, parameters): (usize, bool, bool),
    ends: &[char],
) -> Vec<String> {
    let mut bytes = path.as_bytes().to_vec();
    for _ in 0..layers {
        bytes = resolved(&bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let text = text.split(ends).next().unwrap_or_default();
    let text = match backslash {
        true => text.replace('\\', "/"),
        false => text.to_owned(),
    };
    let mut stack = Vec::new();
    for segment in text.split('/') {
        let segment = match parameters {
            true => segment.split(';').next().unwrap_or_default(),
            false => segment,
        };
        match segment.trim() {
            "" | "." => {}
            ".." => {
                stack.pop();
            }
            _ => stack.push(segment.to_owned()),
        }
    }
    stack
}

/// With its escapes resolved once; what is none stays.
fn resolved(bytes: &[u8]) -> Vec<u8> {
    let mut resolved = Vec::new();
    let mut rest = bytes;
    while let [first, after @ ..] = rest {
        let escape = after.get(..2).filter(|_| *first == b'%');
        let digits = escape.and_then(|digits| str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| !digits.starts_with('+'));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                resolved.push(byte);
                rest = &after[2..];
            }
            None => {
                resolved.push(*first);
                rest = after;
            }
        }
    }
    resolved
}
