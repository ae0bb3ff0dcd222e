//! The program `tq`; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let status = tq_cli::main(std::env::args_os().skip(1));
    ExitCode::from(u8::try_from(status).unwrap_or(1))
}
