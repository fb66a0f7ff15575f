//! How would one reuse streams, and connections to a server? Idle ones on a stack, and at most so many in all.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use anyhow::Result;
use futures::future::BoxFuture;
use http_body_util::{Either, Empty};
use hyper::{
    Request, Response,
    body::{Body, Bytes, Frame, Incoming, SizeHint},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::hyper_io::{RequestBody, Sender, for_next_hop};

/// What is open at most; more requests wait. The same as this crate's own limit.
const MOST: usize = 128;

/// How often a request without a body is tried: libp2p-stream drops streams when several come at once.
const TRIES: usize = 5;

/// Opens a connection.
type Open = Box<dyn Fn() -> BoxFuture<'static, Result<Sender>> + Send + Sync>;

/// Connections to one place.
pub(super) struct Pool {
    open: Open,
    idle: Mutex<Vec<Sender>>,
    room: Arc<Semaphore>,
}

/// A body that gives the connection it comes over back at its end.
pub(super) struct PooledBody {
    body: Incoming,
    sender: Option<Sender>,
    pool: Arc<Pool>,
    _room: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(open: Open) -> Arc<Self> {
        Arc::new(Self {
            open,
            idle: Mutex::default(),
            room: Arc::new(Semaphore::new(MOST)),
        })
    }

    /// Sends a request over an idle connection, or a new one.
    pub(super) async fn send(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<PooledBody>> {
        if !request.body().is_end_stream() {
            return self.attempt(for_next_hop(request)).await;
        }
        let (head, _) = for_next_hop(request).into_parts();
        let empty = || Either::Right(Empty::new());
        for _ in 1..TRIES {
            let request = Request::from_parts(head.clone(), empty());
            if let Ok(response) = self.attempt(request).await {
                return Ok(response);
            }
        }
        self.attempt(Request::from_parts(head, empty())).await
    }

    async fn attempt(
        self: &Arc<Self>,
        request: Request<RequestBody>,
    ) -> Result<Response<PooledBody>> {
        let room = Arc::clone(&self.room).acquire_owned().await?;
        let mut sender = self.take().await?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let mut body = PooledBody {
            body,
            sender: Some(sender),
            pool: Arc::clone(self),
            _room: room,
        };
        body.settle();
        Ok(Response::from_parts(head, body))
    }

    async fn take(&self) -> Result<Sender> {
        loop {
            let idle = self.idle().pop();
            match idle {
                Some(mut sender) => {
                    if sender.ready().await.is_ok() {
                        return Ok(sender);
                    }
                }
                None => return (self.open)().await,
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PooledBody {
    /// Gives the connection back if the body is over.
    fn settle(&mut self) {
        if self.body.is_end_stream()
            && let Some(sender) = self.sender.take()
            && !sender.is_closed()
        {
            self.pool.idle().push(sender);
        }
    }
}

impl Body for PooledBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.settle();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
