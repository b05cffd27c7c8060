//! Prompt files: Markdown, split into named sections, each a minijinja template.
//!
//! A section starts at an HTML comment on a line of its own, `<!-- section: user -->`, and ends at the next one. What stands
//! above the first section is for the person who reads the file. A file has exactly the sections its use asks for.
//!
//! Everything that can be checked without values is checked when the file is read: syntax, sections, the names of variables.
//! Values are data: a persona that contains `{{ x }}` appears in the prompt with these very characters. Nothing can be
//! included or imported, an undefined name is an error and not an empty text, and rendering stops at a limit of
//! instructions and of bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

pub(crate) use minijinja::Value;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, Serde};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use self::tags::{line_of, outside_tags};
use crate::exit::ExitCode;

mod tags;

/// Largest prompt file, in bytes.
pub(crate) const MAX_SOURCE_BYTES: usize = 256 * 1024;
/// Largest rendered section, in bytes.
pub(crate) const MAX_OUTPUT_BYTES: usize = 1024 * 1024;
/// Instructions and, in steps of 64, bytes that one rendering may cost. A prompt of the largest size with many examples
/// takes about a tenth; a loop over a loop over a range does not end below it.
const FUEL: u64 = 200_000;

/// A prompt file that cannot be used. Exit code 2: prompts are configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// Larger than [`MAX_SOURCE_BYTES`].
    #[error("{file}: a prompt of {bytes} bytes; at most {MAX_SOURCE_BYTES} are read")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: usize,
    },
    /// Not a template.
    #[error("{file}, line {line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The line in the file, from 1.
        line: usize,
        /// What the template engine says.
        message: String,
    },
    /// A variable that nobody sets.
    #[error("{file}, line {line}: unknown variable `{name}`{hint}; the prompt can use {known}")]
    UnknownVariable {
        /// The file.
        file: String,
        /// The line in the file, from 1.
        line: usize,
        /// As written.
        name: String,
        /// What was probably meant.
        hint: DidYouMean,
        /// Every variable there is.
        known: Names,
    },
    /// A section that its use does not know.
    #[error("{file}, line {line}: unknown section `{name}`{hint}; the file needs the sections {known}")]
    UnknownSection {
        /// The file.
        file: String,
        /// The line in the file, from 1.
        line: usize,
        /// As written.
        name: String,
        /// What was probably meant.
        hint: DidYouMean,
        /// Every section there is.
        known: Names,
    },
    /// A section twice.
    #[error("{file}, line {line}: the section `{name}` starts a second time; rename or remove one of them")]
    RepeatedSection {
        /// The file.
        file: String,
        /// The line in the file, from 1.
        line: usize,
        /// Its name.
        name: String,
    },
    /// A section that is not there or holds no text.
    #[error("{file}: the section `{name}` is missing or empty; add a line `<!-- section: {name} -->` and its text")]
    MissingSection {
        /// The file.
        file: String,
        /// Its name.
        name: String,
    },
    /// A template that failed on the values it was given.
    #[error("{file}, line {line}: {message}")]
    Render {
        /// The file.
        file: String,
        /// The line in the file, from 1; 0 where the engine does not know.
        line: usize,
        /// What the template engine says.
        message: String,
    },
    /// A section that grew over [`MAX_OUTPUT_BYTES`].
    #[error(
        "{file}: the section `{section}` renders to more than {MAX_OUTPUT_BYTES} bytes; show fewer or shorter examples"
    )]
    OutputTooLarge {
        /// The file.
        file: String,
        /// The section.
        section: String,
    },
}

impl PromptError {
    /// A place that is none of `known`.
    pub(super) fn unknown_place(file: &str, line: usize, name: &str, known: &[&str]) -> Self {
        let (file, hint, known) = (file.to_owned(), hint(name, known), names(known));
        Self::UnknownVariable { file, line, name: name.to_owned(), hint, known }
    }

    /// The exit code of the process: 2, usage or configuration.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// A suggestion within a message; prints nothing when there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidYouMean(Option<String>);

impl fmt::Display for DidYouMean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, " (did you mean `{name}`?)"),
            None => Ok(()),
        }
    }
}

/// Names within a message, each in backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            write!(f, "{}`{name}`", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

fn names(known: &[&str]) -> Names {
    Names(known.iter().map(|&name| name.to_owned()).collect())
}

fn hint(name: &str, known: &[&str]) -> DidYouMean {
    DidYouMean(super::nearest(name, known).map(str::to_owned))
}

/// A checked prompt file.
#[derive(Debug)]
pub(crate) struct Template {
    file: String,
    engine: Environment<'static>,
    /// The variables that each section mentions, whether it prints or asks for them.
    mentioned: BTreeMap<String, Vec<Mentioned>>,
    literal: String,
    hash: String,
}

