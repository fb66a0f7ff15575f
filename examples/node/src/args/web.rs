//! Who may use an HTTP port from within a browser?

#![allow(
    rustdoc::bare_urls,
    reason = "these texts are for a terminal, where an address is to be copied"
)]

use libp2p_http_proxy::{AllowedOrigin, GatewayRules, rewrite::ForwardedMode, route::Domain};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct WebArgs {
    /// Host name under which this port is reached besides localhost, repeatable
    ///
    /// Requests for any other name are refused with 421, so that no page can reach this port by a name of its own that
    /// points here. Services have their hosts below the domain: NAME--KEY.DOMAIN, for which one wildcard certificate is
    /// enough, and NAME.PEER.p2p.DOMAIN. Let a server with a certificate for *.DOMAIN pass its requests on to this port
    /// with their Host, and use --behind-proxy. Browsers on other machines need a domain to open pages of services, as their
    /// localhost is another one.
    ///
    /// Example: --domain example.com
    #[arg(long = "domain", value_name = "DOMAIN")]
    domains: Vec<Domain>,

    /// Origin whose pages may send requests to services, repeatable; * for every one
    ///
    /// Without it, a browser's requests are refused with 403 if they come from pages of other origins, other services
    /// included. Links to services work always.
    ///
    /// Example: --allow-origin https://app.example
    #[arg(long = "allow-origin", value_name = "ORIGIN")]
    origins: Vec<AllowedOrigin>,

    /// Passes on what a server in front of this port says of its clients (X-Forwarded-For, -Host and -Proto)
    ///
    /// Without it, services take that server for the client, and http for the scheme, though clients may reach the server over
    /// TLS; what they make of that are links, redirects and cookies for http. With it, let nobody else reach this port:
    /// clients can say of themselves what they like.
    ///
    /// Example: --behind-proxy --domain example.com
    #[arg(long)]
    behind_proxy: bool,
}

impl WebArgs {
    pub(crate) fn rules(&self) -> GatewayRules {
        let domains = self.domains.iter().cloned();
        let rules = GatewayRules::default().with_forwarded(forwarded(self.behind_proxy));
        let rules = domains.fold(rules, GatewayRules::with_domain);
        let origins = self.origins.iter().cloned();
        origins.fold(rules, GatewayRules::with_allowed_origin)
    }
}

/// What services are told of clients, by whether there is a server in front of the port that tells more.
pub(crate) fn forwarded(behind_proxy: bool) -> ForwardedMode {
    match behind_proxy {
        true => ForwardedMode::Append,
        false => ForwardedMode::Replace,
    }
}
