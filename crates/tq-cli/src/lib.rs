//! The program `tq`: runs a host that belongs to no other program (`tq serve`), and tells what a host
//! is at (`tq status`). The same code is the binary `tq` and, in the Python package, `tq` and
//! `python -m transfer_queue`.
//!
//! | module | holds |
//! |---|---|
//! | [`program`] | what is called from outside; exit statuses |
//! | `arguments` | the command line, with a configuration file under it |
//! | `settings` | the settings of `tq serve`, each declared once |
//! | `config_file` | settings of a TOML file |
//! | `quantity` | sizes and times as they are written |
//! | `memory` | how much memory there is |
//! | `place` | the directory of this user's engines |
//! | `rendezvous` | the file that tells processes of this user where an engine is |
//! | `signals` | Ctrl-C and SIGTERM |
//! | `whole_file` | files that are there as a whole or not at all |
//! | `serve` | `tq serve`: start, readiness, stop |
//! | `status` | `tq status`: the overview of a host, for people and for programs |
//! | [`mod@reference`] | the table of all settings, for `docs/serve.md` |

mod arguments;
mod config_file;
mod memory;
mod place;
pub mod program;
mod quantity;
pub mod reference;
mod rendezvous;
mod serve;
mod settings;
mod signals;
mod status;
mod whole_file;

pub use program::main;
