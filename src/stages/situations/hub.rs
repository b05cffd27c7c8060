//! The few-shot hub: accepted situations become examples for later prompts.
//!
//! The paper's iterative sampling (arXiv 2503.17460), with what nobody has published: round r draws from the hub as it
//! stood after round r-2, so that neither concurrency nor completion order can change a prompt and no round waits for
//! the one before; hand-written shots keep their share of *every* prompt (Self-Instruct mixes 6 with 2); admission asks
//! for novelty against what is in the hub or left it lately; the hub is capped, and what was shown most leaves first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::config::{self, ShotSelection};
use crate::draw::Draw;
use crate::prompt::shots::Shot;
use crate::stages::dedup::{Collection, Shingling};

/// What prompts draw from. Memory holds up to twice `cap` situations, however many are offered; all of them without a cap.
#[derive(Debug)]
pub(crate) struct Hub {
    settings: config::HubSettings,
    seeds: Vec<Arc<Shot>>,
    /// In the order of admission.
    grown: Vec<Member>,
    admissions: u64,
    /// Members by name.
    names: BTreeMap<String, u64>,
    /// Members by how often they were shown; of equals the oldest last, since the last one leaves first.
    uses: BTreeSet<(u64, Reverse<u64>)>,
    gate: Collection,
    figures: HubActivity,
}

/// An accepted situation in the hub.
#[derive(Debug)]
struct Member {
    /// How many were admitted before.
    number: u64,
    shot: Arc<Shot>,
    /// What is compared.
    text: String,
    uses: u64,
}

/// The accepted situations in the hub at some moment.
pub(crate) type HubSnapshot = Vec<Arc<Shot>>;

/// What the hub did, for the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct HubActivity {
    /// Situations admitted.
    pub admitted: u64,
    /// Situations too like another to teach anything.
    pub not_novel: u64,
    /// Situations that left because the hub was full.
    pub evicted: u64,
    /// Hand-written examples shown.
    pub seeds_shown: u64,
    /// Examples from the hub shown.
    pub grown_shown: u64,
}

impl Hub {
    /// A hub that starts with hand-written shots.
    pub(crate) fn new(settings: config::HubSettings, seeds: Vec<Shot>) -> Self {
        let gate = gate(&settings);
        let seeds = seeds.into_iter().map(Arc::new).collect();
        Self {
            settings,
            seeds,
            grown: Vec::new(),
            admissions: 0,
            names: BTreeMap::new(),
            uses: BTreeSet::new(),
            gate,
            figures: HubActivity::default(),
        }
    }

    /// The hub as it stands.
    pub(crate) fn snapshot(&self) -> HubSnapshot {
        self.grown.iter().map(|member| Arc::clone(&member.shot)).collect()
    }

    /// What it did so far.
    pub(crate) fn figures(&self) -> HubActivity {
        self.figures
    }

    /// Draws the examples of one prompt from `snapshot` and the hand-written shots, and counts their use.
    pub(crate) fn examples(
        &mut self,
        snapshot: &HubSnapshot,
        selection: ShotSelection,
        count: usize,
        draw: &mut Draw,
    ) -> HubSnapshot {
        let chosen: HubSnapshot = match selection {
            ShotSelection::Fixed => self.seeds.iter().take(count).cloned().collect(),
            ShotSelection::Random => {
                let seeds = match self.settings.seed_ratio {
                    Some(ratio) => seed_share(ratio, count, snapshot.len(), draw),
                    None => even_share(self.seeds.len(), snapshot.len(), count, draw),
                };
                let mut chosen: HubSnapshot = draw.sample(&self.seeds, seeds).into_iter().cloned().collect();
                chosen.extend(draw.sample(snapshot, count - seeds).into_iter().cloned());
                draw.sample(&chosen, chosen.len()).into_iter().cloned().collect()
            }
        };
        for example in &chosen {
            self.count_use(&example.name);
            let grown = !self.seeds.iter().any(|seed| seed.name == example.name);
            if grown { self.figures.grown_shown += 1 } else { self.figures.seeds_shown += 1 }
        }
        chosen
    }

