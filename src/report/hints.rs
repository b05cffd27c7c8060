//! What is outside the range measured in human talk, or far from the reference, and the setting that changes it.

use serde::Serialize;

use super::figures::CorpusFigures;
use super::hub::HubFigures;
use super::{Distance, RunFigures, Side};
use crate::config::{Config, Provider, SituationMode};

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hint {
    /// The key of the figure.
    pub figure: &'static str,
    /// What it is and what it could be.
    pub message: String,
    /// The configuration key that changes it.
    pub setting: &'static str,
}

/// Samples smaller than this say nothing about how conversations begin, or about compression.
const LEAST_CONVERSATIONS: usize = 100;
const LEAST_BYTES: usize = 100_000;
/// What is good, for figures with a range measured in English human talk; [`of_human_talk`] says where it is from.
pub(super) const RANGES: [(&str, &str); 4] = [
    ("distinct_openers", "83 % in human talk; below 60 % is worth a look"),
    ("closings", "27 % in human talk; above 50 % is worth a look"),
    ("gzip_ratio", "2.4 to 2.6 in human talk; above 3 is worth a look"),
    ("mtld", "70 to 86 in human talk; outside 60 to 100 is worth a look"),
];
/// Kolmogorov-Smirnov distance to the reference from which lengths are worth a look.
pub(super) const FAR: f64 = 0.3;
/// Effective number of situations of the last rounds, against the first, below which the hub narrows.
pub(super) const NARROWED: f64 = 0.8;

/// Turns may be so many times as long, or as short, as was asked for.
const OFF_TARGET: f64 = 1.5;
/// Turns from which their length is held against what was asked for.
const LEAST_TURNS: u64 = 20;

/// Everything worth a look. The values of human talk were measured on English, so they are held against nothing else.
/// `asked`: the configuration of a run; the settings that are named are ones that act in it.
pub(super) fn hints(
    subject: &Side,
    distance: Option<&Distance>,
    run: Option<&RunFigures>,
    asked: Option<&Config>,
) -> Vec<Hint> {
    let figures = subject.figures.as_ref();
    let mut hints = Vec::from_iter(figures.zip(asked).and_then(|(figures, asked)| of_length(figures, asked)));
    hints.extend(figures.filter(|_| subject.english).map(of_human_talk).unwrap_or_default());
    hints.extend(distance.map(of_distance).unwrap_or_default());
    hints.extend(run.and_then(|run| run.hub.as_ref()).and_then(of_hub));
    if let Some(asked) = asked {
        for hint in &mut hints {
            hint.setting = acting(hint.setting, asked);
        }
    }
    hints
}

