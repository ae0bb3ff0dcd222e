//! Writes the settings of `tq serve` into `docs/serve.md`.

use std::error::Error;
use std::fs;

fn main() -> Result<(), Box<dyn Error>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/serve.md");
    let page = fs::read_to_string(path)?;
    let renewed = tq_cli::reference::renewed(&page);
    let renewed = renewed.ok_or("docs/serve.md has no place for the settings")?;
    fs::write(path, renewed)?;
    Ok(())
}
