//! What a refusal means and what to do about it, for people who do not know the service's error codes by heart.
//!
//! The service's own words are quoted in one line. What it says about a signature that does not match is left out: it
//! repeats what was signed, and nobody can read it.

use std::time::{Duration, UNIX_EPOCH};

use azure_core::Error;
use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{RawResponse, StatusCode};
use azure_storage_blob::StorageError;

use super::sign_in::{BlobCredential, Sas};
use crate::clock;
use crate::net::entra;
use crate::net::http::{chain, quote};
use crate::net::trouble::ConnectionTrouble;
use crate::publish::error::PublishError;

/// A difference of clocks above which the service turns signatures down: 15 minutes; a margin for what the request took.
const SKEW: Duration = Duration::from_secs(14 * 60);

/// What was tried on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// List what is below a prefix.
    List,
    /// Make the container.
    MakeContainer,
    /// Read a blob, or its properties.
    Read,
    /// Write a blob that is not there.
    Create,
    /// Write a blob whatever is there.
    Replace,
    /// Remove a blob.
    Remove,
}

impl Operation {
    fn on(self, path: &str) -> String {
        match self {
            Self::List if path.is_empty() => "list the container".to_owned(),
            Self::List => format!("list {path}"),
            Self::MakeContainer => "create the container".to_owned(),
            Self::Read => format!("read {path}"),
            Self::Create | Self::Replace => format!("write {path}"),
            Self::Remove => format!("remove {path}"),
        }
    }

    /// The letters of [`permission`](Self::permission) in a signature's `sp`.
    fn letters(self) -> &'static str {
        match self {
            Self::List => "l",
            Self::MakeContainer => "c",
            Self::Read => "r",
            Self::Create => "cw",
            Self::Replace => "w",
            Self::Remove => "d",
        }
    }

    /// The permission of a shared access signature that it takes.
    fn permission(self) -> &'static str {
        match self {
            Self::List => "l (list)",
            Self::MakeContainer => "c (create) on the account, resource type c (container)",
            Self::Read => "r (read)",
            Self::Create => "c (create) and w (write)",
            Self::Replace => "w (write)",
            Self::Remove => "d (delete)",
        }
    }
}

/// Turns the client's errors into messages about one container.
#[derive(Debug)]
pub(super) struct Refusals {
    /// Where, as messages name it.
    pub(super) destination: String,
    /// The container.
    pub(super) container: String,
    /// How requests are signed.
    pub(super) credential: BlobCredential,
}

/// The error code of an answer, or nothing where there was no answer or it had none.
pub(super) fn code(error: &Error) -> &str {
    match error.kind() {
        ErrorKind::HttpResponse { error_code: Some(code), .. } => code,
        _ => "",
    }
}

/// The status of an answer; 0 where there was none.
pub(super) fn status(error: &Error) -> u16 {
    error.http_status().map_or(0, u16::from)
}

impl Refusals {
    /// What `error`, met by `operation` on `path`, means.
    pub(super) fn of(&self, operation: Operation, path: &str, error: Error) -> PublishError {
        let action = operation.on(path);
        let destination = self.destination.clone();
        match error.kind() {
            ErrorKind::HttpResponse { status, .. } if is_passing(*status) => {
                let trouble = trouble(*status);
                PublishError::Unreachable { destination, action, reason: format!("{}; {trouble}", reason(error)) }
            }
            ErrorKind::HttpResponse { .. } => {
                let advice = self.advice(operation, &error);
                PublishError::Denied { destination, action, reason: reason(error), advice }
            }
            ErrorKind::Credential
                if entra::may_pass(&error) || ConnectionTrouble::of(&error).is_some_and(|trouble| trouble.lasts()) =>
            {
                let reason = format!("the sign-in service of Entra ID gave no token: {}", transport(&error));
                PublishError::Unreachable { destination, action, reason }
            }
            ErrorKind::Credential => PublishError::Denied {
                destination,
                action,
                reason: format!("no token of Entra ID: {}", quote(&error.to_string(), None)),
                advice: "sign in (`az login`) or set the variables of a service principal".to_owned(),
            },
            _ => PublishError::Unreachable { destination, action, reason: transport(&error) },
        }
    }

