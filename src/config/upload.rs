//! What `convogen compile-upload` is asked to do: which runs, which tables, where to.
//!
//! The same machinery reads it as a pipeline's configuration. Its paths (`runs`, `work_dir`, `folder`) are all relative to the
//! working directory.

mod hub;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::address;
use super::check::{Findings, is_plain_url, is_variable_name};
use super::document::Document;
use super::document::read_text;
use super::environment::Environment;
use super::error::{ConfigError, ConfigProblem};
use super::export::{self, ExportEntry, ExportOptions};
use super::load;
use super::upstream::{self, Translation, UpstreamKind};
use super::{Card, Dedup};
use crate::loopback::is_this_machine;

pub(crate) use self::hub::HubDestination;

/// Longest name of a dataset: with what is added to it, a blob's name stays far below the 1,024 characters that Azure takes.
const MAX_DATASET: usize = 200;

/// Names that a published dataset itself uses, so that no dataset can lie within another.
const RESERVED: [&str; 2] = ["versions", "latest.json"];

/// An upload configuration file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upload {
    /// Version of this format; 1.
    pub version: u32,
    /// Finished runs to compile together, relative to the working directory. Of two duplicates the one of the earlier run stays.
    pub runs: Vec<PathBuf>,
    /// The tables to publish. Left out: all three.
    #[serde(default = "every_table")]
    pub include: Vec<Included>,
    /// The dataset's name: the prefix of everything that is published.
    pub dataset: String,
    /// A folder for the compiled dataset and the receipts of what was sent, relative to the working directory.
    pub work_dir: PathBuf,
    /// Where to; exactly one.
    pub destination: UploadTo,
    /// Removal of duplicates across runs; one run alone is published as it is.
    #[serde(default)]
    pub dedup: Dedup,
    /// Forms that conversations are published in besides, as in a pipeline's configuration. Left out or empty: as the first run
    /// that names any.
    #[serde(default)]
    pub export: Vec<ExportEntry>,
    /// What the dataset card says. What is left out is taken from the first run that says it.
    #[serde(default)]
    pub card: Card,
    /// `none`: the service is reached without a proxy; an address: through this one. Left out: as `HTTPS_PROXY`, `HTTP_PROXY`
    /// and `NO_PROXY` say.
    #[serde(default)]
    pub proxy: Option<String>,
}

/// A table of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Included {
    /// The people.
    Personas,
    /// The situations.
    Situations,
    /// The conversations.
    Conversations,
}

impl Included {
    /// The value as it stands in configuration, and the name of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Personas => "personas",
            Self::Situations => "situations",
            Self::Conversations => "conversations",
        }
    }
}

fn every_table() -> Vec<Included> {
    vec![Included::Personas, Included::Situations, Included::Conversations]
}

/// Where a dataset is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UploadTo {
    /// A container of Azure Blob Storage.
    pub azure: Option<AzureDestination>,
    /// A local folder, relative to the working directory; the same layout.
    pub folder: Option<PathBuf>,
    /// A dataset repository of the Hugging Face hub; a version is a commit.
    pub hub: Option<HubDestination>,
}

/// A container of Azure Blob Storage and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureDestination {
    /// The blob service, such as `https://NAME.blob.core.windows.net` or, for Azurite, `http://127.0.0.1:10000/devstoreaccount1`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The storage account, in place of `endpoint`. Both left out: taken from the connection string or the environment.
    #[serde(default)]
    pub account: Option<String>,
    /// The container. It is created when missing, if the credential may.
    pub container: String,
    /// How to sign in.
    #[serde(default)]
    pub auth: BlobAuth,
    /// The *name* of the variable with the connection string, never the string.
    #[serde(default = "connection_string_env")]
    pub connection_string_env: String,
    /// The *name* of the variable with the account key, never the key.
    #[serde(default = "account_key_env")]
    pub account_key_env: String,
    /// The *name* of the variable with the shared access signature, never the signature.
    #[serde(default = "sas_env")]
    pub sas_env: String,
    /// Hosts besides this machine to which a credential may go over plain `http://`.
    #[serde(default)]
    pub allow_http_hosts: Vec<String>,
    /// Size of a block in MiB. A larger file is sent in blocks, each of which is sent again on its own when it is lost.
    #[serde(default = "block_mib")]
    pub block_mib: u32,
    /// Most blocks in flight.
    #[serde(default = "blocks_in_flight")]
    pub concurrency: usize,
    /// What is kept with a file besides the CRC-64 that goes with every block and that the service compares.
    #[serde(default)]
    pub checksum: Checksum,
}

