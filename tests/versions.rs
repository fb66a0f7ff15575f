//! Dependencies with known holes that no advisory database lists, or that a lock file could bring back.

use std::{fs, path::Path};

/// The first version of a package without the hole, and what the hole is.
const FIXED: &[(&str, [u64; 3], &str)] = &[
    ("yamux", [0, 13, 10], "CVE-2026-32314"),
    ("quinn-proto", [0, 11, 15], "RUSTSEC-2026-0185"),
    ("hyper", [1, 11, 0], "the HTTP/1 flaws that 1.11.0 mends"),
    ("tungstenite", [0, 20, 1], "CVE-2023-43669"),
];

#[test]
fn no_locked_version_has_a_known_hole() {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock = fs::read_to_string(lock).expect("a lock file");
    for (name, fixed, hole) in FIXED {
        let versions = locked(&lock, name);
        assert!(
            !versions.is_empty(),
            "{name} is not locked any more: drop it here"
        );
        for version in versions {
            assert!(version >= *fixed, "{name} {version:?} has {hole}");
        }
    }
}

/// Every locked version of a package.
fn locked(lock: &str, name: &str) -> Vec<[u64; 3]> {
    let named = format!("name = \"{name}\"");
    let packages = lock.split("[[package]]");
    let of_name = packages.filter(|package| package.lines().any(|line| line == named));
    of_name
        .map(|package| {
            let version = package
                .lines()
                .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
                .expect("a version");
            let version = version.split(['-', '+']).next().expect("a first part");
            let mut parts = version
                .split('.')
                .map(|part| part.parse().expect("a number"));
            [(); 3].map(|()| parts.next().expect("three parts"))
        })
        .collect()
}

#[test]
fn versions_are_compared_as_numbers() {
    let lock = "[[package]]\nname = \"a\"\nversion = \"0.9.10-beta.1\"\n\n[[package]]\nname = \"ab\"\nversion = \"1.0.0\"\n";
    assert_eq!(locked(lock, "a"), [[0, 9, 10]]);
    assert!([0, 13, 10] > [0, 13, 9]);
}