    /// Counts that a member was shown. One that has left since the snapshot counts no more.
    fn count_use(&mut self, name: &str) {
        let Some(number) = self.names.get(name).copied() else { return };
        let Ok(at) = self.grown.binary_search_by_key(&number, |member| member.number) else { return };
        if let Some(member) = self.grown.get_mut(at) {
            self.uses.remove(&(member.uses, Reverse(number)));
            member.uses += 1;
            self.uses.insert((member.uses, Reverse(number)));
        }
    }

    /// Offers an accepted situation, of which `text` is compared.
    pub(crate) fn offer(&mut self, example: Shot, text: &str) {
        let is_gated = self.settings.novelty > 0.0;
        if is_gated && self.gate.max_similarity(text) > 1.0 - self.settings.novelty {
            self.figures.not_novel += 1;
            return;
        }
        if is_gated {
            self.gate.add(&example.name, text);
        }
        let number = self.admissions;
        self.admissions += 1;
        self.names.insert(example.name.clone(), number);
        self.uses.insert((0, Reverse(number)));
        self.grown.push(Member { number, shot: Arc::new(example), text: text.to_owned(), uses: 0 });
        self.figures.admitted += 1;
        let Some(cap) = self.settings.cap else { return };
        while self.grown.len() > cap {
            self.evict();
        }
        if self.gate.len() >= 2 * cap {
            self.forget_the_evicted();
        }
    }

    /// The most used leaves; of equals the oldest.
    fn evict(&mut self) {
        let Some((_, Reverse(number))) = self.uses.pop_last() else { return };
        if let Ok(at) = self.grown.binary_search_by_key(&number, |member| member.number) {
            self.names.remove(&self.grown.remove(at).shot.name);
            self.figures.evicted += 1;
        }
    }

    /// From now on novelty is asked for against the members alone.
    fn forget_the_evicted(&mut self) {
        self.gate = gate(&self.settings);
        for member in &self.grown {
            self.gate.add(&member.shot.name, &member.text);
        }
    }
}

/// How many of `count` examples are hand-written: the ratio, its fraction drawn; all of them while there is nothing else.
fn seed_share(ratio: f64, count: usize, grown: usize, draw: &mut Draw) -> usize {
    let wanted = count as f64 * ratio;
    let fraction = usize::from(draw.unit() < wanted.fract());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and count")]
    let seeds = wanted.trunc() as usize + fraction;
    seeds.max(count.saturating_sub(grown)).min(count)
}

/// The same where every example, hand-written or not, is as likely as any other: drawn without putting back.
fn even_share(mut seeds: usize, mut grown: usize, count: usize, draw: &mut Draw) -> usize {
    let mut chosen = 0;
    for _ in 0..count.min(seeds + grown) {
        if draw.below(seeds + grown) < seeds {
            (chosen, seeds) = (chosen + 1, seeds - 1);
        } else {
            grown -= 1;
        }
    }
    chosen
}

