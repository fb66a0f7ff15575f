//! Do the seeds of the fuzzers hold? Replays them without a fuzzer, regressions included.

#![cfg(all(feature = "tokio", feature = "tower"))]

#[path = "../fuzz/cookies.rs"]
mod cookies;
#[path = "../fuzz/gateway.rs"]
mod gateway;
#[path = "../fuzz/invariants.rs"]
mod invariants;
#[path = "../fuzz/paths.rs"]
mod paths;
#[path = "../fuzz/proxy.rs"]
mod proxy;
#[path = "../fuzz/routes.rs"]
mod routes;
#[path = "../fuzz/transcript.rs"]
mod transcript;

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use libp2p_http_proxy::PathPrefix;

/// What panics if it does not hold of some bytes.
type Invariant = fn(&[u8]);

/// The fuzz targets and their invariants.
const TARGETS: &[(&str, Invariant)] = &[
    ("request_head", invariants::request_head),
    ("response_head", invariants::response_head),
    ("chunked", invariants::chunked),
    ("connection", invariants::connection),
    ("rewrite", proxy::rewrite),
    ("route", routes::route),
    ("host", routes::host),
    ("addresses", routes::addresses),
    ("gateway", gateway::gateway),
    ("path_rule", paths::path_rule),
];

#[test]
fn every_seed_holds() {
    for (name, invariant) in TARGETS {
        let folder = fuzz().join("seeds").join(name);
        let seeds = entries(&folder);
        assert!(!seeds.is_empty(), "{} has no seeds", folder.display());
        for seed in seeds {
            // The name of the seed, should it fail.
            println!("{}", seed.display());
            invariant(&fs::read(&seed).expect("a readable seed"));
        }
    }
}

#[test]
fn nobody_sees_a_path_below_a_prefix_outside_of_it() {
    const PIECES: [&str; 13] = [
        "/", ".", "..", "%2e", "%2f", "%5c", "\\", "%25", "2e", ";", "%3f", "%00", "x",
    ];
    let prefix: PathPrefix = "/a".parse().expect("a prefix");
    let (mut held, mut outside) = (0, 0);
    for number in 0..PIECES.len().pow(4) {
        let pieces = (0..4).map(|place| PIECES[number / PIECES.len().pow(place) % PIECES.len()]);
        let path = format!("/a/{}", pieces.collect::<String>());
        let is_inside = paths::all_see(&path, |stack| {
            stack.first().is_some_and(|first| first == "a")
        });
        let holds = prefix.holds(&path);
        assert!(is_inside || !holds, "{path}");
        held += usize::from(holds);
        outside += usize::from(!is_inside);
    }
    assert!(held > 100 && outside > 100, "{held} {outside}");
}

#[test]
fn no_target_is_forgotten() {
    let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");

    assert_eq!(names(&fuzz().join("fuzz_targets")), listed);
    assert_eq!(names(&fuzz().join("seeds")), listed);
    for name in &listed {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in the manifest"
        );
    }
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let list = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    list.map(|entry| entry.expect("a readable entry").path())
        .collect()
}

/// The names of what is in a folder, without their endings.
fn names(folder: &Path) -> BTreeSet<String> {
    let stem = |path: PathBuf| {
        path.file_stem()
            .map(OsStr::to_string_lossy)
            .map(|name| name.into_owned())
    };
    entries(folder).into_iter().filter_map(stem).collect()
}
