//! What is said on a TCP connection before anything else: each side proves that it knows the
//! cluster's secret.
//!
//! ```text
//! caller -> host   magic "TQRS", version u16, purpose u8, zero u8, nonce 32        (40 bytes)
//! host -> caller   nonce 32, proof 32 over "host", purpose, both nonces            (64 bytes)
//! caller -> host   proof 32 over "call", purpose, both nonces                      (32 bytes)
//! host -> caller   welcome u64: 1, or the connection ends                          (8 bytes)
//! ```
//!
//! Numbers are little-endian; a proof is HMAC-SHA-256 under the secret. Every message is of a fixed
//! length, so that nothing a stranger sends is parsed, and no length of his is believed. Neither
//! side's proof can be used as the other's. It does not hide what follows: that is what TLS is for.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::secret::{NONCE_BYTES, PROOF_BYTES, Secret, fill_random};

const MAGIC: [u8; 4] = *b"TQRS";
const VERSION: u16 = 1;
const HELLO_BYTES: usize = 8 + NONCE_BYTES;
const CHALLENGE_BYTES: usize = NONCE_BYTES + PROOF_BYTES;
const WELCOME: u64 = 1;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Purpose {
    /// Calls, as gRPC.
    Calls = 1,
    /// Payload, see [`crate::bulk`].
    Bulk = 2,
}

/// Proves to the host behind `stream` that this process knows the secret, and that it does.
///
/// # Errors
/// What the stream says; `PermissionDenied` where the host does not know the secret, or does not
/// take ours for the same.
pub async fn call<S>(stream: &mut S, secret: &Secret, purpose: Purpose) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let nonce = new_nonce()?;
    let mut hello = [0; HELLO_BYTES];
    hello[..4].copy_from_slice(&MAGIC);
    hello[4..6].copy_from_slice(&VERSION.to_le_bytes());
    hello[6] = purpose as u8;
    hello[8..].copy_from_slice(&nonce);
    stream.write_all(&hello).await?;
    stream.flush().await?;
    let mut challenge = [0; CHALLENGE_BYTES];
    let denied = "the host ended the connection during the handshake; it speaks another protocol";
    read(stream, &mut challenge, denied).await?;
    let (theirs, proof) = challenge.split_at(NONCE_BYTES);
    if !secret.verify(&[b"host", &hello[4..8], &nonce, theirs], proof) {
        return Err(refused("the host does not know this cluster's secret"));
    }
    let proof = secret.prove(&[b"call", &hello[4..8], &nonce, theirs]);
    stream.write_all(&proof).await?;
    stream.flush().await?;
    let mut welcome = [0; 8];
    read(
        stream,
        &mut welcome,
        "the host does not take this process's secret",
    )
    .await?;
    match u64::from_le_bytes(welcome) {
        WELCOME => Ok(()),
        _ => Err(refused("the host does not take this process in")),
    }
}

/// Has the caller behind `stream` prove that it knows the secret; what the connection is for.
///
/// # Errors
/// What the stream says; `InvalidData` for another protocol, `PermissionDenied` for a caller that
/// does not know the secret.
pub async fn answer<S>(stream: &mut S, secret: &Secret) -> io::Result<Purpose>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut hello = [0; HELLO_BYTES];
    stream.read_exact(&mut hello).await?;
    let purpose = match hello[6] {
        1 => Some(Purpose::Calls),
        2 => Some(Purpose::Bulk),
        _ => None,
    };
    let version = u16::from_le_bytes([hello[4], hello[5]]);
    let Some(purpose) = purpose.filter(|_| hello[..4] == MAGIC && version == VERSION) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the caller speaks another protocol",
        ));
    };
    let nonce = new_nonce()?;
    let theirs = &hello[8..];
    let mut challenge = [0; CHALLENGE_BYTES];
    challenge[..NONCE_BYTES].copy_from_slice(&nonce);
    let proof = secret.prove(&[b"host", &hello[4..8], theirs, &nonce]);
    challenge[NONCE_BYTES..].copy_from_slice(&proof);
    stream.write_all(&challenge).await?;
    stream.flush().await?;
    let mut proof = [0; PROOF_BYTES];
    stream.read_exact(&mut proof).await?;
    if !secret.verify(&[b"call", &hello[4..8], theirs, &nonce], &proof) {
        return Err(refused("the caller does not know this cluster's secret"));
    }
    stream.write_all(&WELCOME.to_le_bytes()).await?;
    stream.flush().await?;
    Ok(purpose)
}

async fn read<S>(stream: &mut S, bytes: &mut [u8], at_end: &'static str) -> io::Result<()>
where
    S: AsyncRead + Unpin,
{
    match stream.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(refused(at_end)),
        Err(error) => Err(error),
    }
}

fn new_nonce() -> io::Result<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    fill_random(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::new(vec![byte; 32]).unwrap()
    }

    /// Caller and host talk over a pipe in memory.
    fn meet(ours: u8, theirs: u8) -> (io::Result<()>, io::Result<Purpose>) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut near, mut far) = tokio::io::duplex(1024);
            let host = tokio::spawn(async move { answer(&mut far, &secret(theirs)).await });
            let called = call(&mut near, &secret(ours), Purpose::Bulk).await;
            drop(near);
            (called, host.await.unwrap())
        })
    }

    #[test]
    fn those_who_share_the_secret_meet() {
        let (called, answered) = meet(7, 7);
        called.unwrap();
        assert_eq!(answered.unwrap(), Purpose::Bulk);
    }

    #[test]
    fn those_who_do_not_are_refused_on_both_sides() {
        let (called, answered) = meet(7, 8);
        assert_eq!(called.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(answered.is_err());
    }

    #[test]
    fn another_protocol_is_refused_before_anything_is_said() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut near, mut far) = tokio::io::duplex(1024);
            let text = b"GET / HTTP/1.1\r\nHost: somewhere.example\r\n\r\n";
            near.write_all(text).await.unwrap();
            let error = answer(&mut far, &secret(1)).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            drop(far);
            let mut said = Vec::new();
            near.read_to_end(&mut said).await.unwrap();
            assert!(said.is_empty());
        });
    }

    #[test]
    fn a_host_that_only_echoes_proves_nothing() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut near, mut far) = tokio::io::duplex(1024);
            let echo = tokio::spawn(async move {
                let mut bytes = [0; HELLO_BYTES];
                far.read_exact(&mut bytes).await.unwrap();
                far.write_all(&[0; CHALLENGE_BYTES]).await.unwrap();
                far
            });
            let error = call(&mut near, &secret(1), Purpose::Calls)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            drop(echo.await.unwrap());
        });
    }
}
