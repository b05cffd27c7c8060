//! What a hub keeps, and how it answers.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::{Response, http};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::TOKEN;

/// Entries on a page of a listing.
const PAGE: usize = 4;

/// Files above this go by LFS whatever is in them.
const INLINE: u64 = 10 << 20;

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    InGit(Vec<u8>),
    /// By the hash of its content.
    InLfs(String),
}

/// A commit: its name and its files.
pub(super) type Snapshot = (String, BTreeMap<String, Kept>);

#[derive(Debug, Clone, Default)]
pub(super) struct Repository {
    pub(super) private: bool,
    pub(super) commits: Vec<(Snapshot, String)>,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) repositories: BTreeMap<String, Repository>,
    /// Contents by repository and SHA-256, with a slash between.
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    /// Parts of contents that are on their way.
    parts: BTreeMap<(String, usize), Vec<u8>>,
    /// Sizes of parts that files above it are cut into.
    pub(super) chunk: Option<u64>,
    /// Bytes that came as LFS content.
    pub(super) received: u64,
}

pub(super) fn created(private: bool) -> Repository {
    let mut repository = Repository { private, commits: Vec::new() };
    let attributes = Kept::InGit(b"*.parquet filter=lfs diff=lfs merge=lfs -text\n".to_vec());
    repository.commit(BTreeMap::from([(".gitattributes".to_owned(), attributes)]), "initial commit");
    repository
}

impl Repository {
    pub(super) fn head(&self) -> &Snapshot {
        &self.commits.last().expect("a repository has a first commit").0
    }

    fn at(&self, revision: &str) -> Option<&Snapshot> {
        let mut commits = self.commits.iter().map(|(snapshot, _)| snapshot);
        if revision == "main" { Some(self.head()) } else { commits.find(|(oid, _)| oid == revision) }
    }

    pub(super) fn commit(&mut self, files: BTreeMap<String, Kept>, message: &str) -> String {
        let parent = self.commits.last().map(|((oid, _), _)| oid.clone()).unwrap_or_default();
        let oid = sha1(format!("{parent} {message} {files:?}").as_bytes());
        self.commits.push(((oid.clone(), files), message.to_owned()));
        oid
    }
}

impl Store {
    pub(super) fn answer(&mut self, head: &http::request::Parts, body: &[u8]) -> Response<Full<Bytes>> {
        let path = head.uri.path().trim_matches('/').replace("%2F", "/");
        let parts: Vec<&str> = path.split('/').collect();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed = header("authorization") == format!("Bearer {TOKEN}");
        let host = header("host").to_owned();
        if parts[0] == "storage" {
            if !header("authorization").is_empty() {
                return refused(400, "", "the storage was shown the token");
            }
            return self.storage(head.method.as_str(), &parts[1..], body);
        }
        if !signed {
            return refused(401, "", "Invalid credentials in Authorization header");
        }
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        match (head.method.as_str(), parts.as_slice()) {
            ("POST", ["api", "repos", "create"]) => self.create(&json, &host),
            ("POST", ["api", "validate-yaml"]) => answered(&json!({"errors": [], "warnings": []})),
            ("GET", ["api", "datasets", owner, name]) => self.info(&format!("{owner}/{name}"), "main"),
            ("GET", ["api", "datasets", owner, name, "revision", revision]) => {
                self.info(&format!("{owner}/{name}"), revision)
            }
            ("GET", ["api", "datasets", owner, name, "tree", revision, below @ ..]) => {
                let query = head.uri.query().unwrap_or_default();
                self.tree(&format!("{owner}/{name}"), revision, &below.join("/"), query, &host)
            }
            ("POST", ["api", "datasets", owner, name, "paths-info", revision]) => {
                self.paths(&format!("{owner}/{name}"), revision, body)
            }
            ("POST", ["api", "datasets", owner, name, "preupload", "main"]) => {
                self.preupload(&format!("{owner}/{name}"), &json)
            }
            ("POST", ["api", "datasets", owner, name, "commit", "main"]) => {
                self.commit(&format!("{owner}/{name}"), body, &host)
            }
            ("POST", ["datasets", owner, git, "info", "lfs", "objects", "batch"]) => {
                self.batch(&format!("{owner}/{}", git.trim_end_matches(".git")), &json, &host)
            }
            ("POST", ["verify", owner, name]) => {
                let oid = json["oid"].as_str().unwrap_or_default();
                let known = self.objects.get(&format!("{owner}/{name}/{oid}"));
                if known.is_some_and(|content| json["size"] == content.len()) {
                    answered(&json!({}))
                } else {
                    refused(404, "", "no such object")
                }
            }
            ("GET" | "HEAD", ["datasets", owner, name, "resolve", revision, rest @ ..]) => {
                self.resolve(&format!("{owner}/{name}"), revision, &rest.join("/"), &host)
            }
            _ => refused(404, "", &format!("{} {path}: not spoken here", head.method)),
        }
    }

