use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::config::{QuotaLimits, Timeouts};
use crate::draw::Draw;
use crate::llm::{Finish, Usage};

fn limiter(concurrency: usize) -> Arc<Limiter> {
    Arc::new(Limiter::new(&Model { concurrency, ..Model::default() }))
}

fn bound() -> Estimate {
    Estimate { prompt_tokens: 1_500, completion_tokens: 300 }
}

fn reply() -> Reply {
    let usage = Usage { prompt_tokens: 450, completion_tokens: 30, ..Usage::default() };
    Reply { text: "yes".into(), finish: Finish::Stop, usage }
}

fn turned_away(retry_after: Option<Duration>) -> AttemptError {
    AttemptError::Transient { message: "busy".into(), kind: Transient::RateLimited, retry_after }
}

fn timed_out() -> AttemptError {
    AttemptError::Transient { message: "late".into(), kind: Transient::TimedOut, retry_after: None }
}

/// An endpoint that is played: how many it answered and turned away, how many are at work in it.
#[derive(Default)]
struct Played {
    answered: AtomicUsize,
    refused: AtomicUsize,
    at_work: AtomicUsize,
    peak: AtomicUsize,
    timed_out: AtomicUsize,
}

impl Played {
    fn enter(&self) -> usize {
        let now = self.at_work.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        now
    }

    fn counts(&self) -> (usize, usize) {
        (self.answered.load(Ordering::SeqCst), self.refused.load(Ordering::SeqCst))
    }
}

/// What a played endpoint makes of a call that comes at a time, as the nth at work.
enum Verdict {
    Answer(Duration),
    Refuse(Option<Duration>),
}

