//! How long a turn is to be: a target drawn for each from the distribution of the configuration.

use crate::config::WordsPerTurn;
use crate::draw::Draw;

/// Standard deviations from the median to the 90th percentile of a normal distribution.
const Z90: f64 = 1.281_551_565_544_600_4;
/// How much of the variance is between people rather than between turns: some talk more than others.
const TALKATIVENESS: f64 = 0.15;
/// Longest back-channel, in words: "mm", "oh really", "is that so".
const LONGEST_BACK_CHANNEL: usize = 3;
/// Longest target, in words.
const LONGEST: f64 = 400.0;

/// How talkative a person is, in standard deviations.
pub(super) fn talkativeness(draw: &mut Draw) -> f64 {
    draw.normal()
}

/// A log-normal target in words: its median is the median, and [`Z90`] standard deviations above lies the 90th percentile.
///
/// A back-channel takes the place of a target below the median, which leaves both quantiles where they are.
pub(super) fn target(distribution: WordsPerTurn, talkativeness: f64, draw: &mut Draw) -> u32 {
    let sigma = (distribution.p90 / distribution.median).ln() / Z90;
    let deviation = TALKATIVENESS.sqrt() * talkativeness + (1.0 - TALKATIVENESS).sqrt() * draw.normal();
    let target = (distribution.median.ln() + sigma * deviation).exp();
    let is_back_channel = draw.unit() < 2.0 * distribution.back_channels;
    let short = draw.between(1, LONGEST_BACK_CHANNEL);
    if deviation < 0.0 && is_back_channel && target > short as f64 {
        return u32::try_from(short).unwrap_or(1);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=400")]
    let words = target.round().clamp(1.0, LONGEST) as u32;
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Targets of 200 conversations of three people with ten turns each, in order.
    fn targets(distribution: WordsPerTurn) -> Vec<u32> {
        let mut targets: Vec<u32> = (0..200)
            .flat_map(|item| {
                let item = item.to_string();
                (0..30).map(move |turn| {
                    let person = talkativeness(&mut Draw::new(17, &[&item, "talkativeness", &(turn % 3).to_string()]));
                    target(distribution, person, &mut Draw::new(17, &[&item, &turn.to_string(), "words"]))
                })
            })
            .collect();
        targets.sort_unstable();
        targets
    }

    #[test]
    fn drawn_targets_have_the_quantiles_they_were_asked_for() {
        for distribution in [
            WordsPerTurn::default(),
            WordsPerTurn { median: 12.0, p90: 30.0, back_channels: 0.0 },
            WordsPerTurn { median: 20.0, p90: 40.0, back_channels: 0.3 },
        ] {
            let targets = targets(distribution);
            let quantile = |tenths: usize| f64::from(targets[targets.len() * tenths / 10]);
            assert!((quantile(5) / distribution.median - 1.0).abs() < 0.08, "{distribution:?}: {}", quantile(5));
            assert!((quantile(9) / distribution.p90 - 1.0).abs() < 0.08, "{distribution:?}: {}", quantile(9));
            let short = targets.iter().filter(|words| **words <= 3).count() as f64 / targets.len() as f64;
            assert!(short >= distribution.back_channels * 0.9, "{distribution:?}: {short}");
        }
    }

    #[test]
    fn a_talkative_person_talks_more_and_back_channels_can_be_had_alone() {
        let distribution = WordsPerTurn { median: 12.0, p90: 30.0, back_channels: 0.0 };
        let mean = |talkativeness: f64| {
            let draws =
                (0..500).map(|n: u32| target(distribution, talkativeness, &mut Draw::new(1, &[&n.to_string()])));
            draws.sum::<u32>() / 500
        };
        assert!(mean(1.5) > mean(-1.5) + 4, "{} and {}", mean(1.5), mean(-1.5));
        let half = targets(WordsPerTurn { back_channels: 0.5, ..distribution });
        assert!(half[half.len() / 2 - 60] <= 3, "all below the median");
    }
}
