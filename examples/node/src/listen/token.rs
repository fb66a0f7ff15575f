//! Which secret do listeners share with a gateway?

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context, Result, bail};
use subtle::ConstantTimeEq as _;

use crate::identity;

/// Fewer can be guessed.
const SHORTEST: usize = 16;

/// More is another file.
const LONGEST: usize = 512;

/// A secret that can stand in a field and in the name of a subprotocol. Never shown.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    /// Reads the secret in a file, white space around it left out.
    ///
    /// # Errors
    ///
    /// The file cannot be read, can be read by others, or holds no such secret.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let shown = path.display();
        let file =
            File::open(path).with_context(|| format!("cannot open the token file {shown}"))?;
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

    fn new(text: &str) -> Option<Self> {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let fits = (SHORTEST..=LONGEST).contains(&text.len()) && text.bytes().all(is_fit);
        fits.then(|| Self(text.to_owned()))
    }

    /// Whether somebody knows it, told in a time that does not depend on how much of it is right.
    pub(crate) fn is(&self, claimed: &str) -> bool {
        self.0.as_bytes().ct_eq(claimed.as_bytes()).into()
    }

    /// The value of the field `Authorization`.
    pub(crate) fn authorization(&self) -> String {
        format!("Bearer {}", self.0)
    }
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
}
