//! The model for tests that need the real one.

use std::sync::{Arc, LazyLock};

use super::engine::LoadedModel;
use super::weights;

/// The model, or `None` after saying why the test is skipped.
pub(super) fn mind() -> Option<Arc<LoadedModel>> {
    static MIND: LazyLock<Option<Arc<LoadedModel>>> = LazyLock::new(|| {
        let path = weights::ensure(true, |_| {}).map_err(|error| println!("{error}")).ok()?;
        Some(Arc::new(LoadedModel::load(&path).unwrap()))
    });
    let mind = MIND.clone();
    if mind.is_none() {
        println!("skipped: the weights are not here; `convogen model pull` fetches them");
    }
    mind
}
