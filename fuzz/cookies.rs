//! What does a user agent make of a Set-Cookie? Written from RFC 6265 and from nothing else, to judge by it what a proxy
//! passes on.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]

/// How long the value of an attribute may be that is not ignored: to RFC 6265, and to its successor.
const LIMITS: [usize; 2] = [usize::MAX, 1024];

/// A cookie as section 5.2 parses it.
struct Cookie {
    /// What stands before the first semicolon.
    pair: String,
    /// Names in lower case, and values.
    attributes: Vec<(String, String)>,
}

impl Cookie {
    fn parse(text: &[u8]) -> Self {
        let text = one_char_for_each_byte(text);
        let (pair, mut unparsed) = text.split_at(text.find(';').unwrap_or(text.len()));
        let mut attributes = Vec::new();
        while let Some(rest) = unparsed.strip_prefix(';') {
            let (attribute, others) = rest.split_at(rest.find(';').unwrap_or(rest.len()));
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            attributes.push((trim(name).to_ascii_lowercase(), trim(value).to_owned()));
            unparsed = others;
        }
        Self {
            pair: trim(pair).to_owned(),
            attributes,
        }
    }

    /// Section 5.3, step 7, for a cookie set in answer to a request for `asked`.
    fn path(&self, asked: &str, limit: usize) -> String {
        let mut paths = self.attributes.iter().filter(|(name, _)| name == "path");
        match paths.rfind(|(_, value)| value.len() <= limit) {
            Some((_, path)) if path.starts_with('/') => path.clone(),
            _ => default_path(asked),
        }
    }

    /// Section 5.3, step 6, by whatever a user agent may take for the name.
    fn is_host_only(&self) -> bool {
        self.attributes
            .iter()
            .all(|(name, _)| !is_like(name, "domain"))
    }
}

/// Section 5.1.4, the default path.
fn default_path(asked: &str) -> String {
    match asked.rfind('/') {
        Some(last) if asked.starts_with('/') && last > 0 => asked[..last].to_owned(),
        _ => "/".to_owned(),
    }
}

/// Section 5.1.4, whether a cookie with this path is sent with a request for `asked`.
fn path_match(asked: &str, path: &str) -> bool {
    asked
        .strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || path.ends_with('/') || rest.starts_with('/'))
}

/// What is left of a path to who takes it for that of a URL.
fn resolve(path: &str) -> String {
    let path = path.replace('\t', "").replace('\\', "/");
    let mut segments = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment.to_ascii_lowercase().replace("%2e", ".").as_str() {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Checks what a proxy has made of a cookie, which is to stay at its host, and there below `prefix` if there is one.
pub(crate) fn check(came: &[u8], passed: &[u8], prefix: Option<&str>) {
    let shown = || format!("{} -> {}", came.escape_ascii(), passed.escape_ascii());
    let (before, after) = (Cookie::parse(came), Cookie::parse(passed));
    assert_eq!(after.pair, before.pair, "{}", shown());
    assert!(after.is_host_only(), "{}", shown());
    check_rest(came, passed, prefix.is_some());
    let Some(prefix) = prefix else {
        return;
    };
    for limit in LIMITS {
        for target in ["/", "/a", "/a/", "/a/b", "/a/b/c", "//", "/a//b"] {
            let asked = format!("{prefix}{target}");
            let path = after.path(&asked, limit);
            check_stays(prefix, &path);
            check_stays(prefix, &resolve(&path));
            check_means(prefix, &path, &before.path(target, 1024), target);
        }
    }
}

/// It is sent to nobody else.
fn check_stays(prefix: &str, path: &str) {
    let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
    assert!(path.strip_prefix(prefix).is_some_and(is_below), "{path}");
    let (parent, _) = prefix.rsplit_once('/').expect("an absolute path");
    let others = [
        "/".to_owned(),
        parent.to_owned(),
        format!("{parent}/"),
        format!("{prefix}2"),
        format!("{prefix}2/"),
        format!("{parent}/other/a/b"),
        prefix.to_uppercase() + "/",
        prefix[..prefix.len() - 1].to_owned() + "/",
        "/a/b/c".to_owned(),
    ];
    for other in &others {
        assert!(
            !path_match(other, path),
            "{other} gets the cookie of {path}"
        );
    }
}

/// It is sent to the service with the same requests as it would be without a prefix.
fn check_means(prefix: &str, path: &str, before: &str, target: &str) {
    if resolve(before) != before || path.len() > 1024 || prefix.len() + before.len() > 1024 {
        // It was of no use, or the whole is too long to be looked at.
        return;
    }
    for asked in [
        "/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/x", "//", "/a//b", target, before,
    ] {
        assert_eq!(
            path_match(&format!("{prefix}{asked}"), path),
            path_match(asked, before),
            "{asked}, {path}, {before}"
        );
    }
}

/// All that says nothing of the scope is passed on byte for byte.
fn check_rest(came: &[u8], passed: &[u8], without_path: bool) {
    let rest = |text: &[u8]| -> Vec<String> {
        let text = one_char_for_each_byte(text);
        let parts = text.split(';').enumerate();
        let kept = parts.filter(|(place, part)| {
            let name = part.split('=').next().unwrap_or_default();
            *place == 0 || !(is_like(name, "domain") || (without_path && is_like(name, "path")))
        });
        let joined: Vec<_> = kept.map(|(_, part)| part.to_owned()).collect();
        // Behind the last part there may have been white space before another one.
        trim(&joined.join(";"))
            .split(';')
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(rest(came), rest(passed));
}

/// Whether anybody may take `name` for this one.
fn is_like(name: &str, this: &str) -> bool {
    let is_white = |c: char| c == ' ' || c == '\t' || !c.is_ascii();
    name.trim_matches(is_white).eq_ignore_ascii_case(this)
}

/// Without the white space of section 5.2.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn one_char_for_each_byte(text: &[u8]) -> String {
    text.iter().map(|&byte| char::from(byte)).collect()
}
