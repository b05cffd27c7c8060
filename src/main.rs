//! The `convogen` program. Everything is in the library; see [`convogen::run_program`].

use std::process::ExitCode;

/// A call takes some two hundred small allocations, freed on whatever thread ends it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of mimalloc's option `purge_delay`, in milliseconds; 10 where it is not set.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Gives freed memory back at once, near enough: kept for longer it adds up to half of what a run holds, at no gain. `compile` alone
/// takes the same memory anew for every batch of a file; giving it back each time was a fifth of its time and spared 34 MB.
#[allow(unsafe_code, reason = "the allocator has no other interface for its options")]
fn keep_little_freed_memory() {
    let command = std::env::args_os().skip(1).find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    let milliseconds = if command.is_some_and(|command| command == "compile") { 1_000 } else { 1 };
    // SAFETY: sets a number of the allocator's own, which it reads atomically.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds) };
}

fn main() -> ExitCode {
    keep_little_freed_memory();
    convogen::run_program()
}
