//! What can be asked for? The command line; its help texts are the manual.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "these texts are for a terminal, where brackets are brackets"
)]

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use crate::{config, logging, shutdown};

mod addresses;
mod admin;
mod attach;
mod demo;
mod doctor;
mod forward;
mod gateway;
mod listen;
mod meet;
mod net;
mod run;
mod serve;
mod web;

pub(crate) use self::{
    addresses::AddressArgs,
    admin::AdminArgs,
    attach::{AttachArgs, To},
    demo::DemoArgs,
    doctor::{DoctorArgs, Listener},
    forward::ForwardArgs,
    gateway::GatewayArgs,
    listen::ListenArgs,
    meet::MeetArgs,
    net::{NetArgs, PortArgs, protocol_name, swarm_key},
    run::RunArgs,
    serve::ServeArgs,
    web::{WebArgs, forwarded},
};

const EXAMPLES: &str = "\
Examples:
  See it work, in one command:
      p2p-http demo

  Serve a web application that listens on port 3000 of this machine:
      p2p-http serve --name app --to http://127.0.0.1:3000 --identity node.key

  Open it on another machine; the address is a `listening` line of `serve`:
      p2p-http gateway --peer /ip4/192.0.2.7/tcp/4001/p2p/12D3…
      curl http://127.0.0.1:8080/http/12D3…/app/
  A browser that opens this address is sent on to the application's own host,
  http://app.k51….p2p.localhost:8080/, as if it were a site of its own.

  The same on a port of its own, for clients that know neither paths nor such hosts:
      p2p-http forward --peer /ip4/192.0.2.7/tcp/4001/p2p/12D3… --name app

  See what a node does, in a browser:
      p2p-http gateway --admin 127.0.0.1:8081

  Find each other by peer ids alone, and from behind a NAT, through a node that both reach:
      p2p-http meet --identity meet.key --listen /ip4/0.0.0.0/tcp/4001 --relay-server
      p2p-http serve --name app --to http://127.0.0.1:3000 --bootstrap MEET --relay MEET
      p2p-http gateway --bootstrap MEET --p2p-listen /ip4/0.0.0.0/tcp/0

  All of it in one process, as a file says, with rules for who may do what:
      p2p-http run --config node.toml

  What is wrong, if it does not work:
      p2p-http doctor --config node.toml

Output:
  Standard output is for scripts: one fact a line, in forms that do not change.
      peer PEER                           who this node is
      listening MULTIADDR/p2p/PEER        where peers reach it, to paste after --peer
      service NAME -> TARGET              what it offers, and who answers
      host NAME HOST                      where the service is on a gateway, before its :PORT
      gateway http://IP:PORT              where requests /http/PEER/NAME/… and to hosts go
      forward http://IP:PORT -> PEER NAME one service on a port of its own
      admin http://IP:PORT                where the node is shown (--admin)
      relay reservations=… circuits=… …   what it passes on for others, at most
      ready                               all of this works from here on
      reloaded                            `run` goes by its changed file from here on
      listener NAME, gone NAME            a local program is a service of this node, or no longer
      attached NAME                       a server is a service of a gateway (`attach`)
  Standard error is the log, with one line for each request.

Exit status:
  0 stopped by Ctrl-C or SIGTERM, after running exchanges finished; 1 failed; 2 used wrongly;
  130 a second signal came.";

/// More are of no use.
pub(crate) const MOST_THREADS: u16 = 64;

