//! Where do HTTP clients reach which services of peers?

use std::net::SocketAddr;

use super::{AddressArgs, AdminArgs, ListenArgs, NetArgs, PortArgs, WebArgs, http_address};
use crate::address::PeerAddress;

pub(super) const HELP: &str = "\
Every service has a host of its own, and with it an origin of its own in a browser:
      http://NAME.PEER.p2p.localhost:8080/…
PEER is the peer id as a CID in base36 (k51…); `serve` prints the host. NAME has to be of the form
of a host name: a-z, 0-9 and -. Browsers and curl know that such hosts are this machine; other
clients may have to be told, or use a path.

The gateway answers these paths; path and query go to the application as they came:
      /http/PEER/NAME/…            the service NAME of PEER
      /http/proxy/PEER/NAME/…      the same
      /p2p/PEER/http/…             as kubo has it, protocol /http
      /p2p/PEER/x/NAME/http/…      as kubo has it, protocol /x/NAME/http
      /http/multiaddr/NAME/…?multiaddr=ADDRESS   the service NAME of the peer there; ADDRESS ends
                                   with /p2p/PEER and is percent-encoded, or it is in
                                   the field X-Libp2p-Multiaddr
      multiaddr:ADDRESS/http-path/PATH           as a proxy, protocol /http/1.1; PATH is
                                   percent-encoded
The last two, and the field X-Libp2p-Addrs, need --request-addresses.
PEER is a peer id in base58 (12D3…, Qm…) or as a CID in base32 or base36 (k51…).
With --allow-listen, local programs become services of this node at /http/listen/NAME: see
`p2p-http attach --help`.
Browsers that open a page by its path are redirected to the service's host; pages of services that
have none, for their names, are shown in a sandbox. WebSockets go through.

A failure is answered with a status, a Proxy-Status field and a text that say which hop failed:
      400  the request or its path is wrong
      403  the peer does not let this node use the service, a browser asks for a page of another
           origin that may not (--allow-origin), or the request names an address that is not dialled
           (--request-addresses)
      405  the peer does not let this node use the method
      413  the body is larger than the relay on the way carries
      421  the host is none of this gateway's (--domain)
      431  the head of the request is too large, or has too many fields
      502  the peer, its service or its server does not answer
      503  too much at once; try again
      504  it took too long
      508  the request came in a circle

Examples:
  p2p-http gateway --peer /ip4/192.0.2.7/tcp/4001/p2p/12D3…
  curl http://127.0.0.1:8080/http/12D3…/app/
  curl -H 'X-Libp2p-Addrs: /ip4/192.0.2.7/tcp/4001' http://127.0.0.1:8080/http/12D3…/app/
                                         with --request-addresses public, and without --peer
  p2p-http gateway --allow-listen        then local programs can `p2p-http attach`
  curl --http1.1 -T big.iso http://127.0.0.1:8080/http/12D3…/app/upload";

#[derive(Debug, clap::Args)]
pub(crate) struct GatewayArgs {
    /// IP:PORT where HTTP clients connect; port 0 lets the system choose
    ///
    /// Whoever can connect there sends requests in the name of this node's peer id, so it is this machine only unless you
    /// say otherwise.
    ///
    /// Example: --listen 127.0.0.1:8081
    ///
    /// Example: --listen [::1]:8080
    #[arg(
        long,
        value_name = "IP:PORT",
        default_value = "127.0.0.1:8080",
        value_parser = http_address
    )]
    pub(crate) listen: SocketAddr,

    /// Where a peer is, with /p2p/PEER at its end, repeatable; dialled when a request needs it
    ///
    /// Example: --peer /ip4/192.0.2.7/tcp/4001/p2p/12D3…
    ///
    /// Example: --peer /dns/example.com/udp/4001/quic-v1/p2p/12D3…
    #[arg(long = "peer", value_name = "MULTIADDR")]
    pub(crate) peers: Vec<PeerAddress>,

    #[command(flatten)]
    pub(crate) addresses: AddressArgs,

    #[command(flatten)]
    pub(crate) web: WebArgs,

    #[command(flatten)]
    pub(crate) listeners: ListenArgs,

    #[command(flatten)]
    pub(crate) port: PortArgs,

    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    #[command(flatten)]
    pub(crate) net: NetArgs,
}
