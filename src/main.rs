//! The `convogen` program. Everything is in the library; see [`convogen::run_program`].

use std::process::ExitCode;

/// A call takes some two hundred small allocations, freed on whatever thread ends it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of mimalloc's option `purge_delay`, in milliseconds; 10 where it is not set.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Commands that read a file from start to end.
const FILE_TOOLS: [&str; 3] = ["compile", "dedup", "export"];

/// Gives freed memory back at once, near enough: in a run, what is kept for longer adds up to half of what it holds, at no gain.
/// Tools for files free and take the same memory for every piece of a file; giving it back each time was a fifth of their time.
#[allow(unsafe_code, reason = "the allocator has no other interface for its options")]
fn keep_little_freed_memory() {
    let command = std::env::args_os().skip(1).find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    let is_file_tool = command.is_some_and(|command| FILE_TOOLS.iter().any(|tool| command == *tool));
    let delay = if is_file_tool { 1_000 } else { 1 };
    // SAFETY: sets a number of the allocator's own, which it reads atomically.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, delay) };
}

fn main() -> ExitCode {
    keep_little_freed_memory();
    convogen::run_program()
}
