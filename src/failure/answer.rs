//! Which answer does a failure get, and what becomes of the connection after it?

use super::Failure;
use crate::{h1, route::RouteError};

impl Failure {
    /// The status that the client gets.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::BadRequest(error) => error.status(),
            Self::BadRoute(error) => error.status(),
            Self::BadHost(_) | Self::BadMaxForwards(_) => 400,
            // The method stays: what is redirected may be a form that was sent.
            Self::OwnOrigin { .. } => 307,
            Self::OriginNotAllowed { .. }
            | Self::NotAllowed { .. }
            | Self::PathNotAllowed { .. }
            | Self::PairNotAllowed { .. }
            | Self::TunnelNotAllowed => 403,
            Self::UnknownService { .. } => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::RequestTimeout { .. } => 408,
            Self::BodyTooLarge { .. } | Self::RequestBeyondRelay { .. } => 413,
            Self::HostNotAllowed { .. } => 421,
            Self::Application { .. } | Self::Internal { .. } => 500,
            Self::NoAddresses { .. }
            | Self::AddressesIgnored { .. }
            | Self::PeerNotFound { .. }
            | Self::PeerUnreachable { .. }
            | Self::WrongPeerId { .. }
            | Self::ServiceNotOffered { .. }
            | Self::ConnectionTerminated { .. }
            | Self::TargetRefused { .. }
            | Self::TargetNotFound { .. }
            | Self::TargetUnreachable { .. }
            | Self::TargetTerminated { .. }
            | Self::InvalidResponse(_)
            | Self::ResponseIncomplete
            | Self::ResponseBeyondRelay { .. }
            | Self::CutByRelay { .. }
            | Self::UpgradeFailed { .. } => 502,
            Self::NoCapacity { .. } | Self::ShuttingDown => 503,
            Self::DialTimeout { .. }
            | Self::NegotiationTimeout { .. }
            | Self::TargetTimeout { .. }
            | Self::ResponseTimeout { .. }
            | Self::SendTimeout { .. } => 504,
            Self::LoopDetected => 508,
        }
    }

    /// The type of the error as registered by RFC 9209, section 2.3.
    #[must_use]
    pub fn proxy_error(&self) -> &'static str {
        match self {
            Self::BadRoute(RouteError::MissingSlash { .. })
            | Self::OwnOrigin { .. }
            | Self::ShuttingDown => "proxy_internal_response",
            Self::BadRoute(error) if error.status() == 403 => "http_request_denied",
            Self::BadRequest(_)
            | Self::BadRoute(_)
            | Self::BadHost(_)
            | Self::BadMaxForwards(_)
            | Self::RequestTimeout { .. }
            | Self::BodyTooLarge { .. }
            | Self::RequestBeyondRelay { .. } => "http_request_error",
            Self::HostNotAllowed { .. }
            | Self::OriginNotAllowed { .. }
            | Self::NotAllowed { .. }
            | Self::MethodNotAllowed { .. }
            | Self::PathNotAllowed { .. }
            | Self::PairNotAllowed { .. }
            | Self::TunnelNotAllowed => "http_request_denied",
            Self::NoAddresses { .. }
            | Self::AddressesIgnored { .. }
            | Self::PeerNotFound { .. }
            | Self::UnknownService { .. } => "destination_not_found",
            Self::PeerUnreachable { .. } | Self::TargetUnreachable { .. } => {
                "destination_unavailable"
            }
            // The registered name for a next hop that cannot prove to be who it should be; libp2p proves it by the
            // certificate of TLS or by its counterpart in noise.
            Self::WrongPeerId { .. } => "tls_certificate_error",
            Self::ServiceNotOffered { .. } | Self::TargetRefused { .. } => "connection_refused",
            Self::TargetNotFound { .. } => "dns_error",
            Self::ConnectionTerminated { .. } | Self::TargetTerminated { .. } => {
                "connection_terminated"
            }
            Self::InvalidResponse(error) => response_error(*error),
            Self::ResponseIncomplete | Self::CutByRelay { .. } => "http_response_incomplete",
            Self::ResponseBeyondRelay { .. } => "http_response_body_size",
            Self::NoCapacity { .. } => "connection_limit_reached",
            Self::DialTimeout { .. }
            | Self::NegotiationTimeout { .. }
            | Self::TargetTimeout { .. } => "connection_timeout",
            Self::ResponseTimeout { .. } => "http_response_timeout",
            Self::SendTimeout { .. } => "connection_write_timeout",
            Self::LoopDetected => "proxy_loop_detected",
            Self::UpgradeFailed { .. } => "http_upgrade_failed",
            // None is registered for an application within a proxy.
            Self::Application { .. } | Self::Internal { .. } => "proxy_internal_error",
        }
    }

    /// Seconds after which the same request may succeed, for a `Retry-After` field.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            // A stream is free again as soon as one exchange ends.
            Self::NoCapacity { .. } => Some(1),
            // What a restart takes.
            Self::ShuttingDown => Some(5),
            _ => None,
        }
    }

    /// Whether the connection on which the request came has to be closed after the answer, because what follows on
    /// it has no certain meaning or nobody will read it.
    #[must_use]
    pub fn must_close(&self) -> bool {
        matches!(
            self,
            Self::BadRequest(_)
                | Self::RequestTimeout { .. }
                | Self::BodyTooLarge { .. }
                | Self::RequestBeyondRelay { .. }
                | Self::ShuttingDown
        )
    }
}

/// The error type of RFC 9209 for a response that broke a rule.
fn response_error(error: h1::Error) -> &'static str {
    use h1::Error as E;
    match error {
        E::Truncated => "http_response_incomplete",
        E::HeadTooLarge { .. } | E::TooManyFields { .. } => "http_response_header_section_size",
        E::TrailersTooLarge { .. } | E::TooManyTrailers { .. } => {
            "http_response_trailer_section_size"
        }
        E::TransferEncoding
        | E::TransferCoding
        | E::TransferEncodingOnHttp10
        | E::ChunkSize
        | E::ChunkSizeOverflow
        | E::ChunkExtension
        | E::ChunkLineTooLong { .. }
        | E::ChunkDataEnd => "http_response_transfer_coding",
        E::UnsolicitedSwitch | E::MalformedSwitch => "http_upgrade_failed",
        _ => "http_protocol_error",
    }
}