    fn create(&mut self, asked: &Value, host: &str) -> Response<Full<Bytes>> {
        let text = |key: &str| asked[key].as_str().unwrap_or_default().to_owned();
        let name = format!("{}/{}", text("organization"), text("name"));
        if text("type") != "dataset" {
            return refused(400, "", "only datasets are kept here");
        }
        if self.repositories.contains_key(&name) {
            return refused(409, "", "You already created this dataset repo");
        }
        let private = asked["private"] == true || asked["visibility"] == "private";
        self.repositories.insert(name.clone(), created(private));
        answered(&json!({"url": format!("http://{host}/datasets/{name}"), "name": name}))
    }

    #[allow(clippy::result_large_err, reason = "an answer either way")]
    fn at(&self, name: &str, revision: &str) -> Result<(&Repository, &Snapshot), Response<Full<Bytes>>> {
        let repository = self.repositories.get(name).ok_or_else(|| refused(404, "RepoNotFound", "no such dataset"))?;
        let snapshot = repository.at(revision).ok_or_else(|| refused(404, "RevisionNotFound", "no such revision"))?;
        Ok((repository, snapshot))
    }

    fn info(&self, name: &str, revision: &str) -> Response<Full<Bytes>> {
        let (repository, (oid, files)) = match self.at(name, revision) {
            Ok(found) => found,
            Err(refusal) => return refusal,
        };
        let siblings: Vec<Value> = files.keys().map(|path| json!({"rfilename": path})).collect();
        answered(&json!({
            "_id": "1", "id": name, "author": name.split('/').next(), "sha": oid, "private": repository.private,
            "gated": false, "disabled": false, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings,
        }))
    }

    fn entry(&self, name: &str, path: &str, kept: &Kept) -> Value {
        match kept {
            Kept::InGit(content) => {
                json!({"type": "file", "path": path, "size": content.len(), "oid": blob(content)})
            }
            Kept::InLfs(oid) => {
                let size = self.objects[&format!("{name}/{oid}")].len();
                let pointer = pointer(oid, size);
                let lfs = json!({"oid": oid, "size": size, "pointerSize": pointer.len()});
                json!({"type": "file", "path": path, "size": size, "oid": blob(&pointer), "lfs": lfs})
            }
        }
    }

    fn tree(&self, name: &str, revision: &str, below: &str, query: &str, host: &str) -> Response<Full<Bytes>> {
        let files = match self.at(name, revision) {
            Ok((_, (_, files))) => files,
            Err(refusal) => return refusal,
        };
        let asked: BTreeMap<String, String> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let deep = asked.get("recursive").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let prefix = if below.is_empty() { String::new() } else { format!("{below}/") };
        let mut folders = BTreeSet::new();
        let mut entries: Vec<Value> = Vec::new();
        for (path, kept) in files {
            let Some(rest) = path.strip_prefix(&prefix) else { continue };
            let slashes: Vec<usize> = rest.match_indices('/').map(|(at, _)| at).collect();
            folders.extend(
                slashes.iter().take(if deep { usize::MAX } else { 1 }).map(|at| format!("{prefix}{}", &rest[..*at])),
            );
            if deep || slashes.is_empty() {
                entries.push(self.entry(name, path, kept));
            }
        }
        entries.extend(
            folders
                .iter()
                .map(|path| json!({"type": "directory", "path": path, "oid": blob(path.as_bytes()), "size": 0})),
        );
        if entries.is_empty() && !below.is_empty() {
            return refused(404, "EntryNotFound", "no such folder");
        }
        let from: usize = asked.get("cursor").and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let page: Vec<Value> = entries.iter().skip(from).take(PAGE).cloned().collect();
        let mut response = answered(&Value::Array(page));
        if from + PAGE < entries.len() {
            let next = format!(
                "<http://{host}/api/datasets/{name}/tree/{revision}/{below}?recursive={deep}&cursor={}>; rel=\"next\"",
                from + PAGE
            );
            response.headers_mut().insert("link", next.parse().expect("a header"));
        }
        response
    }