    fn advice(&self, operation: Operation, error: &Error) -> String {
        match code(error) {
            "AuthenticationFailed" | "InvalidAuthenticationInfo" | "NoAuthenticationInformation" => {
                clock_advice(error).unwrap_or_else(|| self.credential_advice())
            }
            "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions" => self.permission_advice(operation),
            "AuthorizationFailure" => self.either_advice(operation),
            other => match fixed_advice(other) {
                Some(advice) => advice.replace("CONTAINER", &self.container),
                None => self.status_advice(operation, error),
            },
        }
    }

    /// For the code that Azure gives where a firewall or a policy is in the way, and Azurite wherever it does not like a
    /// signature.
    fn either_advice(&self, operation: Operation) -> String {
        let advice = match &self.credential {
            BlobCredential::Key(_) => self.credential_advice(),
            BlobCredential::Sas(sas) => match validity(sas) {
                Some(ended) => return ended,
                None => self.permission_advice(operation),
            },
            BlobCredential::Entra(_) => self.permission_advice(operation),
        };
        format!("{advice}; or the account's firewall does not let this machine in")
    }

    /// For answers with a code that is not known, or without one, as a proxy's.
    fn status_advice(&self, operation: Operation, error: &Error) -> String {
        match status(error) {
            401 => self.credential_advice(),
            403 => self.permission_advice(operation),
            300..=399 => {
                "it points elsewhere, which is not followed; name the blob service itself as endpoint".to_owned()
            }
            404 => "check endpoint, account and container".to_owned(),
            _ => "check endpoint, account and container; the service's own words are above".to_owned(),
        }
    }

    fn credential_advice(&self) -> String {
        match &self.credential {
            BlobCredential::Key(_) => {
                "the key is not this account's, or was renewed since; copy key or connection string anew".to_owned()
            }
            BlobCredential::Sas(sas) => validity(sas).unwrap_or_else(|| {
                "the signature was not made with this account's key, was revoked, or is cut off; make a new one"
                    .to_owned()
            }),
            BlobCredential::Entra(_) => {
                "the token is not for this account's tenant; sign in to the right one".to_owned()
            }
        }
    }

    fn permission_advice(&self, operation: Operation) -> String {
        let needed = operation.permission();
        match &self.credential {
            BlobCredential::Sas(sas) => validity(sas).unwrap_or_else(|| match sas.field("sp") {
                Some(has) if operation.letters().chars().all(|letter| has.contains(letter)) => {
                    format!("the signature has the permission {needed}, but not for this resource; make one for the container")
                }
                Some(has) => format!("the signature lacks the permission {needed}; it has sp={has}; make a new one"),
                None => format!("the policy of the signature must give the permission {needed}"),
            }),
            BlobCredential::Entra(_) => {
                let container = &self.container;
                format!(
                    "give the identity the role Storage Blob Data Contributor on the container {container} or its account"
                )
            }
            BlobCredential::Key(_) => "the account may refuse keys; use destination.azure.auth: entra".to_owned(),
        }
    }
}

/// Why no answer came. The client's own lines are left out: they may hold a signed address.
fn transport(error: &Error) -> String {
    let first: &(dyn std::error::Error + 'static) = error;
    let of_http = std::iter::successors(Some(first), |e| e.source()).find_map(|e| e.downcast_ref::<reqwest::Error>());
    if let Some(trouble) = ConnectionTrouble::of(first) {
        let told = trouble.told(of_http.and_then(reqwest::Error::url));
        let emulator = if trouble == ConnectionTrouble::NothingListens { " (Azurite: scripts/azurite.sh)" } else { "" };
        return told + emulator;
    }
    of_http.map_or_else(|| quote(&own_words(error), None), chain)
}

fn is_passing(status: StatusCode) -> bool {
    matches!(u16::from(status), 408 | 429 | 500..=599)
}

/// What an answer that may pass is about.
fn trouble(status: StatusCode) -> &'static str {
    match u16::from(status) {
        500 => "the service has trouble of its own (for Azurite: is its disk full?)",
        429 | 503 => "the service is busy",
        _ => "the service or a gateway before it does not keep up",
    }
}

/// Of an error that is neither an answer nor the HTTP client's: the first message, which is this crate's or the decoder's.
fn own_words(error: &Error) -> String {
    match error.kind() {
        ErrorKind::DataConversion => {
            format!("its answer makes no sense ({error}); is the endpoint a blob service?")
        }
        _ => error.to_string(),
    }
}

