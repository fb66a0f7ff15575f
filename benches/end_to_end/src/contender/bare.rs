//! How fast is a stream of libp2p-stream with nothing on top? Who opens it says in nine bytes what it is to carry.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::{Multiaddr, Stream};

use super::streams::{self, Opener};
use crate::{
    args::Way,
    pattern::{piece, read},
    server::SMALL,
};

/// Answers over every stream what it is asked for.
pub(super) async fn origin() -> Result<Multiaddr> {
    streams::accept(1, |stream| {
        // A stream that fails is seen to be closed at its other end.
        tokio::spawn(serve(stream));
    })
    .await
}

async fn serve(mut stream: Stream) -> Result<()> {
    loop {
        let mut asked = [0; 9];
        stream.read_exact(&mut asked).await?;
        let [way, length @ ..] = asked;
        let length = u64::from_be_bytes(length);
        match way {
            b'd' => write(&mut stream, length).await?,
            b'u' => {
                read(&mut stream, length).await?;
                write(&mut stream, SMALL).await?;
            }
            _ => bail!("nothing that can be carried"),
        }
    }
}

async fn write(stream: &mut Stream, length: u64) -> Result<()> {
    let mut sent = 0;
    while sent < length {
        let piece = piece(sent, length - sent);
        stream.write_all(piece).await?;
        sent += piece.len() as u64;
    }
    stream.flush().await?;
    Ok(())
}

/// Streams that are used again and again.
pub(crate) struct Bare {
    opener: Opener,
    idle: Mutex<Vec<Stream>>,
}

impl Bare {
    pub(super) async fn connect(origin: &Multiaddr) -> Result<Self> {
        Ok(Self {
            opener: Opener::connect(origin).await?,
            idle: Mutex::default(),
        })
    }

    /// Opens streams until there are so many, one after the other: libp2p-stream drops some of those that come at once.
    pub(super) async fn open(&self, count: usize) -> Result<()> {
        while self.idle().len() < count {
            let stream = self.opener.open().await?;
            self.idle().push(stream);
            // So that the other side has it in hand before the next one comes.
            self.carry(Way::Down, 1).await?;
        }
        Ok(())
    }

    /// Has an open stream carry so many bytes.
    pub(super) async fn carry(&self, way: Way, length: u64) -> Result<()> {
        let idle = self.idle().pop();
        let mut stream = idle.context("all streams are busy")?;
        let asked = match way {
            Way::Down => b'd',
            Way::Up => b'u',
        };
        stream.write_all(&[asked]).await?;
        stream.write_all(&length.to_be_bytes()).await?;
        match way {
            Way::Down => {
                stream.flush().await?;
                read(&mut stream, length).await?;
            }
            Way::Up => {
                write(&mut stream, length).await?;
                let answer = read(&mut stream, SMALL).await;
                answer.context("what was sent did not arrive")?;
            }
        }
        self.idle().push(stream);
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Stream>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
