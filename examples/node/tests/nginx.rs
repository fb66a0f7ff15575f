//! Does nginx behind `serve` answer through the gateway as it answers directly, over TCP and over a Unix socket?

#![cfg(unix)]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

use support::{
    data,
    node::Pair,
    program::{Curl, command, require},
    wire::Conn,
    within,
};

mod support;

/// A running nginx with its files.
struct Nginx {
    directory: TempDir,
    port: u16,
    _child: Child,
}

impl Nginx {
    /// Starts it, and waits until it listens.
    async fn start(program: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let html = directory.path().join("html");
        fs::create_dir(&html).unwrap();
        fs::write(html.join("index.html"), "<h1>served by nginx</h1>\n").unwrap();
        fs::write(html.join("style.css"), "p { color: teal }\n".repeat(1000)).unwrap();
        data::file(&html, data::LARGE / 4);
        // nginx cannot tell which port it was given, so it gets one that was free a moment ago.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let configuration = directory.path().join("nginx.conf");
            fs::write(&configuration, self::configuration(directory.path(), port)).unwrap();
            if let Some(child) = Self::spawn(program, directory.path()).await {
                return Self {
                    directory,
                    port,
                    _child: child,
                };
            }
        }
        panic!("nginx does not start");
    }

    /// Runs it in one process, which therefore can be killed; `None` if it ends at once.
    async fn spawn(program: &Path, directory: &Path) -> Option<Child> {
        let mut child = command(program)
            .arg("-p")
            .arg(directory)
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        while let Some(line) = within("a line of nginx", log.next_line()).await.unwrap() {
            // Said once the sockets are open.
            if line.contains("event method") {
                tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
                return Some(child);
            }
            eprintln!("{line}");
        }
        None
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("html").join(name)
    }

    fn tcp(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn unix(&self) -> String {
        format!("unix:{}", self.directory.path().join("socket").display())
    }
}

fn configuration(directory: &Path, port: u16) -> String {
    format!(
        "daemon off;
        master_process off;
        error_log stderr notice;
        pid nginx.pid;
        events {{ worker_connections 256; }}
        http {{
            access_log off;
            sendfile on;
            # By default only the very moment of the last change counts.
            if_modified_since before;
            gzip on;
            gzip_types text/css;
            # By default nginx compresses nothing for a request that came through a proxy.
            gzip_proxied any;
            client_body_temp_path body;
            proxy_temp_path proxy;
            fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi;
            scgi_temp_path scgi;
            types {{ text/html html; text/css css; }}
            server {{
                listen 127.0.0.1:{port};
                listen unix:{}/socket;
                root html;
                port_in_redirect off;
                location /peer {{ return 200 $http_x_libp2p_peer; }}
                location /moved {{ return 302 /elsewhere; }}
                location /small {{ client_max_body_size 1k; return 200 small; }}
            }}
        }}",
        directory.display()
    )
}

#[tokio::test]
async fn responses_are_those_of_nginx() {
    let (Some(nginx), Some(curl)) = (require(&["nginx"]), Curl::find()) else {
        return;
    };
    let nginx = Nginx::start(&nginx).await;
    for target in [nginx.tcp(), nginx.unix()] {
        let pair = Pair::start(&target).await;
        for (args, rest, status) in [
            (&[][..], "/", 200),
            (&["--head"], "/", 200),
            (&[], "/style.css", 200),
            (
                &["--head", "-H", "Accept-Encoding: gzip"],
                "/style.css",
                200,
            ),
            (&["-H", "Accept-Encoding: gzip"], "/style.css", 200),
            (&["--range", "10-19"], "/style.css", 206),
            (&["--range", "0-3,8-11"], "/style.css", 206),
            (&["--range", "99999999-"], "/style.css", 416),
            (&["--time-cond", "1 Jan 2100"], "/style.css", 304),
            (&[], "/missing", 404),
            (&["--http1.0"], "/missing", 404),
            (&["-d", "x"], "/", 405),
            (&[], "/moved", 302),
            (&[], "/%2e%2e/%2e%2e/etc/passwd", 400),
            (&["-H", "Host: a b"], "/", 400),
        ] {
            let what = format!("{target} {args:?} {rest}");
            let ask = async |url: &str| {
                // The same name for nginx in both cases, as it is part of redirects.
                let host = if args.contains(&"Host: a b") {
                    "A: b"
                } else {
                    "Host: nginx.localhost"
                };
                let more = ["--include", "--path-as-is", "-H", host, url];
                let answer = curl.run([args, &more].concat()).await;
                assert_eq!(answer.code, Some(0), "{what}: {answer}");
                end_to_end(&answer.stdout)
            };
            let (through, body) = ask(&pair.url(rest)).await;
            assert!(
                through[0].contains(&format!(" {status} ")),
                "{what}: {through:?}"
            );
            // What is wrong on the first hop never comes to nginx.
            if rest == "/" && status == 400 {
                continue;
            }
            let (direct, direct_body) = ask(&format!("{}{rest}", nginx.tcp())).await;
            assert_eq!(through, direct, "{what}");
            assert_eq!(body, direct_body, "{what}");
        }
    }
}

