//! `p2p-http attach`: how does a local server become a service of a gateway, and stay one?

use std::{io, time::Duration};

use anyhow::{Context, Result};
use futures::{AsyncRead, AsyncWrite};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, split},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error,
        client::IntoClientRequest as _,
        error::ProtocolError,
        handshake::client::Request,
        http::{HeaderValue, StatusCode, header},
    },
};
use tokio_util::{
    compat::FuturesAsyncReadCompatExt as _, sync::CancellationToken, task::TaskTracker,
};

use crate::{
    args::{AttachArgs, Common, To},
    logging::plain,
    output::{self, Fact},
    shutdown,
    token::Token,
    wire::{self, Leave, MuxStream, SUBPROTOCOL, Socket, Streams},
};

/// How long a gateway may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the gateway may take for the words of goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// How much of a stream is moved at once, each way: what yamux puts into one frame. With half as much bodies take a fifth to a half
/// more CPU time here, and with four times as much no less.
const PART: usize = 16 * 1024;

/// The first pause before another try, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Why there is no connection to the gateway at the moment.
enum Ended {
    /// Another try may do.
    Passing(anyhow::Error),
    /// No other try will do.
    Final(anyhow::Error),
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        Self::Passing(error)
    }
}

/// Keeps a server attached until the process is asked to stop.
///
/// # Errors
///
/// Fails if the token cannot be used, or the gateway does not let this program in.
pub(crate) async fn run(args: AttachArgs, common: &Common) -> Result<()> {
    let shutdown = shutdown::on_signal()?;
    let token = args.token.as_deref().map(Token::load).transpose()?;
    let request = request(&args, token.as_ref())?;
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        let ended = attach(&args, request.clone(), &shutdown, common.drain()).await;
        let error = match ended {
            Ok(()) => return Ok(()),
            Err(Ended::Final(error)) => return Err(error),
            // The gateway has gone first.
            Err(Ended::Passing(_)) if shutdown.is_cancelled() => return Ok(()),
            Err(Ended::Passing(error)) => error,
        };
        let pause = backoff.pause(began.elapsed(), jitter());
        tracing::warn!(
            error = format!("{error:#}"),
            "not attached; trying again in {:.1} s",
            pause.as_secs_f32()
        );
        tokio::select! {
            () = sleep(pause) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// The request of the handshake.
fn request(args: &AttachArgs, token: Option<&Token>) -> Result<Request> {
    let share = if args.share { "?share=1" } else { "" };
    let url = format!(
        "ws://{}/http/listen/{}{share}",
        args.gateway.authority, args.name
    );
    let mut request = url
        .into_client_request()
        .context("the gateway cannot be addressed")?;
    let fields = request.headers_mut();
    fields.insert(
        header::SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(token.authorization())?;
        value.set_sensitive(true);
        fields.insert(header::AUTHORIZATION, value);
    }
    Ok(request)
}

/// Attaches, and serves until the gateway has gone, or the process is to stop and what runs has ended.
async fn attach(
    args: &AttachArgs,
    request: Request,
    shutdown: &CancellationToken,
    drain: Duration,
) -> Result<(), Ended> {
    let connected = tokio::select! {
        connected = timeout(CONNECT, connect(&args.gateway.address, request)) => connected,
        () = shutdown.cancelled() => return Ok(()),
    };
    let socket = connected.context("the gateway did not answer in time")??;
    let leave = Leave::default();
    let mut streams = Streams::taking(Socket::new(socket, leave.clone()));
    let running = TaskTracker::new();
    output::print(&Fact::Attached(&args.name));
    let finished = async {
        shutdown.cancelled().await;
        finish(&leave, &running, drain).await;
    };
    tokio::select! {
        error = take(&mut streams, &args.to, &leave, &running) => return Err(error.into()),
        () = finished => {}
    }
    // A gateway that does not listen any more learns it from the end of the process.
    let _ = timeout(GOODBYE, streams.close()).await;
    Ok(())
}

/// Takes the streams that the gateway opens, until that has gone.
async fn take<T>(
    streams: &mut Streams<T>,
    to: &To,
    leave: &Leave,
    running: &TaskTracker,
) -> anyhow::Error
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        // A stream that is dropped is reset.
        match streams.next().await {
            Ok(Some(_)) if leave.is_known() => tracing::debug!("a stream comes too late"),
            Ok(Some(stream)) if stream.has_place() => {
                running.spawn(pass(stream, to.clone()));
            }
            Ok(Some(_)) => tracing::warn!("the gateway opens too many streams"),
            Ok(None) => return anyhow::anyhow!("the gateway closed the connection"),
            Err(error) => {
                let error = anyhow::Error::new(error);
                return error.context("the connection to the gateway broke");
            }
        }
    }
}

