//! Where the tags of a template stand, and which variables they mention.

use std::ops::Range;
use std::sync::Arc;

use super::Mentioned;

/// Statements that print what is within them as it is, or not at all.
const PLAIN: &[&str] = &["if", "elif", "else", "endif", "for", "endfor"];

/// Those of `variables` that stand in a tag of `text`, also in a string or under another meaning.
pub(super) fn mentioned(text: &str, variables: &[&str]) -> Vec<Mentioned> {
    let tags: Vec<&str> = tags(text).into_iter().filter_map(|tag| text.get(tag)).collect();
    let is_plain = tags.iter().filter_map(|tag| statement(tag)).all(|word| PLAIN.contains(&word));
    let mention = |name: &&str| {
        let mut with_it = tags.iter().filter(|tag| has_word(tag, name)).peekable();
        with_it.peek()?;
        Some(Mentioned {
            name: Arc::from(*name),
            is_printed: is_plain && with_it.all(|tag| printed(tag) == Some(name)),
        })
    };
    variables.iter().filter_map(mention).collect()
}

/// What stands between the brackets of a tag, without the signs that trim what is around it.
fn inner<'a>(tag: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = tag.strip_prefix(open)?.strip_suffix(close)?;
    Some(inner.trim_matches(['-', '+']).trim())
}

/// What `{{ … }}` prints.
fn printed(tag: &str) -> Option<&str> {
    inner(tag, "{{", "}}")
}

/// The first word of `{% … %}`.
fn statement(tag: &str) -> Option<&str> {
    inner(tag, "{%", "%}")?.split_whitespace().next()
}

/// Whether a name stands in `tag` other than as a part of another one, or of a value (`person.name`).
fn has_word(tag: &str, name: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    tag.match_indices(name).any(|(at, _)| {
        let (before, rest) = tag.split_at(at);
        let after = rest.get(name.len()..).unwrap_or_default();
        !before.ends_with(|c| of_name(c) || c == '.') && !after.starts_with(of_name)
    })
}

/// The line of the first use of variable `name`, from 1; 1 if it cannot be found.
pub(super) fn line_of(text: &str, name: &str) -> usize {
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '\'');
    let is_use = |at: usize| {
        let (before, rest) = text.split_at(at);
        let after = rest.get(name.len()..).unwrap_or_default();
        !before.ends_with(part_of_name) && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    };
    let comment = |tag: &Range<usize>| text.get(tag.clone()).is_some_and(|tag| tag.starts_with("{#"));
    let tags: Vec<Range<usize>> = tags(text).into_iter().filter(|tag| !comment(tag)).collect();
    let mut uses = text.match_indices(name).map(|(at, _)| at).filter(|at| tags.iter().any(|tag| tag.contains(at)));
    let at = uses.find(|at| is_use(*at)).unwrap_or(0);
    text.get(..at).unwrap_or_default().matches('\n').count() + 1
}

/// Where `{{ … }}`, `{% … %}` and `{# … #}` stand. The text has passed the parser, so every tag ends.
fn tags(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(offset) = text.get(from..).and_then(|rest| rest.find('{')) {
        let start = from + offset;
        let rest = text.get(start..).unwrap_or_default();
        let close = ["}}", "%}", "#}"].into_iter().zip(["{{", "{%", "{#"]).find(|(_, open)| rest.starts_with(open));
        let end = close.and_then(|(close, _)| rest.find(close));
        from = match end {
            Some(end) => {
                found.push(start..start + end + 2);
                start + end + 2
            }
            None => start + 1,
        };
    }
    found
}

pub(super) fn outside_tags(text: &str) -> String {
    let mut kept = String::new();
    let mut from = 0;
    for tag in tags(text) {
        kept.push_str(text.get(from..tag.start).unwrap_or_default());
        // A value stands here: words on both sides of it are no phrase of the template.
        kept.push('\n');
        from = tag.end;
    }
    kept.push_str(text.get(from..).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of `a` and `b`: `a!` where it is only printed.
    fn found(text: &str) -> String {
        let name = |m: &Mentioned| format!("{}{}", m.name, if m.is_printed { "!" } else { "" });
        mentioned(text, &["a", "b"]).iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn variables_are_found_in_tags_and_told_apart_by_what_is_done_with_them() {
        for (text, names) in [
            ("a {{ ab }} {{ x.a }} {{ ba }} {# b", ""),
            ("{{ a }} and {{- a -}} {{x}}", "a!"),
            ("{{ a }} {{ a | upper }}", "a"),
            ("{% if b %}{{ a }}{% endif %}", "a! b"),
            ("{% for x in b %}{{ x }}{{ a }}{% endfor %}", "a! b"),
            ("{% filter upper %}{{ a }}{% endfilter %}", "a"),
            ("{% set x = a %}{{ b }}", "a b"),
            ("{%- raw -%}{{ a }}{% endraw %}", "a"),
            ("{{ x['a'] }} {{ [a,b] }}", "a b"),
        ] {
            assert_eq!(found(text), names, "{text}");
        }
    }
}