/// The setting that does in this run what `setting` does where situations are generated and one model does all.
fn acting(setting: &'static str, asked: &Config) -> &'static str {
    let speaker = asked.models.speaker.as_ref();
    match setting {
        "situations.coverage" | "situations.hub.seed_ratio" if asked.situations.mode == SituationMode::File => {
            "situations.source"
        }
        SPEAKER if speaker.is_some() => "models.speaker.model",
        SPEAKER if asked.models.default.provider == Provider::Embedded => "models.default.provider",
        "models.default.temperature" if speaker.is_some() => "models.speaker.temperature",
        other => other,
    }
}

/// The model that speaks, where one model does all.
const SPEAKER: &str = "models.default.model";

/// A hint where turns are far longer or shorter than they were asked for.
fn of_length(figures: &CorpusFigures, asked: &Config) -> Option<Hint> {
    let median = asked.conversations.words_per_turn?.median;
    let got = figures.words_per_turn.median;
    let is_off = got > median * OFF_TARGET || got < median / OFF_TARGET;
    (figures.turns >= LEAST_TURNS && is_off).then(|| Hint {
        figure: "words_median",
        message: format!(
            "half of the turns have more than {got:.0} words, and conversations.words_per_turn asks for {median:.0}: the model \
             that speaks does not keep to it"
        ),
        setting: SPEAKER,
    })
}

/// Hints by values measured on English human talk (`SAMSum` and `DialogSum`, copies removed): of three-word openers 83 %
/// differ, 27 % of conversations end in thanks or goodbye, 150,000 bytes compress by gzip 2.4 to 2.6 times, and MTLD is
/// 70 to 86 on average.
fn of_human_talk(figures: &CorpusFigures) -> Vec<Hint> {
    let many = figures.sample.conversations >= LEAST_CONVERSATIONS;
    let long = figures.sample.bytes >= LEAST_BYTES;
    let mut hints = Vec::new();
    if let Some(value) = figures.distinct_openers.filter(|value| many && *value < 0.6) {
        let message =
            format!("{:.0} % of the conversations' openers differ, against 83 % in human talk", value * 100.0);
        hints.push(Hint { figure: "distinct_openers", message, setting: "situations.coverage" });
    }
    if let Some(value) = figures.closings.filter(|value| many && *value > 0.5) {
        let message = format!("{:.0} % of conversations end with a goodbye, against 27 % in human talk", value * 100.0);
        hints.push(Hint { figure: "closings", message, setting: "conversations.turns.max" });
    }
    if let Some(value) = figures.gzip_ratio.filter(|value| long && *value > 3.0) {
        let message = format!("the sample compresses {value:.2} times, human talk of that size 2.4 to 2.6 times");
        hints.push(Hint { figure: "gzip_ratio", message, setting: "situations.hub.seed_ratio" });
    }
    if let Some(value) = figures.mtld.filter(|value| many && !(60.0..=100.0).contains(value)) {
        let message = format!("MTLD is {value:.0} on average, 70 to 86 in human talk");
        hints.push(Hint { figure: "mtld", message, setting: "models.default.temperature" });
    }
    hints
}

/// Hints by what is unlike the reference.
fn of_distance(distance: &Distance) -> Vec<Hint> {
    let far = |ks: Option<f64>, figure, what, setting| {
        let ks = ks.filter(|ks| *ks > FAR)?;
        let message = format!("{what} is unlike the reference (KS distance {ks:.2})");
        Some(Hint { figure, message, setting })
    };
    [
        far(distance.ks_turns, "turns_per_conversation", "how long conversations are", "conversations.turns"),
        far(distance.ks_words, "words_per_turn", "how long turns are", "conversations.words_per_turn"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A hint when later rounds of the hub are narrower than the first.
fn of_hub(hub: &HubFigures) -> Option<Hint> {
    let (first, last) = (hub.rounds.first()?, hub.rounds.last()?);
    (last.effective < first.effective * NARROWED).then(|| Hint {
        figure: "hub",
        message: format!(
            "of {} situations {:.1} are different in effect in the last rounds, {:.1} in the first",
            hub.compared, last.effective, first.effective
        ),
        setting: "situations.hub.seed_ratio",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::figures::figures;
    use crate::report::measure::Measured;
    use crate::report::sample::Size;

    fn human() -> CorpusFigures {
        let size = Size { conversations: 500, turns: 5_000, words: 100_000, bytes: 150_000 };
        let (openers, closings, gzip, mtld) = (Some(0.83), Some(0.27), Some(2.5), Some(80.0));
        let figures = figures(&Measured::default(), size);
        CorpusFigures { distinct_openers: openers, closings, gzip_ratio: gzip, mtld, ..figures }
    }

    fn named(figures: &CorpusFigures) -> Vec<&'static str> {
        of_human_talk(figures).into_iter().map(|hint| hint.figure).collect()
    }

    #[test]
    fn human_talk_gets_no_hint_and_each_figure_its_own() {
        let all = ["distinct_openers", "closings", "gzip_ratio", "mtld"];
        assert_eq!(named(&human()), [""; 0]);
        assert_eq!(named(&CorpusFigures { distinct_openers: Some(0.22), ..human() }), [all[0]]);
        assert_eq!(named(&CorpusFigures { closings: Some(0.9), ..human() }), [all[1]]);
        assert_eq!(named(&CorpusFigures { gzip_ratio: Some(3.7), ..human() }), [all[2]]);
        assert_eq!(named(&CorpusFigures { mtld: Some(30.0), ..human() }), [all[3]]);
        let odd = CorpusFigures { distinct_openers: Some(0.2), closings: Some(0.9), gzip_ratio: Some(9.0), ..human() };
        let few = Size { conversations: 12, bytes: 5_000, ..odd.sample };
        assert_eq!(named(&CorpusFigures { sample: few, ..odd }), [""; 0]);
    }

    fn settings(more: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "version: 1\nrun_dir: runs/x\nmodels: {{default: {{provider: openai, base_url: 'http://127.0.0.1:1/v1', model: m}}}}\n{more}"
        );
        let file = folder.path().join("config.yaml");
        crate::store::fs::write_atomic(&file, text.as_bytes()).unwrap();
        crate::config::load::kept(&file).unwrap()
    }

    #[test]
    fn turns_far_from_the_length_that_was_asked_for_are_told_with_both_figures() {
        let with = |median: f64| {
            let mut figures = human();
            figures.turns = 60;
            figures.words_per_turn.median = median;
            figures
        };
        let asked = settings("");
        let hint = of_length(&with(34.0), &asked).unwrap();
        assert!(hint.message.contains("34 words") && hint.message.contains("asks for 9"), "{}", hint.message);
        assert!(of_length(&with(3.0), &asked).is_some());
        assert_eq!([8.0, 9.0, 12.0].map(|median| of_length(&with(median), &asked)), [None, None, None]);
        assert_eq!(of_length(&CorpusFigures { turns: 6, ..with(34.0) }, &asked), None);
        assert_eq!(of_length(&with(34.0), &settings("conversations: {words_per_turn: null}")), None);
    }

    #[test]
    fn the_setting_that_is_named_acts_in_the_run() {
        let imported = settings("situations: {mode: file, source: situations.jsonl}");
        let own = "situations: {count: 3}";
        assert_eq!(acting("situations.coverage", &imported), "situations.source");
        assert_eq!(acting("situations.hub.seed_ratio", &imported), "situations.source");
        assert_eq!(acting("situations.coverage", &settings(own)), "situations.coverage");
        let mut several = settings(own);
        several.models.speaker = Some(several.models.default.clone());
        assert_eq!(acting("models.default.temperature", &several), "models.speaker.temperature");
        assert_eq!(acting(SPEAKER, &several), "models.speaker.model");
        assert_eq!(acting(SPEAKER, &settings(own)), SPEAKER);
    }

    #[test]
    fn a_narrowing_hub_and_a_far_reference_are_named() {
        use crate::report::hub::RoundFigures;
        let round = |effective| RoundFigures { effective, ..RoundFigures::default() };
        let hub = |last| HubFigures { compared: 50, rounds: vec![round(40.0), round(last)] };
        assert_eq!(of_hub(&hub(39.0)), None);
        assert_eq!(of_hub(&hub(20.0)).unwrap().setting, "situations.hub.seed_ratio");
        let distance = Distance { ks_turns: Some(0.1), ks_words: Some(0.6), ..Distance::default() };
        assert_eq!(of_distance(&distance)[0].setting, "conversations.words_per_turn");
        assert_eq!(of_distance(&distance).len(), 1);
    }
}
