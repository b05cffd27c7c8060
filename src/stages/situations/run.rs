//! The stage: situations made by a model or taken from a file.

use std::sync::Arc;

use super::SituationStage;
use super::casting::{Cast, CastList};
use super::import::{self, Import};
use super::people::{CastablePeople, SpooledPeople};
use crate::config::SituationMode;
use crate::llm::{Message, Role};
use crate::record::{Persona, Situation};
use crate::stages::context::Context;
use crate::stages::error::StageError;
use crate::stages::personas::PersonaSource;
use crate::stages::sealed::Sealed;
use crate::stages::writer::{Fates, StageResult};

/// Makes situations of `people`, or imports them, and puts what became of each into `fates`.
///
/// # Errors
/// Whatever stops the run. What is in flight then ends first, and is on record.
pub(crate) async fn run(
    context: &Context<'_>,
    people: &Sealed<Persona>,
    fates: &mut dyn Fates<Situation>,
) -> Result<StageResult, StageError> {
    match context.config.situations.mode {
        SituationMode::File => import(context, fates),
        SituationMode::Predefined => {
            let mut list = CastList::default();
            let people = CastablePeople::of(people, &mut list)?;
            make(&stage(context, people, list)?, context, fates).await
        }
        SituationMode::Auto => generate(context, &[], fates).await,
    }
}

/// Takes situations from the file that `context` names.
///
/// # Errors
/// If nothing in it is a situation, or something cannot be read or written.
pub(crate) fn import(context: &Context<'_>, fates: &mut dyn Fates<Situation>) -> Result<StageResult, StageError> {
    let Some(PersonaSource::File(source)) = &context.source else { return Ok(StageResult::default()) };
    let config = context.config;
    let import = Import {
        source,
        language: &config.language,
        splits: &config.compile.splits,
        dedup: context.threshold(config.dedup.situations),
        seed: config.seed,
        shard: config.shard,
        count: config.situations.count.unwrap_or(u64::MAX),
    };
    let (made, people) = import::import(&import, &context.progress, fates)?;
    people.notice().into_iter().for_each(|notice| context.tell(notice));
    Ok(made)
}

/// Makes situations of `people`, or takes them from recorded replies.
///
/// # Errors
/// Whatever stops the run.
pub(crate) async fn generate(
    context: &Context<'_>,
    people: &[Persona],
    fates: &mut dyn Fates<Situation>,
) -> Result<StageResult, StageError> {
    make(&held(context, people)?, context, fates).await
}

async fn make(
    stage: &SituationStage<'_>,
    context: &Context<'_>,
    fates: &mut dyn Fates<Situation>,
) -> Result<StageResult, StageError> {
    for (split, number) in stage.cast.iter().flat_map(Cast::left_out) {
        context.tell(format!("split {split} has only {number} people, too few for a group: it stays empty"));
    }
    let (made, complete) = stage.generate(&context.progress, fates).await?;
    if complete {
        context.calls.require_success(Role::Situations)?;
    } else {
        // Nothing is left for a conversation, so what is there would be sealed without one.
        context.settle_for_less(0)?;
    }
    Ok(made)
}

/// The messages of the first call for situations, without making it. `shown`: whether the schema is in the prompt.
///
/// # Errors
/// If a text cannot be used, or no group can be formed.
pub(crate) fn rehearse(
    context: &Context<'_>,
    mut people: SpooledPeople,
    shown: bool,
) -> Result<Vec<Message>, StageError> {
    let list = std::mem::take(&mut people.list);
    stage(context, CastablePeople::Spooled(Box::new(people)), list)?.rehearse(shown)
}

fn held<'a>(context: &Context<'a>, people: &'a [Persona]) -> Result<SituationStage<'a>, StageError> {
    let mut list = CastList::default();
    for person in people {
        list.add(person);
    }
    stage(context, CastablePeople::Held(people), list)
}

fn stage<'a>(
    context: &Context<'a>,
    people: CastablePeople<'a>,
    list: CastList,
) -> Result<SituationStage<'a>, StageError> {
    let Context { config, inputs, .. } = *context;
    let settings = &config.situations;
    let cast = match settings.mode {
        SituationMode::Predefined => {
            Some(Cast::new(list, settings.casting.mode, settings.personas, config.own_seed())?)
        }
        SituationMode::Auto | SituationMode::File => None,
    };
    Ok(SituationStage {
        settings,
        prompt: Arc::new(inputs.situations_prompt(config)?),
        people,
        last_group: cast.as_ref().filter(|_| !settings.casting.rewind).map(Cast::before_rewind),
        cast,
        coverage: inputs.coverage()?.map(|grid| grid.for_groups(settings.personas.min, settings.personas.max)),
        seeds: inputs.seeds()?.into_iter().map(Arc::new).collect(),
        dedup: context.threshold(config.dedup.situations),
        splits: &config.compile.splits,
        shots: inputs.shots()?,
        calls: Arc::clone(&context.calls),
        seed: config.own_seed(),
    })
}