impl Template {
    /// Reads a prompt from its `source`. `file` is how messages call it, `sections` are those it must have, `variables` the
    /// top-level names it may use.
    pub(crate) fn parse(file: &str, source: &str, sections: &[&str], variables: &[&str]) -> Result<Self, PromptError> {
        within_limit(file, source)?;
        Self::of_sections(file, source, split(file, source, sections)?, variables)
    }

    /// A prompt of these sections, which were made of its `source`.
    pub(super) fn of_sections(
        file: &str,
        source: &str,
        sections: BTreeMap<String, String>,
        variables: &[&str],
    ) -> Result<Self, PromptError> {
        let mut engine = engine().map_err(|error| syntax_error(file, &error))?;
        let (mut literal, mut mentioned) = (String::new(), BTreeMap::new());
        for (name, text) in sections {
            engine.add_template_owned(name.clone(), text.clone()).map_err(|error| syntax_error(file, &error))?;
            check_variables(file, &engine, &name, &text, variables)?;
            literal.push_str(&outside_tags(&text));
            literal.push('\n');
            mentioned.insert(name, tags::mentioned(&text, variables));
        }
        let hash = blake3::hash(source.as_bytes()).to_hex().to_string();
        Ok(Self { file: file.to_owned(), engine, mentioned, literal, hash })
    }

    /// Its sections, by name.
    pub(crate) fn sections(&self) -> impl Iterator<Item = &str> {
        self.mentioned.keys().map(String::as_str)
    }

    /// Renders one section with the keys of `values` as variables. Ends are trimmed, and three or more blank lines become one.
    pub(crate) fn render(&self, section: &str, values: &impl Serialize) -> Result<String, PromptError> {
        self.render_value(section, Serde(values).into())
    }

    /// The same with the variables that `value` gives; it is asked for those alone that the section mentions.
    pub(crate) fn render_with(&self, section: &str, value: impl Fn(&str) -> Value) -> Result<String, PromptError> {
        let mentioned = self.mentioned.get(section).into_iter().flatten();
        let values = mentioned.map(|Mentioned { name, .. }| (Arc::clone(name), value(name)));
        self.render_value(section, Value::from_object(Given(values.collect())))
    }

    fn render_value(&self, section: &str, values: Value) -> Result<String, PromptError> {
        let failed = |error: minijinja::Error| render_error(&self.file, &error);
        let template = self.engine.get_template(section).map_err(failed)?;
        let mut output = Capped::default();
        let result = template.render_captured_to(values, &mut output).map(drop);
        if output.full {
            return Err(PromptError::OutputTooLarge { file: self.file.clone(), section: section.to_owned() });
        }
        result.map_err(failed)?;
        let text = String::from_utf8(output.bytes);
        Ok(tidy(&text.unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())))
    }

    /// Whether what a section renders to can depend on `variable`.
    pub(crate) fn mentions(&self, section: &str, variable: &str) -> bool {
        self.find(section, variable).is_some()
    }

    /// Whether a section does no more with `variable` than to print it, so that another value changes just these places.
    pub(crate) fn only_prints(&self, section: &str, variable: &str) -> bool {
        self.find(section, variable).is_none_or(|mentioned| mentioned.is_printed)
    }

    fn find(&self, section: &str, variable: &str) -> Option<&Mentioned> {
        self.mentioned.get(section)?.iter().find(|mentioned| *mentioned.name == *variable)
    }

    /// BLAKE3 of the source, in hex: two prompts with the same hash are the same file.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// How messages call the file.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Whether a section names a variable.
    pub(crate) fn uses(&self, section: &str, variable: &str) -> bool {
        let template = self.engine.get_template(section);
        template.is_ok_and(|template| template.undeclared_variables(false).contains(variable))
    }

    /// The words of all sections that stand there whatever the values: what a reply must not repeat.
    pub(crate) fn literal(&self) -> &str {
        &self.literal
    }
}

/// A variable in the tags of a section.
#[derive(Debug)]
struct Mentioned {
    name: Arc<str>,
    /// Whether it is printed as it is, and nothing else.
    is_printed: bool,
}

/// Values by the names of their variables.
#[derive(Debug)]
struct Given(Vec<(Arc<str>, Value)>);

impl Object for Given {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| **name == *key).map(|(_, value)| value.clone())
    }
}

/// Refuses what no one would call a prompt, before anything looks at it.
pub(super) fn within_limit(file: &str, source: &str) -> Result<(), PromptError> {
    let bytes = source.len();
    if bytes > MAX_SOURCE_BYTES { Err(PromptError::TooLarge { file: file.to_owned(), bytes }) } else { Ok(()) }
}

