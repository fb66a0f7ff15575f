//! Which texts name a peer?

use libp2p_identity::PeerId;
use multibase::Base;

use super::excerpt;

/// The longest text that is looked at as a peer id: a CID of the longest peer id in base 2, the longest encoding there
/// is. Decoding takes time in the square of the length, so longer text is refused unread.
const MAX_PEER_ID: usize = 400;

/// A CID of version 1 for a libp2p key begins with its version and its codec, both varints of one byte
/// ([peer ids](https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md)).
const CID_VERSION_1: u8 = 0x01;
const CID_LIBP2P_KEY: u8 = 0x72;

/// What stands before the 32 bytes of the key in the id of a peer with an Ed25519 key: the code and the length of the
/// identity hash, then type and length of the key as protobuf has them (peer ids, "Keys").
const ED25519_PREFIX: [u8; 6] = [0x00, 0x24, 0x08, 0x01, 0x12, 0x20];

/// The digits of the largest number of 256 bits in base 36.
const KEY_DIGITS: usize = 50;

/// Reads a peer id in any of its textual forms: base58 (`12D3…`, `Qm…`), or a CID of a libp2p key in any multibase
/// encoding, base32 (`bafz…`) and base36 (`k51…`) among them.
///
/// # Errors
///
/// [`InvalidPeerId`] if the text is none of them.
pub fn parse_peer_id(text: &str) -> Result<PeerId, InvalidPeerId> {
    decode_peer_id(text).map_err(|reason| InvalidPeerId {
        text: excerpt(text),
        reason,
    })
}

fn decode_peer_id(text: &str) -> Result<PeerId, &'static str> {
    const HASH: &str = "the hash in it is not that of a peer id";
    if text.len() > MAX_PEER_ID {
        return Err("it is longer than any peer id");
    }
    if is_lowered_base58(text) {
        return Err(
            "base58 text differs in case and all of this is in lower case: use the CID of the peer, k51...",
        );
    }
    // Neither "1" nor "Q" begins a multibase text, which is how the two kinds are told apart.
    if text.starts_with('1') || text.starts_with("Qm") {
        return text
            .parse()
            .map_err(|_| "it is not base58 text of a peer id");
    }
    let (_, cid) = multibase::decode(text)
        .map_err(|_| "it is neither base58 text (12D3..., Qm...) nor a CID (k51..., bafz...)")?;
    match cid.as_slice() {
        [CID_VERSION_1, CID_LIBP2P_KEY, hash @ ..] => PeerId::from_bytes(hash).map_err(|_| HASH),
        _ => Err("it is not the CID of a libp2p key"),
    }
}

/// Whether software on the way has put a base58 peer id into lower case, as is often done to host names.
fn is_lowered_base58(text: &str) -> bool {
    ["12d3koow", "16uiu2ha", "qm"]
        .iter()
        .any(|start| text.starts_with(start))
        && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// A peer id as the CID of its key in base36 (`k51…`, `k2k4…`). In this text case means nothing, and it is short enough
/// for a label of a host.
///
/// ```
/// use libp2p_http_proxy::route::{parse_peer_id, peer_cid};
///
/// let peer = parse_peer_id("12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5")?;
/// assert_eq!(peer_cid(&peer), "k51qzi5uqu5djmw2yvf8kk5cdjc1ddc00o4d5sjwi6f79xzcay9j3gkddw5uu4");
/// # Ok::<(), libp2p_http_proxy::route::InvalidPeerId>(())
/// ```
#[must_use]
pub fn peer_cid(peer: &PeerId) -> String {
    multibase::encode(Base::Base36Lower, cid_bytes(peer))
}

fn cid_bytes(peer: &PeerId) -> Vec<u8> {
    [&[CID_VERSION_1, CID_LIBP2P_KEY], peer.to_bytes().as_slice()].concat()
}

/// The 32 bytes of the Ed25519 key that a peer id is, as a number of always [`KEY_DIGITS`] digits in base 36. Shorter than
/// a CID, so that the name of a service fits in the same label.
pub(super) fn key_text(peer: &PeerId) -> Option<String> {
    let bytes = peer.to_bytes();
    let key = bytes.strip_prefix(&ED25519_PREFIX)?;
    // Each of these would become one digit, and make the number of digits depend on the key.
    let zeros = key.iter().take_while(|byte| **byte == 0).count();
    let digits = Base::Base36Lower.encode(&key[zeros..]);
    Some(format!("{digits:0>KEY_DIGITS$}"))
}

/// Reads what [`key_text`] writes; the error says why `text` is something else.
///
/// Any 32 bytes will do, as in all other texts of a peer id, even if they are no point of the curve: an id is a name, and
/// whoever answers to it has to prove that it is theirs, which nobody can do for such bytes.
pub(super) fn parse_key(text: &str) -> Result<PeerId, &'static str> {
    if text.len() != KEY_DIGITS {
        return Err("it does not have 50 digits");
    }
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    if !text.bytes().all(is_digit) {
        return Err("it has other digits than 0-9 and a-z");
    }
    const TOO_LARGE: &str = "the number is larger than any of 32 bytes";
    let bytes = Base::Base36Lower
        .decode(text.trim_start_matches('0'))
        .map_err(|_| TOO_LARGE)?;
    let padding = 32usize.checked_sub(bytes.len()).ok_or(TOO_LARGE)?;
    let id = [&ED25519_PREFIX[..], &[0; 32][..padding], &bytes].concat();
    PeerId::from_bytes(&id).map_err(|_| "it is no key of a peer")
}

