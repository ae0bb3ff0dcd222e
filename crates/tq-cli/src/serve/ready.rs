//! The line that says that the engine is ready, and where: for programs that have started it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;

use anyhow::{Context, Result};
use serde_json::json;

use crate::whole_file;

/// What the line tells.
pub(super) struct Ready {
    pub(super) id: String,
    pub(super) address: String,
    pub(super) tcp_address: Option<String>,
    pub(super) directory: PathBuf,
    /// Where the secret stands; never the secret.
    pub(super) secret_file: Option<PathBuf>,
    pub(super) announced: bool,
    /// The number of a storage unit at its controller.
    pub(super) unit: Option<u32>,
}

impl Ready {
    /// One line of JSON.
    pub(super) fn line(&self) -> String {
        let line = json!({
            "id": self.id,
            "pid": process::id(),
            "version": env!("CARGO_PKG_VERSION"),
            "address": self.address,
            "tcp_address": self.tcp_address,
            "directory": self.directory.to_string_lossy(),
            "secret_file": self.secret_file.as_deref().map(Path::to_string_lossy),
            "announced": self.announced,
            "unit": self.unit,
        });
        format!("{line}\n")
    }
}

/// A file with the line. Dropping it removes the file, where it is one of our own.
pub(super) struct ReadyFile {
    ours: Option<PathBuf>,
}

impl ReadyFile {
    pub(super) fn write(path: &Path, line: &str) -> Result<Self> {
        let cannot = || format!("the ready file {} cannot be written", path.display());
        let special = fs::metadata(path).is_ok_and(|found| !found.is_file());
        if special {
            let written = OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|mut pipe| pipe.write_all(line.as_bytes()));
            written.with_context(cannot)?;
            return Ok(Self { ours: None });
        }
        // Whoever waits for the file is to find it whole.
        whole_file::replace(path, line).with_context(cannot)?;
        Ok(Self {
            ours: Some(path.to_owned()),
        })
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        let Some(path) = &self.ours else {
            return;
        };
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the ready file was not removed");
        }
    }
}
