//! Calls pause while the disk is nearly full.

use std::time::Duration;

use super::{CallGateway, Halt};
use crate::store::journal::{Journal, LowSpace};

/// How often the disk is looked at while there is too little room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl CallGateway {
    /// Returns when there is room for what another call would have to record.
    pub(super) async fn wait_for_room(&self) -> Result<(), Halt> {
        let Some(journal) = &self.journal else { return Ok(()) };
        if self.shortage(journal)?.is_none() {
            return Ok(());
        }
        // One caller looks and tells; the others queue behind it, and look for themselves when it is done.
        let _turn = self.control.unless_stopped(self.control.wait_for_room.lock()).await?;
        let Some(low) = self.shortage(journal)? else { return Ok(()) };
        self.control.tell(format!("{low}; calls are paused until there is room"));
        while self.shortage(journal)?.is_some() {
            self.control.sleep(LOOK_AGAIN).await?;
        }
        self.control.tell("there is room on the disk again; calls go on");
        Ok(())
    }

    fn shortage(&self, journal: &Journal) -> Result<Option<LowSpace>, Halt> {
        journal.low_space().map_err(|error| self.control.stop(error.into()))
    }
}