fn connection_string_env() -> String {
    "AZURE_STORAGE_CONNECTION_STRING".to_owned()
}

fn account_key_env() -> String {
    "AZURE_STORAGE_ACCOUNT_KEY".to_owned()
}

fn sas_env() -> String {
    "AZURE_STORAGE_SAS_TOKEN".to_owned()
}

fn block_mib() -> u32 {
    8
}

fn blocks_in_flight() -> usize {
    4
}

/// How to sign in to Azure Blob Storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlobAuth {
    /// The connection string in `connection_string_env`.
    #[default]
    ConnectionString,
    /// The account key in `account_key_env`.
    AccountKey,
    /// The shared access signature in `sas_env`.
    Sas,
    /// Entra ID: service principal, workload identity, managed identity or developer tools.
    Entra,
    /// The connection string where its variable is set, else Entra ID.
    Auto,
}

impl AzureDestination {
    /// How to sign in with these variables: what `auto` comes to.
    pub(crate) fn sign_in(&self, environment: &Environment) -> BlobAuth {
        match self.auth {
            BlobAuth::Auto if environment.var(&self.connection_string_env).is_some() => BlobAuth::ConnectionString,
            BlobAuth::Auto => BlobAuth::Entra,
            named => named,
        }
    }
}

/// How what arrived is compared with what was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checksum {
    /// CRC-64/NVME with every block: costs next to nothing.
    #[default]
    Crc64,
    /// The MD5 of the whole file besides, which the service keeps with the blob for tools that look at it.
    Md5,
}

/// Reads and checks an upload configuration. `sets` are `KEY=VALUE` flags.
pub(crate) fn load(path: &Path, sets: &[String]) -> Result<Upload, ConfigError> {
    parse(&path.display().to_string(), &read_text(path)?, sets)
}

/// Whether a file is an upload configuration, by the keys that only those have. Whatever is wrong with it is left to [`load`](fn@load).
pub(crate) fn is_upload(path: &Path) -> bool {
    let document = read_text(path).and_then(|text| Document::parse("", &text));
    document.is_ok_and(|document| {
        document.value.get("destination").is_some() || UpstreamKind::of(&document) == Some(UpstreamKind::Upload)
    })
}

/// What became of the keys of a file in upstream's schema, a line each; nothing for one in ours.
pub(crate) fn translation(path: &Path, sets: &[String]) -> Result<Vec<String>, ConfigError> {
    let document = Document::parse(&path.display().to_string(), &read_text(path)?)?;
    Ok(in_our_keys(document, sets)?.1.map(|translation| translation.notes()).unwrap_or_default())
}

/// `document` with the flags laid over it, translated if it is one of upstream's.
fn in_our_keys(mut document: Document, sets: &[String]) -> Result<(Document, Option<Translation>), ConfigError> {
    match UpstreamKind::of(&document) {
        Some(UpstreamKind::Upload) => {
            let path = PathBuf::from(&document.file);
            let (document, made) = upstream::translated(UpstreamKind::Upload, document, &path, sets)?;
            Ok((document, Some(made)))
        }
        Some(UpstreamKind::Generation) => {
            let message =
                "this is a generation configuration of upstream ConvoGen: `convogen pipeline run -c` takes it"
                    .to_owned();
            Err(load::invalid(document.file.clone(), vec![ConfigProblem { place: None, key: String::new(), message }]))
        }
        None => {
            sets.iter().try_for_each(|flag| document.set(flag))?;
            Ok((document, None))
        }
    }
}

/// All of [`load`](fn@load) but reading the file.
pub(super) fn parse(file: &str, text: &str, sets: &[String]) -> Result<Upload, ConfigError> {
    let (document, translation) = in_our_keys(Document::parse(file, text)?, sets)?;
    let invalid = |problems| load::invalid(file.to_owned(), upstream::in_their_keys(translation.as_ref(), problems));
    let upload = load::typed_config(&document).map_err(invalid)?;
    let problems = meaning(&document, &upload);
    if problems.is_empty() { Ok(upload) } else { Err(invalid(problems)) }
}

