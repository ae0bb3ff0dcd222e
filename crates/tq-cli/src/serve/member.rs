//! A storage unit's place at its controller.

use std::fs;
use std::process;

use anyhow::{Context, Result};
use tq_client::{ConnectConfig, Membership, Remote};
use tq_engine::units::host_id;
use tq_engine::{Embedded, UnitInfo};
use tq_proto::UnitId;
use tq_server::Server;
use tq_wire::secret::Secret;
use tq_wire::secret_file;

use crate::place;
use crate::settings::Settings;

/// What joins where.
pub(super) struct Member<'a> {
    pub(super) settings: &'a Settings,
    pub(super) controller: &'a str,
    pub(super) server: &'a Server,
    /// That of the unit's own port, which is the cluster's.
    pub(super) secret: Option<Secret>,
}

impl Member<'_> {
    /// Joins; the unit stores in `engine`.
    pub(super) fn join(&self, engine: Embedded) -> Result<Membership> {
        let name = name();
        let config = ConnectConfig {
            client_name: name.clone(),
            secret: self.secret()?,
            tls: self.settings.tls(),
            ..ConnectConfig::default()
        };
        let remote = Remote::connect(self.controller, config)
            .with_context(|| format!("the controller at {} cannot be joined", self.controller))?;
        let tcp = self.server.tcp_address().map(str::to_owned);
        if tcp.is_none() {
            tracing::warn!("only processes of this host reach this storage unit; give --bind");
        }
        let unit = UnitInfo {
            id: UnitId::HOME,
            name,
            host: host_id().to_owned(),
            addresses: std::iter::once(self.server.address()).chain(tcp).collect(),
            capacity_bytes: self.settings.capacity(),
            used_bytes: 0,
            samples: 0,
            is_lost: false,
        };
        Ok(Membership::join(remote, engine, unit)?)
    }

    fn secret(&self) -> Result<Option<Secret>> {
        match (&self.secret, &self.settings.secret_file) {
            (Some(secret), _) => Ok(Some(secret.clone())),
            (None, Some(file)) => Ok(Some(secret_file::read(&place::absolute(file)?)?)),
            (None, None) => Ok(None),
        }
    }
}

/// What logs and errors call the unit.
fn name() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname");
    let host = host.as_deref().map_or("unit", str::trim);
    format!("{host}-{}", process::id())
}
