//! Does a server take connections, and speak HTTP?

use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Buf as _, BytesMut};
use libp2p_http_proxy::h1::{Client, Connection, Limits, RequestHead, ResponseHead, Sending, Step};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::report::Finding;
use crate::args::To;

/// Bytes of something else that are shown.
const SHOWN: usize = 40;

/// Why there is no head of a response.
#[derive(Debug)]
pub(super) enum NoHead {
    Connect(io::Error),
    /// It ended, or failed, before it had answered.
    Ended(io::Error),
    /// It answers something else, which begins with this.
    NotHttp(Vec<u8>),
    /// It did not answer in time.
    Silent(Duration),
    /// It did not even take the connection in time.
    Unreached(Duration),
}

/// What is found about the server that is to answer a service.
pub(super) async fn examine(what: &str, to: &To, limit: Duration) -> Finding {
    let began = Instant::now();
    match head(to, "/", limit).await {
        Ok(head) => {
            let (status, took) = (head.status(), began.elapsed());
            let found = format!("answers HTTP: {status} to HEAD / after {}", millis(took));
            match status {
                500.. => Finding::warning(what, format_args!("{found}; its log may tell why")),
                _ => Finding::ok(what, found),
            }
        }
        Err(error) => Finding::problem(what, error),
    }
}

/// The head of a server's answer to a `HEAD` request, as strictly read as a node does.
///
/// # Errors
///
/// Says what is there instead.
pub(super) async fn head(to: &To, target: &str, limit: Duration) -> Result<ResponseHead, NoHead> {
    let unreached = |_| NoHead::Unreached(limit);
    match to {
        To::Tcp(address) => {
            let connected = timeout(limit, TcpStream::connect(address)).await;
            let stream = connected.map_err(unreached)?.map_err(NoHead::Connect)?;
            exchange(stream, address, target, limit).await
        }
        #[cfg(unix)]
        To::Unix(path) => {
            let connected = timeout(limit, tokio::net::UnixStream::connect(path)).await;
            let stream = connected.map_err(unreached)?.map_err(NoHead::Connect)?;
            exchange(stream, "localhost", target, limit).await
        }
    }
}

/// Whether a gateway or an admin page of this program gave the answer by itself.
pub(super) fn is_node(head: &ResponseHead) -> bool {
    let says = |name, start: &[u8]| {
        let said = head.fields().get(name);
        said.is_some_and(|said| said.starts_with(start))
    };
    says("Proxy-Status", b"p2p-gateway") || says("Server", b"p2p-http")
}

/// A time as people read it.
pub(super) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    target: &str,
    limit: Duration,
) -> Result<ResponseHead, NoHead> {
    let mut first = Vec::new();
    match timeout(limit, ask(stream, host, target, &mut first)).await {
        Ok(Some(answer)) => answer,
        Ok(None) => Err(NoHead::NotHttp(first)),
        Err(_) if first.is_empty() || first.starts_with(b"HTTP/1.") => Err(NoHead::Silent(limit)),
        Err(_) => Err(NoHead::NotHttp(first)),
    }
}

/// What a server answers, which begins with `first`; `None` if it is no HTTP.
async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    host: &str,
    target: &str,
    first: &mut Vec<u8>,
) -> Option<Result<ResponseHead, NoHead>> {
    let mut connection = Connection::<Client>::new(Arc::new(Limits::default()));
    let mut buffer = match request(&mut connection, host, target) {
        Ok(request) => request,
        Err(error) => return Some(Err(NoHead::Ended(io::Error::other(error)))),
    };
    // Who does not want to read it may say why.
    let sent = stream.write_all_buf(&mut buffer).await;
    buffer.clear();
    loop {
        let (used, step) = connection.receive(&buffer).ok()?;
        match step {
            Step::Head(head) if !head.is_interim() => return Some(Ok(head)),
            Step::NeedMore => {
                buffer.advance(used);
                let before = buffer.len();
                match stream.read_buf(&mut buffer).await {
                    Ok(1..) => {}
                    _ if !first.is_empty() => return None,
                    Ok(_) => {
                        return Some(Err(NoHead::Ended(
                            sent.err()
                                .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()),
                        )));
                    }
                    Err(error) => return Some(Err(NoHead::Ended(error))),
                }
                let room = SHOWN.saturating_sub(first.len());
                let new = buffer.get(before..).unwrap_or_default();
                first.extend(new.iter().take(room));
            }
            _ => buffer.advance(used),
        }
    }
}

