//! Tests of the spend cap.

use proptest::prelude::*;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::admission::Enlisted;
use super::*;
use crate::config::{Model, Models};
use crate::llm::control::Control;
use crate::llm::{Halt, Message};

fn limits(calls: Option<u64>, tokens: Option<u64>, cost: Option<f64>) -> config::BudgetLimits {
    config::BudgetLimits { max_calls: calls, max_tokens: tokens, max_cost: cost }
}

fn price(prompt: f64, cached: Option<f64>, completion: f64) -> Price {
    Price {
        currency: "USD".into(),
        prompt: Some(prompt),
        cached_prompt: cached,
        completion: Some(completion),
        ..Price::default()
    }
}

fn models(price: Option<Price>) -> Models {
    Models { default: Model { price, ..Model::default() }, ..Models::default() }
}

fn budget(limits: &config::BudgetLimits, price: Option<Price>) -> Arc<Budget> {
    Arc::new(Budget::new(limits, &models(price)))
}

fn estimate(prompt_tokens: u64, completion_tokens: u64) -> Estimate {
    Estimate { prompt_tokens, completion_tokens }
}

fn usage(prompt_tokens: u64, cached_prompt_tokens: u64, completion_tokens: u64) -> Usage {
    Usage { prompt_tokens, cached_prompt_tokens, completion_tokens, ..Usage::default() }
}

#[tokio::test(start_paused = true)]
async fn calls_are_exact_whatever_becomes_of_them() {
    let budget = budget(&limits(Some(4), None, None), None);
    budget.restore_call(Role::Selector);
    budget.reserve("c", Role::Speaker, estimate(1, 1)).await.unwrap().settle(usage(1, 0, 1));
    budget.reserve("c", Role::Speaker, estimate(1, 1)).await.unwrap().release();
    let last = budget.reserve("c", Role::Speaker, estimate(1, 1)).await.unwrap();
    let refused = timeout(Duration::from_secs(9), budget.reserve("c", Role::Speaker, estimate(1, 1))).await;
    assert_eq!(refused.expect("no wait: a call is never given back").unwrap_err().limit, "max_calls");
    last.lost();
    let snapshot = budget.snapshot();
    assert_eq!((snapshot.calls(), snapshot.unknown, snapshot.unknown_tokens), (4, 1, 2));
    let by_role: Vec<(Role, u64)> = snapshot.roles.iter().map(|(role, spent)| (*role, spent.calls)).collect();
    assert_eq!(by_role, [(Role::Speaker, 3), (Role::Selector, 1)]);
    assert_eq!(snapshot.cost, None);
}

