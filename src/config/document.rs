//! A YAML file before it is typed: a tree of values and, beside it, where each of them was written.
//!
//! Kept apart from the typed structs so that `--set` can change a key that the file leaves out, and so that every
//! complaint, also one about the meaning of a value, can name its line. The parser runs under a budget: at most
//! [`MAX_BYTES`], no merge keys, no duplicate keys, bounded nesting and aliases, no infinite numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Location, MergeKeyPolicy, NonFiniteFloatPolicy, Spanned};

use super::error::{ConfigError, ConfigPlace};
use crate::store::fs;

/// Most bytes of a configuration file; 1 MiB.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// Levels of nesting that are read; the configuration itself has four.
const MAX_DEPTH: usize = 32;

/// `value` with the home folder in place of a `~/` at the start of texts: nothing but a path begins so, and no shell sees what
/// stands in a file. Without a home folder it stays, to be refused where it is used.
fn from_home(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(match (text.strip_prefix("~/"), std::env::var("HOME")) {
            (Some(rest), Ok(home)) if !home.is_empty() => format!("{}/{rest}", home.trim_end_matches('/')),
            _ => text,
        }),
        Value::Array(items) => Value::Array(items.into_iter().map(from_home).collect()),
        Value::Object(keys) => Value::Object(keys.into_iter().map(|(key, value)| (key, from_home(value))).collect()),
        other => other,
    }
}

/// The variable that a text asks to have put in its place, which nobody does here: `${NAME}` anywhere, `$NAME` at its start.
pub(super) fn variable_in(text: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let start = |name: &&str| name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_');
    let braced = text.split("${").skip(1).find_map(|rest| {
        let (name, _) = rest.split_once(['}', ':'])?;
        Some(name).filter(start).filter(|name| name.chars().all(is_name))
    });
    let bare = || {
        let rest = text.strip_prefix('$')?;
        rest.get(..rest.find(|c| !is_name(c)).unwrap_or(rest.len())).filter(|name| name.len() > 1).filter(start)
    };
    braced.or_else(bare)
}

/// A parsed file with the `--set` flags laid over it.
#[derive(Debug, Clone)]
pub(super) struct Document {
    /// The file, for messages.
    pub(super) file: String,
    /// The values.
    pub(super) value: Value,
    /// Where each dotted key was written; list items are `key[0]`, the file as a whole is the empty key.
    places: BTreeMap<String, ConfigPlace>,
}

