//! Work on all cores, whose results come in the order of the jobs.

use std::panic::resume_unwind;

/// Does every job on a thread of its own. A caller makes as many jobs at a time as it wants threads.
pub(super) fn each<J: Send, D: Send>(jobs: impl IntoIterator<Item = J>, work: impl Fn(J) -> D + Sync) -> Vec<D> {
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = jobs.into_iter().map(|job| scope.spawn(move || work(job))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Pieces of `0..count`, of `size` each but the last.
pub(super) fn pieces(count: u32, size: u32) -> impl Iterator<Item = std::ops::Range<u32>> {
    let size = size.max(1);
    (0..count.div_ceil(size)).map(move |at| at * size..count.min((at * size).saturating_add(size)))
}
