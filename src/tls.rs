//! How is a connection encrypted by what the processor has for it?
//!
//! noise, as libp2p has it, and libp2p's TLS encrypt with ChaCha20-Poly1305, which costs more than all else that a node does
//! for a large body. Processors have instructions for AES-GCM. It is the same protocol, `/tls/1.0.0`, with the peer's own
//! checks of certificates by `libp2p_tls`: only the order of preference differs, which that crate has no setting for.

mod certificates;

use std::{fmt, iter, net::Ipv4Addr, sync::Arc};

use futures::{AsyncRead, AsyncWrite, FutureExt, future::BoxFuture, io::BufWriter};
use futures_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use libp2p_core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p_identity::{Keypair, PeerId};
use libp2p_tls::{
    UpgradeError,
    certificate::{self, GenError},
};
use rustls::{
    CipherSuite, ClientConfig, CommonState, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::ServerName,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};

use self::certificates::PeerCertificates;

/// How many bytes are encrypted and sent together at most: four full frames of yamux with their headers. rustls would make a
/// record, and a system call, of each header and of each small frame.
const TOGETHER: usize = 4 * (16 * 1024 + 12);

/// libp2p's TLS 1.3 with the cipher that is fastest on this machine: AES-GCM where the processor has instructions for it.
///
/// A large body costs both nodes a third less than with noise, where both prefer AES-GCM. Any peer that speaks libp2p's TLS
/// is spoken to; for those that do not, offer noise behind it:
///
/// ```
/// use libp2p_http_proxy::{Coalescing, Tls};
///
/// let swarm = libp2p::SwarmBuilder::with_new_identity()
///     .with_tokio()
///     .with_tcp(
///         libp2p::tcp::Config::default(),
///         (Tls::new, libp2p::noise::Config::new),
///         || Coalescing::new(libp2p::yamux::Config::default()),
///     )?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Who dials says which cipher it prefers, and that is taken. Sessions are not resumed: a peer is always asked for its
/// certificate, and none can be told from another by a ticket.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Makes a certificate for the identity `keypair`.
    ///
    /// # Errors
    ///
    /// Fails if that key cannot sign.
    pub fn new(keypair: &Keypair) -> Result<Self, GenError> {
        Self::preferring(provider(has_aes()), keypair)
    }

    fn preferring(provider: CryptoProvider, keypair: &Keypair) -> Result<Self, GenError> {
        let (certificate, key) = certificate::generate(keypair)?;
        let key = provider
            .key_provider
            .load_private_key(key)
            .expect("that is a key for certificates");
        let key = CertifiedKey::new(vec![certificate], key);
        Ok(Self::with(Arc::new(provider), key))
    }

    fn with(provider: Arc<CryptoProvider>, key: CertifiedKey) -> Self {
        let key = Arc::new(SingleCertAndKey::from(key));
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has ciphers for TLS 1.3")
            .with_client_cert_verifier(Arc::new(PeerCertificates))
            .with_cert_resolver(Arc::clone(&key) as _);
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .expect("the provider has ciphers for TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PeerCertificates))
            .with_client_cert_resolver(key);
        client.resumption = Resumption::disabled();
        server.alpn_protocols = vec![ALPN.to_vec()];
        client.alpn_protocols = vec![ALPN.to_vec()];
        Self {
            server: Arc::new(server),
            client: Arc::new(client),
        }
    }
}

/// The name of libp2p in the handshake (libp2p TLS, "ALPN").
const ALPN: [u8; 6] = *b"libp2p";

/// The ciphers of TLS 1.3, the best for this machine first.
fn provider(has_aes: bool) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    // Stable: among the others the order stays.
    provider.cipher_suites.sort_by_key(|cipher| {
        let fast = match cipher.suite() {
            // As safe as the one with 256 bits, and must be there (RFC 8446, section 9.1).
            CipherSuite::TLS13_AES_128_GCM_SHA256 => has_aes,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => !has_aes,
            _ => false,
        };
        !fast
    });
    provider
}

/// Whether the processor encrypts by AES itself. In software that is slow.
fn has_aes() -> bool {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is in there is secret or always the same.
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl UpgradeInfo for Tls {
    type Info = &'static str;
    type InfoIter = iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        iter::once("/tls/1.0.0")
    }
}

impl<C> InboundConnectionUpgrade<C> for Tls
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = (PeerId, BufWriter<TlsStream<C>>);
    type Error = UpgradeError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, io: C, _: Self::Info) -> Self::Future {
        let accepted = TlsAcceptor::from(self.server).accept(io);
        async move {
            let stream = accepted.await.map_err(UpgradeError::ServerUpgrade)?;
            finish(stream.into())
        }
        .boxed()
    }
}

impl<C> OutboundConnectionUpgrade<C> for Tls
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    type Output = (PeerId, BufWriter<TlsStream<C>>);
    type Error = UpgradeError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, io: C, _: Self::Info) -> Self::Future {
        // An address is no name, and so none is sent (libp2p TLS, "Handshake Protocol").
        let nobody = ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into());
        let connected = TlsConnector::from(self.client).connect(nobody, io);
        async move {
            let stream = connected.await.map_err(UpgradeError::ClientUpgrade)?;
            finish(stream.into())
        }
        .boxed()
    }
}

/// Who the other end is, once the handshake is done.
fn finish<C>(stream: TlsStream<C>) -> Result<(PeerId, BufWriter<TlsStream<C>>), UpgradeError>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let (_, connection): (_, &CommonState) = stream.get_ref();
    let peer = certificates::peer_of(connection)?;
    Ok((peer, BufWriter::with_capacity(TOGETHER, stream)))
}

#[cfg(test)]
mod tests;