impl Document {
    /// Parses `text`; `file` is its name in messages.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, ConfigError> {
        let node = parse_node(text).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            ConfigError::Syntax {
                place: ConfigPlace::Line { file: file.to_owned(), line, column },
                message: reason(&error),
            }
        })?;
        let mut places =
            BTreeMap::from([(String::new(), ConfigPlace::Line { file: file.to_owned(), line: 1, column: 1 })]);
        let value = plain(node, "", &mut |key, at| {
            places.insert(key, ConfigPlace::Line { file: file.to_owned(), line: at.line(), column: at.column() });
        });
        Ok(Self { file: file.to_owned(), value: from_home(value), places })
    }

    /// A document that was made from another one, `file`; `places`: where what its keys are made from was written.
    pub(super) fn of(file: &str, value: Value, mut places: BTreeMap<String, ConfigPlace>) -> Self {
        let start = || ConfigPlace::Line { file: file.to_owned(), line: 1, column: 1 };
        places.entry(String::new()).or_insert_with(start);
        Self { file: file.to_owned(), value, places }
    }

    /// Lays one `KEY=VALUE` over the document. The key is dotted, the value YAML; keys on the way are made as needed.
    pub(super) fn set(&mut self, flag: &str) -> Result<(), ConfigError> {
        let (key, text) = flag.split_once('=').unwrap_or((flag, ""));
        let refused = |message: String| ConfigError::Flag { flag: shown_key(key).to_owned(), message };
        if !flag.contains('=') {
            return Err(refused("expected KEY=VALUE, such as conversations.turns.max=12".to_owned()));
        }
        let parts: Vec<&str> = key.split('.').collect();
        if parts.iter().any(|part| part.trim() != *part || part.is_empty()) {
            return Err(refused("not a dotted key such as conversations.turns.max".to_owned()));
        }
        let value = parse_node(text).map_err(|error| refused(reason(&error)))?;
        let value = from_home(plain(value, "", &mut |_, _| {}));
        *entry(&mut self.value, &parts).map_err(refused)? = value;
        self.places.retain(|place, _| !is_within(place, key));
        for end in key.match_indices('.').map(|(at, _)| at).chain([key.len()]) {
            let made = key.get(..end).unwrap_or(key).to_owned();
            self.places.entry(made).or_insert_with(|| ConfigPlace::Flag(key.to_owned()));
        }
        Ok(())
    }

    /// Takes what is wrong at `keys` out. Returns whether anything was.
    pub(super) fn leave_out<'k>(&mut self, keys: impl Iterator<Item = &'k str>) -> bool {
        let parts: BTreeSet<&str> = keys.filter_map(|key| self.part_at(key)).collect();
        parts.into_iter().filter(|part| self.remove(part)).count() > 0
    }

    /// What to take out where `key` is wrong: itself, or the group it is missing from; of something in a list the list.
    fn part_at<'k>(&self, key: &'k str) -> Option<&'k str> {
        let key = key.split('[').next()?;
        match self.value.pointer(&pointer(key)) {
            Some(_) => Some(key),
            None => key.rsplit_once('.').map(|(group, _)| group),
        }
    }

    fn remove(&mut self, key: &str) -> bool {
        let (group, name) = key.rsplit_once('.').unwrap_or(("", key));
        let group = self.value.pointer_mut(&pointer(group)).and_then(Value::as_object_mut);
        group.is_some_and(|group| group.remove(name).is_some())
    }

    /// Every text that asks for a variable in its place, by dotted key: the key and the variable.
    pub(super) fn variables(&self) -> Vec<(String, &str)> {
        let mut found = Vec::new();
        variables_of(&self.value, "", &mut found);
        found
    }

    /// Where `key`, or else the nearest thing around it, was written.
    pub(super) fn place(&self, key: &str) -> Option<&ConfigPlace> {
        let mut key = key;
        loop {
            if let Some(place) = self.places.get(key) {
                return Some(place);
            }
            if key.is_empty() {
                return None;
            }
            key = key.rfind(['.', '[']).and_then(|end| key.get(..end)).unwrap_or("");
        }
    }
}

/// A dotted key as a JSON pointer. A key that has a dot or a slash in a name is one of nothing.
fn pointer(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("/{}", key.replace('.', "/")) }
}

/// The key of a flag, for messages. What does not look like one may be a secret that was pasted into the wrong place.
fn shown_key(key: &str) -> &str {
    let is_key = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
    if !key.is_empty() && key.chars().all(is_key) { key } else { "…" }
}

/// Whether `place` is `key` or a part of it.
fn is_within(place: &str, key: &str) -> bool {
    place.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The slot for a dotted key, its parents made where they are missing or null.
pub(super) fn entry<'a>(root: &'a mut Value, parts: &[&str]) -> Result<&'a mut Value, String> {
    let mut slot = root;
    for (depth, part) in parts.iter().enumerate() {
        if slot.is_null() {
            *slot = Value::Object(Map::new());
        }
        let Value::Object(map) = slot else {
            let parent = parts.get(..depth).unwrap_or_default().join(".");
            return Err(format!("`{parent}` is {}, which has no keys of its own", kind(slot)));
        };
        slot = map.entry((*part).to_owned()).or_insert(Value::Null);
    }
    Ok(slot)
}

/// What `value` is, in the words of messages. Text is not quoted: it may be a key pasted into the wrong place.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => format!("`{truth}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a group of keys".to_owned(),
    }
}

/// Reads a small text file: a regular one, UTF-8, at most [`MAX_BYTES`].
pub(crate) fn read_text(path: &Path) -> Result<String, ConfigError> {
    // A pipe would block and a device never end; a missing file is left to `open`, whose error names it.
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        return Err(ConfigError::NotAFile { path: path.to_owned() });
    }
    let mut bytes = Vec::new();
    let read = fs::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|source| fs::FsError { action: "read", path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes)
        .map_err(|error| ConfigError::NotText { path: path.to_owned(), offset: error.utf8_error().valid_up_to() })
}

