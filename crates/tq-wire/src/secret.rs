//! The secret that the processes of one cluster share.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tq_proto::{Error, ErrorKind, Result};

/// Bytes of a secret that is made here.
const GENERATED_BYTES: usize = 32;
/// Shorter ones can be guessed.
const LEAST_BYTES: usize = 16;
/// Bytes of a proof.
pub(crate) const PROOF_BYTES: usize = 32;
/// Bytes of a number used once.
pub(crate) const NONCE_BYTES: usize = 32;

/// What a peer on TCP has to know. Never shown, and never sent: peers prove that they know it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A secret of these bytes.
    ///
    /// # Errors
    /// `InvalidArgument` for fewer than 16 bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let bytes = bytes.into();
        if bytes.len() < LEAST_BYTES {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                format!(
                    "the cluster secret has {} bytes; give at least {LEAST_BYTES}, best random \
                     ones",
                    bytes.len()
                ),
            ));
        }
        Ok(Self(bytes))
    }

    /// A new random secret.
    ///
    /// # Errors
    /// `System` where the system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = vec![0; GENERATED_BYTES];
        fill_random(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes, to be handed on over a safe way.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// HMAC-SHA-256 over `parts`, each of a fixed length.
    pub(crate) fn prove(&self, parts: &[&[u8]]) -> [u8; PROOF_BYTES] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether `proof` is that of [`Self::prove`], in a time that tells nothing.
    pub(crate) fn verify(&self, parts: &[&[u8]], proof: &[u8]) -> bool {
        self.over(parts).verify_slice(proof).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(mac) => mac,
            // HMAC takes keys of any length.
            Err(_) => unreachable!("a key of any length will do"),
        };
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

/// Random bytes of the system.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        match rustix::rand::getrandom(&mut bytes[filled..], flags) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(
                    Error::new(ErrorKind::System, "the system gives no random bytes")
                        .caused_by(error),
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_proves_the_same() {
        let (one, two) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        let proof = one.prove(&[b"a", b"b"]);
        assert!(one.verify(&[b"a", b"b"], &proof));
        assert!(!one.verify(&[b"a", b"c"], &proof));
        assert!(!two.verify(&[b"a", b"b"], &proof));
        assert!(!one.verify(&[b"a", b"b"], &proof[1..]));
    }

    #[test]
    fn short_secrets_are_refused_and_none_is_shown() {
        assert!(Secret::new(*b"0123456789abcde").is_err());
        let secret = Secret::new(*b"0123456789abcdef").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