/// Code and words of an answer, in one line.
fn reason(error: Error) -> String {
    let (status, code) = (status(&error), code(&error).to_owned());
    let said = StorageError::try_from(error).ok().and_then(|answer| answer.message).unwrap_or_default();
    // The lines after the first are the request's id and the time.
    let said = quote(said.lines().next().unwrap_or_default(), None);
    let code = if code.is_empty() { String::new() } else { format!(" {code}") };
    if said.is_empty() { format!("HTTP {status}{code}") } else { format!("HTTP {status}{code} ({said})") }
}

/// Advice that needs no look at what was tried. `CONTAINER` stands for the container's name.
fn fixed_advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "AuthorizationResourceTypeMismatch" => {
            "the signature does not cover this kind of resource; make one for the container, or an account's with srt=co"
        }
        "AuthorizationServiceMismatch" => "the signature is not for the blob service; make one with ss=b",
        "AuthorizationProtocolMismatch" => "the signature is for https only; use an https endpoint",
        "AuthorizationSourceIPMismatch" => {
            "the signature is for other addresses; make one for this machine's, or without sip"
        }
        "KeyBasedAuthenticationNotPermitted" => "the account takes no keys; use destination.azure.auth: entra",
        "PublicAccessNotPermitted" => "the account lets nobody in unsigned; choose destination.azure.auth",
        "AccountIsDisabled" => "the storage account is disabled, mostly for want of payment; enable it or use another",
        "ContainerNotFound" => "create the container CONTAINER, or use a credential that may",
        "ContainerBeingDeleted" => {
            "the container CONTAINER is being deleted; try again in a minute, or use another name"
        }
        "ContainerDisabled" => "the container CONTAINER is disabled; ask who looks after the account",
        "InvalidResourceName" | "OutOfRangeInput" | "InvalidUri" => {
            "Azure does not take such a name: check container (3 to 63 lower-case letters, digits, hyphens) and dataset"
        }
        "LeaseIdMissing" | "LeaseIdMismatchWithBlobOperation" => {
            "someone holds a lease on it; wait for its end, or break it (`az storage blob lease break`)"
        }
        "BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold" | "BlobArchived" => {
            "a policy or a legal hold of the container CONTAINER protects it; publish elsewhere, or ask who set it"
        }
        "InvalidBlobOrBlock" => {
            "blocks of another tool wait under this name; remove them by writing and deleting a blob there, or wait a week"
        }
        "BlockCountExceedsLimit" => "too many blocks of earlier tries wait under this name; they go away within a week",
        "InvalidHeaderValue" | "UnsupportedHeader" => {
            "it does not know this version of the protocol; for Azurite: use 3.37.0 or later"
        }
        "RequestBodyTooLarge" => "lower destination.azure.block_mib",
        "AccountBeingCreated" => "the storage account is not ready yet; try again in a minute",
        _ => return None,
    })
}

/// If the service's clock and this machine's differ by more than signatures bear.
fn clock_advice(error: &Error) -> Option<String> {
    let ErrorKind::HttpResponse { raw_response: Some(answer), .. } = error.kind() else { return None };
    let theirs = service_time(answer)?;
    let ours = Duration::from_secs(clock::unix_seconds());
    let direction = if ours > theirs { "ahead" } else { "behind" };
    let apart = ours.abs_diff(theirs);
    (apart > SKEW).then(|| {
        format!("this machine's clock is {} minutes {direction} of the service's; set it right", apart.as_secs() / 60)
    })
}

fn service_time(answer: &RawResponse) -> Option<Duration> {
    let date = answer.headers().get_optional_str(&HeaderName::from_static("date"))?;
    httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok()
}

/// If a signature is not valid now.
fn validity(sas: &Sas) -> Option<String> {
    let now = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(clock::unix_seconds()));
    let seconds = |name: &str| sas.field(name).and_then(|time| Some((unix(&time)?, time)));
    if let Some((_, text)) = seconds("se").filter(|(end, _)| *end <= clock::unix_seconds()) {
        return Some(format!("the signature expired at {text} (it is {now}); make a new one"));
    }
    let (_, text) = seconds("st").filter(|(start, _)| *start > clock::unix_seconds())?;
    Some(format!("the signature is not valid before {text} (it is {now}); wait, or make one without a start"))
}

