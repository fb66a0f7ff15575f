//! Who may use an HTTP port from within a browser?

#![allow(
    rustdoc::bare_urls,
    reason = "these texts are for a terminal, where an address is to be copied"
)]

use libp2p_http_proxy::{AllowedOrigin, GatewayRules, route::Domain};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct WebArgs {
    /// Host name under which this port is reached besides localhost, repeatable
    ///
    /// Requests for any other name are refused with 421, so that no page can reach this port by a name of its own that
    /// points here. Services have their hosts below the domain: NAME--KEY.DOMAIN, for which one wildcard certificate is
    /// enough, and NAME.PEER.p2p.DOMAIN. Let a server with a certificate for *.DOMAIN pass its requests on to this port
    /// with their Host. Browsers on other machines need it to open pages of services, as their localhost is another one.
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
}

impl WebArgs {
    pub(crate) fn rules(&self) -> GatewayRules {
        let domains = self.domains.iter().cloned();
        let rules = domains.fold(GatewayRules::default(), GatewayRules::with_domain);
        let origins = self.origins.iter().cloned();
        origins.fold(rules, GatewayRules::with_allowed_origin)
    }
}
