//! Which secret does somebody have to know, and who knows it?

use std::{
    io::{self, Read as _},
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use anyhow::{Context, Result, bail};
use axum::http::HeaderValue;
use data_encoding::BASE64;
use subtle::ConstantTimeEq as _;

use crate::{identity, read};

/// Fewer can be guessed.
const SHORTEST: usize = 16;

/// More is another file.
const LONGEST: usize = 512;

/// A secret that can stand in a field and in the name of a subprotocol. Never shown. Clones are handles to the same one, which
/// can be exchanged while it is asked for.
#[derive(Clone)]
pub(crate) struct Token(Arc<RwLock<String>>);

impl Token {
    /// Reads the secret in a file, white space around it left out.
    ///
    /// # Errors
    ///
    /// The file cannot be read, can be read by others, or holds no such secret.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let shown = path.display();
        let file =
            read::open(path).with_context(|| format!("cannot open the token file {shown}"))?;
        identity::refuse_readable_by_others("token", path, &file)?;
        let mut text = String::new();
        let read: io::Result<usize> = file.take(LONGEST as u64 + 2).read_to_string(&mut text);
        read.with_context(|| format!("cannot read the token file {shown}"))?;
        match Self::new(text.trim()) {
            Some(token) => Ok(token),
            None => bail!(
                "the token in {shown} is not one: write {SHORTEST} to {LONGEST} of A-Z a-z 0-9 - . _ ~ \
                 (openssl rand -hex 32 makes one)"
            ),
        }
    }

    /// The secret, if it is one.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(is_fit);
        fits.then(|| Self(Arc::new(RwLock::new(text.to_owned()))))
    }

    /// Exchanges the secret for that of `other`, for all who ask from here on.
    pub(crate) fn set(&self, other: &Self) {
        let secret = other.secret().clone();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = secret;
    }

    /// Whether somebody knows it, told in a time that does not depend on how much of it is right.
    pub(crate) fn is(&self, claimed: &str) -> bool {
        self.secret().as_bytes().ct_eq(claimed.as_bytes()).into()
    }

    /// The value of the field `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.secret())
    }

    fn secret(&self) -> RwLockReadGuard<'_, String> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        let secret = other.secret().clone();
        self.is(&secret)
    }
}

/// The token that a field `Authorization` claims (RFC 6750, section 2.1).
pub(crate) fn bearer(value: &HeaderValue) -> Option<&str> {
    credentials(value, "bearer")
}

/// The password in a field `Authorization`, whoever it is said to be of (RFC 7617, section 2).
pub(crate) fn password(value: &HeaderValue) -> Option<String> {
    let encoded = credentials(value, "basic")?;
    let decoded = BASE64.decode(encoded.as_bytes()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':')
        .map(|(_, password)| password.to_owned())
}

/// What follows the name of a scheme, which is in any case (RFC 9110, section 11.1).
fn credentials<'a>(value: &'a HeaderValue, wanted: &str) -> Option<&'a str> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then(|| rest.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_a_token() {
        let good = "0123456789abcDEF-._~";
        let token = Token::new(good).unwrap();
        assert!(token.is(good));
        for other in [
            "",
            "0123456789abcDEF-._",
            "0123456789abcDEF-._~x",
            "0123456789abcdef-._~",
        ] {
            assert!(!token.is(other), "{other}");
        }
        for bad in [
            "",
            "short",
            "0123456789abcde",
            "0123456789abcde f",
            "0123456789abcdef=",
            &"x".repeat(513),
        ] {
            assert!(Token::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn all_who_hold_a_token_ask_for_the_new_one() {
        let [old, new] = ["0123456789abcdef", "fedcba9876543210"];
        let token = Token::new(old).unwrap();
        let held = token.clone();
        let other = Token::new(new).unwrap();
        assert!(held.is(old) && held != other);
        token.set(&other);
        assert!(held.is(new) && !held.is(old) && held == other);
        token.set(&held);
        assert!(token.is(new));
    }

    #[test]
    fn what_a_field_claims() {
        for (value, token, secret) in [
            ("Bearer abc", Some("abc"), None),
            ("bEARER  abc ", Some("abc"), None),
            ("Bearer", None, None),
            ("Basic YW55OnNlY3JldDp4", None, Some("secret:x")),
            ("basic OnNlY3JldA==", None, Some("secret")),
            ("Basic c2VjcmV0", None, None),
            ("Basic !", None, None),
            ("Basic //8=", None, None),
            ("Digest abc", None, None),
        ] {
            let value = HeaderValue::from_static(value);
            assert_eq!(bearer(&value), token, "{value:?}");
            assert_eq!(password(&value).as_deref(), secret, "{value:?}");
        }
    }
}
