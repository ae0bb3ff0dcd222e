//! TLS under calls and payload, with certificates made for the test.

use std::net::IpAddr;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tq_client::{ConnectConfig, Engine, Remote};
use tq_engine::{Embedded, EmbeddedConfig};
use tq_proto::ErrorKind;
use tq_server::{Server, ServerConfig, TcpConfig};
use tq_wire::tls::TlsFiles;

use crate::common::*;

/// An authority, and the folder of the certificates it has signed.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let folder = directory();
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
        std::fs::write(folder.join("authority.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn authority(&self) -> Option<PathBuf> {
        Some(self.folder.join("authority.pem"))
    }

    /// Files of who has a certificate for `address`, and trusts this authority.
    fn sign(&self, name: &str, address: IpAddr) -> TlsFiles {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::IpAddress(address)];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let place = |end: &str| self.folder.join(format!("{name}.{end}"));
        std::fs::write(place("crt"), certificate.pem()).unwrap();
        std::fs::write(place("key"), key.serialize_pem()).unwrap();
        TlsFiles {
            certificate: Some(place("crt")),
            key: Some(place("key")),
            authority: self.authority(),
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const LOOPBACK: &str = "127.0.0.1";

/// A host that has `tls`, and the directory that goes with it.
fn serve(tls: TlsFiles) -> (Server, PathBuf) {
    let directory = directory();
    let mut config = ServerConfig::new(&directory);
    let mut tcp = TcpConfig::new("127.0.0.1:0", secret());
    tcp.tls = Some(tls);
    config.tcp = Some(tcp);
    let engine = Embedded::new(EmbeddedConfig::default()).unwrap();
    (Server::start(engine, config).unwrap(), directory)
}

fn guest(tls: Option<TlsFiles>) -> ConnectConfig {
    ConnectConfig { tls, ..over_tcp() }
}

#[test]
fn calls_and_payload_go_encrypted_between_those_who_trust_each_other() {
    let authority = Authority::new();
    let (server, directory) = serve(authority.sign("host", LOOPBACK.parse().unwrap()));
    let address = server.tcp_address().unwrap();
    let own = authority.sign("guest", LOOPBACK.parse().unwrap());
    let engine: Engine = Remote::connect(address, guest(Some(own))).unwrap().into();
    // One travels inside its message, the other in stripes over connections of its own.
    for row_bytes in [100, 6 << 20] {
        put(&engine, "p", &keys(0..2), "x", row_bytes, 3).unwrap();
        let read = get(&engine, "p", &keys(0..2), "x").unwrap();
        assert_eq!(read.len() as u64, 2 * row_bytes);
        assert_eq!((read[0], read[read.len() - 1]), (3, 4));
    }
    drop(server);
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn who_trusts_another_authority_or_shows_no_certificate_is_not_let_in() {
    let authority = Authority::new();
    let others = Authority::new();
    let (server, directory) = serve(authority.sign("host", LOOPBACK.parse().unwrap()));
    let address = server.tcp_address().unwrap();
    let nameless = TlsFiles {
        authority: authority.authority(),
        ..TlsFiles::default()
    };
    for (who, tls) in [
        (
            "of another authority",
            Some(others.sign("guest", LOOPBACK.parse().unwrap())),
        ),
        ("without a certificate", Some(nameless)),
        ("without TLS", None),
    ] {
        let mut config = guest(tls);
        config.deadline = std::time::Duration::from_secs(3);
        let error = Remote::connect(address, config).unwrap_err();
        let refused = [ErrorKind::Unavailable, ErrorKind::DeadlineExceeded];
        assert!(refused.contains(&error.kind()), "{who}: {error:?}");
    }
    drop(server);
    let _ = std::fs::remove_dir_all(directory);
}

#[test]
fn a_certificate_for_another_address_is_refused_by_the_guest() {
    let authority = Authority::new();
    let (server, directory) = serve(authority.sign("host", "10.1.2.3".parse().unwrap()));
    let own = authority.sign("guest", LOOPBACK.parse().unwrap());
    let error = Remote::connect(server.tcp_address().unwrap(), guest(Some(own))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    drop(server);
    let _ = std::fs::remove_dir_all(directory);
}
