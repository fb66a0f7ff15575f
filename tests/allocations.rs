//! How often does the proxy ask for memory? Counted, in the thread that does everything.

#![cfg(feature = "tokio")]

#[path = "../benches/support/mod.rs"]
mod support;

use std::sync::Arc;

use allocation_counter::measure;
use libp2p_http_proxy::h1::{Client, Decoder, RequestContext, Step};

use self::support::exchange::{Answer, Exchange, Naming};

/// Exchanges before anything is counted: connections, streams, buffers and maps are there then.
const WARM_UP: usize = 50;

const ROUNDS: usize = 100;

/// The memory that the four heads of an exchange are kept in: a request and a response at either node.
const HEADS: f64 = 4.0;

/// What else an exchange of a busy hop may ask for: nothing, but for what is not of every exchange, such as timers.
const MORE: f64 = 0.5;

/// How often memory is asked for in one exchange.
fn per_exchange(mut exchange: Exchange) -> f64 {
    for _ in 0..WARM_UP {
        exchange.run();
    }
    let info = measure(|| {
        for _ in 0..ROUNDS {
            exchange.run();
        }
    });
    info.count_total as f64 / ROUNDS as f64
}

#[test]
fn an_exchange_asks_for_little_more_than_its_heads() {
    for naming in [Naming::Port, Naming::Path, Naming::Host] {
        let count = per_exchange(Exchange::start_by(Answer::Small, naming));
        println!("{count} allocations for each exchange, service by {naming:?}");
        assert!(count <= HEADS + MORE, "{count} allocations, {naming:?}");
    }
}

#[test]
fn a_longer_body_asks_for_no_more() {
    for (short, long) in [
        (Answer::Known(64 * 1024), Answer::Known(16 * 64 * 1024)),
        (Answer::Chunked(4), Answer::Chunked(16 * 4)),
    ] {
        let [less, more] = [short, long].map(|answer| per_exchange(Exchange::start(answer)));
        println!("{short:?} {less}, {long:?} {more}");
        // A large buffer is asked for where a small one is full, and that happens once.
        assert!(
            more <= less + 8.0,
            "{less} for {short:?}, {more} for {long:?}"
        );
    }
}

#[test]
fn decoding_chunks_asks_for_none() {
    let wire = support::heads::chunked(64);
    let mut decoder = Decoder::<Client>::new(Arc::default());
    decoder.expect_response(RequestContext::default());
    let (mut at, Step::Head(_)) = decoder.decode(&wire).expect("is a response") else {
        panic!("the head comes first");
    };
    let info = measure(|| {
        loop {
            let (used, step) = decoder.decode(&wire[at..]).expect("is a body");
            at += used;
            if matches!(step, Step::End(_)) {
                break;
            }
        }
    });
    assert_eq!(info.count_total, 0);
}