/// Everything that is wrong with the meaning of the values.
fn meaning(document: &Document, upload: &Upload) -> Vec<ConfigProblem> {
    let mut findings = Findings::new(document);
    findings.runs(upload);
    findings.require(!upload.include.is_empty(), "include", || {
        "empty; name at least one of personas, situations, conversations".to_owned()
    });
    let tables: BTreeSet<Included> = upload.include.iter().copied().collect();
    findings.require(tables.len() == upload.include.len(), "include", || "names a table twice".to_owned());
    findings.dataset_name(&upload.dataset);
    findings.work_dir(upload);
    findings.destination(&upload.destination);
    findings.thresholds(&upload.dedup);
    findings.exports(&upload.export);
    findings.require(upload.export.is_empty() || tables.contains(&Included::Conversations), "export", || {
        "exports are made of conversations; add conversations to include".to_owned()
    });
    let private = export::every(&upload.export).iter().any(ExportOptions::private);
    findings.require(!private || tables.contains(&Included::Situations), "export", || {
        "what people keep to themselves stands in their situations; add situations to include, or leave out `private`".to_owned()
    });
    findings.card(&upload.card);
    findings.proxy(upload.proxy.as_deref());
    findings.problems
}

impl Findings<'_> {
    fn runs(&mut self, upload: &Upload) {
        self.require(!upload.runs.is_empty(), "runs", || "empty; name at least one finished run".to_owned());
        let mut seen = BTreeSet::new();
        for (at, run) in upload.runs.iter().enumerate() {
            let key = format!("runs[{at}]");
            self.require(!run.as_os_str().is_empty(), &key, || "empty; name a run directory".to_owned());
            self.require(seen.insert(run), &key, || format!("{} is named twice", run.display()));
        }
    }

    fn dataset_name(&mut self, name: &str) {
        let count = name.chars().count();
        self.require(count <= MAX_DATASET, "dataset", || format!("{count} characters; at most {MAX_DATASET}"));
        for segment in name.split('/') {
            self.require(is_segment(segment), "dataset", || {
                format!(
                    "{segment:?} cannot be a part of the name: each part between slashes is letters, digits, `.`, `_` and \
                     `-`, a letter or digit first, without `..` and without a `.` at its end"
                )
            });
            self.require(!RESERVED.contains(&segment), "dataset", || {
                format!("{segment:?} is a name that every published dataset uses itself; choose another")
            });
        }
    }

    /// What is swapped in and out must not be what is read, nor what is written to.
    fn work_dir(&mut self, upload: &Upload) {
        let work_dir = &upload.work_dir;
        self.require(!work_dir.as_os_str().is_empty(), "work_dir", || "empty; name a folder".to_owned());
        self.require(!upload.runs.contains(work_dir), "work_dir", || "is a run; name a folder of its own".to_owned());
        self.require(upload.destination.folder.as_ref() != Some(work_dir), "work_dir", || {
            "is the destination too; name a folder of its own".to_owned()
        });
    }

    fn destination(&mut self, to: &UploadTo) {
        let named = [to.azure.is_some(), to.folder.is_some(), to.hub.is_some()];
        self.require(named.into_iter().filter(|named| *named).count() == 1, "destination", || {
            "name exactly one place: azure, folder or hub".to_owned()
        });
        self.require(
            to.folder.as_ref().is_none_or(|folder| !folder.as_os_str().is_empty()),
            "destination.folder",
            || "empty; name a folder".to_owned(),
        );
        if let Some(azure) = &to.azure {
            self.azure(azure);
        }
        if let Some(hub) = &to.hub {
            self.hub(hub);
        }
    }

    fn azure(&mut self, azure: &AzureDestination) {
        let at = |field: &str| format!("destination.azure.{field}");
        self.require(is_container(&azure.container), &at("container"), || {
            "not a container's name: 3 to 63 lower-case letters, digits and single hyphens, a letter or digit first and last"
                .to_owned()
        });
        self.require(azure.endpoint.is_none() || azure.account.is_none(), &at("account"), || {
            "stands beside endpoint; name one of the two".to_owned()
        });
        self.require(azure.account.as_deref().is_none_or(is_account), &at("account"), || {
            "not a storage account's name: 3 to 24 lower-case letters and digits".to_owned()
        });
        for (field, name) in [
            ("connection_string_env", &azure.connection_string_env),
            ("account_key_env", &azure.account_key_env),
            ("sas_env", &azure.sas_env),
        ] {
            // The text itself is not repeated: it may well be a key.
            self.require(is_variable_name(name), &at(field), || {
                "expected the name of an environment variable; a credential must not stand in a file".to_owned()
            });
        }
        self.within(f64::from(azure.block_mib), 1.0, 256.0, &at("block_mib"));
        self.within(azure.concurrency as f64, 1.0, 64.0, &at("concurrency"));
        if let Some(endpoint) = &azure.endpoint {
            self.endpoint(azure, endpoint, &at("endpoint"));
        }
    }

    /// What a name resolves to is judged when it is used; here only what the text says.
    fn endpoint(&mut self, azure: &AzureDestination, endpoint: &str, key: &str) {
        self.require(is_plain_url(endpoint), key, || {
            let signed =
                if endpoint.contains('?') { "; a signature belongs into the variable that sas_env names" } else { "" };
            address::complaint(endpoint) + signed
        });
        let Ok(url) = Url::parse(endpoint) else { return };
        let plain = url.scheme() == "http";
        self.require(!(plain && azure.auth == BlobAuth::Entra), key, || {
            "Entra ID tokens go over https:// only".to_owned()
        });
        let host = url.host_str().unwrap_or_default();
        let listed = azure.allow_http_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
        self.require(!plain || listed || is_this_machine(&url), key, || {
            format!("a credential would go to {host} over plain http; use https, or add the host to allow_http_hosts")
        });
    }
}