/// Why a text is not a peer id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a peer id: {reason}")]
pub struct InvalidPeerId {
    /// The text, escaped, and cut if it is long.
    text: String,
    reason: &'static str,
}

#[cfg(test)]
mod tests {
    use libp2p_identity::Keypair;

    use super::*;
    use crate::route::Route;

    const ED25519: &str = "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5";
    const RSA: &str = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";

    fn cid(base: Base, peer: PeerId) -> String {
        multibase::encode(base, cid_bytes(&peer))
    }

    #[test]
    fn peer_ids_in_every_form() {
        let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        for peer in [key.public().to_peer_id(), RSA.parse().unwrap()] {
            let mut texts = vec![peer.to_string()];
            for base in [
                Base::Base32Lower,
                Base::Base32Upper,
                Base::Base36Lower,
                Base::Base36Upper,
                Base::Base58Btc,
                Base::Base58Flickr,
                Base::Base16Lower,
                Base::Base16Upper,
                Base::Base32HexLower,
                Base::Base32PadLower,
                Base::Base32Z,
                Base::Base64Url,
                Base::Base64UrlPad,
                Base::Base2,
                Base::Base8,
                Base::Base10,
                Base::Base256Emoji,
            ] {
                texts.push(cid(base, peer));
            }
            for text in texts {
                assert_eq!(parse_peer_id(&text), Ok(peer), "{text}");
                let target = format!("/http/{text}/web/x");
                assert_eq!(Route::parse(&target).unwrap().peer, peer, "{text}");
            }
        }
    }

    /// The same three ids as an independent implementation writes them, so that a mistake made in both directions here
    /// does not cancel out. The first base32 text is an example of the peer id specification.
    #[test]
    fn peer_ids_of_other_implementations() {
        #[rustfmt::skip]
        let cases = [
            ("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", [
                "bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe",
                "k2k4r8ncs1yoluq95unsd7x2vfhgve0ncjoggwqx9vyh3vl8warrcp15",
            ]),
            ("12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA", [
                "bafzaajaiaejcal72gwuz2or47oyxxn6b3rkwdmmkrxgkjxzy3rqt5kczyn7lcm3l",
                "k51qzi5uqu5dhdmyb9bd18pypu2wp5lpv2xnskfmrqa4lb5knqryrotb05e7or",
            ]),
            (ED25519, [
                "bafzaajaiaejcbcui4poxicprsx6vfwznhs5f24wkm4e36hmucin7g5eiag2a6324",
                "k51qzi5uqu5djmw2yvf8kk5cdjc1ddc00o4d5sjwi6f79xzcay9j3gkddw5uu4",
            ]),
        ];
        for (base58, cids) in cases {
            for cid in cids {
                assert_eq!(parse_peer_id(cid).map(PeerId::to_base58), Ok(base58.into()));
            }
            assert_eq!(
                parse_peer_id(base58).map(|peer| peer_cid(&peer)),
                Ok(cids[1].into())
            );
        }
    }

    #[test]
    fn what_is_not_a_peer_id() {
        let peer: PeerId = ED25519.parse().unwrap();
        let mut raw = vec![0x01, 0x55];
        raw.extend(peer.to_bytes());
        let mut longer = vec![CID_VERSION_1, CID_LIBP2P_KEY];
        longer.extend(peer.to_bytes());
        longer.push(0);
        #[rustfmt::skip]
        let cases = [
            ("".into(), "neither"),
            ("proxy".into(), "neither"),
            ("1".into(), "base58"),
            ("Qm".into(), "base58"),
            (ED25519[..51].into(), "base58"),
            (format!("{ED25519}1"), "base58"),
            (ED25519.to_lowercase(), "lower case"),
            (RSA.to_lowercase(), "lower case"),
            ("16uiu2hamdocnitkbl6mwcif6i277466582hwi7uy8fafmy3pw1ng".into(), "lower case"),
            ("k51qzi5uqu5d".into(), "CID of a libp2p key"),
            (multibase::encode(Base::Base32Lower, raw), "CID of a libp2p key"),
            (multibase::encode(Base::Base58Btc, peer.to_bytes()), "CID of a libp2p key"),
            (multibase::encode(Base::Base36Lower, longer), "hash"),
            (multibase::encode(Base::Base16Lower, [1, 0x72, 0x13, 1, 0]), "hash"),
            (multibase::encode(Base::Base16Lower, [1, 0x72]), "hash"),
            ("1".repeat(401), "longer"),
            ("z".repeat(100_000), "longer"),
        ];
        for (text, reason) in cases {
            let message = parse_peer_id(&text).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
            assert!(message.len() < 400, "{message}");
        }
    }
}