    /// Paths as JSON or as a form.
    fn paths(&self, name: &str, revision: &str, body: &[u8]) -> Response<Full<Bytes>> {
        let files = match self.at(name, revision) {
            Ok((_, (_, files))) => files,
            Err(refusal) => return refusal,
        };
        let asked: Vec<String> = match serde_json::from_slice::<Value>(body) {
            Ok(json) => json["paths"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|path| path.as_str().map(str::to_owned))
                .collect(),
            Err(_) => url::form_urlencoded::parse(body)
                .filter(|(key, _)| key == "paths")
                .map(|(_, path)| path.into_owned())
                .collect(),
        };
        let entry = |path: &String| {
            let inside = format!("{path}/");
            files.get(path).map(|kept| self.entry(name, path, kept)).or_else(|| {
                let folder = files.keys().any(|file| file.starts_with(&inside));
                folder.then(|| json!({"type": "directory", "path": path, "oid": blob(path.as_bytes()), "size": 0}))
            })
        };
        answered(&asked.iter().filter_map(entry).collect())
    }

    fn preupload(&self, name: &str, asked: &Value) -> Response<Full<Bytes>> {
        let files = match self.at(name, "main") {
            Ok((_, (_, files))) => files,
            Err(refusal) => return refusal,
        };
        let ignored = |path: &str| matches!(files.get(".gitignore"), Some(Kept::InGit(text)) if String::from_utf8_lossy(text).lines().any(|line| line == path));
        let mode = |file: &Value| {
            let path = file["path"].as_str().unwrap_or_default();
            let sample = STANDARD.decode(file["sample"].as_str().unwrap_or_default()).unwrap_or_default();
            let large = file["size"].as_u64().unwrap_or(0) > INLINE;
            let lfs = large || path.ends_with(".parquet") || std::str::from_utf8(&sample).is_err();
            json!({"path": path, "uploadMode": if lfs { "lfs" } else { "regular" }, "shouldIgnore": ignored(path)})
        };
        let modes: Vec<Value> = asked["files"].as_array().into_iter().flatten().map(mode).collect();
        answered(&json!({"files": modes}))
    }

    fn batch(&self, name: &str, asked: &Value, host: &str) -> Response<Full<Bytes>> {
        let storage = format!("http://{}/storage", host.replace("127.0.0.1", "localhost"));
        let object = |object: &Value| {
            let oid = object["oid"].as_str().unwrap_or_default();
            let size = object["size"].as_u64().unwrap_or(0);
            let mut reply = json!({"oid": oid, "size": size});
            if self.objects.contains_key(&format!("{name}/{oid}")) {
                return reply;
            }
            let upload = match self.chunk.filter(|chunk| size > *chunk) {
                None => json!({"href": format!("{storage}/whole/{name}/{oid}")}),
                Some(chunk) => {
                    let part =
                        |at: u64| (format!("{:05}", at + 1), json!(format!("{storage}/part/{name}/{oid}/{}", at + 1)));
                    let mut header: serde_json::Map<String, Value> = (0..size.div_ceil(chunk)).map(part).collect();
                    header.insert("chunk_size".to_owned(), json!(chunk.to_string()));
                    json!({"href": format!("{storage}/complete/{name}/{oid}"), "header": header})
                }
            };
            reply["actions"] = json!({"upload": upload, "verify": {"href": format!("http://{host}/verify/{name}")}});
            reply
        };
        let objects: Vec<Value> = asked["objects"].as_array().into_iter().flatten().map(object).collect();
        answered(&json!({"transfer": "basic", "objects": objects}))
    }

    /// Where large files lie.
    fn storage(&mut self, method: &str, parts: &[&str], body: &[u8]) -> Response<Full<Bytes>> {
        let Some(([kind, owner, name, oid], rest)) = parts.split_first_chunk() else {
            return refused(404, "", "not spoken here");
        };
        let key = format!("{owner}/{name}/{oid}");
        match (method, *kind, rest) {
            ("PUT", "whole", []) => self.keep(key, oid, body.to_vec()),
            ("PUT", "part", [number]) => {
                self.parts.insert((key, number.parse().unwrap_or(0)), body.to_vec());
                let mut response = answered(&json!({}));
                response.headers_mut().insert("etag", format!("\"{number}\"").parse().expect("a header"));
                response
            }
            ("POST", "complete", []) => {
                let json: Value = serde_json::from_slice(body).unwrap_or_default();
                let mut whole = Vec::new();
                for part in json["parts"].as_array().into_iter().flatten() {
                    let number =
                        part["partNumber"].as_u64().and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
                    if part["etag"] != format!("\"{number}\"") {
                        return refused(400, "", "a part's etag is not as it was told");
                    }
                    whole.extend(self.parts.remove(&(key.clone(), number)).unwrap_or_default());
                }
                self.keep(key, oid, whole)
            }
            ("GET" | "HEAD", "get", []) => match self.objects.get(&key) {
                Some(content) => reply(200, content.clone()),
                None => refused(404, "", "no such object"),
            },
            _ => refused(404, "", "not spoken here"),
        }
    }

