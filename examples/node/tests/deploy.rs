//! Do the files in `deploy` start a node? The unit of systemd, the container file, and the configuration of both.

#![cfg(target_os = "linux")]

mod support;

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use self::support::{
    node::PROGRAM,
    process::{self, Guarded, run, text},
    program::require,
};

const CONFIG: &str = include_str!("../deploy/node.toml");
const UNIT: &str = include_str!("../deploy/p2p-http.service");
const CONTAINER: &str = include_str!("../deploy/Containerfile");

/// Where both install the program, its configuration, and its key.
const INSTALLED: &str = "/usr/local/bin/p2p-http";
const CONFIG_AT: &str = "/etc/p2p-http/node.toml";
const STATE: &str = "/var/lib/p2p-http";

/// How exposed `systemd-analyze security` may find the unit, in tenths; it calls 100 what has no protection.
const EXPOSURE: &str = "--threshold=15";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The values of a key of the unit.
fn unit(key: &str) -> Vec<&'static str> {
    let lines = UNIT.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value)
        .collect()
}

/// What follows an instruction of the container file.
fn container(instruction: &str) -> Vec<&'static str> {
    let lines = CONTAINER.lines().filter_map(|line| line.split_once(' '));
    lines
        .filter(|(name, _)| *name == instruction)
        .map(|(_, rest)| rest)
        .collect()
}

#[test]
fn the_configuration_is_right_and_lets_nobody_in() {
    let path = repository().join("examples/node/deploy/node.toml");
    let checked = run(&["run", "--check", "--config", path.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert!(CONFIG.contains("\nallow = []\n"));
    assert!(CONFIG.contains(&format!("identity = \"{STATE}/")));
}

#[test]
fn systemd_understands_the_unit_and_finds_it_confined() {
    let Some(analyze) = require(&["systemd-analyze"]) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    // It looks whether the program is there.
    let file = directory.path().join("p2p-http.service");
    fs::write(&file, UNIT.replace(INSTALLED, PROGRAM)).unwrap();
    for args in [
        &["verify", "--man=no"][..],
        &["security", "--offline=true", "--no-pager", EXPOSURE],
    ] {
        let output = Command::new(&analyze)
            .args(args)
            .arg(&file)
            .output()
            .unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        // What it does not understand is a warning.
        assert!(text(&output.stderr).is_empty(), "{args:?}: {said}");
    }
}

#[test]
fn the_commands_of_the_unit_start_reload_and_stop_a_node() {
    let directory = tempfile::tempdir().unwrap();
    let (state, config, socket) = (
        directory.path().join("state"),
        directory.path().join("node.toml"),
        directory.path().join("notify"),
    );
    fs::create_dir(&state).unwrap();
    let here = CONFIG
        .replace(STATE, state.to_str().unwrap())
        .replace("/ip4/0.0.0.0/", "/ip4/127.0.0.1/")
        .replace("/4001", "/0");
    fs::write(&config, &here).unwrap();
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let told = || {
        let mut buffer = [0; 100];
        let length = manager.recv(&mut buffer).unwrap();
        text(&buffer[..length])
    };
    // As systemd runs it, but with the paths of the test.
    let line = |line: &str| {
        let here = line
            .replace(INSTALLED, PROGRAM)
            .replace(CONFIG_AT, config.to_str().unwrap());
        // What is in quotes is the last word.
        let (words, quoted) = here.split_once(" '").unwrap_or((&here, ""));
        let quoted = quoted.strip_suffix('\'');
        let mut words = words.split(' ').chain(quoted);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null());
        command
    };

    let [start] = unit("ExecStart")[..] else {
        panic!("one ExecStart")
    };
    let mut command = line(start);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Guarded(child);
    let log = process::lines(child.stderr.take().unwrap());
    let facts = process::lines(child.stdout.take().unwrap());
    assert_eq!(told(), "READY=1\n");
    assert!(state.join("node.key").exists());

    let pid = child.id().to_string();
    fs::write(&config, "allow = 1").unwrap();
    let [check, reload] = unit("ExecReload")[..] else {
        panic!("two ExecReload")
    };
    let checked = line(check).output().unwrap();
    assert!(!checked.status.success() && text(&checked.stderr).contains("node.toml:1:1: "));
    fs::write(&config, here).unwrap();
    assert!(line(check).output().unwrap().status.success());
    assert!(
        line(&reload.replace("$MAINPID", &pid))
            .status()
            .unwrap()
            .success()
    );
    process::logged(&facts, "reloaded");

    process::signal(&child, "TERM");
    assert_eq!(told(), "STOPPING=1\n");
    assert_eq!(process::wait(child, &log), Some(0));
}

#[test]
fn the_unit_gives_the_node_what_its_configuration_names() {
    assert_eq!(
        unit("StateDirectory"),
        [STATE.strip_prefix("/var/lib/").unwrap()]
    );
    assert_eq!(unit("DynamicUser"), ["yes"]);
    assert_eq!(unit("Type"), ["notify"]);
}

/// Not a build, which takes images from elsewhere: whether all that the file names is there, and fits together.
#[test]
fn the_container_file_names_what_there_is() {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let rust = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let rust = rust.unwrap().trim_matches('"');
    let from = container("FROM");
    assert_eq!(from.len(), 2);
    assert!(from[0].contains(&format!("/rust:{rust}-")), "{from:?}");
    for image in from {
        let (_, tag) = image.rsplit_once(':').expect("a tag");
        assert!(
            tag.contains("bookworm") && !tag.contains("latest"),
            "{image}"
        );
    }
    for copy in container("COPY")
        .iter()
        .filter(|copy| !copy.starts_with("--from"))
    {
        let mut words: Vec<_> = copy.split(' ').collect();
        words.pop();
        for source in words {
            assert!(repository().join(source).exists(), "{source}");
        }
    }
    // Every member of the workspace is there, or cargo refuses to build any.
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = "));
    for member in members
        .unwrap()
        .split('"')
        .filter(|part| part.contains('/'))
    {
        let (top, _) = member.split_once('/').unwrap();
        assert!(
            container("COPY").contains(&format!("{top} {top}").as_str()),
            "{member}"
        );
    }
    assert!(
        container("COPY")
            .contains(&format!("--from=build /src/target/release/p2p-http {INSTALLED}").as_str())
    );
    assert!(
        container("COPY").contains(&format!("examples/node/deploy/node.toml {CONFIG_AT}").as_str())
    );
    assert_eq!(container("VOLUME"), [STATE]);
    assert_eq!(container("USER"), ["10001:10001"]);
    assert_eq!(container("EXPOSE"), ["4001/tcp 4001/udp"]);
    assert!(CONFIG.contains("tcp/4001\"") && CONFIG.contains("udp/4001/quic-v1\""));
    let command = [container("ENTRYPOINT"), container("CMD")].concat();
    let words = command
        .iter()
        .flat_map(|list| serde_json::from_str::<Vec<String>>(list).unwrap());
    let [start] = unit("ExecStart")[..] else {
        panic!("one ExecStart")
    };
    assert_eq!(words.collect::<Vec<_>>().join(" "), start);
}