/// Has the gateway open no more streams, and waits until those that there are have ended, for `limit` at most.
async fn finish(leave: &Leave, running: &TaskTracker, limit: Duration) {
    leave.ask();
    let ended = async {
        // Until it has answered, it may have opened one. One that does not even answer opens none.
        let _ = timeout(GOODBYE, leave.known()).await;
        running.close();
        running.wait().await;
    };
    if timeout(limit, ended).await.is_err() && !running.is_empty() {
        shutdown::warn_of_cut(limit);
    }
}

async fn connect(address: &str, request: Request) -> Result<WebSocketStream<TcpStream>, Ended> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.with_context(|| format!("cannot connect to the gateway at {address}"))?;
    // Many small frames, each of which somebody waits for.
    stream
        .set_nodelay(true)
        .context("cannot set up the connection")?;
    let is_near = stream.peer_addr().is_ok_and(|peer| peer.ip().is_loopback());
    if !is_near && request.headers().contains_key(header::AUTHORIZATION) {
        tracing::warn!("the token leaves this machine unencrypted; use a tunnel");
    }
    match client_async_with_config(request, stream, Some(wire::config())).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => Err(refused(
            response.status(),
            response.body().as_deref().unwrap_or_default(),
        )),
        // What stands before a gateway takes connections while that restarts, and closes them without an answer.
        Err(Error::Protocol(error)) if error != ProtocolError::HandshakeIncomplete => {
            let error = anyhow::Error::new(error).context(format!("{address} is no gateway"));
            Err(Ended::Final(error))
        }
        Err(error) => Err(anyhow::Error::new(error)
            .context("the handshake failed")
            .into()),
    }
}

/// What it means that the gateway answers with a status.
fn refused(status: StatusCode, body: &[u8]) -> Ended {
    let said = String::from_utf8_lossy(body);
    // Error pages begin with it.
    let said = plain(said.trim_start_matches(&status.to_string()));
    let error = anyhow::anyhow!("the gateway answers {status}: {said}");
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::MISDIRECTED_REQUEST => Ended::Final(error),
        // The name may still be held by a connection that nobody has found dead yet.
        _ => Ended::Passing(error),
    }
}