/// The head of a response without what is of one hop or of one moment, and the body.
fn end_to_end(response: &[u8]) -> (Vec<String>, String) {
    let mut response: String = response.iter().map(|byte| char::from(*byte)).collect();
    // nginx counts the multipart responses of a process, and separates their parts by the number.
    if let Some((_, rest)) = response.split_once("boundary=") {
        let number = rest.split("\r\n").next().unwrap().to_owned();
        response = response.replace(&number, "N");
    }
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let hop = ["via:", "date:", "connection:", "transfer-encoding:"];
    let mut lines: Vec<_> = head
        .split("\r\n")
        .map(str::to_lowercase)
        .filter(|line| !hop.iter().any(|name| line.starts_with(name)))
        .collect();
    lines[1..].sort();
    (lines, body.to_owned())
}

#[tokio::test]
async fn a_large_file_of_sendfile_keeps_its_hash() {
    let (Some(nginx), Some(curl)) = (require(&["nginx"]), Curl::find()) else {
        return;
    };
    let nginx = Nginx::start(&nginx).await;
    let file = nginx.file("25000000.bin");
    let got = nginx.directory.path().join("got");
    for target in [nginx.tcp(), nginx.unix()] {
        let pair = Pair::start(&target).await;
        let args = [
            "--output",
            got.to_str().unwrap(),
            &pair.url("/25000000.bin"),
        ];
        let answer = curl.run(args).await;
        assert_eq!(answer.code, Some(0), "{target}: {answer}");
        assert_eq!(data::sha256(&got), data::sha256(&file), "{target}");
    }
}

#[tokio::test]
async fn connections_to_nginx_are_kept_and_the_peer_is_told() {
    let Some(nginx) = require(&["nginx"]) else {
        return;
    };
    let nginx = Nginx::start(&nginx).await;
    for target in [nginx.tcp(), nginx.unix()] {
        let pair = Pair::start(&target).await;
        let mut client = Conn::connect(pair.address()).await;
        for _ in 0..20 {
            let answer = client.get(&pair.path("/peer")).await;
            assert_eq!(answer.text(), pair.gateway.fact("peer "), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_refusal_arrives_although_the_upload_still_runs() {
    let (Some(nginx), Some(curl)) = (require(&["nginx"]), Curl::find()) else {
        return;
    };
    let nginx = Nginx::start(&nginx).await;
    let pair = Pair::start(&nginx.tcp()).await;
    let body = format!("@{}", nginx.file("25000000.bin").display());
    for expect in ["Expect:", "Expect: 100-continue"] {
        let url = pair.url("/small");
        let answer = curl
            .run([
                "--write-out",
                "%{http_code}",
                "-H",
                expect,
                "--data-binary",
                &body,
                &url,
            ])
            .await;
        assert!(answer.text().ends_with("413"), "{expect} {answer}");
    }
    // And the pair goes on.
    let answer = curl.run(["-d", "x", &pair.url("/small")]).await;
    assert_eq!(answer.text(), "small");
}
