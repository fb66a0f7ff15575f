//! What does the configuration file say? Reads it, and tells where it is wrong: `FILE:LINE:COLUMN: what, and the remedy`.

mod admin;
mod check;
mod file;
mod limits;
mod network;
mod place;
mod values;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

pub(crate) use self::limits::Limits;
use crate::{config::place::Place, logging, read, setup::Setup};

/// What no configuration reaches; another file was named.
const MAX_FILE_SIZE: u64 = 1024 * 1024;

/// Reads the node that a file describes.
///
/// # Errors
///
/// Says where the file is wrong and how to correct it.
pub(crate) fn load(path: &Path) -> Result<Setup> {
    let shown = path.display();
    let text = read::text("configuration file", path, MAX_FILE_SIZE)?;
    let mut setup = parse(&text).map_err(|wrong| {
        let Place { line, column } = wrong.place;
        anyhow!("{shown}:{line}:{column}: {}", wrong.message)
    })?;
    let tokens = setup
        .ports
        .iter_mut()
        .filter_map(|port| port.attach.as_mut()?.token.as_mut());
    let admin = setup.admin.as_mut().and_then(|admin| admin.token.as_mut());
    let named = [setup.identity.as_mut(), setup.swarm_key.as_mut(), admin]
        .into_iter()
        .flatten();
    for named in named.chain(tokens) {
        *named = beside(path, named);
    }
    Ok(setup)
}

/// What is wrong, and where.
#[derive(Debug)]
struct Wrong {
    place: Place,
    message: String,
}

fn parse(text: &str) -> Result<Setup, Wrong> {
    let wrong = |at: usize, message: &str| Wrong {
        place: Place::of(text, at),
        message: logging::one_line(message),
    };
    let file: file::File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let message = error.message();
        wrong(at, &format!("{message}{}", remedy(text, at, message)))
    })?;
    check::setup(file).map_err(|misuse| wrong(misuse.at, &misuse.message))
}

/// What helps where the reader of the format says only that something is wrong.
fn remedy(text: &str, at: usize, message: &str) -> &'static str {
    let before = text.get(..at).unwrap_or_default();
    let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[begin..].lines().next().unwrap_or_default();
    match line.trim().trim_matches(['[', ']']) {
        "gateway" if message == "duplicate key" => ": write each of them as [[gateway]]",
        "forward" if message == "duplicate key" => ": write each of them as [[forward]]",
        _ if message.ends_with("expected a sequence") => ": write a list, as in [\"a\", \"b\"]",
        _ => "",
    }
}