fn engine() -> Result<Environment<'static>, minijinja::Error> {
    let mut engine = Environment::new();
    // A line with nothing but a tag leaves no line in the prompt.
    engine.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_fuel(Some(FUEL));
    // It would print every value there is into the prompt.
    engine.remove_global("debug");
    Ok(engine)
}

/// The sections by name. Each is preceded by as many newlines as there are lines above it, so that the engine counts the
/// lines of the file; rendering trims them.
fn split(file: &str, source: &str, known: &[&str]) -> Result<BTreeMap<String, String>, PromptError> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<&mut String> = None;
    for (above, line) in source.lines().enumerate() {
        if let Some(name) = marker(line) {
            check_section(file, above + 1, name, known, &found)?;
            current = Some(found.entry(name.to_owned()).or_insert_with(|| "\n".repeat(above + 1)));
        } else if let Some(text) = &mut current {
            text.push_str(line);
            text.push('\n');
        }
    }
    let missing = known.iter().find(|name| found.get(**name).is_none_or(|text| text.trim().is_empty()));
    match missing {
        Some(&name) => Err(PromptError::MissingSection { file: file.to_owned(), name: name.to_owned() }),
        None => Ok(found),
    }
}

/// The name in `<!-- section: name -->`.
fn marker(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    Some(inner.trim().strip_prefix("section:")?.trim())
}

fn check_section(
    file: &str,
    line: usize,
    name: &str,
    known: &[&str],
    found: &BTreeMap<String, String>,
) -> Result<(), PromptError> {
    let (file, owned) = (file.to_owned(), name.to_owned());
    if !known.contains(&name) {
        return Err(PromptError::UnknownSection {
            file,
            line,
            name: owned,
            hint: hint(name, known),
            known: names(known),
        });
    }
    if found.contains_key(name) {
        return Err(PromptError::RepeatedSection { file, line, name: owned });
    }
    Ok(())
}

fn check_variables(
    file: &str,
    engine: &Environment<'_>,
    section: &str,
    text: &str,
    known: &[&str],
) -> Result<(), PromptError> {
    let template = engine.get_template(section).map_err(|error| syntax_error(file, &error))?;
    let used = template.undeclared_variables(false);
    let unknown = used.iter().filter(|name| {
        let name = name.as_str();
        !known.contains(&name) && engine.globals().all(|(global, _)| global != name)
    });
    // The engine hands out a hash set: the first in the file is named, not whichever comes first today.
    let first = unknown.map(|name| (line_of(text, name), name)).min();
    match first {
        None => Ok(()),
        Some((line, name)) => Err(PromptError::UnknownVariable {
            file: file.to_owned(),
            line,
            name: name.clone(),
            hint: hint(name, known),
            known: names(known),
        }),
    }
}