    fn keep(&mut self, key: String, oid: &str, content: Vec<u8>) -> Response<Full<Bytes>> {
        if sha256(&content) != oid {
            return refused(400, "", "the content is not what its name says");
        }
        self.received += content.len() as u64;
        self.objects.insert(key, content);
        answered(&json!({}))
    }

    fn commit(&mut self, name: &str, body: &[u8], host: &str) -> Response<Full<Bytes>> {
        let head = match self.at(name, "main") {
            Ok((_, head)) => head.clone(),
            Err(refusal) => return refusal,
        };
        let (parent, mut files) = head;
        let mut summary = String::new();
        for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(line) = serde_json::from_slice::<Value>(line) else { return refused(400, "", "a line is no JSON") };
            let (value, text) =
                (&line["value"], |key: &str| line["value"][key].as_str().unwrap_or_default().to_owned());
            match line["key"].as_str() {
                Some("header") => {
                    if value["parentCommit"].as_str().is_some_and(|wanted| wanted != parent) {
                        return refused(412, "", "A commit has happened since. Please refresh and try again.");
                    }
                    summary = text("summary");
                }
                Some("file") => {
                    let Ok(content) = STANDARD.decode(text("content")) else { return refused(400, "", "no base64") };
                    files.insert(text("path"), Kept::InGit(content));
                }
                Some("lfsFile") => {
                    if !self.objects.contains_key(&format!("{name}/{}", text("oid"))) {
                        return refused(400, "", "an LFS object was not uploaded");
                    }
                    files.insert(text("path"), Kept::InLfs(text("oid")));
                }
                Some("deletedFile") => {
                    if files.remove(&text("path")).is_none() {
                        return refused(400, "", "a file that is to be deleted does not exist");
                    }
                }
                _ => return refused(400, "", "an operation is not known"),
            }
        }
        if summary.is_empty() {
            return refused(400, "", "a commit needs a summary");
        }
        let repository = self.repositories.get_mut(name).expect("it was looked at");
        let oid = repository.commit(files, &summary);
        let url = format!("http://{host}/datasets/{name}/commit/{oid}");
        answered(&json!({"success": true, "commitOid": oid, "commitUrl": url, "hookOutput": ""}))
    }

    fn resolve(&self, name: &str, revision: &str, path: &str, host: &str) -> Response<Full<Bytes>> {
        let (commit, files) = match self.at(name, revision) {
            Ok((_, snapshot)) => snapshot,
            Err(refusal) => return refusal,
        };
        let mut response = match files.get(path) {
            None => return refused(404, "EntryNotFound", "no such file"),
            Some(Kept::InGit(content)) => {
                let mut response = reply(200, content.clone());
                response.headers_mut().insert("etag", format!("\"{}\"", blob(content)).parse().expect("a header"));
                response
            }
            Some(Kept::InLfs(oid)) => {
                let mut response = reply(302, Vec::new());
                let storage = format!("http://{}/storage/get/{name}/{oid}", host.replace("127.0.0.1", "localhost"));
                for (name, value) in [
                    ("location", storage),
                    ("x-linked-size", self.objects[&format!("{name}/{oid}")].len().to_string()),
                    ("x-linked-etag", format!("\"{oid}\"")),
                ] {
                    response.headers_mut().insert(name, value.parse().expect("a header"));
                }
                response
            }
        };
        response.headers_mut().insert("x-repo-commit", commit.parse().expect("a header"));
        response
    }
}

fn answered(json: &Value) -> Response<Full<Bytes>> {
    let mut response = reply(200, json.to_string().into_bytes());
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

pub(super) fn refused(status: u16, code: &str, message: &str) -> Response<Full<Bytes>> {
    let mut response = reply(status, json!({"error": message}).to_string().into_bytes());
    response.headers_mut().insert("x-error-message", message.parse().expect("a header"));
    if !code.is_empty() {
        response.headers_mut().insert("x-error-code", code.parse().expect("a header"));
    }
    response
}

fn reply(status: u16, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status.try_into().expect("a status");
    response
}

/// What git has in place of a large file.
fn pointer(oid: &str, size: usize) -> Vec<u8> {
    format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n").into_bytes()
}

/// By which git names a file's content.
fn blob(content: &[u8]) -> String {
    sha1(&[format!("blob {}\0", content.len()).as_bytes(), content].concat())
}

fn sha1(content: &[u8]) -> String {
    hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, content).as_ref())
}

fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