/// The parser's reason without the place, which messages put in front.
fn reason(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    let error = error.without_snippet();
    match error {
        Error::MultipleDocuments { .. } => "a second document starts here; one is expected".to_owned(),
        Error::MergeKeyNotAllowed { .. } => "merge keys (`<<`) are not read; write the keys out".to_owned(),
        Error::NonFiniteFloat { value, .. } => format!("{value} is not a finite number"),
        Error::DuplicateMappingKey { key, .. } => format!("`{}` stands here twice", key.as_deref().unwrap_or("a key")),
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            "a second document starts here; one is expected".to_owned()
        }
        Error::Budget { .. } => "more nesting, aliases or values than a configuration needs".to_owned(),
        Error::AliasError { error, .. } => reason(error),
        other => {
            let text = other.render_with_formatter(&serde_saphyr::UserMessageFormatter);
            let text = text.lines().next().unwrap_or_default();
            text.split(" at line ").next().unwrap_or_default().to_owned()
        }
    }
}

fn parse_node(text: &str) -> Result<Node, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_nodes: 20_000, max_aliases: 100, max_documents: 1 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::Reject,
        reject_unsupported_tags: true,
        // `no` is a language tag and a legitimate text; only true and false are truth values.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// A value as the parser hands it over, its parts with their places.
#[derive(Debug)]
enum Node {
    Leaf(Value),
    List(Vec<Spanned<Node>>),
    Group(Vec<(Spanned<String>, Node)>),
}

/// The plain value of `node`; `place` is told the dotted key of everything in it and where that key stands.
fn plain(node: Node, key: &str, place: &mut impl FnMut(String, Location)) -> Value {
    match node {
        Node::Leaf(value) => value,
        Node::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for (at, item) in items.into_iter().enumerate() {
                let key = format!("{key}[{at}]");
                place(key.clone(), item.referenced);
                list.push(plain(item.value, &key, place));
            }
            Value::Array(list)
        }
        Node::Group(entries) => {
            let mut group = Map::new();
            for (name, item) in entries {
                let key = join(key, &name.value);
                place(key.clone(), name.referenced);
                group.insert(name.value, plain(item, &key, place));
            }
            Value::Object(group)
        }
    }
}

