//! How is distance put between two nodes of one machine? A TCP relay that passes everything on later.
//!
//! By threads that sleep: the timers of an async runtime are whole milliseconds late, which is much of a distance of 25.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// Pieces on their way. Far more than the line ever holds: this is distance and not a bottleneck.
const ON_THE_WAY: usize = 16 * 1024;

/// Starts to pass connections on to `to`, each direction `delay` later, and says where.
pub(crate) fn start(to: SocketAddr, delay: Duration) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for near in listener.incoming() {
            // A connection that fails is seen to be closed at its other end.
            let _ = near.and_then(|near| relay(near, to, delay));
        }
    });
    Ok(address)
}

fn relay(near: TcpStream, to: SocketAddr, delay: Duration) -> io::Result<()> {
    let far = TcpStream::connect(to)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    one_way(near.try_clone()?, far.try_clone()?, delay);
    one_way(far, near, delay);
    Ok(())
}

fn one_way(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let due = Instant::now() + delay;
            if sender.send((due, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // Fails if the other end has closed already.
        let _ = to.shutdown(Shutdown::Write);
    });
}