/// `callers` call one after the other for so long; returns when each answer came.
async fn play<F>(limiter: &Arc<Limiter>, callers: usize, lasts: Duration, endpoint: F) -> (Arc<Played>, Vec<Duration>)
where
    F: Fn(Duration, usize) -> Verdict + Send + Sync + 'static,
{
    let (played, endpoint, start) = (Arc::new(Played::default()), Arc::new(endpoint), Instant::now());
    let answers = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (limiter, played, endpoint) = (Arc::clone(limiter), Arc::clone(&played), Arc::clone(&endpoint));
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                while start.elapsed() < lasts {
                    let permit = limiter.acquire(bound()).await;
                    let among = played.enter();
                    let outcome = match endpoint(start.elapsed(), among) {
                        Verdict::Answer(takes) => {
                            tokio::time::sleep(takes).await;
                            played.answered.fetch_add(1, Ordering::SeqCst);
                            answers.lock().unwrap().push(start.elapsed());
                            Ok(reply())
                        }
                        Verdict::Refuse(told) => {
                            tokio::time::sleep(Duration::from_millis(5)).await;
                            played.refused.fetch_add(1, Ordering::SeqCst);
                            Err(turned_away(told))
                        }
                    };
                    played.at_work.fetch_sub(1, Ordering::SeqCst);
                    limiter.observe(permit, &outcome, None);
                    if let Err(error) = outcome {
                        let AttemptError::Transient { retry_after, .. } = &error else { unreachable!() };
                        limiter.back_off(&error, retry_after.unwrap_or(Duration::from_secs(2))).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let answers = std::mem::take(&mut *answers.lock().unwrap());
    (played, answers)
}

fn within(answers: &[Duration], from: f64, to: f64) -> usize {
    answers.iter().filter(|at| (from..to).contains(&at.as_secs_f64())).count()
}

const LATENCY: Duration = Duration::from_millis(200);

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_in_flight_than_allowed_and_all_of_those_soon() {
    for ceiling in [1, 3, 64, 512] {
        let limiter = limiter(ceiling);
        let (played, answers) =
            play(&limiter, ceiling * 2, Duration::from_secs(10), |_, _| Verdict::Answer(LATENCY)).await;
        assert_eq!(played.peak.load(Ordering::SeqCst), ceiling);
        let full = within(&answers, 5.0, 10.0);
        assert!(full >= ceiling * 24, "{full} answers in five seconds at {ceiling}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fifth_of_random_refusals_leaves_seven_tenths_of_the_clean_rate() {
    let (limiter, draw) = (limiter(64), std::sync::Mutex::new(Draw::new(5, &["limiter"])));
    let hint = Some(Duration::from_millis(100));
    let (played, answers) = play(&limiter, 96, Duration::from_secs(30), move |_, _| {
        if draw.lock().unwrap().unit() < 0.2 { Verdict::Refuse(hint) } else { Verdict::Answer(LATENCY) }
    })
    .await;
    let clean = 64 * 5 * 20;
    let answered = within(&answers, 10.0, 30.0);
    assert!(answered as f64 >= 0.9 * f64::from(clean), "{answered} of {clean}");
    assert!(played.refused.load(Ordering::SeqCst) > 1_000);
}

#[tokio::test(start_paused = true)]
async fn after_a_storm_the_rate_is_back_within_twice_the_hint_and_nobody_came_earlier_than_told() {
    for hint in [1.0, 2.0, 4.0] {
        let (limiter, told) = (limiter(64), Duration::from_secs_f64(hint));
        let storm = 10.0..40.0;
        let (played, answers) = play(&limiter, 64, Duration::from_secs(60), move |at, _| {
            if storm.contains(&at.as_secs_f64()) { Verdict::Refuse(Some(told)) } else { Verdict::Answer(LATENCY) }
        })
        .await;
        let back = 40.0 + 2.0 * hint;
        let rate = within(&answers, back, back + 5.0) as f64 / 5.0;
        assert!(rate >= 0.9 * 320.0, "{rate} a second {} s after a storm with hints of {hint} s", 2.0 * hint);
        let refused = played.refused.load(Ordering::SeqCst) as f64;
        assert!(refused <= 64.0 * (30.0 / hint + 1.0), "{refused} refusals at {hint} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_that_tells_nothing_is_over_for_all_within_seconds_of_its_end() {
    let limiter = limiter(64);
    let (_, answers) = play(&limiter, 64, Duration::from_secs(60), |at, _| {
        if (10.0..40.0).contains(&at.as_secs_f64()) { Verdict::Refuse(None) } else { Verdict::Answer(LATENCY) }
    })
    .await;
    let rate = within(&answers, 46.0, 51.0) as f64 / 5.0;
    assert!(rate >= 0.9 * 320.0, "{rate} a second");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_takes_eight_at_once_is_given_about_eight() {
    let limiter = limiter(64);
    let hint = Some(Duration::from_millis(100));
    let (_, answers) = play(&limiter, 64, Duration::from_secs(60), move |_, among| {
        if among > 8 { Verdict::Refuse(hint) } else { Verdict::Answer(LATENCY) }
    })
    .await;
    let rate = within(&answers, 20.0, 60.0) as f64 / 40.0;
    assert!(rate >= 0.6 * 40.0, "{rate} a second of 40");
}

/// An endpoint that counts as Azure does: requests by the second, tokens as asked for by ten seconds, 429 with the time to the
/// next window. Returns answers, refusals, and the answers that would have used all of it.
async fn by_windows(limits: QuotaLimits, rpm: u64, tpm: Option<u64>) -> (f64, f64, f64) {
    let limiter = Arc::new(Limiter::new(&Model { concurrency: 128, limits, ..Model::default() }));
    let windows = std::sync::Mutex::new([(0, 0.0), (0, 0.0)]);
    let (played, _) = play(&limiter, 160, Duration::from_secs(60), move |at, _| {
        let mut windows = windows.lock().unwrap();
        for (window, (length, cost, most)) in windows
            .iter_mut()
            .zip([(1, 1.0, rpm as f64 / 60.0), (10, 750.0, tpm.map_or(f64::INFINITY, |tpm| tpm as f64 / 6.0))])
        {
            let number = at.as_secs() / length;
            if window.0 != number {
                *window = (number, 0.0);
            }
            if window.1 + cost > most {
                let next = Duration::from_secs((number + 1) * length).saturating_sub(at);
                return Verdict::Refuse(Some(next));
            }
        }
        windows[0].1 += 1.0;
        windows[1].1 += 750.0;
        Verdict::Answer(LATENCY)
    })
    .await;
    let (answered, refused) = played.counts();
    let quota = tpm.map_or(rpm as f64, |tpm| (tpm as f64 / 750.0).min(rpm as f64));
    (answered as f64, refused as f64, quota)
}

#[tokio::test(start_paused = true)]
async fn a_quota_by_windows_is_used_and_hardly_ever_met() {
    for (rpm, tpm) in [(600, None), (6_000, None), (6_000, Some(2_000_000))] {
        let (answered, refused, quota) = by_windows(QuotaLimits { rpm: Some(rpm), tpm }, rpm, tpm).await;
        assert!(answered >= 0.95 * quota, "{answered} of {quota} answered, {refused} refused ({rpm}, {tpm:?})");
        assert!(refused <= 0.01 * (answered + refused), "{refused} refused, {answered} answered ({rpm}, {tpm:?})");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_works_one_call_at_a_time_is_never_asked_for_more_than_it_can_do_in_time() {
    let timeouts = Timeouts { first_byte_s: 6.0, ..Timeouts::default() };
    let limiter = Arc::new(Limiter::new(&Model { concurrency: 64, timeouts, ..Model::default() }));
    let (gate, played) = (Arc::new(tokio::sync::Mutex::new(())), Arc::new(Played::default()));
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let (limiter, gate, played) = (Arc::clone(&limiter), Arc::clone(&gate), Arc::clone(&played));
            tokio::spawn(async move {
                for _ in 0..3 {
                    let permit = limiter.acquire(bound()).await;
                    let work = async {
                        let _turn = gate.lock().await;
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    };
                    let outcome = tokio::time::timeout(Duration::from_secs(6), work).await;
                    let counter = if outcome.is_ok() { &played.answered } else { &played.timed_out };
                    counter.fetch_add(1, Ordering::SeqCst);
                    let outcome = outcome.map_or_else(|_| Err(timed_out()), |()| Ok(reply()));
                    limiter.observe(permit, &outcome, None);
                }
            })
        })
        .collect();
    let start = Instant::now();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(played.timed_out.load(Ordering::SeqCst), 0);
    assert!(start.elapsed() < Duration::from_secs(100), "192 calls of half a second took {:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_time_out_halves_the_calls_in_flight() {
    let limiter = limiter(64);
    play(&limiter, 64, Duration::from_secs(5), |_, _| Verdict::Answer(LATENCY)).await;
    let mut permits = Vec::new();
    for _ in 0..64 {
        permits.push(limiter.acquire(bound()).await);
    }
    tokio::time::advance(Duration::from_secs(9)).await;
    for permit in permits {
        limiter.observe(permit, &Err(timed_out()), None);
    }
    assert_eq!(limiter.slots.available_permits(), 32);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_told_with_its_share_and_its_time() {
    let limiter = limiter(8);
    assert_eq!(limiter.delay(), None);
    for refused in [true, false, true] {
        let permit = limiter.acquire(bound()).await;
        let outcome = if refused { Err(turned_away(Some(Duration::from_secs(8)))) } else { Ok(reply()) };
        limiter.observe(permit, &outcome, None);
    }
    assert_eq!(limiter.delay(), None, "nobody waits");
    let error = turned_away(Some(Duration::from_secs(8)));
    let waiting = tokio::spawn({
        let (limiter, error) = (Arc::clone(&limiter), error.clone());
        async move { limiter.back_off(&error, Duration::from_secs(8)).await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let told = limiter.delay().expect("one waits").to_string();
    assert!(told.starts_with("rate-limited: 2 of 3 calls in the last minute, waiting 8 s"), "{told}");
    assert_eq!(limiter.waiting(), 1);
    waiting.await.unwrap();
    assert_eq!((limiter.waiting(), limiter.delay()), (0, None));
}

#[tokio::test(start_paused = true)]
async fn nothing_but_refusals_for_longer_than_is_to_be_waited_ends_the_run() {
    let limiter = limiter(8);
    let refuse = async || {
        let permit = limiter.acquire(bound()).await;
        limiter.observe(permit, &Err(turned_away(Some(Duration::from_secs(1)))), None);
    };
    refuse().await;
    tokio::time::advance(Duration::from_secs(3_500)).await;
    refuse().await;
    assert!(limiter.check().is_ok(), "it waits as long as it may");
    tokio::time::advance(Duration::from_secs(101)).await;
    let error = limiter.check().unwrap_err().to_string();
    assert!(error.contains("turned away for 60 minutes") && error.contains("max_wait_s"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_names_no_time_is_waited_for_as_long_as_may_be_and_a_server_that_is_busy_is_not() {
    for (kind, minutes, ends) in
        [(Transient::RateLimited, 59, false), (Transient::RateLimited, 61, true), (Transient::TurnedAway, 2, true)]
    {
        let limiter = limiter(8);
        let error = AttemptError::Transient { message: "busy".into(), kind, retry_after: None };
        for _ in 0..=minutes * 6 {
            let permit = limiter.acquire(bound()).await;
            limiter.observe(permit, &Err(error.clone()), None);
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        assert_eq!(limiter.check().is_err(), ends, "{kind:?}, {minutes} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_waiter_leaves_its_place_to_others() {
    let limiter = limiter(1);
    let held = limiter.acquire(bound()).await;
    assert!(tokio::time::timeout(Duration::from_millis(5), limiter.acquire(bound())).await.is_err());
    drop(held);
    let _permit = limiter.acquire(bound()).await;
}