/// Seconds since 1970 of an ISO 8601 time as signatures have it: a date, with or without a time of day in UTC.
fn unix(text: &str) -> Option<u64> {
    let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    // Minutes are enough for the service: 2026-11-22T20:00Z.
    let full = if full.len() == 17 { full.replace('Z', ":00Z") } else { full };
    let time = azure_core::time::parse_rfc3339(&full).ok()?;
    u64::try_from(time.unix_timestamp()).ok()
}

#[cfg(test)]
mod tests {
    use azure_core::http::headers::Headers;

    use super::super::shared_key::SharedKey;
    use super::*;
    use crate::exit::ExitCode;

    fn refusals(credential: BlobCredential) -> Refusals {
        let destination = "container demo at https://x.blob.example".to_owned();
        Refusals { destination, container: "demo".to_owned(), credential }
    }

    fn key() -> Refusals {
        refusals(BlobCredential::Key(SharedKey::new("x", &secrecy::SecretString::from("Y2FuYXJ5")).unwrap()))
    }

    fn sas(query: &str) -> Refusals {
        refusals(BlobCredential::Sas(Sas::new(query).unwrap()))
    }

    fn answer(status: u16, code: &str, date: u64, message: &str) -> Error {
        let mut headers = Headers::new();
        headers.insert("x-ms-error-code", code.to_owned());
        headers.insert("date", httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(date)));
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}\nRequestId:1</Message></Error>"
        );
        let raw = RawResponse::from_bytes(status.into(), headers, body);
        let error_code = Some(code.to_owned()).filter(|code| !code.is_empty());
        let kind = ErrorKind::HttpResponse { status: status.into(), error_code, raw_response: Some(Box::new(raw)) };
        Error::with_message(kind, "canary: what was signed")
    }

    fn now(status: u16, code: &str) -> Error {
        answer(status, code, clock::unix_seconds(), "The service says so.")
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let valid = "sp=rl&se=2099-01-01T00:00:00Z&sig=canary";
        let cases = [
            (key(), Operation::List, now(403, "AuthenticationFailed")),
            (key(), Operation::List, now(403, "AuthorizationFailure")),
            (key(), Operation::List, now(403, "KeyBasedAuthenticationNotPermitted")),
            (sas(valid), Operation::Create, now(403, "AuthorizationPermissionMismatch")),
            (sas(valid), Operation::MakeContainer, now(403, "AuthorizationFailure")),
            (sas(valid), Operation::Read, now(403, "AuthenticationFailed")),
            (sas("se=2020-01-01&sig=canary"), Operation::List, now(403, "AuthenticationFailed")),
            (sas("se=2020-01-01T10:00Z&sig=canary"), Operation::Remove, now(403, "AuthorizationFailure")),
            (sas("st=2098-01-01&se=2099-01-01&sig=canary"), Operation::List, now(403, "AuthenticationFailed")),
            (sas(valid), Operation::Replace, now(412, "LeaseIdMissing")),
            (key(), Operation::Create, now(409, "BlobImmutableDueToPolicy")),
            (key(), Operation::List, now(404, "ContainerNotFound")),
            (key(), Operation::List, now(400, "SomethingNew")),
            (key(), Operation::List, now(302, "")),
            (key(), Operation::Create, now(503, "ServerBusy")),
        ];
        let told: Vec<String> = cases
            .into_iter()
            .map(|(refusals, operation, error)| {
                let error = refusals.of(operation, "demo/a.json", error);
                assert_eq!(error.exit_code(), ExitCode::Unavailable);
                let text = error.to_string();
                assert!(!format!("{text}{error:?}{refusals:?}").contains("canary"), "{text}");
                text.split(" (it is ")
                    .map(|part| part.split_once("GMT)").map_or(part, |(_, rest)| rest))
                    .collect::<String>()
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r#"
        container demo at https://x.blob.example refused to list demo/a.json: HTTP 403 AuthenticationFailed (The service says so.); the key is not this account's, or was renewed since; copy key or connection string anew
        container demo at https://x.blob.example refused to list demo/a.json: HTTP 403 AuthorizationFailure (The service says so.); the key is not this account's, or was renewed since; copy key or connection string anew; or the account's firewall does not let this machine in
        container demo at https://x.blob.example refused to list demo/a.json: HTTP 403 KeyBasedAuthenticationNotPermitted (The service says so.); the account takes no keys; use destination.azure.auth: entra
        container demo at https://x.blob.example refused to write demo/a.json: HTTP 403 AuthorizationPermissionMismatch (The service says so.); the signature lacks the permission c (create) and w (write); it has sp=rl; make a new one
        container demo at https://x.blob.example refused to create the container: HTTP 403 AuthorizationFailure (The service says so.); the signature lacks the permission c (create) on the account, resource type c (container); it has sp=rl; make a new one; or the account's firewall does not let this machine in
        container demo at https://x.blob.example refused to read demo/a.json: HTTP 403 AuthenticationFailed (The service says so.); the signature was not made with this account's key, was revoked, or is cut off; make a new one
        container demo at https://x.blob.example refused to list demo/a.json: HTTP 403 AuthenticationFailed (The service says so.); the signature expired at 2020-01-01; make a new one
        container demo at https://x.blob.example refused to remove demo/a.json: HTTP 403 AuthorizationFailure (The service says so.); the signature expired at 2020-01-01T10:00Z; make a new one
        container demo at https://x.blob.example refused to list demo/a.json: HTTP 403 AuthenticationFailed (The service says so.); the signature is not valid before 2098-01-01; wait, or make one without a start
        container demo at https://x.blob.example refused to write demo/a.json: HTTP 412 LeaseIdMissing (The service says so.); someone holds a lease on it; wait for its end, or break it (`az storage blob lease break`)
        container demo at https://x.blob.example refused to write demo/a.json: HTTP 409 BlobImmutableDueToPolicy (The service says so.); a policy or a legal hold of the container demo protects it; publish elsewhere, or ask who set it
        container demo at https://x.blob.example refused to list demo/a.json: HTTP 404 ContainerNotFound (The service says so.); create the container demo, or use a credential that may
        container demo at https://x.blob.example refused to list demo/a.json: HTTP 400 SomethingNew (The service says so.); check endpoint, account and container; the service's own words are above
        container demo at https://x.blob.example refused to list demo/a.json: HTTP 302 (The service says so.); it points elsewhere, which is not followed; name the blob service itself as endpoint
        container demo at https://x.blob.example could not be reached to write demo/a.json: HTTP 503 ServerBusy (The service says so.); the service is busy; what was sent so far is kept, run the same command again
        "#);
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_named_without_the_signed_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/demo?sig=canary", listener.local_addr().unwrap());
        drop(listener);
        let client = crate::net::http::build(crate::net::http::builder(Duration::from_secs(5))).unwrap();
        let lost = client.get(url).send().await.unwrap_err();
        let error = Error::with_error(ErrorKind::Connection, lost, "failed at sig=canary");
        let text = key().of(Operation::List, "", error).to_string();
        assert!(text.contains("nothing listens at http://127.0.0.1:") && text.contains("scripts/azurite.sh"), "{text}");
        assert!(!text.contains("canary"), "{text}");
        let error = Error::with_message(ErrorKind::DataConversion, "no XML");
        assert!(key().of(Operation::List, "", error).to_string().contains("is the endpoint a blob service?"));
    }

    #[test]
    fn a_clock_that_is_off_is_told_from_a_wrong_key() {
        let told =
            |date: u64| key().of(Operation::List, "", answer(403, "AuthenticationFailed", date, "No.")).to_string();
        let ours = clock::unix_seconds();
        assert!(told(ours - 3600).contains("clock is 60 minutes ahead"), "{}", told(ours - 3600));
        assert!(told(ours + 7230).contains("minutes behind"), "{}", told(ours + 7230));
        assert!(told(ours - 60).contains("key"));
    }

    #[test]
    fn times_of_signatures_are_read_in_each_of_their_forms() {
        assert_eq!(unix("1970-01-02"), Some(86400));
        assert_eq!(unix("1970-01-01T00:01Z"), Some(60));
        assert_eq!(unix("1970-01-01T00:00:07Z"), Some(7));
        assert_eq!(unix("soon"), None);
    }
}
