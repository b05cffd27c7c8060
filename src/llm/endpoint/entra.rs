//! Tokens of Entra ID for models; [`entra`](crate::net::entra) chooses the credential.
//!
//! Tokens are kept here, since the developer tools' credential starts a program for each one it is asked for. A token is
//! renewed five minutes before its end, by one caller while the others wait; if that fails while the old one is good, the
//! old one serves. Its age is watched on two clocks: the monotonic one, which a changed wall clock cannot fool, and the
//! wall clock, which goes on while the machine sleeps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::time::OffsetDateTime;
use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::Model;
use crate::llm::{AttemptError, Transient};
use crate::net::entra::{TOTAL, from_environment, may_pass, tried};
use crate::net::http::{Credential, SetupError, quote};

/// How long before its end a token is renewed.
const MARGIN: Duration = Duration::from_secs(300);

/// Bearer tokens for one scope.
pub(in crate::llm) struct Entra {
    source: Arc<dyn TokenCredential>,
    scope: String,
    /// What was looked for, for whoever has nothing to sign in with.
    tried: String,
    held: Mutex<Option<Held>>,
}

struct Held {
    credential: Arc<Credential>,
    received: Instant,
    lifetime: Duration,
    expires_on: OffsetDateTime,
}

impl fmt::Debug for Entra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entra({})", self.scope)
    }
}

impl Entra {
    /// The credential that the variables name. Nothing is signed in yet.
    pub(in crate::llm) fn from_environment(
        config: &Model,
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SetupError> {
        let source = from_environment(var)?;
        let tried = tried(var);
        Ok(Self { source, scope: config.entra_scope.clone(), tried, held: Mutex::new(None) })
    }

    /// A token that is good for at least the next minutes.
    pub(in crate::llm) async fn credential(&self) -> Result<Arc<Credential>, AttemptError> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|h| h.is_good_for(MARGIN)) {
            return Ok(Arc::clone(&held.credential));
        }
        let renewed = match timeout(TOTAL, self.source.get_token(&[&self.scope], None)).await {
            Ok(Ok(token)) => Held::new(&token),
            Ok(Err(error)) => Err(refused(&error, &self.tried)),
            Err(_) => Err(out_of_reach(format!("Entra ID gave no token for {TOTAL:?}"))),
        };
        match (renewed, held.as_ref().filter(|h| h.is_good_for(Duration::ZERO))) {
            (Ok(new), _) => Ok(Arc::clone(&held.insert(new).credential)),
            (Err(_), Some(old)) => Ok(Arc::clone(&old.credential)),
            (Err(error), None) => Err(error),
        }
    }
}

impl Held {
    fn new(token: &AccessToken) -> Result<Self, AttemptError> {
        let secret = SecretString::from(token.token.secret());
        let credential = Credential::bearer(secret).ok_or_else(|| AttemptError::Fatal {
            message: "Entra ID gave a token that no header can carry; sign in anew".to_owned(),
        })?;
        let expires_on = token.expires_on;
        let lifetime = Duration::try_from(expires_on - OffsetDateTime::now_utc()).unwrap_or_default();
        Ok(Self { credential: Arc::new(credential), received: Instant::now(), lifetime, expires_on })
    }

    fn is_good_for(&self, margin: Duration) -> bool {
        let by_monotonic = self.received.elapsed() + margin < self.lifetime;
        by_monotonic && OffsetDateTime::now_utc() + margin < self.expires_on
    }
}

/// A sign-in service out of reach may come back; one that says no will say so again.
fn refused(error: &azure_core::Error, tried: &str) -> AttemptError {
    let said = quote(&error.to_string(), None);
    let message = format!("could not sign in with Entra ID: {said}");
    if may_pass(error) {
        return out_of_reach(message);
    }
    AttemptError::Fatal {
        message: format!(
            "{message}; tried: {tried}; sign in (`az login`), or set the variables of a service principal or AZURE_OPENAI_API_KEY"
        ),
    }
}

/// The request to the model was not sent for want of a token.
fn out_of_reach(message: String) -> AttemptError {
    AttemptError::Transient { message, kind: Transient::NotSent, retry_after: None }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU32, Ordering};

    use azure_core::credentials::TokenRequestOptions;
    use azure_core::error::ErrorKind;

    use super::*;

    /// Gives tokens of one lifetime, numbered, or fails.
    #[derive(Debug)]
    struct Issuer {
        asked: AtomicU32,
        lifetime: Duration,
        fails_from: u32,
    }

    impl TokenCredential for Issuer {
        fn get_token<'a, 'b, 'c, 'd, 'e>(
            &'a self,
            _: &'b [&'c str],
            _: Option<TokenRequestOptions<'d>>,
        ) -> Pin<Box<dyn Future<Output = azure_core::Result<AccessToken>> + Send + 'e>>
        where
            'a: 'e,
            'b: 'e,
            'c: 'e,
            'd: 'e,
            Self: 'e,
        {
            Box::pin(async {
                tokio::task::yield_now().await;
                let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
                if number >= self.fails_from {
                    return Err(ErrorKind::Connection.into_error());
                }
                let token = format!("canary-{number}");
                Ok(AccessToken::new(token, OffsetDateTime::now_utc() + self.lifetime))
            })
        }
    }

    fn entra(lifetime: Duration, fails_from: u32) -> (Arc<Issuer>, Arc<Entra>) {
        let issuer = Arc::new(Issuer { asked: AtomicU32::new(0), lifetime, fails_from });
        let source: Arc<dyn TokenCredential> = issuer.clone();
        (issuer, Arc::new(Entra { source, scope: "scope".into(), tried: String::new(), held: Mutex::new(None) }))
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_renews_and_the_others_wait() {
        let (issuer, entra) = entra(Duration::from_secs(3600), u32::MAX);
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let entra = entra.clone();
                tokio::spawn(async move { entra.credential().await.unwrap() })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
        tokio::time::advance(Duration::from_secs(3290)).await;
        entra.credential().await.unwrap();
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 1, "five minutes are left");
        tokio::time::advance(Duration::from_secs(20)).await;
        entra.credential().await.unwrap();
        assert_eq!(issuer.asked.load(Ordering::SeqCst), 2, "renewed before its end");
        assert!(!format!("{entra:?}").contains("canary"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_token_serves_until_its_end_when_renewal_fails() {
        let (_, entra) = entra(Duration::from_secs(3600), 2);
        let first = entra.credential().await.unwrap();
        tokio::time::advance(Duration::from_secs(3400)).await;
        assert!(Arc::ptr_eq(&first, &entra.credential().await.unwrap()));
        tokio::time::advance(Duration::from_secs(300)).await;
        let error = entra.credential().await.unwrap_err();
        assert!(matches!(error, AttemptError::Transient { kind: Transient::NotSent, .. }), "{error:?}");
    }

    #[test]
    fn a_sign_in_that_says_no_is_final() {
        let no = azure_core::Error::with_message(ErrorKind::Credential, "invalid client secret");
        assert!(matches!(refused(&no, ""), AttemptError::Fatal { .. }));
        let lost = azure_core::Error::with_error(ErrorKind::Credential, ErrorKind::Connection.into_error(), "lost");
        assert!(matches!(refused(&lost, ""), AttemptError::Transient { .. }));
    }
}