/// A file that is named in another one is looked for beside that, wherever the program was started.
fn beside(file: &Path, named: &Path) -> PathBuf {
    match file.parent() {
        Some(directory) => directory.join(named),
        None => named.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use libp2p_http_proxy::{
        Config, ForwardRules, GatewayRules, Tunnels,
        rewrite::{ForwardedMode, HostPolicy},
        route::RequestAddresses,
    };

    use super::*;
    use clap::Parser as _;

    use crate::{
        args::{Args, Command},
        setup::{Listen, Process},
        shutdown,
        swarm::Role,
    };

    const PEER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    const EXAMPLE: &str = include_str!("../node.toml");

    fn refused(text: &str) -> (usize, usize, String) {
        let Wrong { place, message } = parse(text).expect_err(text);
        (place.line, place.column, message)
    }

    #[test]
    fn the_example_is_what_it_says() {
        let setup = parse(EXAMPLE).unwrap();
        let peer = PEER.parse().unwrap();
        assert_eq!(setup.identity.as_deref(), Some(Path::new("node.key")));
        assert!(matches!(&setup.listen, Listen::At(addresses) if addresses.len() == 2));
        assert_eq!(setup.peers[0].peer, peer);
        let usual = Process {
            drain: Some(shutdown::USUAL),
            log: Some(logging::DEFAULT_FILTER.to_owned()),
            threads: Some(1),
        };
        assert_eq!(setup.process, usual);

        let [app, wiki] = &setup.services[..] else {
            panic!("{:?}", setup.services)
        };
        assert_eq!(
            (app.name.as_str(), &app.rules),
            ("app", &ForwardRules::default())
        );
        assert_eq!(wiki.target.to_string(), "http://127.0.0.1:3001");
        let rules = ForwardRules::default()
            .with_allowed_peers([peer])
            .with_allowed_methods(["GET", "POST"].map(|method| method.parse().unwrap()))
            .with_allowed_paths(["/public", "/api/v1"].map(|path| path.parse().unwrap()))
            .with_host(HostPolicy::Fixed("wiki.example.com".parse().unwrap()))
            .with_forwarded_fields(false);
        assert_eq!(wiki.rules, rules);

        let [own, public, forward] = &setup.ports[..] else {
            panic!("{:?}", setup.ports)
        };
        let hours = std::time::Duration::from_secs(8 * 3600);
        let rules = GatewayRules::default()
            .with_domain("example.com".parse().unwrap())
            .with_allowed_origin("https://app.example".parse().unwrap())
            .with_forwarded(ForwardedMode::Append)
            .with_tunnels(Tunnels::AtMost(hours))
            .with_request_addresses(RequestAddresses::Public);
        assert_eq!((&own.rules, &own.only), (&rules, &None));
        let minutes = std::time::Duration::from_secs(600);
        let name: libp2p_http_proxy::ServiceName = "wiki".parse().unwrap();
        let rules = GatewayRules::default()
            .with_allowed_services([(peer, &name)])
            .with_tunnels(Tunnels::AtMost(minutes))
            .with_exchanges_per_client(64);
        assert_eq!((&public.rules, public.listen.port()), (&rules, 8081));
        let attach = public.attach.as_ref().unwrap();
        assert_eq!(attach.token.as_deref(), Some(Path::new("attach.token")));
        assert_eq!((&attach.allowed, &own.attach), (&Some(vec![peer]), &None));
        let admin = setup.admin.unwrap();
        assert_eq!(admin.listen.port(), 8082);
        assert_eq!(admin.token.as_deref(), Some(Path::new("admin.token")));
        assert_eq!(forward.only, Some((peer, name)));
        assert_eq!(forward.rules, GatewayRules::default());
    }

    #[test]
    fn the_network_of_the_example_is_as_it_says() {
        let setup = parse(EXAMPLE).unwrap();
        let network = setup.network;
        assert_eq!(setup.swarm_key.as_deref(), Some(Path::new("swarm.key")));
        let kad = network.kad.unwrap();
        assert_eq!((kad.bootstrap.len(), kad.role), (1, Role::Server));
        assert_eq!((network.relays.len(), network.external.len()), (1, 1));
        assert!(network.hole_punching && !network.mdns && !network.autonat && !network.upnp);
        // Those of `--relay-server`, of which there is no other list.
        let line = ["p2p-http", "meet", "--relay-server"];
        let Command::Meet(args) = Args::try_parse_from(line).unwrap().command else {
            panic!("not meet")
        };
        let meeting = args.net.meeting_point().unwrap();
        let point = parse("[network]\nmeeting_point = true\nrelay_server = {}\n")
            .unwrap()
            .network;
        assert_eq!(point, meeting);
        assert_eq!(network.relay_server, meeting.relay_server);
    }

    #[test]
    fn the_example_of_the_readme_can_be_read() {
        let readme = include_str!("../../../README.md");
        let blocks = readme.split("```toml\n").skip(1);
        let blocks = blocks.filter_map(|block| block.split("```").next());
        let examples: Vec<_> = blocks.filter(|block| block.contains("[service.")).collect();
        assert_eq!(examples.len(), 1);
        let setup = parse(examples[0]).unwrap();
        assert_eq!((setup.services.len(), setup.ports.len()), (1, 1));
    }

    #[test]
    fn the_limits_of_the_example_are_the_defaults() {
        let written = parse(EXAMPLE).unwrap().network.limits;
        assert_ne!(written, Limits::default());
        let shown = |config: Config| format!("{config:?}");
        assert_eq!(shown(written.config()), shown(Config::default()));
        let shown = |limits: &Limits| format!("{:?}", limits.gateway());
        assert_eq!(shown(&written), shown(&Limits::default()));
        let lines = EXAMPLE
            .lines()
            .skip_while(|line| *line != "[limits]")
            .skip(1);
        let shown = format!("{written:?}").replace("TimeOrNever(Some(", "TimeOrNever((");
        assert!(
            !shown.contains("None"),
            "the example leaves some out: {shown}"
        );
        assert_eq!(lines.count(), shown.matches("Some(").count());
    }

    #[test]
    fn an_empty_file_is_a_node_that_only_is_there() {
        let mut setup = parse("").unwrap();
        // On unless it is said otherwise, as on the command line.
        assert!(std::mem::take(&mut setup.network.hole_punching));
        assert_eq!(setup, Setup::default());
    }

    #[test]
    fn what_is_left_out_is_safe_or_as_on_the_command_line() {
        let text = "[service.a]\nto = \"unix:/run/a\"\nallow = []\n[gateway]\n";
        let setup = parse(text).unwrap();
        assert_eq!(setup.listen, Listen::Everywhere);
        assert_eq!(
            setup.services[0].rules,
            ForwardRules::default().with_allowed_peers([])
        );
        assert_eq!(setup.ports[0].listen.to_string(), "127.0.0.1:8080");
        assert_eq!(setup.ports[0].rules, GatewayRules::default());

        let public = format!(
            "[gateway]\npublic = true\nallow = [{{ peer = \"{PEER}\", service = \"/http\" }}]\n"
        );
        let pair = (PEER.parse().unwrap(), libp2p_http_proxy::Protocol::Kubo);
        let rules = GatewayRules::default()
            .with_allowed_services([pair])
            .with_tunnels(Tunnels::Refused)
            .with_exchanges_per_client(32);
        assert_eq!(parse(&public).unwrap().ports[0].rules, rules);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_the_remedy() {
        let pair = format!("allow = [{{ peer = \"{PEER}\", service = \"a\" }}]");
        let mut wrong = Vec::new();
        for (text, line, column, said) in [
            ("x", 1, 2, "="),
            ("\nlisten = 1", 2, 10, "expected a sequence: write a list"),
            (
                "[service.a]\nto = \"unix:/a\"\nallow = \"12D3\"",
                3,
                9,
                "write a list, as in [\"a\", \"b\"]",
            ),
            ("[gateway]\n[[gateway]]", 2, 3, "as [[gateway]]"),
            ("[[gateway]]\n[gateway]", 2, 2, "as [[gateway]]"),
            ("[forward]\n[forward]", 2, 2, "as [[forward]]"),
            ("liste = []", 1, 1, "expected one of `identity`, `listen`"),
            (
                "listen = [\"/ip4/127.0.0.1/tcp/1\",\n  \"here\"]",
                2,
                3,
                "\"here\" is not a multiaddr",
            ),
            (
                "peers = [\"/ip4/127.0.0.1/tcp/1\"]",
                1,
                10,
                "append /p2p/PEER",
            ),
            ("[service.a]\n", 1, 1, "missing field `to`"),
            (
                "[service.\"a/b\"]\nto = \"unix:/a\"",
                1,
                10,
                "'/' at byte 1",
            ),
            (
                "[service.a]\nto = \"ftp://a\"",
                2,
                6,
                "http://127.0.0.1:3000",
            ),
            (
                "[service.a]\nto = \"unix:/a\"\nallow = [\"me\"]",
                3,
                10,
                "'me' is not a peer id",
            ),
            (
                "[service.a]\nto = \"unix:/a\"\n[service.a]\n",
                3,
                10,
                "duplicate",
            ),
            (
                "[service.a]\nto = \"unix:/a\"\nmethods = [\"get\"]",
                3,
                12,
                "write GET",
            ),
            (
                "[service.a]\nto = \"unix:/a\"\npaths = [\"/a\", \"/b/..\"]",
                3,
                16,
                "'/b/..'",
            ),
            (
                "[service.a]\nto = \"unix:/a\"\nhost = \"other\"",
                3,
                8,
                "`preserve`",
            ),
            (
                "[service.a]\nto = \"unix:/a\"\nhost = { fixed = \"a b\" }",
                3,
                18,
                "'a b' is not a host",
            ),
            ("[gateway]\nlisten = \"localhost\"", 2, 10, "127.0.0.1:8080"),
            ("[gateway]\ndomains = [\"http://a\"]", 2, 12, "http://a"),
            (
                "[gateway]\nallow_origins = [\"a\"]",
                2,
                18,
                "https://app.example",
            ),
            ("[gateway]\ntunnels = \"long\"", 2, 11, "\"10 min\""),
            ("[gateway]\nexchanges_per_client = 0", 2, 24, "nonzero"),
            ("[gateway]\npublic = true", 2, 10, "add allow ="),
            (
                "[gateway]\nrequest_addresses = true",
                2,
                21,
                "wanted string",
            ),
            ("[gateway]\nrequest_addresses = \"all\"", 2, 21, "`public`"),
            (
                &format!("[gateway]\npublic = true\n{pair}\nrequest_addresses = \"any\""),
                4,
                21,
                "write \"public\"",
            ),
            (
                &format!("[gateway]\npublic = true\n{pair}\nattach = {{}}"),
                4,
                10,
                "add token =",
            ),
            (
                "[network]\nrelays = [\"/ip4/127.0.0.1/tcp/1\"]",
                2,
                11,
                "append /p2p/PEER",
            ),
            (
                "[network]\nexternal = [\"example.com\"]",
                2,
                13,
                "\"example.com\" is not a multiaddr",
            ),
            (
                "[network]\nrelay_server = true",
                2,
                16,
                "{} for the defaults",
            ),
            (
                "[network]\nrelay_server = { duration = \"25 h\" }",
                2,
                29,
                "from 1 s to 86400 s",
            ),
            (
                "[network]\nrelay_server = { duration = \"999 ms\" }",
                2,
                29,
                "from 1 s to 86400 s",
            ),
            (
                "[network]\nrelay_server = { duration = 60 }",
                2,
                29,
                "\"10 s\"",
            ),
            ("[gateway]\nattach = true", 2, 10, "{} for the defaults"),
            ("limits = 1", 1, 10, "[limits]"),
            ("drain = 30", 1, 9, "\"10 s\""),
            ("drain = \"2 h\"", 1, 9, "3600 s"),
            ("log = \"loud\"", 1, 7, "'loud' is no level"),
            ("threads = 65", 1, 11, "1 to 64"),
            (
                "[network]\nkad_protocol = \"kad\"",
                2,
                16,
                "begins with a slash",
            ),
            (
                &format!("[gateway]\npublic = true\n{pair}\ntunnels = true"),
                4,
                11,
                "\"10 min\"",
            ),
            (
                "[[gateway]]\nlisten = \"127.0.0.1:1\"\n[[gateway]]\nlisten = \"127.0.0.1:1\"",
                4,
                10,
                "two ports",
            ),
            (
                "[gateway]\nlisten = \"127.0.0.1:1\"\n[admin]\nlisten = \"127.0.0.1:1\"",
                4,
                10,
                "two ports",
            ),
            (
                "[admin]\nlisten = \"0.0.0.0:1\"",
                2,
                10,
                "who uses this node",
            ),
            ("[admin]\n", 1, 1, "missing field `listen`"),
            (
                "[[gateway]]\n[[gateway]]\nport = 1",
                3,
                1,
                "unknown field `port`",
            ),
            ("[[forward]]\npeer = \"x\"", 2, 8, "'x' is not a peer id"),
            ("[limits]\nhead_size = \"32\"", 2, 13, "32 KiB"),
            ("[limits]\nhead_timeout = 10", 2, 16, "\"10 s\""),
            ("[limits]\nhead_timeout = \"0 s\"", 2, 16, "\"10 s\""),
            (
                "[limits]\noutbound_streams_per_peer = 255",
                2,
                29,
                "1 to 254",
            ),
            ("[limits]\nclients = -1", 2, 11, "from 1"),
        ] {
            let (found_line, found_column, message) = refused(text);
            let found = (found_line, found_column) == (line, column) && message.contains(said);
            if !found {
                wrong.push(format!(
                    "{text}\n  {found_line}:{found_column}: {message}\n"
                ));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.concat());
    }

    #[test]
    fn files_are_named_with_the_place_in_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.toml");
        let error = load(&path).unwrap_err();
        assert!(format!("{error:#}").contains("node.toml"), "{error:#}");
        std::fs::write(&path, "identity = \"keys/a\"\n").unwrap();
        let identity = load(&path).unwrap().identity;
        assert_eq!(identity, Some(directory.path().join("keys/a")));
        std::fs::write(&path, "# first\nidentity = 1\n").unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("node.toml:2:12: "), "{error}");
        std::fs::write(&path, "#".repeat(MAX_FILE_SIZE as usize + 1)).unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("larger than"), "{error}");
    }
}
