//! What becomes of one request, noted on the way and told in the end.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Instant,
};

use tracing::Span;

use crate::{
    error::{ExchangeError, describe},
    failure::Failure,
    proxy::{
        access::{self, Remote, Subject},
        observer::{Exchange, Observer, Side, Stages},
    },
};

/// Who is told of the exchanges of a proxy, besides the log.
#[derive(Clone, Default)]
pub(super) struct Audience(pub(super) Option<Arc<dyn Observer>>);

impl Audience {
    /// Begins the record of an exchange, whose `id` is its own among all of a node.
    pub(super) fn begin(&self, side: Side, id: impl FnOnce() -> u64) -> Record {
        let logged = access::is_read();
        let observer = self.0.as_ref().filter(|observer| observer.began(side));
        let followed = logged || observer.is_some() || access::spans_are_read();
        Record {
            notes: followed.then(|| Notes {
                id: id(),
                side,
                logged,
                observer: observer.cloned(),
                began: Instant::now(),
                connected: None,
                head: None,
            }),
            status: 0,
            request_bytes: 0,
            response_bytes: 0,
            reused: None,
            cause: None,
            error: None,
        }
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Audience").field(&self.0.is_some()).finish()
    }
}

/// What becomes of one request. The default is told to nobody.
#[derive(Default)]
pub(crate) struct Record {
    /// `None` where nobody wants to know, or was told.
    notes: Option<Notes>,
    /// 0 as long as there is none.
    pub(crate) status: u16,
    /// Bytes of the bodies, or those of a tunnel there and back.
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
    pub(crate) reused: Option<bool>,
    cause: Option<&'static str>,
    /// Why the exchange failed, or was cut.
    error: Option<String>,
}

/// What is noted only where somebody wants to know.
struct Notes {
    id: u64,
    side: Side,
    logged: bool,
    observer: Option<Arc<dyn Observer>>,
    began: Instant,
    connected: Option<Instant>,
    head: Option<Instant>,
}

impl Record {
    /// There is a hop to the server now.
    pub(crate) fn connected(&mut self, reused: bool) {
        self.reused = Some(reused);
        if let Some(notes) = &mut self.notes {
            notes.connected = Some(Instant::now());
        }
    }

    /// The head of the final response is here.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
        if let Some(notes) = &mut self.notes {
            notes.head = Some(Instant::now());
        }
    }

    /// The exchange was refused, or failed on the side of the server.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        // Who is sent on to where a page opens has been served: each page that is asked for by its path is.
        if failure.status() < 400 {
            return;
        }
        self.cause = Some(failure.proxy_error());
        self.error = Some(failure.to_string());
    }

    /// The exchange failed on the side of the client.
    pub(crate) fn broken(&mut self, error: &ExchangeError) {
        self.lost(describe(error));
    }

    /// The exchange ended early, though nobody is to be told.
    pub(crate) fn lost(&mut self, reason: String) {
        self.error = Some(reason);
    }

    /// The span of the exchange, on which the events below it are found.
    pub(super) fn span<'a>(&self, remote: impl FnOnce() -> Remote<'a>) -> Span {
        match &self.notes {
            Some(notes) => access::span(notes.id, notes.side, remote),
            None => Span::none(),
        }
    }

    /// Whether anybody wants to know.
    pub(super) fn is_followed(&self) -> bool {
        self.notes.is_some()
    }

    /// The record of a request for `subject`, told when it is [over](Account::end), or was given up.
    pub(super) fn about(self, subject: Subject<'_>) -> Account<'_> {
        Account {
            record: self,
            subject: Some(subject),
        }
    }

    /// Tells whoever wants to know.
    pub(crate) fn tell<'a>(&mut self, subject: impl FnOnce() -> Subject<'a>) {
        let Some(notes) = self.notes.take() else {
            return;
        };
        if !notes.logged && notes.observer.is_none() {
            return;
        }
        let subject = subject();
        let remote = subject.remote.as_ref();
        let exchange = Exchange {
            id: notes.id,
            side: notes.side,
            peer: remote.map(|remote| remote.peer),
            service: remote.map(|remote| &remote.service),
            method: subject.method,
            path: subject.path,
            status: (self.status != 0).then_some(self.status),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            stages: notes.stages(Instant::now()),
            reused: self.reused,
            cause: self.cause,
            error: self.error.as_deref(),
        };
        if notes.logged {
            access::write(&exchange, remote.map(|remote| remote.text));
        }
        if let Some(observer) = &notes.observer {
            observer.ended(&exchange);
        }
    }

    /// Tells that the exchange did not come to its end, where that was not told.
    fn give_up<'a>(&mut self, subject: impl FnOnce() -> Subject<'a>) {
        if self.notes.is_some() {
            self.error
                .get_or_insert_with(|| "given up, as the proxy has ended".to_owned());
            self.tell(subject);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.give_up(Subject::unread);
    }
}

