//! The few-shot hub: accepted situations become examples for later prompts.
//!
//! The paper's iterative sampling (arXiv 2503.17460), with what nobody has published: round r draws from the hub as it
//! stood after round r-2, so that neither concurrency nor completion order can change a prompt and no round waits for
//! the one before; hand-written shots keep their share of *every* prompt (Self-Instruct mixes 6 with 2); admission asks
//! for novelty against what is or ever was in the hub; the hub is capped, and what was shown most leaves first.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::config::{self, ShotSelection};
use crate::draw::Draw;
use crate::prompt::shots::Shot;
use crate::stages::dedup::{Collection, Shingling};

/// What prompts draw from.
#[derive(Debug)]
pub struct Hub {
    settings: config::Hub,
    seeds: Vec<Arc<Shot>>,
    grown: Snapshot,
    gate: Collection,
    uses: BTreeMap<String, u64>,
    figures: Figures,
}

/// The accepted situations in the hub at some moment.
pub type Snapshot = Vec<Arc<Shot>>;

/// What the hub did, for the manifest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
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
    pub fn new(settings: config::Hub, seeds: Vec<Shot>) -> Self {
        // Similarity up to 1 - novelty is admitted, so anything above it is what the gate must find.
        let gate = Collection::new((1.0 - settings.novelty).clamp(0.01, 1.0), Shingling::Words(3));
        let seeds = seeds.into_iter().map(Arc::new).collect();
        Self { settings, seeds, grown: Vec::new(), gate, uses: BTreeMap::new(), figures: Figures::default() }
    }

    /// The hub as it stands.
    pub fn snapshot(&self) -> Snapshot {
        self.grown.clone()
    }

    /// What it did so far.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// Draws the examples of one prompt from `snapshot` and the hand-written shots, and counts their use.
    pub fn examples(
        &mut self,
        snapshot: &Snapshot,
        selection: ShotSelection,
        count: usize,
        draw: &mut Draw,
    ) -> Snapshot {
        let chosen: Snapshot = match selection {
            ShotSelection::Fixed => self.seeds.iter().take(count).cloned().collect(),
            ShotSelection::Random => {
                let seeds = self.seed_share(count, snapshot.len(), draw);
                let mut chosen: Snapshot = draw.sample(&self.seeds, seeds).into_iter().cloned().collect();
                chosen.extend(draw.sample(snapshot, count - seeds).into_iter().cloned());
                draw.sample(&chosen, chosen.len()).into_iter().cloned().collect()
            }
        };
        for example in &chosen {
            *self.uses.entry(example.name.clone()).or_default() += 1;
            let grown = !self.seeds.iter().any(|seed| seed.name == example.name);
            if grown { self.figures.grown_shown += 1 } else { self.figures.seeds_shown += 1 }
        }
        chosen
    }

    /// How many of `count` examples are hand-written: the ratio, its fraction drawn; all of them while there is nothing else.
    fn seed_share(&self, count: usize, grown: usize, draw: &mut Draw) -> usize {
        let wanted = count as f64 * self.settings.seed_ratio;
        let fraction = usize::from(draw.unit() < wanted.fract());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and count")]
        let seeds = wanted.trunc() as usize + fraction;
        seeds.max(count.saturating_sub(grown)).min(count)
    }

    /// Offers an accepted situation, of which `text` is compared.
    pub fn offer(&mut self, example: Shot, text: &str) {
        if self.gate.max_similarity(text) > 1.0 - self.settings.novelty {
            self.figures.not_novel += 1;
            return;
        }
        self.gate.add(&example.name, text);
        self.grown.push(Arc::new(example));
        self.figures.admitted += 1;
        while self.grown.len() > self.settings.cap {
            self.evict();
        }
    }

    /// The most used leaves; of equals the oldest.
    fn evict(&mut self) {
        let uses = |example: &Arc<Shot>| self.uses.get(&example.name).copied().unwrap_or(0);
        let most = self.grown.iter().map(uses).max().unwrap_or(0);
        if let Some(at) = self.grown.iter().position(|example| uses(example) == most) {
            self.grown.remove(at);
            self.figures.evicted += 1;
        }
    }
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
        Shot { name: name.to_owned(), draft }
    }

    fn hub(seed_ratio: f64, cap: usize) -> Hub {
        let settings = config::Hub { round_calls: 4, seed_ratio, novelty: 0.6, cap };
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
        let only_second: Snapshot = hub.snapshot().into_iter().skip(1).collect();
        hub.examples(&only_second, ShotSelection::Random, 1, &mut Draw::new(1, &["p"]));
        hub.offer(example("s-3"), &text(3));
        let left: Vec<String> = hub.snapshot().iter().map(|e| e.name.clone()).collect();
        assert_eq!(left, ["s-1", "s-3"]);
    }
}
