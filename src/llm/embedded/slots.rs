//! What the model still remembers of recent prompts.
//!
//! A transcript grows at its end, so most of a prompt has been read before. Reuse saves time and changes nothing else:
//! the model's state after a text does not depend on how it was read (see [`kernel`](super::kernel)).

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::model::Memory;

/// Tokens kept in all, about 45 KB each: 140 MB.
const KEPT_TOKENS: usize = 3072;

/// Memories nobody uses right now, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct Slots(Mutex<Vec<Memory>>);

impl Slots {
    /// A memory of as much as is known of the beginning of `prompt`, and of nothing else.
    pub(super) fn take(&self, prompt: &[u32]) -> Memory {
        let mut idle = self.idle();
        let common = |memory: &Memory| memory.tokens().iter().zip(prompt).take_while(|(a, b)| a == b).count();
        let Some((index, length)) = idle.iter().map(common).enumerate().max_by_key(|(_, length)| *length) else {
            return Memory::default();
        };
        // A short common part is the instructions that all conversations share: the rest belongs to another one.
        if idle.get(index).is_some_and(|memory| length * 2 < memory.tokens().len()) {
            return idle.get(index).map(|memory| memory.prefix(length)).unwrap_or_default();
        }
        let mut memory = idle.remove(index);
        memory.truncate(length);
        memory
    }

    /// Keeps `memory` for later prompts and lets the oldest ones go.
    pub(super) fn put(&self, memory: Memory) {
        let mut idle = self.idle();
        idle.push(memory);
        let mut room = KEPT_TOKENS;
        let fits = |memory: &Memory| {
            let left = room.checked_sub(memory.tokens().len());
            room = left.unwrap_or(0);
            left.is_some()
        };
        let kept = idle.iter().rev().map(fits).take_while(|fits| *fits).count();
        let gone = idle.len() - kept;
        idle.drain(..gone);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Memory>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