/// The record of a request that is answered.
///
/// The task of an exchange is dropped with what it did where it takes too long at the end of the proxy: then it is told
/// which one that was.
pub(super) struct Account<'a> {
    record: Record,
    /// `None` once it was told.
    subject: Option<Subject<'a>>,
}

impl Account<'_> {
    /// The span of the exchange, on which the events below it are found.
    pub(super) fn span(&self) -> Span {
        let remote = self
            .subject
            .as_ref()
            .and_then(|subject| subject.remote.as_ref());
        match remote {
            Some(remote) => self.record.span(|| remote.clone()),
            None => Span::none(),
        }
    }

    /// Tells what became of the request.
    pub(super) fn end(mut self) {
        if let Some(subject) = self.subject.take() {
            self.record.tell(|| subject);
        }
    }
}

impl Deref for Account<'_> {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl DerefMut for Account<'_> {
    fn deref_mut(&mut self) -> &mut Record {
        &mut self.record
    }
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        if let Some(subject) = self.subject.take() {
            self.record.give_up(|| subject);
        }
    }
}

impl Notes {
    fn stages(&self, now: Instant) -> Stages {
        let between = |from: Option<Instant>, to: Option<Instant>| Some(to?.duration_since(from?));
        let connected = self.connected.or(self.head.map(|_| self.began));
        Stages {
            connect: between(Some(self.began), self.connected),
            head: between(connected, self.head),
            body: between(self.head, Some(now)),
            total: now.duration_since(self.began),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::*;

    #[derive(Default)]
    struct Listener(Mutex<Vec<(u64, String, Option<String>)>>);

    impl Observer for Listener {
        fn began(&self, side: Side) -> bool {
            side == Side::Origin
        }

        fn ended(&self, exchange: &Exchange<'_>) {
            let error = exchange.error.map(str::to_owned);
            let told = (exchange.id, exchange.path.to_owned(), error);
            self.0.lock().expect("no panic").push(told);
        }
    }

    #[test]
    fn an_exchange_is_told_once_and_only_if_somebody_listens() {
        let listener = Arc::new(Listener::default());
        let audience = Audience(Some(listener.clone()));
        let path = |path| {
            move || Subject {
                path,
                ..Subject::unread()
            }
        };
        audience.begin(Side::Origin, || 1).tell(path("/a"));
        drop(audience.begin(Side::Origin, || 2));
        let told = listener.0.lock().expect("no panic");
        let given_up = Some("given up, as the proxy has ended".to_owned());
        assert_eq!(
            told[..],
            [(1, "/a".to_owned(), None), (2, "-".to_owned(), given_up)]
        );

        for nobody in [audience, Audience::default()] {
            let mut record = nobody.begin(Side::Gateway, || panic!("no id is needed"));
            record.connected(true);
            record.answered(200);
            record.tell(|| panic!("nobody asks"));
        }
    }

    #[test]
    fn a_redirect_is_no_failure() {
        let location = "//app.peer.p2p.localhost/".to_owned();
        let host = "a".to_owned();
        for (failure, cause) in [
            (Failure::OwnOrigin { location }, None),
            (
                Failure::HostNotAllowed { host },
                Some("http_request_denied"),
            ),
        ] {
            let mut record = Record::default();
            record.failed(&failure);
            assert_eq!(
                (record.cause, record.error.is_some()),
                (cause, cause.is_some())
            );
        }
    }

    #[test]
    fn stages_follow_each_other() {
        let began = Instant::now();
        let after = |millis| {
            began
                .checked_add(Duration::from_millis(millis))
                .expect("soon")
        };
        let millis = |millis| Some(Duration::from_millis(millis));
        for (connected, head, expected) in [
            (None, None, [None, None, None]),
            (Some(1), None, [millis(1), None, None]),
            (Some(1), Some(3), [millis(1), millis(2), millis(4)]),
            (None, Some(3), [None, millis(3), millis(4)]),
        ] {
            let notes = Notes {
                id: 0,
                side: Side::Gateway,
                logged: false,
                observer: None,
                began,
                connected: connected.map(after),
                head: head.map(after),
            };
            let stages = notes.stages(after(7));
            assert_eq!([stages.connect, stages.head, stages.body], expected);
            assert_eq!(Some(stages.total), millis(7));
        }
    }
}