/// Moves the bytes of a stream to the server and back.
async fn pass(stream: MuxStream, to: To) {
    // A stream that is dropped open is reset, which the gateway takes for a server that does not answer.
    if let Err(error) = pass_to(stream, &to).await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn pass_to(stream: MuxStream, to: &To) -> io::Result<()> {
    let stream = stream.compat();
    let cannot = |error: &io::Error| tracing::warn!(%to, %error, "cannot connect to the server");
    match to {
        To::Tcp(address) => {
            let server = TcpStream::connect(address).await.inspect_err(cannot)?;
            server.set_nodelay(true)?;
            exchange(stream, server).await
        }
        #[cfg(unix)]
        To::Unix(path) => {
            let server = tokio::net::UnixStream::connect(path).await;
            exchange(stream, server.inspect_err(cannot)?).await
        }
    }
}

/// Moves bytes both ways, until both have ended.
///
/// A server may answer a request, and end the connection, without reading all of it. What it said still arrives.
async fn exchange<A, B>(stream: A, server: B) -> io::Result<()>
where
    A: tokio::io::AsyncRead + tokio::io::AsyncWrite,
    B: tokio::io::AsyncRead + tokio::io::AsyncWrite,
{
    let (requests, to_gateway) = split(stream);
    let (responses, to_server) = split(server);
    let there = async {
        if let Err(error) = pass_on(requests, to_server).await? {
            // Whatever came before is still to be read, and then the same.
            tracing::debug!(%error, "the server takes no more");
        }
        Ok(())
    };
    let back = async { pass_on(responses, to_gateway).await? };
    tokio::try_join!(there, back).map(drop)
}

/// Moves bytes until their source ends, and then its end. The inner error is one of `to`, which takes no more.
async fn pass_on(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
) -> io::Result<io::Result<()>> {
    let mut part = vec![0; PART];
    loop {
        let count = from.read(&mut part).await?;
        let taken = async {
            if count == 0 {
                return to.shutdown().await;
            }
            to.write_all(&part[..count]).await?;
            // What follows may wait for an answer to it.
            to.flush().await
        };
        let taken = taken.await;
        if taken.is_err() || count == 0 {
            return Ok(taken);
        }
    }
}

/// How long to wait before the next try: twice as long as before, with some chance in it, so that the listeners of a gateway
/// do not all come back in the same moment.
#[derive(Default)]
struct Backoff {
    failures: u32,
}

impl Backoff {
    /// After a try that lasted for `lasted`; `jitter` is between 0 and 1.
    fn pause(&mut self, lasted: Duration, jitter: f64) -> Duration {
        let (first, longest) = PAUSES;
        let full = |failures: u32| longest.min(first.saturating_mul(1 << failures.min(16)));
        // It did work for a while.
        if lasted > full(self.failures) + CONNECT {
            self.failures = 0;
        }
        let pause = full(self.failures).mul_f64(0.5 + 0.5 * jitter);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

/// Some number between 0 and 1, another one in every process.
fn jitter() -> f64 {
    fastrand::f64()
}

#[cfg(test)]
mod tests {
    use std::{
        mem,
        pin::Pin,
        task::{Context as TaskContext, Poll},
    };

    use tokio::io::ReadBuf;

    use super::*;

    /// Has answered, and takes nothing.
    struct Refuses(&'static [u8]);

    impl tokio::io::AsyncRead for Refuses {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut TaskContext<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if self.0.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            buffer.put_slice(mem::take(&mut self.0));
            Poll::Ready(Ok(()))
        }
    }

    impl tokio::io::AsyncWrite for Refuses {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut TaskContext<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn what_a_server_says_arrives_though_it_takes_no_more() {
        const ANSWER: &[u8] = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
        let (near, mut far) = tokio::io::duplex(1024);
        far.write_all(b"POST / HTTP/1.1\r\n").await.unwrap();
        let error = exchange(near, Refuses(ANSWER)).await.unwrap_err();
        // Not an orderly end: what is cut must not look complete.
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        assert_eq!(arrived, ANSWER);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew_after_what_worked() {
        let mut backoff = Backoff::default();
        let short = Duration::ZERO;
        let pauses: Vec<u128> = (0..9)
            .map(|_| backoff.pause(short, 1.0).as_millis())
            .collect();
        assert_eq!(
            pauses,
            [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
        );
        assert_eq!(backoff.pause(short, 0.0).as_millis(), 15_000);
        assert_eq!(backoff.pause(Duration::from_secs(60), 0.0).as_millis(), 125);
    }

    #[test]
    fn what_the_gateway_said_is_told_once() {
        for body in ["403 Forbidden\nnot you\n", "not you\n"] {
            let (Ended::Final(error) | Ended::Passing(error)) =
                refused(StatusCode::FORBIDDEN, body.as_bytes());
            let expected = "the gateway answers 403 Forbidden: not you";
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_the_gateway_said_does_nothing_to_the_terminal() {
        let long = "x".repeat(100_000);
        for (body, expected) in [
            ("a\u{1b}[2J\u{202e}b\r\nc", "a\\u{1b}[2J\\u{202e}b c"),
            (long.as_str(), &format!("{}...", &long[..1000])),
        ] {
            let (Ended::Final(error) | Ended::Passing(error)) =
                refused(StatusCode::BAD_GATEWAY, body.as_bytes());
            let expected = format!("the gateway answers 502 Bad Gateway: {expected}");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn what_is_worth_another_try() {
        for (status, again) in [
            (400, false),
            (401, false),
            (403, false),
            (404, false),
            (409, true),
            (502, true),
            (503, true),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                matches!(refused(status, b""), Ended::Passing(_)),
                again,
                "{status}"
            );
        }
    }
}
