use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;

use super::*;
use crate::config::{Model, QuotaLimits};
use crate::llm::{Finish, Message, Transient, Usage};
use crate::net::retry::{Decision, Retry};

/// Why a played place does not answer a call, by the time since the test began.
type Behaviour = fn(Duration) -> Option<AttemptError>;

/// A place that answers with its number, unless it behaves otherwise.
#[derive(Debug)]
struct Played {
    number: usize,
    behaviour: Behaviour,
    begun: Instant,
    calls: Arc<AtomicUsize>,
}

impl ChatModel for Played {
    fn attempt<'a>(&'a self, _: &'a ChatRequest, _: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let outcome = (self.behaviour)(self.begun.elapsed());
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let text = self.number.to_string();
            outcome.map_or(Ok(Reply { text, finish: Finish::Stop, usage: Usage::default() }), Err)
        })
    }

    fn target(&self) -> String {
        format!("place {}", self.number)
    }
}

fn well(_: Duration) -> Option<AttemptError> {
    None
}

fn refused(told: u64) -> AttemptError {
    let retry_after = Some(Duration::from_secs(told));
    AttemptError::Transient { message: "busy".into(), kind: Transient::RateLimited, retry_after }
}

/// Places of these weights and behaviours.
struct Scene {
    pool: ModelPool,
    control: Control,
    calls: Vec<Arc<AtomicUsize>>,
}

impl Scene {
    fn of(places: &[(f64, Behaviour)]) -> Self {
        let calls: Vec<_> = places.iter().map(|_| Arc::new(AtomicUsize::new(0))).collect();
        let place = |(number, (weight, behaviour)): (usize, &(f64, Behaviour))| {
            let calls = Arc::clone(&calls[number]);
            let model = Played { number, behaviour: *behaviour, begun: Instant::now(), calls };
            ModelPlace { weight: *weight, ..ModelPlace::of(Box::new(model)) }
        };
        let pool = ModelPool::new(places.iter().enumerate().map(place).collect());
        Self { pool, control: Control::default(), calls }
    }

    fn made(&self) -> Vec<usize> {
        self.calls.iter().map(|calls| calls.load(Ordering::SeqCst)).collect()
    }

