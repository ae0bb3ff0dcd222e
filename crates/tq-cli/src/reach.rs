//! Where an engine is and what it wants to be shown: the arguments of every command that calls one.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use tq_client::ConnectConfig;
use tq_wire::secret_file;
use tq_wire::tls::TlsFiles;

use crate::rendezvous;

/// See the module.
#[derive(Args, Clone, Default, Debug)]
pub(crate) struct Reach {
    /// Where the engine is: `unix:<directory>` or `tcp:<host>:<port>`.
    #[arg(long, env = "TQ_ADDRESS", value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// The file with the cluster's secret, for an engine on TCP.
    #[arg(long, env = "TQ_SECRET_FILE", value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Certificates (PEM) of the authorities that vouch for the engine, where it speaks TLS.
    #[arg(long, env = "TQ_TLS_AUTHORITY", value_name = "FILE")]
    pub(crate) tls_authority: Option<PathBuf>,
    /// Certificate (PEM) to show to an engine that asks for one.
    #[arg(
        long,
        env = "TQ_TLS_CERTIFICATE",
        value_name = "FILE",
        requires = "tls_key"
    )]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Private key (PEM) of that certificate.
    #[arg(long, env = "TQ_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
}

impl Reach {
    /// The address that was given, or else the announced one. `otherwise` says what to do where there
    /// is neither.
    pub(crate) fn found(&self, otherwise: &str) -> Result<String> {
        if let Some(address) = &self.address {
            return Ok(address.clone());
        }
        match rendezvous::announced()? {
            Some(address) => Ok(address),
            None => bail!("no engine is announced to the processes of this user; {otherwise}"),
        }
    }

    /// How to call it.
    pub(crate) fn config(&self, name: &str, deadline: Duration) -> Result<ConnectConfig> {
        let tls = TlsFiles {
            certificate: self.tls_certificate.clone(),
            key: self.tls_key.clone(),
            authority: self.tls_authority.clone(),
        };
        let secret = self.secret_file.as_deref();
        Ok(ConnectConfig {
            deadline,
            client_name: name.to_owned(),
            secret: secret.map(secret_file::read).transpose()?,
            tls: (tls != TlsFiles::default()).then_some(tls),
            ..ConnectConfig::default()
        })
    }
}
