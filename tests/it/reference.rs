//! The pages that list what the program has: every key of its configurations with its default and its values, every exit code with
//! its meaning, every figure of a report. And the links of all pages lead somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::Project;
use crate::support::script::Script;

const CONFIGURATION: &str = "docs/configuration.md";
const METRICS: &str = "docs/metrics.md";

/// What is said of a key of a configuration.
#[derive(Debug)]
struct Key {
    /// Nothing where it has to be set.
    default: Option<Value>,
    /// The values it may have, where they are listed.
    values: Vec<String>,
}

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The part of a page below a heading of the second level.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    rest.split("\n## ").next().unwrap()
}

/// The rows of the tables whose first column has this name.
fn rows<'a>(section: &'a str, column: &str) -> Vec<Vec<&'a str>> {
    let (mut rows, mut inside) = (Vec::new(), false);
    for line in section.lines() {
        let cells = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |"));
        let cells: Vec<&str> = cells.map(|cells| cells.split(" | ").collect()).unwrap_or_default();
        match cells.first().copied() {
            None => inside = false,
            Some(name) if name == column => inside = true,
            Some(rule) if rule.starts_with("---") => {}
            Some(_) if inside => rows.push(cells),
            Some(_) => {}
        }
    }
    assert!(!rows.is_empty(), "no table of column {column}");
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Every key that the program knows in one kind of configuration.
fn keys(kind: &str) -> BTreeMap<String, Key> {
    let printed = Project::new().run(&["config", "schema", kind]).ended(0).stdout;
    let schema: Value = serde_json::from_str(&printed).unwrap();
    let mut keys = BTreeMap::new();
    collect(&schema, &schema, "", &mut keys);
    keys
}

/// Adds the keys below `node`. One that may be `null` in place of keys of its own is a key too.
fn collect(schema: &Value, node: &Value, path: &str, keys: &mut BTreeMap<String, Key>) {
    let (target, name) = resolved(schema, node);
    // The models of all roles have the same keys, which are listed once.
    let path = if name == "Model" { "models.ROLE" } else { path };
    let Some(properties) = target["properties"].as_object() else {
        keys.insert(path.to_owned(), Key { default: node.get("default").cloned(), values: values(schema, target) });
        return;
    };
    for (name, property) in properties {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if property.get("anyOf").is_some() && resolved(schema, property).0.get("properties").is_some() {
            keys.insert(below.clone(), Key { default: property.get("default").cloned(), values: Vec::new() });
        }
        collect(schema, property, &below, keys);
    }
}

/// What a node stands for when it is not `null`, and its name if it has one.
fn resolved<'a>(schema: &'a Value, node: &'a Value) -> (&'a Value, &'a str) {
    let is_null = |one: &&Value| one["type"] == "null";
    let node = node["anyOf"].as_array().map_or(node, |any| any.iter().find(|one| !is_null(one)).unwrap());
    match node["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        Some(name) => (&schema["$defs"][name], name),
        None => (node, ""),
    }
}

fn values(schema: &Value, target: &Value) -> Vec<String> {
    let target = target.get("items").map_or(target, |items| resolved(schema, items).0);
    let listed = target["oneOf"].as_array().into_iter().flatten();
    listed.map(|one| one["const"].as_str().unwrap().to_owned()).collect()
}

/// What differs between the keys that the program knows and the rows of a page.
fn differences(keys: &BTreeMap<String, Key>, rows: &[Vec<&str>]) -> Vec<String> {
    let mut listed: BTreeMap<&str, &[&str]> = BTreeMap::new();
    let mut differences = Vec::new();
    for row in rows {
        let key = quoted(row[0])[0];
        if listed.insert(key, &row[1..]).is_some() {
            differences.push(format!("{key} stands on the page twice"));
        }
        if !keys.contains_key(key) {
            differences.push(format!("{key} stands on the page and is no key"));
        }
    }
    for (name, key) in keys {
        match listed.get(name.as_str()) {
            Some([default, meaning]) => differences.extend(wrong(name, key, default, meaning)),
            Some(other) => differences.push(format!("{name} has {} columns", other.len())),
            None => differences.push(format!("{name} is missing from the page")),
        }
    }
    differences
}

fn wrong(name: &str, key: &Key, default: &str, meaning: &str) -> Vec<String> {
    let said = quoted(default).first().map(|text| serde_saphyr::from_str::<Value>(text).unwrap());
    let mut wrong = Vec::new();
    if said.map(plain) != key.default.clone().map(plain) {
        wrong.push(format!("{name}: the default is {:?}, the page says {default}", key.default));
    }
    let named = quoted(meaning);
    let missing = key.values.iter().filter(|value| !named.contains(&value.as_str()));
    wrong.extend(missing.map(|value| format!("{name}: the page does not name the value {value}")));
    wrong
}

/// The same with numbers of one kind, so that 10 and 10.0 are equal.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, plain(value))).collect(),
        other => other,
    }
}

#[test]
fn the_reference_has_every_key_of_every_configuration_with_its_default_and_its_values() {
    let page = page(CONFIGURATION);
    for (kind, heading) in [
        ("pipeline", "Pipeline configuration"),
        ("prompts", "Prompt configuration"),
        ("upload", "Upload configuration"),
    ] {
        let differences = differences(&keys(kind), &rows(section(&page, heading), "key"));
        assert!(differences.is_empty(), "{CONFIGURATION}, {heading}:\n  {}", differences.join("\n  "));
    }
}

#[test]
fn the_reference_has_every_exit_code_with_its_meaning() {
    let help = Project::new().run(&["--help"]).ended(0).stdout;
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let codes: Vec<Vec<&str>> = codes.lines().map(|line| line.trim().splitn(2, "  ").collect()).collect();
    assert_eq!(rows(section(&page(CONFIGURATION), "Exit codes"), "code"), codes);
}

#[test]
fn the_page_about_reports_has_every_figure_of_one() {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    project.pipeline(&[]).ended(0);
    let report = project.run(&["report", "runs/demo", "--json"]).ended(0).json();
    let figures: BTreeSet<&str> =
        report["subject"]["figures"].as_object().unwrap().keys().map(String::as_str).collect();
    let page = page(METRICS);
    let listed: BTreeSet<&str> =
        rows(section(&page, "Figures"), "figure").into_iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(listed, figures);
}

#[test]
fn every_link_between_the_pages_leads_to_a_file_and_a_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    for path in pages.chain([root.join("README.md")]) {
        let text = fs::read_to_string(&path).unwrap();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.is_file(), "{}: there is no {link}", path.display());
            assert!(anchor.is_empty() || anchors(&target).contains(anchor), "{}: no heading {link}", path.display());
        }
    }
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &PathBuf) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| -> String {
        let kept = heading
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .collect::<String>();
        kept.replace(' ', "-")
    };
    headings.map(anchor).collect()
}
