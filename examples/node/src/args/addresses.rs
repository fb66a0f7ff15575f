//! May requests say where their peers are?

use clap::ValueEnum;
use libp2p_http_proxy::route::RequestAddresses;

#[derive(Debug, Default, clap::Args)]
pub(crate) struct AddressArgs {
    /// Which addresses are dialled that requests name for their peers: none, public ones, or any
    ///
    /// A request names them in the field `X-Libp2p-Addrs`, with commas between several, or by a multiaddr as its target
    /// (see the end of this help). They are dialled for this request only. `public` takes public IP addresses, relays
    /// included, and no names. With `any`, whoever uses the gateway can have it connect within the networks of this
    /// machine. Pages of other origins may name none.
    ///
    /// Example: --request-addresses public
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    request_addresses: Which,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Which {
    #[default]
    None,
    Public,
    Any,
}

impl AddressArgs {
    pub(crate) fn taken(&self) -> RequestAddresses {
        match self.request_addresses {
            Which::None => RequestAddresses::Ignored,
            Which::Public => RequestAddresses::Public,
            Which::Any => RequestAddresses::Any,
        }
    }
}