/// Web applications between libp2p peers: serve one, or open one in a browser.
///
/// A request goes from an HTTP client to a gateway, over an encrypted libp2p stream to the node that serves the application,
/// and from there to the application's own HTTP server. Peers are addressed by their keys: no domain name, no certificate.
/// The application learns the verified id of the caller from the field X-Libp2p-Peer.
#[derive(Debug, Parser)]
#[command(name = "p2p-http", version, after_long_help = EXAMPLES, max_term_width = 100, propagate_version = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Common {
    /// File with this node's private key; created, for you alone (mode 0600), if it does not exist
    ///
    /// The key decides the peer id, so keep the file to keep the address. Without it the node has a new peer id at each
    /// start. The form is libp2p's protobuf encoding of a private key; new keys are Ed25519. A file that other users can
    /// read is refused. (`demo` has two nodes and makes new keys for them; it takes no file.)
    ///
    /// Example: --identity ~/.config/p2p-http/node.key
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) identity: Option<PathBuf>,

    /// What to log, as [TARGET=]LEVEL parts with commas; levels: off, error, warn, info, debug, trace
    ///
    /// The target `http_access` is the log of requests. The log goes to standard error. By default it tells what this
    /// program does, each request, and warnings of the libraries; `demo --check` tells errors only, and `doctor` nothing.
    ///
    /// Example: --log debug
    ///
    /// Example: --log warn,http_access=off
    #[arg(
        long,
        value_name = "FILTER",
        global = true,
        env = "P2P_HTTP_LOG",
        value_parser = logging::parse_filter
    )]
    pub(crate) log: Option<String>,

    /// Seconds that running exchanges have to finish after Ctrl-C or SIGTERM, 0 to 3600
    ///
    /// New requests are not taken meanwhile. A second signal stops at once. By default 30.
    ///
    /// Example: --drain 5
    #[arg(long, value_name = "SECONDS", global = true, value_parser = seconds)]
    pub(crate) drain: Option<Duration>,

    /// Threads that do the work of the node, 1 to 64
    ///
    /// One is enough for tens of thousands of requests, or hundreds of megabytes, a second, and takes the least CPU time for
    /// each, as nothing is handed from one thread to another. More help where a single one is busy all the time. By default
    /// 1.
    ///
    /// Example: --threads 4
    #[arg(long, value_name = "COUNT", global = true, value_parser = threads)]
    threads: Option<u16>,
}

impl Common {
    /// How long running exchanges have at the end.
    pub(crate) fn drain(&self) -> Duration {
        self.drain.unwrap_or(shutdown::USUAL)
    }

    pub(crate) fn threads(&self) -> u16 {
        self.threads.unwrap_or(1)
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Offer local web applications to peers
    #[command(after_long_help = serve::HELP)]
    Serve(ServeArgs),

    /// Open the applications of peers: http://127.0.0.1:8080/http/PEER/NAME/
    #[command(after_long_help = gateway::HELP)]
    Gateway(GatewayArgs),

    /// Open one application of one peer on a port of its own: http://127.0.0.1:9000/
    #[command(after_long_help = forward::HELP)]
    Forward(ForwardArgs),

    /// Make a local server a service of a gateway that allows it, without a node of its own
    #[command(after_long_help = attach::PROTOCOL)]
    Attach(AttachArgs),

    /// Be where peers find each other, without services of its own
    #[command(after_long_help = meet::HELP)]
    Meet(MeetArgs),

    /// Run a node as a file describes it, with rules for who may do what; SIGHUP reads it again
    #[command(after_long_help = run::HELP)]
    Run(RunArgs),

    /// Say in plain words what is wrong with a configuration, an identity, a port, a server or a peer
    #[command(after_long_help = doctor::HELP)]
    Doctor(DoctorArgs),

    /// See it work: two nodes in this process, and a web page that one serves through the other
    #[command(after_long_help = demo::HELP)]
    Demo(DemoArgs),
}

impl Args {
    /// The command line of this process. Explains and exits with status 2 if it is wrong.
    pub(crate) fn read() -> Self {
        let matches = Self::command().get_matches();
        let args = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        if let Err(message) = args.check() {
            usage_of(matches.subcommand_name())
                .error(ErrorKind::ValueValidation, message)
                .exit();
        }
        args
    }

