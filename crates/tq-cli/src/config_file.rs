//! Settings of a TOML file: a flat table, in which each setting has the name of its argument, with
//! underscores.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use toml::{Table, Value};

/// Arguments that say something about the call and not about the server.
pub(crate) const NOT_IN_FILES: [&str; 3] = ["config", "help", "version"];

/// The settings in the file at `path`, by the names of the arguments of `serve`.
pub(crate) fn read(path: &Path, serve: &clap::Command) -> Result<Vec<(String, String)>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("the configuration file {} cannot be read", path.display()))?;
    let table: Table = text
        .parse()
        .with_context(|| format!("{} is no TOML", path.display()))?;
    let known: Vec<&str> = names(serve).collect();
    let setting = |(name, value): (String, Value)| {
        if !known.contains(&name.as_str()) {
            bail!(
                "{}: there is no setting `{name}`; there are {}",
                path.display(),
                known.join(", ")
            );
        }
        let value = match value {
            Value::String(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(flag) => flag.to_string(),
            other => {
                return Err(anyhow!(
                    "{}: {name} is a {}; give a string, a number, true or false",
                    path.display(),
                    other.type_str()
                ));
            }
        };
        Ok((name, value))
    };
    table.into_iter().map(setting).collect()
}

/// What may stand in a file.
pub(crate) fn names(serve: &clap::Command) -> impl Iterator<Item = &str> {
    let ids = serve.get_arguments().map(|arg| arg.get_id().as_str());
    ids.filter(|id| !NOT_IN_FILES.contains(id))
}
