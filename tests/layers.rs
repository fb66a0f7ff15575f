//! Does the framing core stay what it is? It knows no libp2p, no async and no clock, its files
//! depend on each other in one direction only, and none of them is unsafe.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The files of the core, in the order of the data: each may use those before it.
const LAYERS: &[&str] = &[
    "limits",
    "error",
    "syntax",
    "fields",
    "target",
    "traits",
    "diagnose",
    "status",
    "version",
    "head",
    "framing",
    "role",
    "scan",
    "chunked",
    "decoder",
    "write",
    "encoder",
    "connection",
];

/// The only crates that the core may name.
const CRATES: &[&str] = &[
    "std",
    "bytes",
    "httparse",
    "smallvec",
    "memchr",
    "thiserror",
];

/// What would tie the core to a runtime, a network or a clock.
const FORBIDDEN: &[&str] = &[
    "libp2p",
    "futures",
    "async",
    "await",
    "task",
    "tokio",
    "Instant",
    "SystemTime",
    "Duration",
    "thread",
    "net",
    "unsafe",
];

#[test]
fn the_core_knows_no_runtime_and_no_network() {
    for (path, code) in core() {
        let found: Vec<_> = words(&code)
            .filter(|word| FORBIDDEN.contains(word))
            // An address is only a number.
            .filter(|word| *word != "net" || !code.contains("use std::net::Ipv6Addr;"))
            .collect();
        assert_eq!(found, [""; 0], "{}", path.display());
    }
}

#[test]
fn the_core_uses_few_crates() {
    for (path, code) in core() {
        for line in code.lines() {
            let Some(import) = line.trim().strip_prefix("use ") else {
                continue;
            };
            let root = words(import).next().unwrap_or_default();
            let is_own = matches!(root, "super" | "crate" | "self");
            assert!(
                is_own || CRATES.contains(&root),
                "{}: {line}",
                path.display()
            );
        }
    }
}

#[test]
fn every_file_of_the_core_uses_only_those_before_it() {
    for (path, code) in core() {
        let name = layer_of(&path);
        let place = place_of(&name);
        for used in imports(&code) {
            assert!(
                place_of(&used) <= place,
                "{name} must not use {used}, which comes after it"
            );
        }
    }
}

#[test]
fn the_list_of_layers_is_complete() {
    let files: BTreeSet<String> = core().map(|(path, _)| layer_of(&path)).collect();
    let listed: BTreeSet<String> = LAYERS.iter().map(|layer| (*layer).to_owned()).collect();
    assert_eq!(files, listed);
}

#[test]
fn imports_are_found() {
    // The tests above cannot fail if this does not hold.
    let code = "use super::{\n    error::{Error, Misuse},\n    head::Version,\n    target, write,\n    write::Sending,\n};\n\
                use super::super::scan::Scan;\nfn f() { super::framing::reuse() }";
    let found: Vec<String> = imports(code).into_iter().collect();
    assert_eq!(
        found,
        ["error", "framing", "head", "scan", "target", "write"]
    );
    assert!(words("std::task::Poll").any(|word| word == "task"));
}

/// The files of the core without the door, and the code of each without comments and tests.
fn core() -> impl Iterator<Item = (PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/h1");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() >= LAYERS.len(), "the core was not found");
    files.into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a readable file");
        let code = text
            .split("#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or_default();
        let code = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        (path, code.map(|line| format!("{line}\n")).collect())
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The layer of a file: that of its folder if it is in one.
fn layer_of(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/h1"));
    let first = inside
        .expect("a file of the core")
        .iter()
        .next()
        .expect("a name");
    let name = first.to_string_lossy();
    name.strip_suffix(".rs").unwrap_or(&name).to_owned()
}

fn place_of(layer: &str) -> usize {
    LAYERS
        .iter()
        .position(|name| *name == layer)
        .unwrap_or_else(|| panic!("{layer} is not a layer"))
}

/// The words of which a text consists, where `_` is a letter.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// The layers that a file names behind `super::`, in whatever way.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("super::") {
        let behind = &code[at + "super::".len()..];
        match behind.strip_prefix('{') {
            Some(list) => found.extend(members(list)),
            None => found.extend(words(behind).next().map(str::to_owned)),
        }
    }
    found.retain(|name| LAYERS.contains(&name.as_str()));
    found
}

/// The first segments of the members of a `use` list, up to its closing brace.
fn members(list: &str) -> Vec<String> {
    let (mut depth, mut member, mut found) = (1, String::new(), Vec::new());
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => found.extend(
                words(&std::mem::take(&mut member))
                    .next()
                    .map(str::to_owned),
            ),
            _ => {}
        }
        if depth == 0 {
            found.extend(words(&member).next().map(str::to_owned));
            return found;
        }
        if c != ',' || depth > 1 {
            member.push(c);
        }
    }
    found
}