fn request(
    connection: &mut Connection<Client>,
    host: &str,
    target: &str,
) -> Result<BytesMut, Box<dyn std::error::Error + Send + Sync>> {
    let head = RequestHead::new("HEAD", target)?.with_field("Host", host)?;
    let mut out = BytesMut::new();
    let options = Sending {
        close: true,
        ..Sending::default()
    };
    connection.request((&head).into(), head.fields().iter(), options, &mut out)?;
    connection.end(None, &mut out)?;
    Ok(out)
}

impl fmt::Display for NoHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => f.write_str(&cannot_connect(error)),
            Self::Ended(error) => write!(
                f,
                "takes connections, and ends them without an answer ({error}); does it speak HTTP? Its log may tell more"
            ),
            Self::NotHttp(first) if is_tls(first) => f.write_str(
                "speaks TLS; name the port where it speaks HTTP without, as the connection between nodes is encrypted anyway",
            ),
            Self::NotHttp(first) => write!(
                f,
                "does not speak HTTP/1.1: its answer begins with \"{}\"; correct the port",
                first.escape_ascii()
            ),
            Self::Silent(limit) => write!(
                f,
                "takes connections, and answers nothing within {} s; does it speak HTTP, or is it stuck?",
                limit.as_secs()
            ),
            Self::Unreached(limit) => write!(
                f,
                "nobody takes the connection within {} s; correct the address, or let it through the firewall",
                limit.as_secs()
            ),
        }
    }
}

/// An alert, which is how TLS answers what is none (RFC 8446, section 6).
fn is_tls(first: &[u8]) -> bool {
    matches!(first, [21, 3, ..])
}

fn cannot_connect(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nobody listens there; start the server, or correct the address".to_owned()
        }
        io::ErrorKind::NotFound => {
            "there is no such socket; start the server, or correct the path".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not connect to it; change the rights, or run the doctor as the user of the node".to_owned()
        }
        _ => format!("cannot be reached ({error}); correct the address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(answer: &[u8]) -> Result<ResponseHead, NoHead> {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(answer).await.unwrap();
        far.shutdown().await.unwrap();
        // The other end is kept until then, as the request has to go somewhere.
        let head = exchange(near, "localhost", "/", Duration::from_secs(20)).await;
        drop(far);
        head
    }

    #[tokio::test]
    async fn the_answer_of_a_server_is_read_as_a_node_reads_it() {
        for answer in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            let head = answered(answer.as_bytes()).await.expect(answer);
            assert_eq!(head.status(), 200);
        }
    }

    #[tokio::test]
    async fn what_is_no_http_is_told_apart() {
        for (answer, said) in [
            (&b""[..], "ends them without an answer"),
            (
                b"SSH-2.0-OpenSSH_9.2\r\n",
                "begins with \"SSH-2.0-OpenSSH_9.2\\r\\n\"",
            ),
            (b"HTTP/1.1 200", "begins with \"HTTP/1.1 200\""),
            (b"\x15\x03\x01\x00\x02\x02\x16", "speaks TLS"),
            (&[b'x'; 100_000], "does not speak HTTP/1.1"),
        ] {
            let error = answered(&answer[..answer.len().min(60_000)])
                .await
                .expect_err(said);
            let found = error.to_string();
            assert!(found.contains(said), "{found}");
            assert!(found.len() < 200, "{found}");
        }
    }
}
