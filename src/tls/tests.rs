use std::io;

use futures::{
    AsyncReadExt as _, AsyncWriteExt as _,
    future::{join, try_join},
};
use libp2p_tls::Config;
use rcgen::{CertificateParams, PKCS_ECDSA_P256_SHA256};
use rustls::{HandshakeKind, pki_types::PrivateKeyDer};
use tokio::io::DuplexStream;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};

use super::*;

type Met<T> = Result<(PeerId, T), UpgradeError>;
type Stream = BufWriter<TlsStream<Compat<DuplexStream>>>;

/// A handshake: what it is to the one that dials, and to the other.
async fn meet<D, L, DT, LT>(dialer: D, listener: L) -> (Met<DT>, Met<LT>)
where
    D: OutboundConnectionUpgrade<
            Compat<DuplexStream>,
            Info = &'static str,
            Output = (PeerId, DT),
            Error = UpgradeError,
        >,
    L: InboundConnectionUpgrade<
            Compat<DuplexStream>,
            Info = &'static str,
            Output = (PeerId, LT),
            Error = UpgradeError,
        >,
{
    let name = "/tls/1.0.0";
    assert_eq!(dialer.protocol_info().into_iter().next(), Some(name));
    assert_eq!(listener.protocol_info().into_iter().next(), Some(name));
    let (near, far) = tokio::io::duplex(64 * 1024);
    join(
        dialer.upgrade_outbound(near.compat(), name),
        listener.upgrade_inbound(far.compat(), name),
    )
    .await
}

fn peer(has_aes: bool) -> (PeerId, Tls) {
    let keypair = Keypair::generate_ed25519();
    let tls = Tls::preferring(provider(has_aes), &keypair).expect("the key signs");
    (keypair.public().to_peer_id(), tls)
}

/// A certificate, and the key that belongs to it.
fn certified() -> CertifiedKey {
    let keypair = Keypair::generate_ed25519();
    let (certificate, key) = certificate::generate(&keypair).expect("the key signs");
    certified_by(certificate.to_vec(), key)
}

fn certified_by(certificate: Vec<u8>, key: PrivateKeyDer<'static>) -> CertifiedKey {
    let key = provider(true).key_provider.load_private_key(key);
    CertifiedKey::new(vec![certificate.into()], key.expect("is a key"))
}

fn connection(stream: &Stream) -> &CommonState {
    stream.get_ref().get_ref().1
}

/// That one end refuses the other, with what it says.
async fn refuses(hostile: Tls, why: &str) {
    let (_, ours) = peer(true);
    let (dialed, _) = meet(ours.clone(), hostile.clone()).await;
    let error = dialed.expect_err("is refused as a listener");
    let UpgradeError::ClientUpgrade(error) = error else {
        panic!("not while shaking hands: {error:?}");
    };
    assert!(error.to_string().contains(why), "{error}");
    let (_, accepted) = meet(hostile, ours).await;
    let error = accepted.expect_err("is refused as a dialer");
    let UpgradeError::ServerUpgrade(error) = error else {
        panic!("not while shaking hands: {error:?}");
    };
    assert!(error.to_string().contains(why), "{error}");
}

#[tokio::test]
async fn who_dials_chooses_the_cipher_and_each_knows_the_other() {
    for (dialer_has_aes, suite) in [
        (true, CipherSuite::TLS13_AES_128_GCM_SHA256),
        (false, CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ] {
        let (dialer, dialer_tls) = peer(dialer_has_aes);
        let (listener, listener_tls) = peer(true);
        // Twice, as a session could be resumed.
        for _ in 0..2 {
            let (dialed, accepted) = meet(dialer_tls.clone(), listener_tls.clone()).await;
            let (met, near) = dialed.expect("is accepted");
            let (met_by, far) = accepted.expect("is accepted");
            assert_eq!((met, met_by), (listener, dialer));
            for end in [&near, &far] {
                let cipher = connection(end).negotiated_cipher_suite();
                assert_eq!(cipher.expect("is chosen").suite(), suite);
                let kind = connection(end).handshake_kind();
                assert!(
                    matches!(
                        kind,
                        Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)
                    ),
                    "{kind:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn peers_with_the_tls_of_libp2p_are_met_from_both_ends() {
    let keypair = Keypair::generate_ed25519();
    let theirs = Config::new(&keypair).expect("the key signs");
    let (us, ours) = peer(true);
    let them = keypair.public().to_peer_id();

    let (dialed, accepted) = meet(ours.clone(), theirs.clone()).await;
    let (near, far) = (dialed.expect("is accepted"), accepted.expect("is accepted"));
    assert_eq!((near.0, far.0), (them, us));
    let cipher = connection(&near.1).negotiated_cipher_suite();
    assert_eq!(
        cipher.expect("is chosen").suite(),
        CipherSuite::TLS13_AES_128_GCM_SHA256
    );

    let (dialed, accepted) = meet(theirs, ours).await;
    let (near, far) = (dialed.expect("is accepted"), accepted.expect("is accepted"));
    assert_eq!((near.0, far.0), (us, them));
}

#[tokio::test]
async fn everything_arrives_and_an_end_that_is_cut_is_an_error() {
    let ((_, dialer), (_, listener)) = (peer(true), peer(true));
    let (dialed, accepted) = meet(dialer, listener).await;
    let (mut near, mut far) = (dialed.expect("is accepted").1, accepted.expect("is").1);
    let sent: Vec<u8> = (0..3 * TOGETHER).map(|n| n as u8).collect();
    let mut came = vec![0; sent.len()];
    let send = async {
        // One by one, and many at once.
        let (few, many) = sent.split_at(100);
        for byte in few {
            near.write_all(&[*byte]).await?;
        }
        near.write_all(many).await?;
        near.flush().await
    };
    let receive = far.read_exact(&mut came);
    try_join(send, receive).await.expect("is carried");
    assert!(came == sent);

    drop(near);
    let error = far.read(&mut came).await.expect_err("did not end");
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_refused() {
    let ((_, ours), (_, mut other)) = (peer(true), peer(true));
    let nobody = ClientConfig::builder_with_provider(Arc::new(provider(true)))
        .with_protocol_versions(&[&TLS13])
        .expect("there are ciphers")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PeerCertificates))
        .with_no_client_auth();
    other.client = Arc::new(nobody);
    let (_, accepted) = meet(other, ours).await;
    let error = accepted.expect_err("is refused");
    let UpgradeError::ServerUpgrade(error) = error else {
        panic!("not while shaking hands: {error:?}");
    };
    assert!(error.to_string().contains("no certificates"), "{error}");
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused() {
    let mut stolen = certified();
    stolen.key = certified().key;
    let tls = Tls::with(Arc::new(provider(true)), stolen);
    refuses(tls, "BadSignature").await;
}

#[tokio::test]
async fn a_certificate_that_no_peer_has_signed_is_refused() {
    let key = rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("is a key");
    let certificate = CertificateParams::default().self_signed(&key);
    let certificate = certificate.expect("is signed").der().to_vec();
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("is a key");
    let tls = Tls::with(Arc::new(provider(true)), certified_by(certificate, key));
    refuses(tls, "BadEncoding").await;
}

#[tokio::test]
async fn more_than_one_certificate_is_refused() {
    let mut two = certified();
    two.cert.extend(certified().cert);
    let tls = Tls::with(Arc::new(provider(true)), two);
    refuses(tls, "exactly one certificate").await;
}
