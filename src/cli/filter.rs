//! The filters of a page as flags.

use clap::Args;

use crate::record::{NumberRange, TalkFilter};

/// Which conversations are meant. All that is said has to hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Filters, as on the page of `report --html`")]
pub(crate) struct FilterArgs {
    /// Said in a turn, a name, the situation, topic, starter or id; capitals do not matter
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The split
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// The model that spoke
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Why it ended, such as `agreed` or `max_turns`
    #[arg(long, value_name = "NAME")]
    ending: Option<String>,
    /// The language, such as `en`
    #[arg(long, value_name = "TAG")]
    language: Option<String>,
    /// The situation it grew from
    #[arg(long, value_name = "ID")]
    situation: Option<String>,
    /// A value of the coverage grid, such as tone=warm
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    cell: Vec<(String, String)>,
    /// A label, such as intent=refund
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// What a screen found in it, such as `pii`
    #[arg(long, value_name = "CATEGORY")]
    flag: Vec<String>,
    /// A flaw for which a reply was turned down, such as `echo`
    #[arg(long, value_name = "FLAW")]
    gate: Vec<String>,
    /// What was put right in a reply
    #[arg(long, value_name = "FLAW")]
    mended: Vec<String>,
    /// A scale of the judge and a range, such as coherence=..2
    #[arg(long, value_name = "SCALE=RANGE", value_parser = ranged)]
    score: Vec<(String, NumberRange)>,
    /// Turns, such as 8..12, 8.., ..12 or 8
    #[arg(long, value_name = "RANGE")]
    turns: Option<NumberRange>,
    /// Words of all turns
    #[arg(long, value_name = "RANGE")]
    words: Option<NumberRange>,
    /// Replies that were turned down
    #[arg(long, value_name = "RANGE")]
    turned_down: Option<NumberRange>,
}

impl FilterArgs {
    /// The filter that is meant.
    pub(super) fn filter(&self) -> TalkFilter {
        let one = |name: &str, value: &Option<String>| value.clone().map(|value| (name.to_owned(), value));
        let each = |name: &'static str, values: &[String]| {
            values.iter().map(|value| (name.to_owned(), value.clone())).collect::<Vec<_>>()
        };
        let named = |kind: &'static str, values: &[(String, String)]| {
            values.iter().map(|(name, value)| (format!("{kind}: {name}"), value.clone())).collect::<Vec<_>>()
        };
        let own = [
            one("split", &self.split),
            one("model", &self.model),
            one("ending", &self.ending),
            one("language", &self.language),
            one("situation", &self.situation),
        ];
        let several = [each("flag", &self.flag), each("gate", &self.gate), each("mended", &self.mended)];
        let several = several.into_iter().chain([named("cell", &self.cell), named("label", &self.label)]).flatten();
        let numbers = [("turns", self.turns), ("words", self.words), ("turned down", self.turned_down)];
        let numbers = numbers.into_iter().filter_map(|(name, range)| Some((name.to_owned(), range?)));
        let scores = self.score.iter().map(|(scale, range)| (format!("score: {scale}"), *range));
        TalkFilter {
            values: own.into_iter().flatten().chain(several).collect(),
            ranges: numbers.chain(scores).collect(),
            text: self.text.clone().filter(|text| !text.is_empty()),
        }
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn ranged(text: &str) -> Result<(String, NumberRange), String> {
    let (name, range) = text.rsplit_once('=').ok_or("write it as SCALE=RANGE, such as coherence=..2")?;
    Ok((name.to_owned(), range.parse()?))
}
