//! How long do heads and chunks take? Beside what httparse takes for the same bytes, which does less.
//!
//! ```sh
//! cargo bench --bench core --features tokio
//! ```

mod support;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use self::support::heads::{
    Gateway, REQUEST, RESPONSE, bare_request, bare_response, chunked, read_chunked,
};

/// 1 MiB of body.
const CHUNKS: usize = 64;

fn heads(criterion: &mut Criterion) {
    let mut gateway = Gateway::default();
    let mut group = criterion.benchmark_group("request head");
    group.throughput(Throughput::Bytes(REQUEST.len() as u64));
    group.bench_function("httparse", |bencher| bencher.iter(bare_request));
    group.bench_function("read", |bencher| bencher.iter(|| gateway.read_request()));
    group.bench_function("read and rewritten", |bencher| {
        bencher.iter(|| gateway.request());
    });
    group.finish();

    let mut group = criterion.benchmark_group("response head");
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("httparse", |bencher| bencher.iter(bare_response));
    group.bench_function("read", |bencher| bencher.iter(|| gateway.read_response()));
    group.bench_function("read and rewritten", |bencher| {
        bencher.iter(|| gateway.response());
    });
    group.finish();
}

fn bodies(criterion: &mut Criterion) {
    let wire = chunked(CHUNKS);
    let mut group = criterion.benchmark_group("body");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    group.bench_function("chunks of 16 KiB", |bencher| {
        bencher.iter(|| assert_eq!(read_chunked(black_box(&wire)), CHUNKS * 0x4000));
    });
    group.finish();
}

criterion_group!(benches, heads, bodies);
criterion_main!(benches);
