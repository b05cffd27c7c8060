//! SIGKILL for the program under test, at a moment that a request names.

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::fault_proxy::Action;

/// Kills one process, which is named once it is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct Executioner {
    victim: Arc<AtomicU32>,
}

impl Executioner {
    /// Kills, as soon as it is known whom.
    pub(crate) fn kill(&self) -> Action {
        let victim = Arc::clone(&self.victim);
        Arc::new(move || {
            while victim.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            let id = victim.load(Ordering::SeqCst).to_string();
            assert!(Command::new("kill").args(["-s", "KILL", &id]).status().expect("kill").success());
        })
    }

    /// Starts the one that is to be killed, and waits for its end, which must be by a signal.
    pub(crate) fn watch(&self, command: &mut Command) {
        let child: Child = command.spawn().expect("convogen starts");
        self.victim.store(child.id(), Ordering::SeqCst);
        let output = child.wait_with_output().expect("an end");
        assert_eq!(output.status.code(), None, "it was not killed: {}", String::from_utf8_lossy(&output.stderr));
    }
}
