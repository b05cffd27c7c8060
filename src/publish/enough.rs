//! Whether runs have enough of what is to be published.

use super::collect::sum;
use super::parts;
use crate::config::SituationMode;
use crate::config::fingerprint::Stage;
use crate::config::upload::Included;
use crate::pipeline::finished::FinishedRun;
use crate::pipeline::target::targets;
use crate::record::Tally;

/// What `runs` have too little of, or nothing, in the tables `include`, a line each. Parts of one run, which stand together, are
/// judged as the whole.
pub(super) fn shortfalls(runs: &[FinishedRun], include: &[Included]) -> Vec<String> {
    let families = runs.chunk_by(parts::are_parts);
    families.flat_map(|family| include.iter().filter_map(|table| shortfall(family, *table))).collect()
}

fn shortfall(family: &[FinishedRun], table: Included) -> Option<String> {
    let (first, rest) = family.split_first()?;
    let tally = |stage: Stage| family.iter().map(|run| run.tally(stage)).fold(Tally::default(), sum);
    let (situations, conversations) = (tally(Stage::Situations), tally(Stage::Conversations));
    let name = table.as_str();
    let accepted = match table {
        // People who come with their situation are in no table.
        Included::Personas if first.config.situations.mode != SituationMode::Predefined => return None,
        Included::Personas => tally(Stage::Personas).accepted,
        Included::Situations => situations.accepted,
        Included::Conversations => conversations.accepted,
    };
    let target = targets(&first.config, Some(situations), Some(conversations)).remove(name);
    let path = first.path.display();
    let whose = match rest.len() {
        0 => path.to_string(),
        1 => format!("{path} and the other part of that run"),
        others => format!("{path} and the {others} other parts of that run"),
    };
    match target.filter(|target| !target.is_enough()) {
        _ if accepted == 0 => Some(format!("{whose}: no {name}")),
        Some(target) => Some(format!(
            "{whose}: {accepted} of {} {name}, less than min_accepted ({}) asks for",
            target.wanted, target.min_accepted
        )),
        None => None,
    }
}
