//! The `convogen` program. Everything is in the library; see [`convogen::cli`].

use std::process::ExitCode;

/// A call takes some two hundred small allocations, freed on whatever thread ends it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    convogen::cli::run()
}