#[tokio::test(start_paused = true)]
async fn waits_while_calls_in_flight_hold_what_is_missing_and_no_longer() {
    let budget = budget(&limits(None, Some(100), None), None);
    let first = budget.reserve("c", Role::Speaker, estimate(50, 20)).await.unwrap();
    let waiting = tokio::spawn({
        let budget = budget.clone();
        async move { budget.reserve("c", Role::Speaker, estimate(40, 20)).await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    first.settle(usage(20, 0, 10));
    let second = waiting.await.unwrap().unwrap();
    let hopeless = budget.reserve("c", Role::Speaker, estimate(60, 11)).await.unwrap_err();
    assert_eq!((hopeless.limit, hopeless.used.as_str()), ("max_tokens", "30"));
    drop(second);
    assert_eq!(budget.snapshot().unknown_tokens, 60, "a cancelled call counts in full");
    assert!(budget.reserve("c", Role::Speaker, estimate(10, 1)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_takes_nothing() {
    let budget = budget(&limits(None, Some(10), None), None);
    let held = budget.reserve("c", Role::Speaker, estimate(10, 0)).await.unwrap();
    timeout(Duration::from_secs(1), budget.reserve("c", Role::Speaker, estimate(10, 0))).await.unwrap_err();
    held.release();
    budget.reserve("c", Role::Speaker, estimate(10, 0)).await.unwrap().release();
    assert_eq!(budget.snapshot().calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn cost_is_by_kind_and_bounded_at_the_dearer_price() {
    let budget = budget(&limits(None, None, Some(11.0)), Some(price(2.0, Some(1.0), 8.0)));
    let call = budget.reserve("c", Role::Speaker, estimate(1_000_000, 1_000_000)).await.unwrap();
    call.settle(usage(1_000_000, 500_000, 250_000));
    assert_eq!(budget.snapshot().cost, Some(3.5));
    assert_eq!(budget.reserve("c", Role::Probe, estimate(0, 1_000_000)).await.unwrap_err().limit, "max_cost");
    budget.restore_lost(Role::Probe, estimate(1_000_000, 0));
    assert_eq!(budget.snapshot().cost, Some(6.0));
}

#[test]
fn writing_to_a_cache_and_reasoning_have_prices_of_their_own() {
    let told = Price { cache_write: Some(3.0), reasoning: Some(20.0), ..price(2.0, Some(0.5), 8.0) };
    for (price, wanted) in
        [(told, 0.2 + 0.1 + 1.2 + 8.0 + 10.0), (price(2.0, Some(0.5), 8.0), 0.2 + 0.1 + 1.0 + 8.0 + 4.0)]
    {
        let budget = budget(&limits(None, None, None), Some(price));
        let kinds =
            Usage { cache_write_tokens: 400_000, reasoning_tokens: 500_000, ..usage(700_000, 200_000, 1_500_000) };
        budget.restore(Role::Speaker, kinds);
        let spent = budget.snapshot();
        assert!((spent.cost.unwrap() - wanted).abs() < 1e-9, "{spent:?}");
        assert_eq!((spent.roles[&Role::Speaker].cost, spent.currency.as_deref()), (spent.cost, Some("USD")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_with_a_model_of_its_own_has_its_own_price() {
    let own = Model { price: Some(price(10.0, None, 10.0)), ..Model::default() };
    let models = Models { selector: Some(own), ..models(Some(price(1.0, None, 1.0))) };
    let budget = Arc::new(Budget::new(&limits(None, None, None), &models));
    budget.restore(Role::Selector, usage(1_000_000, 1_000_000, 0));
    budget.restore(Role::Speaker, usage(1_000_000, 0, 0));
    assert_eq!(budget.snapshot().cost, Some(11.0));
}

#[tokio::test(start_paused = true)]
async fn an_hour_is_counted_once_however_many_calls_fill_it() {
    let rented =
        Price { per_hour: Some(36.0), prompt: None, cached_prompt: None, completion: None, ..price(0., None, 0.) };
    let budget = budget(&limits(None, None, Some(72.0)), Some(rented));
    let first = budget.reserve("c", Role::Speaker, estimate(1, 1)).await.unwrap();
    let second = budget.reserve("c", Role::Selector, estimate(1, 1)).await.unwrap();
    tokio::time::advance(Duration::from_secs(1800)).await;
    first.release();
    tokio::time::advance(Duration::from_secs(1800)).await;
    second.release();
    tokio::time::advance(Duration::from_secs(7200)).await;
    assert_eq!(budget.snapshot().cost, Some(36.0));
    let third = budget.reserve("c", Role::Speaker, estimate(1, 1)).await.unwrap();
    tokio::time::advance(Duration::from_secs(3700)).await;
    assert_eq!(budget.reserve("c", Role::Speaker, estimate(1, 1)).await.unwrap_err().limit, "max_cost");
    third.release();
}

#[test]
fn absurd_usage_saturates() {
    let budget = budget(&limits(None, Some(5), None), Some(price(1.0, None, 1.0)));
    budget.restore(Role::Speaker, usage(u64::MAX, u64::MAX, u64::MAX));
    budget.restore(Role::Speaker, usage(u64::MAX, u64::MAX, u64::MAX));
    budget.restore_lost(Role::Speaker, estimate(u64::MAX, u64::MAX));
    assert!(budget.snapshot().cost.unwrap() > 0.0);
    assert!(budget.try_reserve("c", Role::Speaker, estimate(u64::MAX, 1)).is_err());
}

#[test]
fn the_bound_holds_messages_and_schema() {
    let mut request = ChatRequest::plain(vec![Message::system("é".repeat(50)), Message::user("x")], 7);
    let text = upper_bound(&request);
    assert!(text >= 101);
    let schema = serde_json::json!({"type": "object"});
    request.format = ReplyFormat::json("n", schema.clone());
    assert_eq!(upper_bound(&request), text + 1 + schema.to_string().len() as u64);
    assert_eq!(Estimate::of(&request).completion_tokens, 7);
}

/// One caller: what it sets aside, how long the call takes, and how it ends with how many hundredths of the bound.
#[derive(Debug, Clone)]
struct Caller {
    prompt: u64,
    completion: u64,
    takes_ms: u64,
    ending: u8,
    share: u64,
}

fn caller() -> impl Strategy<Value = Caller> {
    (0..60_u64, 0..40_u64, 0..30_u64, 0..5_u8, 0..=100_u64).prop_map(|(prompt, completion, takes_ms, ending, share)| {
        Caller { prompt, completion, takes_ms, ending, share }
    })
}

async fn play(budget: Arc<Budget>, caller: Caller) {
    let Ok(held) = budget.reserve("c", Role::Speaker, estimate(caller.prompt, caller.completion)).await else { return };
    tokio::time::sleep(Duration::from_millis(caller.takes_ms)).await;
    let part = |bound: u64| bound * caller.share / 100;
    match caller.ending {
        0 => held.release(),
        1 => held.lost(),
        2 => drop(held),
        _ => held.settle(usage(part(caller.prompt), 0, part(caller.completion))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn caps_hold_at_every_moment_and_nobody_waits_forever(
        callers in proptest::collection::vec(caller(), 1..40),
        max_calls in 1..40_u64,
        max_tokens in 0..800_u64,
        max_cost in 0.0..0.002_f64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let caps = limits(Some(max_calls), Some(max_tokens), Some(max_cost));
        let budget = budget(&caps, Some(price(1.0, Some(0.5), 4.0)));
        let verdict: Result<(), TestCaseError> = runtime.block_on(async {
            let tasks: Vec<_> = callers.into_iter().map(|c| tokio::spawn(play(budget.clone(), c))).collect();
            for _ in 0..2_000 {
                {
                    let state = budget.state();
                    let tokens: u64 = state.roles.values().map(|s| s.tokens(true)).sum();
                    prop_assert!(tokens <= max_tokens);
                    prop_assert!(state.cost(true, &[]) <= max_cost);
                    prop_assert!(state.roles.values().map(|s| s.calls).sum::<u64>() <= max_calls);
                }
                if tasks.iter().all(tokio::task::JoinHandle::is_finished) {
                    let state = budget.state();
                    prop_assert!(state.roles.values().all(|s| s.in_flight == Estimate::default()));
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            Err(TestCaseError::fail("a caller waits forever"))
        });
        verdict?;
    }
}

/// An item: the calls it is likely to take, the most, those it takes, and how long each lasts.
#[derive(Debug, Clone)]
struct Talk {
    likely: u64,
    most: u64,
    takes: u64,
    call_ms: u64,
}

fn talk() -> impl Strategy<Value = Talk> {
    (1..8_u64, 0..8_u64, 0..30_u64).prop_flat_map(|(likely, more, call_ms)| {
        let most = likely + more;
        (1..=most).prop_map(move |takes| Talk { likely, most, takes, call_ms })
    })
}

fn calls(calls: u64) -> Vec<Take> {
    vec![Take { role: Role::Speaker, calls, tokens: Estimate::default() }]
}

/// A run: what stops it, and how many items are at work at one time.
#[derive(Clone)]
struct Shop {
    budget: Arc<Budget>,
    control: Arc<Control>,
    places: Arc<Semaphore>,
}

impl Shop {
    /// As calls are made: leave first, then a place, then the reservation.
    async fn call(&self, name: &str) -> Option<Reservation> {
        let leave = self.budget.admit(name, Role::Speaker, Estimate::default());
        self.control.unless_stopped(leave).await.ok()?.ok()?;
        let reserved = self.budget.reserve(name, Role::Speaker, Estimate::default());
        self.control.unless_stopped(reserved).await.ok()?.ok()
    }

    /// Goes on with an item for which `made` calls were answered; how many there are in the end, and whether that is all.
    async fn hold(self, place: Enlisted, name: String, talk: Talk, mut made: u64) -> (u64, bool) {
        let _permit = self.places.acquire().await.unwrap();
        if made > 0 {
            self.budget.note_begun(&name);
        }
        while made < talk.takes {
            self.budget.expect(&name, Need { likely: calls(talk.likely), most: calls(talk.most - made) });
            let Some(call) = self.call(&name).await else {
                self.control.stop(Halt::Stopping);
                return (made, false);
            };
            tokio::time::sleep(Duration::from_millis(talk.call_ms)).await;
            call.settle(Usage::default());
            made += 1;
        }
        drop(place);
        (made, true)
    }
}

/// What so many calls buy with so many items at work at one time, if the run is interrupted after `stop_ms`.
async fn buy(cap: u64, talks: &[Talk], places: usize, made: &[u64], stop_ms: u64) -> Vec<(u64, bool)> {
    let shop = Shop {
        budget: budget(&limits(Some(cap), None, None), None),
        control: Arc::default(),
        places: Arc::new(Semaphore::new(places)),
    };
    (0..made.iter().sum()).for_each(|_| shop.budget.restore_call(Role::Speaker));
    let begin = |(at, talk): (usize, &Talk)| {
        let name = format!("c-{at}");
        let place = shop.budget.enlist(&name).unwrap();
        tokio::spawn(shop.clone().hold(place, name, talk.clone(), made[at]))
    };
    let items: Vec<_> = talks.iter().enumerate().map(begin).collect();
    tokio::time::sleep(Duration::from_millis(stop_ms)).await;
    shop.control.stop(Halt::Stopping);
    let mut ends = Vec::new();
    for task in items {
        ends.push(timeout(Duration::from_secs(60), task).await.expect("an item waits forever").unwrap());
    }
    assert!(ends.iter().map(|(made, _)| *made).sum::<u64>() <= cap);
    ends
}

/// What is bought one after the other: the calls that each item gets.
fn bought_in_turn(mut rest: u64, talks: &[Talk]) -> Vec<(u64, bool)> {
    let mut is_open = true;
    let mut bought = Vec::new();
    for talk in talks {
        is_open &= rest >= talk.likely;
        let calls = if is_open { talk.takes.min(rest) } else { 0 };
        rest -= calls;
        is_open &= calls == talk.takes;
        bought.push((calls, is_open));
    }
    bought
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn neither_concurrency_nor_an_interruption_shows_in_what_is_bought(
        talks in proptest::collection::vec(talk(), 1..20),
        cap in 0..120_u64,
        places in 1..9_usize,
        stop_ms in 1..300_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let bought = runtime.block_on(async {
            let first = buy(cap, &talks, places, &vec![0; talks.len()], stop_ms).await;
            let made: Vec<u64> = first.iter().map(|(made, _)| *made).collect();
            buy(cap, &talks, places, &made, 100_000).await
        });
        prop_assert_eq!(bought, bought_in_turn(cap, &talks));
    }
}