    /// Takes from the file of `run` what has to be known before anything runs, where this line says nothing. If the file is
    /// wrong, `run` is who says so: it reads the file again, as what that warns of is lost until this has decided on a log.
    pub(crate) fn fill_in(&mut self) {
        let Command::Run(args) = &self.command else {
            return;
        };
        if !args.check
            && let Ok(setup) = config::load(&args.config)
        {
            let common = &mut self.common;
            common.log = common.log.take().or(setup.process.log);
            common.threads = common.threads.or(setup.process.threads);
        }
    }

    /// What to log: what was asked for, or what suits the command.
    pub(crate) fn log_filter(&self) -> &str {
        match (&self.common.log, &self.command) {
            (Some(filter), _) => filter,
            // A table is printed, with requests in it that are meant to fail.
            (None, Command::Demo(DemoArgs { check: true, .. })) => "error",
            // What matters of it is in the findings.
            (None, Command::Doctor(_)) => "off",
            (None, _) => logging::DEFAULT_FILTER,
        }
    }

    /// The rules between options, which the parser does not know.
    fn check(&self) -> Result<(), String> {
        match &self.command {
            Command::Serve(args) => args.check().and_then(|()| args.admin.check()),
            Command::Gateway(args) => args.admin.check(),
            Command::Forward(args) => args.check().and_then(|()| args.admin.check()),
            Command::Meet(args) => args.admin.check(),
            Command::Run(args) => args.check(&self.common),
            Command::Doctor(args) => args.check(&self.common),
            Command::Demo(_) if self.common.identity.is_some() => Err(
                "--identity is of no use to `demo`, which makes new keys for its two nodes"
                    .to_owned(),
            ),
            Command::Attach(_) if self.common.identity.is_some() => Err(
                "--identity is of no use to `attach`, which is no node: the gateway is".to_owned(),
            ),
            Command::Demo(args) => args.admin.check(),
            Command::Attach(_) => Ok(()),
        }
    }
}

/// A command, to say how it is used.
fn usage_of(name: Option<&str>) -> clap::Command {
    let mut all = Args::command();
    // Without it, a subcommand does not know what it is part of.
    all.build();
    let command = name.and_then(|name| all.find_subcommand(name)).cloned();
    command.unwrap_or(all)
}

fn http_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "not an IP address with a port; write for example 127.0.0.1:8080 or [::1]:8080".to_owned()
    })
}

fn seconds(text: &str) -> Result<Duration, String> {
    number(text, 0..=shutdown::LONGEST_SECONDS, "seconds")
        .map(|seconds| Duration::from_secs(seconds.into()))
}

fn threads(text: &str) -> Result<u16, String> {
    number(text, 1..=MOST_THREADS, "threads")
}