fn message(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

fn syntax_error(file: &str, error: &minijinja::Error) -> PromptError {
    PromptError::Syntax { file: file.to_owned(), line: error.line().unwrap_or(1), message: message(error) }
}

fn render_error(file: &str, error: &minijinja::Error) -> PromptError {
    PromptError::Render { file: file.to_owned(), line: error.line().unwrap_or(0), message: message(error) }
}

/// A sink that refuses to hold more than [`MAX_OUTPUT_BYTES`].
#[derive(Default)]
struct Capped {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.full |= self.bytes.len() + bytes.len() > MAX_OUTPUT_BYTES;
        if self.full {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Trims the ends and turns three or more blank lines into one.
fn tidy(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut blank = 0;
    for line in text.trim().lines().map(str::trim_end) {
        if line.is_empty() {
            blank += 1;
            continue;
        }
        let newlines = if blank >= 3 { 2 } else { blank + 1 };
        if !kept.is_empty() {
            kept.extend(std::iter::repeat_n('\n', newlines));
        }
        kept.push_str(line);
        blank = 0;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const SECTIONS: &[&str] = &["system", "user"];
    const VARIABLES: &[&str] = &["language", "persona", "shots"];

    fn parse(source: &str) -> Result<Template, PromptError> {
        Template::parse("p.md", source, SECTIONS, VARIABLES)
    }

    fn with_user(text: &str) -> String {
        format!("A note.\n\n<!-- section: system -->\nBe brief.\n<!-- section: user -->\n{text}\n")
    }

    fn user(text: &str, values: &serde_json::Value) -> Result<String, PromptError> {
        parse(&with_user(text))?.render("user", values)
    }

    #[test]
    fn sections_render_apart_and_the_note_on_top_does_not() {
        let template = parse(&with_user("Write in {{ language }}.")).unwrap();
        assert_eq!(template.render("system", &json!({})).unwrap(), "Be brief.");
        assert_eq!(template.render("user", &json!({"language": "German"})).unwrap(), "Write in German.");
        assert!(matches!(template.render("other", &json!({})), Err(PromptError::Render { .. })));
    }

    #[test]
    fn mistakes_are_named_with_the_line_of_the_file() {
        let errors: Vec<String> = [
            with_user("one\ntwo {{ persona"),
            with_user("{% for s in shots %}x"),
            with_user("one\n{% if language %}\n{{ personna.name }}{% endif %}"),
            with_user("{# zzz #} 'zzz'\n{{ shots.zzz }} {{\n zzz }}"),
            "<!-- section: sytem -->\nx\n<!-- section: user -->\nx".to_owned(),
            "<!-- section: system -->\nx\n<!-- section: system -->\nx".to_owned(),
            "<!-- section: system -->\n \n<!-- section: user -->\nx".to_owned(),
            with_user("{% include 'x' %}"),
        ]
        .iter()
        .map(|source| parse(source).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(errors.join("\n"), @r#"
        p.md, line 7: syntax error: unexpected end of input, expected end of variable block
        p.md, line 6: syntax error: unexpected end of input, expected end of block
        p.md, line 8: unknown variable `personna` (did you mean `persona`?); the prompt can use `language`, `persona`, `shots`
        p.md, line 8: unknown variable `zzz`; the prompt can use `language`, `persona`, `shots`
        p.md, line 1: unknown section `sytem` (did you mean `system`?); the file needs the sections `system`, `user`
        p.md, line 3: the section `system` starts a second time; rename or remove one of them
        p.md: the section `system` is missing or empty; add a line `<!-- section: system -->` and its text
        p.md, line 6: syntax error: unknown statement include
        "#);
    }

    #[test]
    fn values_are_never_evaluated() {
        for evil in
            ["{{ 7 * 7 }}", "{% for x in range(9) %}x{% endfor %}", "{# gone #}", "<!-- section: system -->", "<b>&"]
        {
            assert_eq!(user("{{ persona }}", &json!({"persona": evil})).unwrap(), evil);
        }
    }

    #[test]
    fn what_is_undefined_is_an_error_and_none_is_not() {
        let error = user("a\n{{ persona.nam }}", &json!({"persona": {"name": "x"}})).unwrap_err();
        assert!(matches!(error, PromptError::Render { line: 7, .. }), "{error}");
        assert_eq!(user("a{% if persona %}b{% endif %}", &json!({"persona": null})).unwrap(), "a");
    }

    #[test]
    fn work_and_output_are_limited() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% set x = 1 %}{% endfor %}{% endfor %}";
        assert!(matches!(user(endless, &json!({})), Err(PromptError::Render { .. })));
        let long = "y".repeat(MAX_OUTPUT_BYTES / 2);
        let twice = user("{{ persona }}{{ persona }}{{ persona }}", &json!({"persona": long}));
        assert!(matches!(twice, Err(PromptError::OutputTooLarge { .. })));
        assert!(matches!(parse(&"x".repeat(MAX_SOURCE_BYTES + 1)), Err(PromptError::TooLarge { .. })));
    }

    #[test]
    fn tag_lines_leave_no_lines_and_many_blank_lines_become_one() {
        let text = "{% for s in shots %}\n- {{ s }}\n{% endfor %}\n\n\n\nend\n\n\nkept";
        assert_eq!(user(text, &json!({"shots": ["a", "b"]})).unwrap(), "- a\n- b\n\nend\n\n\nkept");
    }

    #[test]
    fn the_hash_follows_the_source_and_the_literal_text_has_no_values() {
        let one = parse(&with_user("Write {{ language }} now")).unwrap();
        assert_eq!(one.hash(), parse(&with_user("Write {{ language }} now")).unwrap().hash());
        assert_ne!(one.hash(), parse(&with_user("Write {{ language }} then")).unwrap().hash());
        assert!(one.literal().contains("Be brief.") && !one.literal().contains("language"));
        assert!(!one.literal().contains("A note"));
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_do_not_matter() {
        let source = format!("\u{feff}{}", with_user("a\nb").replace('\n', "\r\n"));
        assert_eq!(parse(&source).unwrap().render("user", &json!({})).unwrap(), "a\nb");
    }

    proptest! {
        #[test]
        fn no_source_makes_it_panic(source in "([a-z{}%#<>!\\- \\n]|\\{\\{|\\{%|%\\}|\\}\\}|<!-- section: user -->\\n){0,60}") {
            let _ = parse(&source).map(|t| t.render("user", &json!({"language": "en"})));
            let _ = user(&source, &json!({"persona": "x"}));
        }

        #[test]
        fn any_value_appears_as_it_is(value in "\\S(.{0,40}\\S)?") {
            prop_assert_eq!(user("{{ persona }}", &json!({"persona": value})).unwrap(), value.trim());
        }
    }
}
