//! How is distance put between two nodes of one machine? A TCP relay that passes everything on later.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Pieces on their way. Far more than the line ever holds: this is distance and not a bottleneck.
const ON_THE_WAY: usize = 16 * 1024;

/// Starts to pass connections on to `to`, each direction `delay` later, and says where.
pub(crate) async fn start(to: SocketAddr, delay: Duration) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(async move {
                // A connection that fails is seen to be closed at its other end.
                let _ = relay(near, to, delay).await;
            });
        }
    });
    Ok(address)
}

async fn relay(near: TcpStream, to: SocketAddr, delay: Duration) -> Result<()> {
    let far = TcpStream::connect(to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(
        one_way(near_read, far_write, delay),
        one_way(far_read, near_write, delay)
    )?;
    Ok(())
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) -> Result<()> {
    let (sender, mut receiver) = mpsc::channel(ON_THE_WAY);
    let take = async move {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut buffer).await?;
            let due = Instant::now() + delay;
            if count == 0 || sender.send((due, buffer[..count].to_vec())).await.is_err() {
                return anyhow::Ok(());
            }
        }
    };
    let give = async move {
        while let Some((due, piece)) = receiver.recv().await {
            sleep_until(due).await;
            to.write_all(&piece).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(take, give)?;
    Ok(())
}