/// So many of `what`, written as digits alone.
fn number(text: &str, range: RangeInclusive<u16>, what: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && range.contains(&number) => Ok(number),
        _ => {
            let (least, most) = range.into_inner();
            Err(format!("not a number of {what} from {least} to {most}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "12D3KooWQYzCrRbNjHcXtjnxqmQyNRWHVXqqBVA8KaLdGmjJDPAW";
    const OTHER: &str = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    fn parse(line: &str) -> Result<Args, String> {
        let args = Args::try_parse_from(std::iter::once("p2p-http").chain(line.split_whitespace()))
            .map_err(|error| error.to_string())?;
        args.check()?;
        Ok(args)
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn names_and_targets_go_in_pairs() {
        let args =
            parse("serve --name a --to http://127.0.0.1:1 --to unix:/run/b --name b").unwrap();
        let Command::Serve(serve) = args.command else {
            panic!("not serve")
        };
        let pairs: Vec<_> = serve
            .services()
            .map(|(name, to)| format!("{name} {to}"))
            .collect();
        assert_eq!(pairs, ["a http://127.0.0.1:1", "b unix:/run/b"]);
    }

    #[test]
    fn a_check_is_quiet_unless_asked() {
        for (line, filter) in [
            ("demo", logging::DEFAULT_FILTER),
            ("demo --check", "error"),
            ("demo --check --log debug", "debug"),
        ] {
            assert_eq!(parse(line).unwrap().log_filter(), filter, "{line}");
        }
    }

    #[test]
    fn accepted() {
        for line in [
            "demo",
            "demo --check",
            "run --config node.toml --drain 5",
            "run --config node.toml --check",
            "doctor",
            "doctor --config node.toml --listen 127.0.0.1:0 --to unix:/run/a --timeout 60 --json",
            &format!(
                "doctor --identity k --peer {PEER} --name a --bootstrap /ip4/127.0.0.1/tcp/1/p2p/{OTHER}"
            ),
            "demo --listen 127.0.0.1:0 --log debug",
            "demo --admin 127.0.0.1:0",
            "meet --admin [::1]:8081",
            "gateway --admin 0.0.0.0:8081 --admin-token t",
            "gateway",
            "gateway --listen [::1]:0 --drain 0 --identity k",
            "gateway --threads 64",
            "gateway --domain example.com --domain p2p.example.org --allow-origin https://a --allow-origin *",
            "--identity k gateway",
            "gateway --allow-listen --listen-token t --p2p-listen /ip4/127.0.0.1/tcp/0",
            &format!("gateway --allow-listen --allow {PEER}"),
            "attach --gateway http://127.0.0.1:8080 --name a --to 127.0.0.1:3000",
            "attach --gateway 127.0.0.1:8080 --name a --to unix:/run/a --share --token t",
            &format!(
                "gateway --peer /ip4/127.0.0.1/tcp/1/p2p/{PEER} --peer /dns/h/tcp/1/p2p/{OTHER}"
            ),
            &format!(
                "forward --name a --peer /ip4/127.0.0.1/tcp/1/p2p/{PEER} --peer /ip6/::1/tcp/1/p2p/{PEER}"
            ),
            &format!("serve --name a --to http://localhost:1 --allow {PEER} --allow {OTHER}"),
            "serve --name a --to http://localhost:1 --listen /ip4/127.0.0.1/tcp/0 --listen /ip6/::1/udp/0/quic-v1",
            "meet",
            "meet --listen /ip4/127.0.0.1/tcp/0 --relay-server --relay-bytes 0 --relay-seconds 60",
            &format!(
                "gateway --bootstrap /ip4/127.0.0.1/tcp/1/p2p/{PEER} --mdns --p2p-listen /ip4/127.0.0.1/tcp/0"
            ),
            &format!("forward --name a --peer {PEER} --bootstrap /ip4/127.0.0.1/tcp/1/p2p/{OTHER}"),
            &format!(
                "serve --name a --to http://localhost:1 --relay /ip4/127.0.0.1/tcp/1/p2p/{PEER} --no-hole-punching"
            ),
        ] {
            parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
    }

    #[test]
    fn refused_with_the_culprit() {
        let two_peers = format!(
            "--peer /ip4/127.0.0.1/tcp/1/p2p/{PEER} --peer /ip4/127.0.0.1/tcp/1/p2p/{OTHER}"
        );
        for (line, said) in [
            ("", "Usage"),
            ("serve", "--name"),
            ("serve --name a", "--to"),
            ("serve --name a --name b --to http://127.0.0.1:1", "2 and 1"),
            (
                "serve --name a --to http://127.0.0.1:1 --name a --to http://127.0.0.1:2",
                "called a",
            ),
            ("serve --name a/b --to http://127.0.0.1:1", "a/b"),
            ("serve --name a --to ftp://127.0.0.1", "ftp://127.0.0.1"),
            (
                "serve --name a --to http://127.0.0.1:1 --allow me",
                "'me' is not a peer id",
            ),
            (
                "serve --name a --to http://127.0.0.1:1 --listen 127.0.0.1:1",
                "/ip4/127.0.0.1/tcp/1",
            ),
            ("gateway --p2p-listen 127.0.0.1:1", "/ip4/127.0.0.1/tcp/1"),
            ("meet --listen here", "/ip4/0.0.0.0/tcp/4001"),
            ("gateway --external example.com", "/ip4/0.0.0.0/tcp/4001"),
            ("gateway --listen localhost", "127.0.0.1:8080"),
            ("gateway --peer /ip4/127.0.0.1/tcp/1", "/p2p/PEER"),
            ("gateway --domain http://example.com", "http://example.com"),
            (
                "gateway --allow-origin example.com",
                "'example.com' is not an origin",
            ),
            ("forward --name a", "--peer"),
            (&format!("forward --name a {two_peers}"), "different peers"),
            (&format!("forward --name a --peer {PEER}"), "--bootstrap"),
            (
                "gateway --bootstrap /ip4/127.0.0.1/tcp/1",
                "append /p2p/PEER",
            ),
            ("gateway --kad-protocol kad", "begins with a slash"),
            ("meet --relay-bytes 1", "--relay-server"),
            ("meet --relay-server --relay-seconds 0", "86400"),
            ("demo --check --listen 127.0.0.1:1", "--listen"),
            ("demo --identity k", "new keys"),
            ("run", "--config"),
            ("run --config node.toml --identity k", "identity = \"FILE\""),
            (
                "doctor --config node.toml --identity k",
                "whose file names one",
            ),
            ("doctor --config node.toml --mdns", "has [network]"),
            ("doctor --name a", "--peer"),
            ("doctor --timeout 61", "60"),
            ("gateway --listen-token t", "--allow-listen"),
            ("gateway --admin 0.0.0.0:8081", "--admin-token"),
            ("meet --admin 192.0.2.1:8081", "who uses this node"),
            ("gateway --admin-token t", "--admin"),
            ("attach --admin 127.0.0.1:1", "--admin"),
            ("attach --name a --to 127.0.0.1:1", "--gateway"),
            (
                "attach --gateway http://a --name a --to 3000",
                "http://127.0.0.1:3000",
            ),
            (
                "attach --gateway https://a --name a --to 127.0.0.1:1",
                "TLS",
            ),
            (
                "attach --gateway http://a --name a/b --to 127.0.0.1:1",
                "a/b",
            ),
            (
                "attach --gateway http://a --name a --to 127.0.0.1:1 --identity k",
                "no node",
            ),
            ("gateway --drain 3601", "3600"),
            ("gateway --drain +1", "3600"),
            ("gateway --threads 0", "1 to 64"),
            ("gateway --threads 65", "1 to 64"),
            ("gateway --log http_access=loud", "loud"),
            ("gateway --log verbose", "'verbose' is no level"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn a_rule_that_is_broken_is_told_with_the_usage_of_its_command() {
        for (name, usage) in [
            (Some("forward"), "p2p-http forward [OPTIONS] --peer"),
            (None, "p2p-http [OPTIONS] <COMMAND>"),
        ] {
            let error = usage_of(name).error(ErrorKind::ValueValidation, "why");
            assert!(error.to_string().contains(usage), "{error}");
        }
    }

    #[test]
    fn examples_are_narrow_enough_not_to_be_wrapped() {
        let command = Args::command();
        for command in std::iter::once(&command).chain(command.get_subcommands()) {
            let examples = command
                .get_after_long_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(examples.contains("Example"), "{}", command.get_name());
            for line in examples.lines() {
                assert!(
                    line.chars().count() <= 100,
                    "{}: {line}",
                    command.get_name()
                );
            }
        }
    }

    #[test]
    fn every_option_is_explained_with_an_example() {
        for command in Args::command().get_subcommands() {
            for option in command
                .get_arguments()
                .filter(|option| option.get_id() != "check")
            {
                let help = option
                    .get_long_help()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                assert!(
                    help.contains("Example: --"),
                    "{} {}",
                    command.get_name(),
                    option.get_id()
                );
            }
        }
    }
}