/// Similarity up to 1 - novelty is admitted, so anything above it is what the gate must find.
fn gate(settings: &config::HubSettings) -> Collection {
    Collection::new((1.0 - settings.novelty).clamp(0.01, 1.0), Shingling::Words(3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::draft::Draft;

    fn example(name: &str) -> Shot {
        let text = String::new;
        let draft = Draft {
            personas: Vec::new(),
            relations: Vec::new(),
            situation: text(),
            topic: text(),
            conversation_starter: text(),
        };
        Shot { name: name.to_owned(), draft, written: None }
    }

    fn hub(seed_ratio: f64, cap: usize) -> Hub {
        let settings =
            config::HubSettings { round_calls: Some(4), seed_ratio: Some(seed_ratio), novelty: 0.6, cap: Some(cap) };
        Hub::new(settings, (0..5).map(|n| example(&format!("shot-{n}"))).collect())
    }

    fn text(n: u64) -> String {
        let mut draw = Draw::new(n, &["text"]);
        (0..30).map(|_| format!("w{} ", draw.below(900))).collect()
    }

    #[test]
    fn hand_written_shots_keep_their_share_of_prompts() {
        let mut hub = hub(0.5, 100);
        for n in 0..20 {
            hub.offer(example(&format!("s-{n}")), &text(n));
        }
        let snapshot = hub.snapshot();
        assert_eq!(snapshot.len(), 20);
        for n in 0..400 {
            let mut draw = Draw::new(n, &["prompt"]);
            let shown = hub.examples(&snapshot, ShotSelection::Random, 3, &mut draw);
            let seeds = shown.iter().filter(|e| e.name.starts_with("shot")).count();
            assert_eq!(shown.len(), 3);
            assert!((1..=2).contains(&seeds), "3 x 0.5 is one or two");
        }
        let figures = hub.figures();
        assert!((550..650).contains(&figures.seeds_shown), "{figures:?}");
        assert_eq!(figures.seeds_shown + figures.grown_shown, 1200);
    }

    #[test]
    fn without_ratio_gate_and_cap_every_example_is_as_likely_as_any_other() {
        let settings = config::HubSettings { round_calls: Some(4), seed_ratio: None, novelty: 0.0, cap: None };
        let mut hub = Hub::new(settings, (0..5).map(|n| example(&format!("shot-{n}"))).collect());
        (0..15).for_each(|n| hub.offer(example(&format!("s-{n}")), &text(1)));
        let snapshot = hub.snapshot();
        assert_eq!((snapshot.len(), hub.figures().not_novel, hub.gate.len()), (15, 0, 0));
        let mut shown: BTreeMap<String, u32> = BTreeMap::new();
        for n in 0..2000 {
            let chosen = hub.examples(&snapshot, ShotSelection::Random, 4, &mut Draw::new(n, &["prompt"]));
            assert_eq!(chosen.iter().map(|e| &e.name).collect::<BTreeSet<_>>().len(), 4, "no one twice");
            for example in &chosen {
                *shown.entry(example.name.clone()).or_default() += 1;
            }
        }
        assert!(shown.len() == 20 && shown.values().all(|times| (330..470).contains(times)), "{shown:?}");
        let all = hub.examples(&snapshot, ShotSelection::Random, 50, &mut Draw::new(1, &["prompt"]));
        assert_eq!(all.len(), 20, "no more than there are");
    }

    #[test]
    fn an_empty_hub_leaves_the_shots() {
        let mut hub = hub(0.0, 100);
        let shown = hub.examples(&Vec::new(), ShotSelection::Random, 3, &mut Draw::new(1, &["p"]));
        assert!(shown.len() == 3 && shown.iter().all(|e| e.name.starts_with("shot")));
        let fixed = hub.examples(&Vec::new(), ShotSelection::Fixed, 2, &mut Draw::new(1, &["p"]));
        assert_eq!(fixed.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["shot-0", "shot-1"]);
    }

    #[test]
    fn what_resembles_the_hub_is_not_admitted() {
        let mut hub = hub(0.5, 100);
        hub.offer(example("s-1"), &text(1));
        hub.offer(example("s-2"), &text(1).replacen('w', "v", 1));
        assert_eq!((hub.snapshot().len(), hub.figures().not_novel), (1, 1));
    }

    #[test]
    fn a_full_hub_loses_what_was_shown_most() {
        let mut hub = hub(0.0, 2);
        hub.offer(example("s-1"), &text(1));
        hub.offer(example("s-2"), &text(2));
        let only_second: HubSnapshot = hub.snapshot().into_iter().skip(1).collect();
        hub.examples(&only_second, ShotSelection::Random, 1, &mut Draw::new(1, &["p"]));
        hub.offer(example("s-3"), &text(3));
        let left: Vec<String> = hub.snapshot().iter().map(|e| e.name.clone()).collect();
        assert_eq!(left, ["s-1", "s-3"]);
        hub.offer(example("s-4"), &text(4));
        let left: Vec<String> = hub.snapshot().iter().map(|e| e.name.clone()).collect();
        assert_eq!(left, ["s-3", "s-4"], "of equals the oldest");
    }

    #[test]
    fn what_left_the_hub_is_remembered_for_a_while_and_memory_stays_bounded() {
        let mut hub = hub(0.0, 3);
        (0..5).for_each(|n| hub.offer(example(&format!("s-{n}")), &text(n)));
        hub.offer(example("again"), &text(0));
        assert_eq!((hub.figures().admitted, hub.figures().not_novel), (5, 1), "it left, and is known still");
        (5..40).for_each(|n| hub.offer(example(&format!("s-{n}")), &text(n)));
        hub.offer(example("again"), &text(0));
        assert_eq!((hub.figures().admitted, hub.figures().not_novel), (41, 1), "it left long ago");
        assert!(hub.gate.len() < 6 && hub.names.len() == 3 && hub.uses.len() == 3);
    }
}
