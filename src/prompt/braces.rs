//! Prompts with single braces, as upstream ConvoGen has them: one text in which `{shots}`, `{numGeneratedExamples}` and
//! `{personas}` are filled in and a literal brace is doubled.
//!
//! Such a text becomes a [`Template`] with one section to send, so that it is checked, limited and hashed like every other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::template::{PromptError, Template, within_limit};

/// The places of such a prompt.
const PLACES: &[&str] = &["shots", "numGeneratedExamples", "personas"];

/// The variables of the template made of it.
const VARIABLES: &[&str] = &["shots", "numGeneratedExamples", "personas", "error"];

/// What goes back with a reply that could not be used; upstream has nothing of the kind.
const REPAIR: &str = "That could not be used: {{ error }}. Write the whole list again, as JSON and nothing else.";

/// What such a prompt is rendered with.
#[derive(Debug, Serialize)]
#[expect(non_snake_case, reason = "the name of the place in the file")]
pub(crate) struct BraceValues<'a> {
    /// The examples, as one text.
    pub shots: String,
    /// Situations asked for.
    pub numGeneratedExamples: usize,
    /// The given people, a line each, groups apart; empty where people are invented.
    pub personas: String,
    /// In a repair: what was wrong with the reply.
    pub error: Option<&'a str>,
}

/// Reads such a prompt; `file` is how messages call it.
pub(crate) fn parse(file: &str, source: &str) -> Result<Template, PromptError> {
    within_limit(file, source)?;
    let text = source.strip_prefix('\u{feff}').unwrap_or(source);
    let user = translated(file, text)?;
    let sections = BTreeMap::from([("user".to_owned(), user), ("repair".to_owned(), REPAIR.to_owned())]);
    Template::of_sections(file, source, sections, VARIABLES)
}

/// That the prompt `template`, read from `source`, has a place for the people who are `given`, and none where nobody is.
pub(crate) fn check_people(file: &str, source: &str, template: &Template, given: bool) -> Result<(), PromptError> {
    let fault = |line: usize, message: &str| {
        Err(PromptError::Syntax { file: file.to_owned(), line, message: message.to_owned() })
    };
    let line = source.lines().position(|line| line.contains("{personas}")).map_or(1, |at| at + 1);
    match (given, template.uses("user", "personas")) {
        (true, false) => fault(
            1,
            "people are given, and there is no place {personas} to name them in; add it, or take personas out of the configuration",
        ),
        (false, true) => fault(
            line,
            "a place {personas}, but nobody is given; name a file of personas in the configuration, or take the place out",
        ),
        _ => Ok(()),
    }
}

/// `text` in the template language: its places as variables, every other brace as itself.
fn translated(file: &str, text: &str) -> Result<String, PromptError> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, found) = rest.split_at(at);
        made.push_str(before);
        let line = 1 + text.get(..text.len() - found.len()).unwrap_or_default().matches('\n').count();
        if let Some(behind) = found.strip_prefix("{{") {
            made.push_str("{{ '{' }}");
            rest = behind;
        } else if let Some(behind) = found.strip_prefix("}}") {
            made.push('}');
            rest = behind;
        } else {
            let (name, behind) = place(found).ok_or_else(|| stray(file, line))?;
            if !PLACES.contains(&name) {
                return Err(PromptError::unknown_place(file, line, name, PLACES));
            }
            made.push_str(&format!("{{{{ {name} }}}}"));
            rest = behind;
        }
    }
    made.push_str(rest);
    Ok(made)
}

/// The name in `{name}`, and what stands behind it.
fn place(text: &str) -> Option<(&str, &str)> {
    let (name, behind) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    is_name.then_some((name, behind))
}

fn stray(file: &str, line: usize) -> PromptError {
    let places = PLACES.iter().map(|place| format!("{{{place}}}")).collect::<Vec<_>>().join(", ");
    let message = format!("a single brace that is none of the places {places}; write a literal brace twice");
    PromptError::Syntax { file: file.to_owned(), line, message }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(source: &str) -> String {
        let values = BraceValues {
            shots: "S{{ 1 }}".to_owned(),
            numGeneratedExamples: 3,
            personas: "P".to_owned(),
            error: None,
        };
        parse("p.md", source).unwrap().render("user", &values).unwrap()
    }

    #[test]
    fn places_are_filled_and_doubled_braces_are_literal() {
        let source =
            "Write {numGeneratedExamples}.\n{shots}\n[{{\"name\": \"{{}}\"}}] {% if x %} {# y #} for {personas}";
        let expected = "Write 3.\nS{{ 1 }}\n[{\"name\": \"{}\"}] {% if x %} {# y #} for P";
        // A percent or hash behind a single brace is no place.
        assert!(parse("p.md", source).is_err());
        assert_eq!(
            rendered(&source.replace("{%", "{{%").replace("%}", "%}}").replace("{#", "{{#").replace("#}", "#}}")),
            expected
        );
    }

    #[test]
    fn people_and_a_place_for_them_go_together() {
        let check = |source: &str, given: bool| {
            check_people("p.md", source, &parse("p.md", source).unwrap(), given).map_err(|error| error.to_string())
        };
        assert_eq!((check("for {personas}", true), check("of anyone", false)), (Ok(()), Ok(())));
        assert!(check("of anyone", true).unwrap_err().starts_with("p.md, line 1: people are given"));
        assert!(check("\nfor {personas}", false).unwrap_err().starts_with("p.md, line 2: a place {personas}"));
    }

    #[test]
    fn what_is_no_place_is_named_with_its_line() {
        let errors = ["a\n{shot}", "a\n\n{\"name\": 1}", "}", "{}", "{shots"]
            .map(|source| parse("p.md", source).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"), @r"
        p.md, line 2: unknown variable `shot` (did you mean `shots`?); the prompt can use `shots`, `numGeneratedExamples`, `personas`
        p.md, line 3: a single brace that is none of the places {shots}, {numGeneratedExamples}, {personas}; write a literal brace twice
        p.md, line 1: a single brace that is none of the places {shots}, {numGeneratedExamples}, {personas}; write a literal brace twice
        p.md, line 1: a single brace that is none of the places {shots}, {numGeneratedExamples}, {personas}; write a literal brace twice
        p.md, line 1: a single brace that is none of the places {shots}, {numGeneratedExamples}, {personas}; write a literal brace twice
        ");
    }

    proptest! {
        #[test]
        fn any_text_is_sent_as_it_is_once_its_braces_are_doubled(text in "[a{}%# '\"\\-]{0,40}") {
            let doubled = format!("<{}>", text.replace('{', "{{").replace('}', "}}"));
            prop_assert_eq!(rendered(&doubled), format!("<{text}>"));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[a{}%#\\n]{0,40}|(\\{shots\\}|\\{|\\}){0,9}") {
            let _ = parse("p.md", &text);
        }
    }
}
