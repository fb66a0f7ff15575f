//! Do nodes reach each other in networks as people have them: announced on the local one, and behind a NAT each?

#![cfg(unix)]

mod support;

use std::path::Path;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use self::support::{
    netns::Namespace,
    program::{Curl, require},
    within,
};

/// A web application that any network of this machine reaches, as its place is a file.
fn application(directory: &Path) -> String {
    let path = directory.join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The requests here are short and come in one piece.
            let _ = stream.read(&mut [0; 4096]).await;
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("unix:{}", path.display())
}

/// What curl gets in a network.
async fn fetch(curl: &Curl, from: &Namespace, url: &str) -> String {
    let inner = curl.command([url]);
    let inner = inner.as_std();
    let output = from
        .command(inner.get_program())
        .args(inner.get_args())
        .output();
    let output = within("curl", output).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_peer_of_the_local_network_is_found_by_its_id() {
    let Some(curl) = Curl::find() else { return };
    let (Some(one), Some(other)) = (Namespace::create().await, Namespace::create().await) else {
        return;
    };
    one.connect(
        ("lan", "192.168.77.1/24"),
        &other,
        ("lan", "192.168.77.2/24"),
    )
    .await;
    let directory = tempfile::tempdir().unwrap();
    let target = application(directory.path());
    let origin = one
        .start(&["serve", "--mdns", "--name", "app", "--to", &target])
        .await;
    let gateway = other
        .start(&["gateway", "--mdns", "--listen", "127.0.0.1:0"])
        .await;
    let url = |peer: &str| format!("{}/http/{peer}/app/", gateway.fact("gateway "));
    let body = fetch(&curl, &other, &url(origin.fact("peer "))).await;
    assert_eq!(body, "ok");

    let stranger = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";
    let body = fetch(&curl, &other, &url(stranger)).await;
    assert!(
        body.contains("not announced on the local network"),
        "{body}"
    );
}

#[tokio::test]
async fn a_network_without_a_router_that_speaks_upnp_is_no_obstacle() {
    let Some(network) = Namespace::create().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let target = application(directory.path());
    let args = ["serve", "--upnp", "--name", "app", "--to", &target];
    let node = network.start(&args).await;
    node.logged(&["no router of this network speaks UPnP"])
        .await;
}

/// A network behind a NAT that lets nothing in but answers.
struct Home {
    inside: Namespace,
    _router: Namespace,
}

impl Home {
    /// Connects a home with the number `number` to the internet of the test, at `10.99.$number.1`.
    async fn connect(internet: &Namespace, number: u8, nft: &Path) -> Option<Self> {
        let (inside, router) = (Namespace::create().await?, Namespace::create().await?);
        let gate = format!("10.99.{number}.1");
        internet
            .connect(
                (&format!("home{number}"), &format!("{gate}/24")),
                &router,
                ("wan", &format!("10.99.{number}.2/24")),
            )
            .await;
        router
            .connect(
                ("lan", "192.168.1.1/24"),
                &inside,
                ("eth", "192.168.1.2/24"),
            )
            .await;
        inside.ip("route add default via 192.168.1.1").await;
        router.ip(&format!("route add default via {gate}")).await;
        forward(&router).await;
        for rule in [
            "add table ip nat",
            "add chain ip nat out { type nat hook postrouting priority 100 ; }",
            "add rule ip nat out oifname wan masquerade",
            "add table ip guard",
            "add chain ip guard in { type filter hook input priority 0 ; }",
            "add rule ip guard in iifname wan ct state new drop",
            "add chain ip guard through { type filter hook forward priority 0 ; }",
            "add rule ip guard through iifname wan ct state new drop",
        ] {
            router.run(nft, &[rule]).await;
        }
        Some(Self {
            inside,
            _router: router,
        })
    }
}

/// Lets a network pass packets on.
async fn forward(network: &Namespace) {
    let set = "echo 1 > /proc/sys/net/ipv4/ip_forward";
    network.run(Path::new("sh"), &["-c", set]).await;
}

#[tokio::test]
async fn two_nodes_behind_a_nat_each_find_each_other_and_get_through() {
    let (Some(curl), Some(nft)) = (Curl::find(), require(&["nft"])) else {
        return;
    };
    let Some(internet) = Namespace::create().await else {
        return;
    };
    forward(&internet).await;
    let (Some(one), Some(other)) = (
        Home::connect(&internet, 1, &nft).await,
        Home::connect(&internet, 2, &nft).await,
    ) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let target = application(directory.path());

    let place = "/ip4/10.99.1.1/tcp/4001";
    let meet = [
        "meet",
        "--listen",
        place,
        "--external",
        place,
        "--relay-server",
        "--log",
        "info,p2p_http=debug",
    ];
    let meet = internet.start(&meet).await;
    let known = meet.fact("listening ").to_owned();
    let near = ["--bootstrap", &known, "--relay", &known];
    let listen = "/ip4/192.168.1.2/tcp/0";
    let serve = [
        "serve", "--listen", listen, "--name", "app", "--to", &target,
    ];
    let origin = one.inside.start(&[&serve[..], &near].concat()).await;
    let peer = origin.fact("peer ");
    meet.logged(&["can lead others", peer, "p2p-circuit"]).await;

    let gateway = ["gateway", "--listen", "127.0.0.1:0", "--p2p-listen", listen];
    let bootstrap = ["--bootstrap", &known];
    let gateway = other
        .inside
        .start(&[&gateway[..], &bootstrap].concat())
        .await;
    let url = format!("{}/http/{peer}/app/", gateway.fact("gateway "));
    assert_eq!(fetch(&curl, &other.inside, &url).await, "ok");
    gateway.logged(&["connected through a relay"]).await;
    tokio::select! {
        _ = gateway.logged(&["connected directly"]) => {}
        _ = origin.logged(&["connected directly"]) => {}
    }
    // The way through the NATs holds by itself.
    meet.kill().await;
    assert_eq!(fetch(&curl, &other.inside, &url).await, "ok");
}
