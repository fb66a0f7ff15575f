//! Does it hold under load: two thousand clients at once through one peer connection, and large bodies both ways?

use std::sync::Arc;

use tokio::{sync::Barrier, task::JoinSet};

use support::{
    app, data,
    node::{Node, Pair},
    program::Curl,
    wire::{Conn, Message},
    within,
};

mod support;

/// Local clients at the same time: far more than there are streams for them, and than yamux would allow.
const CLIENTS: usize = 2000;

const REQUESTS: usize = 4;

/// The most streams that a gateway opens to a peer by default.
const STREAMS: usize = 128;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_share_one_peer_connection() {
    // A socket at each end, and the application's.
    let limit = rlimit::increase_nofile_limit(3 * CLIENTS as u64).unwrap();
    assert!(
        limit > CLIENTS as u64 + 500,
        "this test needs more than {limit} open files; see `ulimit -n`"
    );
    let directory = tempfile::tempdir().unwrap();
    let pair = Arc::new(Pair::start(&app::start(directory.path()).await).await);
    let connected = Arc::new(Barrier::new(CLIENTS));
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (pair, connected) = (Arc::clone(&pair), Arc::clone(&connected));
        clients.spawn(async move {
            let mut conn = Conn::connect(pair.address()).await;
            // All are there before the first asks.
            connected.wait().await;
            for request in 0..REQUESTS {
                let tag = format!("{client}-{request}");
                let response = ask(&mut conn, &pair, request, &tag).await;
                let failure = (response.status() != 200).then(|| response.text());
                assert_eq!(failure, None, "{tag}: {response:?}");
                assert!(response.text().ends_with(&tag), "{tag}: {response:?}");
            }
        });
    }
    let all = clients.join_all();
    within("all answers", all).await;

    let log = pair.gateway.log();
    let count = |what: &str| log.iter().filter(|line| line.contains(what)).count();
    assert_eq!(count("connected peer="), 1);
    let new = count("stream=\"new\"");
    assert!((2..=STREAMS).contains(&new), "{new} streams");
    assert_eq!(count("disconnected"), 0);
}

/// Sends a request with a tag that comes back in the response: in turn by its path, in a field and in a body.
async fn ask(conn: &mut Conn, pair: &Pair, request: usize, tag: &str) -> Message {
    let head = |method: &str, rest: String, more: &str| {
        format!(
            "{method} {} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n",
            pair.path(rest)
        )
    };
    let request = match request % 3 {
        0 => head(
            "GET",
            format!("/say/{tag}?{tag}"),
            &format!("X-Tag: {tag}\r\n"),
        ),
        1 => {
            head(
                "POST",
                "/back".to_owned(),
                &format!("Content-Length: {}\r\n", tag.len()),
            ) + tag
        }
        _ => {
            let chunk = format!("{:x}\r\n{tag}\r\n0\r\n\r\n", tag.len());
            head("PUT", "/back".to_owned(), "Transfer-Encoding: chunked\r\n") + &chunk
        }
    };
    conn.send(request).await;
    conn.message().await
}

/// What each node may have resident at most while 100 MB pass in each direction. An unoptimised program has more than that
/// as code alone, and is held to the other limits.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 32 * 1024 * 1024;

/// What of it may be anything but code, in any build.
#[cfg(target_os = "linux")]
const DATA: u64 = 17 * 1024 * 1024;

/// What of that the bodies may cost, in any build.
#[cfg(target_os = "linux")]
const BODIES: u64 = 12 * 1024 * 1024;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_both_ways_at_once_take_little_memory() {
    let Some(curl) = Curl::find() else { return };
    let directory = tempfile::tempdir().unwrap();
    let pair = Pair::start(&app::start(directory.path()).await).await;
    let file = data::file(directory.path(), data::LARGE);
    let sha256 = data::sha256(&file);
    let (got, back) = (directory.path().join("got"), directory.path().join("back"));
    let upload = format!("@{}", file.display());
    let idle = [&pair.origin, &pair.gateway].map(Node::peak_data_memory);

    let (sum, download) = (pair.url("/sum"), pair.url("/100000000.bin"));
    let (posted, fetched) = tokio::join!(
        curl.run(["--data-binary", &upload, &sum]),
        curl.run(["--output", got.to_str().unwrap(), &download]),
    );
    assert_eq!(
        posted.text(),
        app::receipt("100000000", data::LARGE, &sha256)
    );
    assert_eq!(fetched.text(), "");
    assert_eq!(data::sha256(&got), sha256, "download");
    check_memory(&pair, idle);

    // And in one exchange, where the body comes back while it is still being sent.
    let output = ["--output", back.to_str().unwrap()];
    let echo = ["--data-binary", &upload, &pair.url("/back")];
    assert_eq!(curl.run([&output[..], &echo].concat()).await.text(), "");
    assert_eq!(data::sha256(&back), sha256, "echo");
    check_memory(&pair, idle);
}

#[cfg(target_os = "linux")]
fn check_memory(pair: &Pair, idle: [u64; 2]) {
    for (node, idle) in [&pair.origin, &pair.gateway].into_iter().zip(idle) {
        let (peak, data) = (node.peak_memory(), node.peak_data_memory());
        assert!(
            cfg!(debug_assertions) || peak < MEMORY,
            "{peak} of {MEMORY} bytes: {node}"
        );
        assert!(data < DATA, "{data} of {DATA} bytes beside code: {node}");
        let bodies = data.saturating_sub(idle);
        assert!(bodies < BODIES, "{bodies} bytes more than {idle}: {node}");
    }
}