    /// A call of `item`, again where that may help, as the recording wrapper makes it. Returns the place that answered.
    async fn call(&self, item: &str) -> Result<usize, AttemptError> {
        let request = ChatRequest::plain(vec![Message::user("Go on.")], 50);
        let (mut route, mut retry, begun) = (self.pool.route(item), Retry::new(item, 8), Instant::now());
        loop {
            let permit = route.acquire(Estimate::of(&request)).await;
            let error = match permit.attempt(&request, Structured::None, &self.control).await {
                Ok(reply) => return Ok(reply.text.parse().unwrap()),
                Err(error) if route.goes_elsewhere(&error) => continue,
                Err(error) => error,
            };
            match retry.decide(&error, begun.elapsed(), route.max_wait()) {
                Decision::Wait(wait) => route.back_off(&error, wait).await,
                _ => return Err(error),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_an_item_stay_in_one_place_and_items_are_spread_by_weight() {
    let scene = Scene::of(&[(1.0, well), (3.0, well)]);
    let mut counts = [0, 0];
    for item in 0..400 {
        let item = format!("c-{item}");
        let place = scene.call(&item).await.unwrap();
        for _ in 0..3 {
            assert_eq!(scene.call(&item).await.unwrap(), place);
        }
        counts[place] += 1;
    }
    assert!((70..130).contains(&counts[0]), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn provisioned_throughput_comes_first_and_what_it_turns_away_goes_to_the_others_at_once() {
    let mut scene = Scene::of(&[(1.0, well), (1.0, |at| (at < Duration::from_secs(5)).then(|| refused(9)))]);
    scene.pool.places[1].spill = true;
    let begun = Instant::now();
    for item in 0..8 {
        assert_eq!(scene.call(&format!("c-{item}")).await.unwrap(), 0);
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "a call waited for {:?}", begun.elapsed());
    assert!(scene.made()[1] <= 5, "it was asked on and on: {:?}", scene.made());
    tokio::time::sleep(Duration::from_secs(11)).await;
    for item in 0..8 {
        assert_eq!(scene.call(&format!("c-{item}")).await.unwrap(), 1, "it is asked first again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_place_is_named_once_the_others_take_its_calls_and_it_comes_back() {
    let dead: Behaviour =
        |at| (at < Duration::from_secs(100)).then(|| AttemptError::Fatal { message: "wrong key (401)".into() });
    let scene = Scene::of(&[(1.0, dead), (1.0, well)]);
    for item in 0..40 {
        assert_eq!(scene.call(&format!("c-{item}")).await.unwrap(), 1);
    }
    assert_eq!(scene.made()[0], 1, "it was asked again");
    let told = scene.control.take_told();
    assert!(matches!(told.as_slice(), [one] if one.contains("place 0") && one.contains("wrong key (401)")), "{told:?}");
    tokio::time::sleep(Duration::from_secs(200)).await;
    let mut places: Vec<usize> = Vec::new();
    for item in 0..40 {
        places.push(scene.call(&format!("c-{item}")).await.unwrap());
    }
    assert!((10..30).contains(&places.iter().filter(|place| **place == 0).count()), "{places:?}");
    assert_eq!(scene.control.take_told(), ["place 0 answers again"]);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_fails_is_left_out_after_three_and_one_request_that_fails_everywhere_ends() {
    let broken: Behaviour =
        |_| Some(AttemptError::Transient { message: "500".into(), kind: Transient::Unknown, retry_after: None });
    let scene = Scene::of(&[(1.0, broken), (1.0, well)]);
    for item in 0..40 {
        assert_eq!(scene.call(&format!("c-{item}")).await.unwrap(), 1);
    }
    assert_eq!(scene.made()[0], 3);
    let all = Scene::of(&[(1.0, broken), (1.0, broken)]);
    assert!(all.call("c-0").await.is_err());
    assert!(all.made().iter().sum::<usize>() <= 32, "{:?}", all.made());
}

#[tokio::test(start_paused = true)]
async fn a_dead_place_does_not_end_a_run_whose_other_place_is_only_away_for_a_while() {
    let dead: Behaviour = |_| Some(AttemptError::Fatal { message: "wrong key (401)".into() });
    let away: Behaviour = |at| {
        let error = || AttemptError::Transient { message: "500".into(), kind: Transient::Unknown, retry_after: None };
        (at < Duration::from_secs(12)).then(error)
    };
    let scene = Scene::of(&[(1.0, dead), (1.0, away)]);
    let calls = (0..3).map(|item| {
        let item = format!("c-{item}");
        let scene = &scene;
        async move { scene.call(&item).await }
    });
    for answered in futures_util::future::join_all(calls).await {
        assert_eq!(answered.unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_are_dead_the_call_says_why() {
    let dead: Behaviour = |_| Some(AttemptError::Fatal { message: "wrong key (401)".into() });
    let scene = Scene::of(&[(1.0, dead), (1.0, dead), (1.0, dead)]);
    let error = scene.call("c-0").await.unwrap_err();
    assert!(matches!(&error, AttemptError::Fatal { message } if message.contains("401")), "{error:?}");
    assert_eq!(scene.made(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_asks_for_more_than_is_to_be_waited_is_left_out() {
    let scene = Scene::of(&[(1.0, |_| Some(refused(43_200))), (1.0, well)]);
    for item in 0..40 {
        assert_eq!(scene.call(&format!("c-{item}")).await.unwrap(), 1);
    }
    assert_eq!(scene.made()[0], 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_above_the_limits_of_one_place_goes_to_another() {
    let mut scene = Scene::of(&[(1.0, well), (1.0, well)]);
    let limits = QuotaLimits { rpm: Some(6), tpm: None };
    scene.pool.places[0].limiter = Limiter::new(&Model { limits, ..Model::default() });
    let begun = Instant::now();
    for item in 0..40 {
        scene.call(&format!("c-{item}")).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "they waited {:?}", begun.elapsed());
    assert!(scene.made()[0] >= 1);
}