fn is_segment(segment: &str) -> bool {
    segment.starts_with(|first: char| first.is_ascii_alphanumeric())
        && segment.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        && !segment.contains("..")
        && !segment.ends_with('.')
}

/// Azure's rules for the names of containers.
fn is_container(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name
            .split('-')
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

/// Azure's rules for the names of storage accounts.
fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::assets;
    use crate::config::testing::keys;

    const HEAD: &str = "version: 1\nruns: [runs/a]\ndataset: demo\nwork_dir: runs/publish\n";

    fn refusal(body: &str) -> String {
        let text = if body.contains("version") { body.to_owned() } else { format!("{HEAD}{body}") };
        parse("u.yaml", &text, &[]).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_has_defaults() {
        let text = format!("{HEAD}destination: {{azure: {{container: convogen}}}}\n");
        let upload = parse("u.yaml", &text, &["destination.azure.block_mib=1".to_owned()]).unwrap();
        assert_eq!(upload.include, every_table());
        let azure = upload.destination.azure.unwrap();
        assert_eq!((azure.block_mib, azure.concurrency, azure.checksum), (1, 4, Checksum::Crc64));
        assert_eq!(azure.connection_string_env, "AZURE_STORAGE_CONNECTION_STRING");
    }

    /// The example that ships: every key is in it, and what it shows as a default is one.
    #[test]
    fn the_example_is_sound_and_has_every_key() {
        let text = assets::builtin("configs/upload.yaml").unwrap();
        let upload = parse("upload.yaml", text, &[]).unwrap();
        for key in keys::<Upload>() {
            let name = key.rsplit('.').next().unwrap_or_default();
            assert!(text.contains(&format!("{name}:")), "{key}");
        }
        let short = format!("{HEAD}destination: {{azure: {{container: convogen}}}}\n");
        let default = parse("u.yaml", &short, &[]).unwrap();
        assert_eq!((&upload.dedup, &upload.card), (&default.dedup, &default.card));
        let (shown, default) = (upload.destination.azure.unwrap(), default.destination.azure.unwrap());
        assert_eq!(AzureDestination { endpoint: None, ..shown }, default);
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        let text = assets::builtin("configs/upload.yaml").unwrap();
        for set in [
            "card.name=x",
            "destination={folder: out}",
            "destination={hub: {repo: a/b}}",
            "include=[personas, conversations]",
        ] {
            let upload = parse("upload.yaml", text, &[set.to_owned()]).unwrap();
            let shown = serde_saphyr::to_string(&upload).unwrap();
            assert_eq!(parse("shown.yaml", &shown, &[]).unwrap(), upload, "{shown}");
        }
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let all = [
            "version: 2\nnew: 1\n",
            "version: 1\nruns: []\ninclude: []\ndataset: ''\nwork_dir: ''\ndestination: {}\n",
            "version: 1\nruns: [a, a]\ninclude: [situations, situations]\ndataset: a/../b/versions\nwork_dir: a\ndestination: {folder: x, azure: {container: abc}}\n",
            "destination: {folder: runs/publish}\ninclude: [people]\n",
            "destination: {folder: runs/publish}\ndedup: {situations: 2}\ncard: {date: soon}\n",
            "destination: {azure: {container: Con--1, account: A_b, endpoint: 'https://x?sig=canary', sas_env: sv=canary}}\n",
            "destination: {azure: {container: abc, endpoint: 'http://example.com', block_mib: 0, concurrency: 99}}\n",
            "destination: {azure: {container: abc, endpoint: 'http://127.0.0.1:10000/d', auth: entra}}\n",
        ];
        let messages: Vec<String> = all.iter().map(|body| refusal(body)).collect();
        assert!(!messages.concat().contains("canary"));
        insta::assert_snapshot!(messages.join("\n"), @r#"
        u.yaml cannot be used as it is
          u.yaml:1:1: version: this is format version 2, this convogen reads version 1: a newer convogen reads it
        u.yaml cannot be used as it is
          u.yaml:2:1: runs: empty; name at least one finished run
          u.yaml:3:1: include: empty; name at least one of personas, situations, conversations
          u.yaml:4:1: dataset: "" cannot be a part of the name: each part between slashes is letters, digits, `.`, `_` and `-`, a letter or digit first, without `..` and without a `.` at its end
          u.yaml:5:1: work_dir: empty; name a folder
          u.yaml:6:1: destination: name exactly one place: azure, folder or hub
        u.yaml cannot be used as it is
          u.yaml:2:11: runs[1]: a is named twice
          u.yaml:3:1: include: names a table twice
          u.yaml:4:1: dataset: ".." cannot be a part of the name: each part between slashes is letters, digits, `.`, `_` and `-`, a letter or digit first, without `..` and without a `.` at its end
          u.yaml:4:1: dataset: "versions" is a name that every published dataset uses itself; choose another
          u.yaml:5:1: work_dir: is a run; name a folder of its own
          u.yaml:6:1: destination: name exactly one place: azure, folder or hub
        u.yaml cannot be used as it is
          u.yaml:6:11: include[0]: unknown value `people` (one of personas, situations, conversations)
        u.yaml cannot be used as it is
          u.yaml:4:1: work_dir: is the destination too; name a folder of its own
          u.yaml:6:9: dedup.situations: 2 is no similarity; above 0 and at most 1
          u.yaml:7:8: card.date: not a date as 2026-01-31
        u.yaml cannot be used as it is
          u.yaml:5:23: destination.azure.container: not a container's name: 3 to 63 lower-case letters, digits and single hyphens, a letter or digit first and last
          u.yaml:5:42: destination.azure.account: stands beside endpoint; name one of the two
          u.yaml:5:42: destination.azure.account: not a storage account's name: 3 to 24 lower-case letters and digits
          u.yaml:5:56: destination.azure.endpoint: not an http:// or https:// URL with a host and without user, password, query or fragment; a signature belongs into the variable that sas_env names
          u.yaml:5:90: destination.azure.sas_env: expected the name of an environment variable; a credential must not stand in a file
        u.yaml cannot be used as it is
          u.yaml:5:39: destination.azure.endpoint: a credential would go to example.com over plain http; use https, or add the host to allow_http_hosts
          u.yaml:5:71: destination.azure.block_mib: 0 is not within 1 to 256
          u.yaml:5:85: destination.azure.concurrency: 99 is not within 1 to 64
        u.yaml cannot be used as it is
          u.yaml:5:39: destination.azure.endpoint: Entra ID tokens go over https:// only
        "#);
    }

    #[test]
    fn names_that_azure_takes() {
        assert!(["abc", "a-b-1", &"x".repeat(63)].into_iter().all(is_container));
        assert!(
            ["ab", "a--b", "-ab", "ab-", "Abc", "a_b", "$root", &"x".repeat(64)].iter().all(|name| !is_container(name))
        );
        assert!(["a", "A.b_c-d", "1"].into_iter().all(is_segment));
        assert!(["", ".a", "a..b", "a.", "a b", "ä", "-a"].into_iter().all(|name| !is_segment(name)));
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_a_host_is_listed() {
        let load = |endpoint: &str, more: &str| {
            parse(
                "u.yaml",
                &format!("{HEAD}destination: {{azure: {{container: abc, endpoint: '{endpoint}'{more}}}}}\n"),
                &[],
            )
        };
        for local in
            ["http://127.0.0.1:10000/devstoreaccount1", "http://localhost:1", "http://[::1]:1", "https://x.example"]
        {
            load(local, "").unwrap();
        }
        load("http://azurite:10000/devstoreaccount1", "").unwrap_err();
        load("http://azurite:10000/devstoreaccount1", ", allow_http_hosts: [Azurite]").unwrap();
    }
}