fn variables_of<'v>(value: &'v Value, key: &str, found: &mut Vec<(String, &'v str)>) {
    match value {
        Value::String(text) => found.extend(variable_in(text).map(|name| (key.to_owned(), name))),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| variables_of(item, &format!("{key}[{at}]"), found));
        }
        // Goes out as it is: templates of the server's may stand there.
        Value::Object(keys) => keys.iter().filter(|(name, _)| *name != "extra_body").for_each(|(name, value)| {
            variables_of(value, &join(key, name), found);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `parent.name`, or `name` at the top.
pub(super) fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Leaf(Value::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Leaf(Value::from(value)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("numbers must be finite"))?;
        Ok(Node::Leaf(Value::Number(number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Leaf(Value::String(value.to_owned())))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut group = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            group.push(entry);
        }
        Ok(Node::Group(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Document::parse("f.yaml", text).unwrap_err().to_string()
    }

    #[test]
    fn every_value_knows_its_line() {
        let document = Document::parse("f.yaml", "a: 1\nb:\n  - x\n  - {c: null}\n").unwrap();
        assert_eq!(document.value, serde_json::json!({"a": 1, "b": ["x", {"c": null}]}));
        assert_eq!(document.place("a").unwrap().to_string(), "f.yaml:1:1");
        assert_eq!(document.place("b[1].c").unwrap().to_string(), "f.yaml:4:6");
        assert_eq!(document.place("b[1].missing").unwrap().to_string(), "f.yaml:4:5");
        assert_eq!(document.place("nothing").unwrap().to_string(), "f.yaml:1:1");
    }

    #[test]
    fn what_asks_for_a_variable_is_found_and_what_only_looks_like_it_is_not() {
        let cases = [
            ("${HOME}/runs", Some("HOME")),
            ("https://${MY_HOST:-x}/v1", Some("MY_HOST")),
            ("$HOME/runs", Some("HOME")),
            ("$OPENAI_API_KEY", Some("OPENAI_API_KEY")),
            ("${}", None),
            ("${not}", None),
            ("$5 a day", None),
            ("it costs $US", None),
            ("a$HOME", None),
        ];
        for (text, name) in cases {
            assert_eq!(variable_in(text), name, "{text}");
        }
        let document = Document::parse("f.yaml", "a: ['$X_Y', {b: '${Z}', extra_body: {c: '${T}'}}]\n").unwrap();
        assert_eq!(document.variables(), [("a[0]".to_owned(), "X_Y"), ("a[1].b".to_owned(), "Z")]);
    }

    #[test]
    fn a_flag_wins_over_the_file_and_makes_its_parents() {
        let mut document = Document::parse("f.yaml", "a: {b: 1, c: 2}\nn: null\n").unwrap();
        document.set("a.b={x: 1}").unwrap();
        document.set("n.deep.key=text with = sign").unwrap();
        assert_eq!(
            document.value,
            serde_json::json!({"a": {"b": {"x": 1}, "c": 2}, "n": {"deep": {"key": "text with = sign"}}})
        );
        assert_eq!(document.place("a.b.x").unwrap().to_string(), "--set a.b");
        assert_eq!(document.place("a.c").unwrap().to_string(), "f.yaml:1:11");
        let refused = document.set("a.c.d=1").unwrap_err().to_string();
        assert_eq!(refused, "--set a.c.d: `a.c` is the number 2, which has no keys of its own");
        for flag in ["a.b", "=canary", "a..b=canary", "a. b=canary", "a=[canary", "canary-7", "a.c.d=canary"] {
            let told = document.set(flag).unwrap_err().to_string();
            assert!(told.starts_with("--set ") && !told.to_lowercase().contains("canary"), "{flag}: {told}");
        }
    }

    #[test]
    fn hostile_files_are_refused_in_words() {
        let nested = "[".repeat(5000);
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                    d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*d,*d,*d,*d,*d,*d,*d]\n";
        let all = [
            ("duplicate", "a: 1\na: 2\n"),
            ("merge", "x: &x {a: 1}\ny: {<<: *x}\n"),
            ("infinite", "a: 1e999\n"),
            ("tag", "a: !python/object 1\n"),
            ("two documents", "a: 1\n---\nb: 2\n"),
            ("unclosed", "a: [1, 2\nb: 3\n"),
            ("tab", "a:\n\tb: 1\n"),
            ("nested", &nested),
            ("bomb", bomb),
        ];
        let messages: Vec<String> = all.iter().map(|(name, text)| format!("{name}: {}", refusal(text))).collect();
        insta::assert_snapshot!(messages.join("\n"), @r##"
        duplicate: f.yaml:2:1: `a` stands here twice
        merge: f.yaml:2:5: merge keys (`<<`) are not read; write the keys out
        infinite: f.yaml:1:4: 1e999 is not a finite number
        tag: f.yaml:1:19: unsupported tag `!python/object`
        two documents: f.yaml:2:1: a second document starts here; one is expected
        unclosed: f.yaml:2:2: illegal placement of ':' indicator
        tab: f.yaml:2:2: tabs disallowed within this context (block indentation)
        nested: f.yaml:1:256: recursion limit exceeded
        bomb: f.yaml:5:8: more nesting, aliases or values than a configuration needs
        "##);
    }

    #[test]
    fn only_true_and_false_are_truth_values() {
        let document = Document::parse("f.yaml", "a: no\nb: true\n").unwrap();
        assert_eq!(document.value, serde_json::json!({"a": "no", "b": true}));
    }

    #[test]
    fn large_and_binary_files_are_not_read_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        fs::write_atomic(&path, &vec![b' '; 1 << 20]).unwrap();
        assert_eq!(read_text(&path).unwrap().len(), 1 << 20);
        fs::write_atomic(&path, &vec![b' '; (1 << 20) + 1]).unwrap();
        assert!(matches!(read_text(&path), Err(ConfigError::TooLarge { .. })));
        fs::write_atomic(&path, b"ab\xff").unwrap();
        assert!(matches!(read_text(&path), Err(ConfigError::NotText { offset: 2, .. })));
        assert!(matches!(read_text(folder.path()), Err(ConfigError::NotAFile { .. })));
        assert!(matches!(read_text(Path::new("/dev/zero")), Err(ConfigError::NotAFile { .. })));
        assert!(matches!(read_text(&folder.path().join("none")), Err(ConfigError::Read(_))));
    }
}
