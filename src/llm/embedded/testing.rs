//! The model for tests that need the real one.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::engine::Mind;

/// The model, or `None` after saying why the test is skipped.
pub(super) fn mind() -> Option<Arc<Mind>> {
    static MIND: LazyLock<Option<Arc<Mind>>> = LazyLock::new(|| {
        Some(Arc::new(Mind::load(Path::new("/tmp/smol.gguf")).unwrap()))
    });
    let mind = MIND.clone();
    if mind.is_none() {
        println!("skipped: the weights are not here; `convogen model pull` fetches them");
    }
    mind
}
