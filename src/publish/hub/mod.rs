//! A dataset repository of the Hugging Face hub as destination.
//!
//! The hub keeps repositories in git, so what is a folder and a pointer elsewhere is a commit here: the files of a version lie
//! at the root of the repository, where `datasets` looks for them, and `main` is what readers get. One commit replaces a
//! version by the next, all of it or nothing, on the condition that `main` is still where it was looked at.
//!
//! * `api`: requests, what is worth another attempt, what a refusal means. `tree`: what a commit holds, and reading it.
//! * `mark`: `convogen.json`, which says whose repository this is; what convogen has not made is never replaced.
//! * `outgoing`: the files that are to be there. `lfs`: sending the large and binary ones ahead. `commit`: the one commit.
//! * [`send`]: all of it in order.
//!
//! Interrupted anywhere, the same call goes on: the hub knows by their hash the large files that it has, and until the commit
//! nobody else sees anything of it.
//!
//! The interface is the one that the `huggingface_hub` package (2.4) speaks, and Git LFS where that leads there.

mod api;
mod commit;
mod lfs;
mod mark;
mod outgoing;
pub(super) mod send;
mod tree;

use serde_json::json;

use self::api::HubApi;
use super::error::PublishError;
use crate::config::environment::Environment;
use crate::config::upload::HubDestination;

pub(super) use self::mark::MARK;

/// The branch that readers get.
const BRANCH: &str = "main";

/// A dataset repository of the hub.
#[derive(Debug)]
pub(crate) struct HubDataset {
    api: HubApi,
    private: bool,
}

/// Where a repository stands.
#[derive(Debug, Clone)]
struct HubHead {
    commit: String,
    private: bool,
}

impl HubDataset {
    /// The repository that `settings` name, with the token from the variable they name. Nothing is sent yet.
    ///
    /// # Errors
    /// [`PublishError::SignIn`] if there is no token, [`PublishError::Setup`] if a setting or variable makes no sense.
    pub(crate) fn open(settings: &HubDestination, environment: &Environment) -> Result<Self, PublishError> {
        Ok(Self { api: HubApi::open(settings, environment)?, private: settings.private })
    }

    /// For messages: never the token.
    pub(crate) fn describe(&self) -> String {
        self.api.describe()
    }

    /// Makes sure that the repository is there, creating it if it is missing.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if it is public and should not be.
    pub(crate) async fn prepare(&self) -> Result<(), PublishError> {
        if self.head().await?.is_some() {
            return Ok(());
        }
        self.create().await?;
        match self.head().await? {
            Some(_) => Ok(()),
            None => Err(PublishError::Unreachable {
                destination: self.describe(),
                action: "create the repository".to_owned(),
                reason: "it was made, and is not there".to_owned(),
            }),
        }
    }

    /// Where `main` is; nothing if there is no such repository, or none that this token may see.
    async fn head(&self) -> Result<Option<HubHead>, PublishError> {
        let head = self.api.head().await?;
        match &head {
            Some(head) if self.private && !head.private => Err(PublishError::Conflict {
                path: self.api.repo.clone(),
                reason: format!(
                    "is public at {}, and destination.hub.private is true; make it private there, or set \
                     destination.hub.private to false to let everybody read the dataset",
                    self.describe()
                ),
            }),
            _ => Ok(head),
        }
    }

    async fn create(&self) -> Result<(), PublishError> {
        let (owner, name) = self.api.repo.split_once('/').unwrap_or_default();
        let body = json!({"type": "dataset", "organization": owner, "name": name, "private": self.private});
        let action = "create the repository";
        let reply = self.api.post(action, &self.api.at(&["api", "repos", "create"]), body.to_string().into()).await?;
        match reply.status {
            200 | 201 => Ok(()),
            // Another publisher was faster, or the answer to the first try was lost: it is there, or the next look says why not.
            409 if self.api.head().await?.is_some() => Ok(()),
            _ => Err(self.api.refused(action, &reply)),
        }
    }
}
