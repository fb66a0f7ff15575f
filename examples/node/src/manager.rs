//! What does the service manager hear that started the process? Systemd, and what speaks its protocol (`sd_notify`).

/// What a service manager waits for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    /// Everything works from here on.
    Ready,
    /// The process was asked to stop, and running exchanges end.
    Stopping,
}

/// Tells the service manager, if there is one that wants to know.
#[cfg(unix)]
pub(crate) fn tell(state: State) {
    let state = match state {
        State::Ready => sd_notify::NotifyState::Ready,
        State::Stopping => sd_notify::NotifyState::Stopping,
    };
    // It gives up by itself on a service that it does not hear of.
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "cannot tell the service manager (NOTIFY_SOCKET)");
    }
}

/// Other systems have another way for services to begin.
#[cfg(not(unix))]
pub(crate) fn tell(_: State) {}
