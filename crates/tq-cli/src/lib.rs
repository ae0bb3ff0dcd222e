//! The program `tq`: runs a host that belongs to no other program (`tq serve`), tells what a host is at
//! (`tq status`), and measures it (`tq bench`). The same code is the binary `tq` and, in the Python package, `tq` and
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
//! | `files` | how many files a process may have open |
//! | `reach` | where an engine is, and what it wants to be shown |
//! | `place` | the directory of this user's engines |
//! | `rendezvous` | the file that tells processes of this user where an engine is |
//! | `table` | tables for people |
//! | `signals` | Ctrl-C and SIGTERM |
//! | `whole_file` | files that are there as a whole or not at all |
//! | `serve` | `tq serve`: start, readiness, stop |
//! | `status` | `tq status`: the overview of a host, for people and for programs |
//! | `bench` | `tq bench`: how fast a host is, and whether all is right that comes back |
//! | [`mod@reference`] | the table of all settings, for `docs/serve.md` |

mod arguments;
mod bench;
mod config_file;
mod files;
mod memory;
mod place;
pub mod program;
mod quantity;
mod reach;
pub mod reference;
mod rendezvous;
mod serve;
mod settings;
mod signals;
mod status;
mod table;
mod whole_file;

pub use program::main;
