//! The `convogen` program. Everything is in the library; see [`convogen::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    convogen::cli::run()
}
