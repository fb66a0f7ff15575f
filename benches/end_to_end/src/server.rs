//! What stands behind the origin? An HTTP server that does as little as possible.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, bail, ensure};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::interval,
};

use crate::{
    pattern::piece,
    wire::{Length, Wire},
};

/// The small answer, in bytes.
pub(crate) const SMALL: u64 = 1024;

/// What a chunked answer is made of.
const CHUNK: u64 = 16 * 1024;

/// The length of an event.
pub(crate) const EVENT: u64 = 64;

/// What lies between two events.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// Starts to serve, and says where.
///
/// `GET /small` is answered by 1 KiB, `GET /length/$n` and `GET /chunked/$n` by so many bytes, `GET /events/$n` by so many
/// events, and `POST` by the small answer if its body was as it should be.
pub(crate) async fn start() -> Result<SocketAddr> {
    let socket = TcpSocket::new_v4()?;
    socket.bind("127.0.0.1:0".parse()?)?;
    let listener = socket.listen(4096)?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // A client that goes away is none of the server's business, and a wrong one sees a closed connection.
                let _ = serve(stream).await;
            });
        }
    });
    Ok(address)
}

/// The head of an answer with a body of `length`.
pub(crate) fn head(length: Length) -> String {
    let framing = match length {
        Length::Known(length) => format!("Content-Length: {length}"),
        Length::Chunked | Length::UntilClose => "Transfer-Encoding: chunked".to_owned(),
    };
    format!(
        "HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: application/octet-stream\r\n{framing}\r\n\r\n"
    )
}

/// What a target asks for.
pub(crate) fn asked(target: &str) -> Option<Length> {
    let target = target.split('?').next()?;
    if let Some(length) = target.strip_prefix("/length/") {
        return length.parse().ok().map(Length::Known);
    }
    target.starts_with("/small").then_some(Length::Known(SMALL))
}

async fn serve(stream: TcpStream) -> Result<()> {
    let mut wire = Wire::new(stream)?;
    let mut small = head(Length::Known(SMALL)).into_bytes();
    small.extend_from_slice(piece(0, SMALL));
    while let Some(request) = wire.request().await? {
        let Some((method, target)) = request.request else {
            bail!("not a request");
        };
        let length = wire.body(request.length).await?;
        if method == "POST" {
            ensure!(
                target == format!("/{length}"),
                "the body has another length than its target says"
            );
            wire.stream.write_all(&small).await?;
        } else if let Some(length) = target.strip_prefix("/chunked/") {
            chunked(&mut wire.stream, length.parse()?).await?;
        } else if let Some(count) = target.strip_prefix("/events/") {
            events(&mut wire.stream, count.parse()?).await?;
        } else {
            match asked(&target) {
                Some(Length::Known(SMALL)) => wire.stream.write_all(&small).await?,
                Some(Length::Known(length)) => known(&mut wire.stream, length).await?,
                _ => bail!("nothing is at {target}"),
            }
        }
        if request.close {
            return Ok(());
        }
    }
    Ok(())
}

async fn known(stream: &mut TcpStream, length: u64) -> Result<()> {
    stream
        .write_all(head(Length::Known(length)).as_bytes())
        .await?;
    let mut sent = 0;
    while sent < length {
        let piece = piece(sent, length - sent);
        stream.write_all(piece).await?;
        sent += piece.len() as u64;
    }
    Ok(())
}

async fn chunked(stream: &mut TcpStream, length: u64) -> Result<()> {
    stream.write_all(head(Length::Chunked).as_bytes()).await?;
    let mut out = Vec::with_capacity(2 * 64 * 1024);
    let mut sent = 0;
    while sent < length {
        let piece = piece(sent, CHUNK.min(length - sent));
        out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        out.extend_from_slice(piece);
        out.extend_from_slice(b"\r\n");
        sent += piece.len() as u64;
        if out.len() >= 64 * 1024 {
            stream.write_all(&out).await?;
            out.clear();
        }
    }
    out.extend_from_slice(b"0\r\n\r\n");
    Ok(stream.write_all(&out).await?)
}

/// Events at even intervals, each a chunk.
async fn events(stream: &mut TcpStream, count: u64) -> Result<()> {
    stream.write_all(head(Length::Chunked).as_bytes()).await?;
    let mut pauses = interval(PAUSE);
    for number in 0..count {
        pauses.tick().await;
        let event = piece(number * EVENT, EVENT);
        let chunk = [b"40\r\n", event, b"\r\n"].concat();
        stream.write_all(&chunk).await?;
    }
    Ok(stream.write_all(b"0\r\n\r\n").await?)
}
