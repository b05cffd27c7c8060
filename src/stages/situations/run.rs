//! The stage: situations made by a model or taken from a file.

use std::sync::Arc;

use super::SituationStage;
use super::casting::Cast;
use super::import::{self, Import};
use crate::config::SituationMode;
use crate::llm::{Message, Role};
use crate::record::{Persona, Situation};
use crate::stages::context::Context;
use crate::stages::error::StageError;
use crate::stages::inputs::InputsError;
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
        SituationMode::Predefined => generate(context, &people.read()?, fates).await,
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
    import::import(&import, &context.progress, fates)
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
    let stage = stage(context, people)?;
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
pub(crate) fn rehearse(context: &Context<'_>, people: &[Persona], shown: bool) -> Result<Vec<Message>, StageError> {
    Ok(stage(context, people)?.rehearse(shown).map_err(InputsError::from)?)
}

fn stage<'a>(context: &Context<'a>, people: &'a [Persona]) -> Result<SituationStage<'a>, StageError> {
    let Context { config, inputs, .. } = *context;
    let settings = &config.situations;
    let cast = match settings.mode {
        SituationMode::Predefined => {
            Some(Cast::new(people, settings.casting.mode, settings.personas, config.own_seed())?)
        }
        SituationMode::Auto | SituationMode::File => None,
    };
    Ok(SituationStage {
        settings,
        prompt: Arc::new(inputs.situations_prompt(config)?),
        people,
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
