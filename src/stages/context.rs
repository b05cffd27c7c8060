//! What every stage of a run works with.

use std::sync::Arc;

use super::Progress;
use super::inputs::Inputs;
use super::personas::PersonaSource;
use crate::config::Config;
use crate::llm::Halt;
use crate::llm::recorded::CallGateway;

/// What every stage of a run works with.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The texts: prompts, shots, word lists, the coverage grid.
    pub inputs: &'a Inputs,
    /// What people or situations are imported from; `None` where nothing is.
    pub source: Option<PersonaSource>,
    /// Where replies come from.
    pub calls: Arc<CallGateway>,
    /// How far the stage at work is.
    pub progress: Arc<Progress>,
    /// When the budget is reached: seal what is there instead of stopping.
    pub accept_partial: bool,
}

impl Context<'_> {
    /// Tells the user something.
    pub(crate) fn tell(&self, text: impl Into<String>) {
        self.calls.control.tell(text);
    }

    /// The similarity from which two records are duplicates; `None` where they stay.
    pub(crate) fn threshold(&self, threshold: f64) -> Option<f64> {
        self.config.dedup.enabled.then_some(threshold)
    }

    /// To be asked once not all inputs of a stage were worked on: whether what is there may be sealed, since the budget
    /// stopped the run and that was asked for. Without any of the `conversations` that it was spent for, nothing is.
    ///
    /// # Errors
    /// Why the run stopped, otherwise.
    pub(crate) fn settle_for_less(&self, conversations: u64) -> Result<(), Halt> {
        match self.calls.control.take_reason() {
            Some(reason @ Halt::Budget(_)) if self.accept_partial && conversations == 0 => {
                self.tell("not one conversation is whole, so nothing is sealed: raise the budget, or ask for fewer situations");
                Err(reason)
            }
            Some(reason @ Halt::Budget(_)) if self.accept_partial => {
                self.tell(format!("{reason}; sealing what is there, as asked"));
                self.calls.control.stop(reason);
                Ok(())
            }
            Some(reason) => Err(reason),
            None => Err(Halt::Stopping),
        }
    }
}
