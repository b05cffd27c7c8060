//! Many items at work at once, their results in the order of the items, in bounded memory.
//!
//! A window has so many places for items at work. A result waits in it until those of all items before are there; while it
//! waits it counts against the reach of the window, [`REACH`] times its places. So at most that many items are begun beyond
//! the first whose result is missing, and however slow that one is, the window never holds more. It cannot lock up: the first
//! missing item is always among those at work, and what is at work ends by its own deadlines.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::resume_unwind;

use futures_util::FutureExt;
use tokio::task::JoinSet;

/// Items begun beyond the first without a result, at most, for each place. Four leaves room for one conversation in a few
/// thousand that takes several times as long as the others, without idle places.
const REACH: u64 = 4;

/// Items at work, each a task of its own, and results that wait for their turn.
#[derive(Debug)]
pub(super) struct Window<T> {
    tasks: JoinSet<(u64, T)>,
    places: usize,
    /// Items begun so far: the number of the next one.
    begun: u64,
    /// Results handed on so far: the number of the first one missing.
    handed_on: u64,
    waiting: BTreeMap<u64, T>,
}

impl<T: Send + 'static> Window<T> {
    /// A window with room for `places` (at least one) items at work.
    pub(super) fn new(places: usize) -> Self {
        Self { tasks: JoinSet::new(), places: places.max(1), begun: 0, handed_on: 0, waiting: BTreeMap::new() }
    }

    /// Whether another item may be begun, while so many of those at work wait and leave their places to others.
    pub(super) fn has_room(&self, waiting: usize) -> bool {
        let reach = REACH * self.places as u64;
        self.tasks.len() < self.places + waiting && self.begun - self.handed_on < reach
    }

    /// Begins the next item.
    pub(super) fn begin(&mut self, work: impl Future<Output = T> + Send + 'static) {
        let number = self.begun;
        self.begun += 1;
        // An async block would hold the work twice: as it came, and as it is awaited.
        self.tasks.spawn(work.map(move |result| (number, result)));
    }

    /// Waits until one more item has ended. Whether one was at work.
    pub(super) async fn settle(&mut self) -> bool {
        match self.tasks.join_next().await {
            Some(Ok((number, result))) => {
                self.waiting.insert(number, result);
                true
            }
            // A bug in an item is a bug of the run; nothing here cancels a task.
            Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Some(Err(_)) => true,
            None => false,
        }
    }

    /// The next result in the order of the items, if it is there.
    pub(super) fn take(&mut self) -> Option<T> {
        let result = self.waiting.remove(&self.handed_on)?;
        self.handed_on += 1;
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// Runs items that take so many milliseconds; returns results in the order they were handed on, and the most that were
    /// begun and not handed on at one time.
    async fn run(places: usize, takes: &[u64]) -> (Vec<usize>, u64) {
        let mut window = Window::new(places);
        let mut items = takes.iter().copied().enumerate();
        let (mut results, mut held) = (Vec::new(), 0);
        loop {
            while window.has_room(0) {
                let Some((number, takes)) = items.next() else { break };
                window.begin(async move {
                    tokio::time::sleep(Duration::from_millis(takes)).await;
                    number
                });
                held = held.max(window.begun - window.handed_on);
            }
            if !window.settle().await {
                return (results, held);
            }
            while let Some(result) = window.take() {
                results.push(result);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn results_come_in_item_order_and_no_more_are_held_than_the_reach(
            places in 1_usize..20,
            takes in proptest::collection::vec(0_u64..5_000, 0..200),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let (results, held) = runtime.block_on(run(places, &takes));
            prop_assert_eq!(results, (0..takes.len()).collect::<Vec<_>>());
            prop_assert!(held <= REACH * places as u64, "{} held with {} places", held, places);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn behind_a_slow_first_item_others_go_on_up_to_the_reach_and_then_wait_for_it() {
        let mut takes = vec![1; 100];
        takes[0] = 60_000;
        let (results, held) = run(4, &takes).await;
        assert_eq!((results.len(), held), (100, REACH * 4));
    }

    #[tokio::test]
    #[should_panic(expected = "a bug")]
    async fn a_panic_in_an_item_is_not_lost() {
        let mut window = Window::new(1);
        window.begin(async { panic!("a bug") });
        let _: Option<()> = window.settle().await.then_some(());
    }
}
