//! Many conversations in flight at once, results in item order.

use futures_util::StreamExt;
use futures_util::stream;

use super::course::Course;
use crate::llm::recorded::Halt;
use crate::record::Situation;
use crate::stages::Progress;
use crate::stages::conversations::{Held, STAGE};

/// Holds `per_situation` conversations on each of `situations`, up to `in_flight` at once.
///
/// The result has a place for every item, in item order; a place is empty where the run stopped first. Items start in
/// order, so what a stop leaves behind is mostly a prefix.
pub async fn hold_all(
    course: Course<'_>,
    situations: &[Situation],
    per_situation: u64,
    in_flight: usize,
    progress: &Progress,
) -> Vec<Option<Held>> {
    let items: Vec<(&Situation, u64)> = situations
        .iter()
        .flat_map(|situation| (0..per_situation).map(move |replicate| (situation, replicate)))
        .collect();
    progress.start(STAGE, items.len() as u64);
    let mut held: Vec<Option<Held>> = std::iter::repeat_with(|| None).take(items.len()).collect();
    let mut accepted = 0;
    let work = items
        .into_iter()
        .enumerate()
        .map(|(at, (situation, replicate))| async move { (at, course.hold(situation, replicate).await) });
    let mut done = stream::iter(work).buffer_unordered(in_flight.max(1));
    while let Some((at, result)) = done.next().await {
        match result {
            Ok(item) => {
                accepted += u64::from(matches!(item, Held::Accepted(..)));
                progress.advance(1, accepted);
                if let Some(place) = held.get_mut(at) {
                    *place = Some(item);
                }
            }
            Err(halt) => {
                // The reason is kept where the run was stopped; a prompt that cannot be rendered stops it here.
                if !matches!(halt, Halt::Stopping) {
                    course.calls().control.stop(halt);
                }
            }
        }
    }
    held
}
