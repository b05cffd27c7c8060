//! Who a reply says is speaking: the speaker's own name in front, lines for others, names nobody has.
//!
//! A plain list such as `A: x, B: y` within a line is no change of speaker.

use std::sync::LazyLock;

use regex::Regex;

/// Labels of chat formats and scripts that are nobody's name.
const ROLES: &[&str] = &["user", "assistant", "system", "human", "ai", "narrator", "model", "bot"];
/// Longest stage direction in front of a line, in characters.
const LONGEST_ASIDE: usize = 40;
/// Words behind a label amid a line from which it is a change of speaker and no entry of a list.
const SPOKEN_WORDS: usize = 3;

/// What follows `name` as a speaker label at the start of `line` (`Ann:`, `**Ann:**`, `Ann (laughing):`, `Ann says:`), if it
/// is one.
fn after_label<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let bare = line.trim_start_matches(['*', '_', '#', '>', '[', '-', ' ']);
    let head = bare.get(..name.len()).filter(|head| is_alike(head, name))?;
    let mut rest = bare.get(head.len()..)?.trim_start_matches(['*', '_', ']', ' ']);
    if let Some(aside) = rest.strip_prefix(['(', '（']) {
        rest = aside.split_once([')', '）']).filter(|(inside, _)| inside.len() < LONGEST_ASIDE)?.1.trim_start();
    }
    rest = VERBS.iter().find_map(|verb| rest.strip_prefix(verb)).unwrap_or(rest).trim_start();
    let rest = rest.strip_prefix([':', '：'])?;
    Some(rest.trim_start_matches(['*', '_', ' ']))
}

/// Whether two texts are the same but for case.
fn is_alike(one: &str, other: &str) -> bool {
    let is_ascii = one.is_ascii() && other.is_ascii();
    if is_ascii { one.eq_ignore_ascii_case(other) } else { one.to_lowercase() == other.to_lowercase() }
}

/// Whether there can be a label in `text` at all.
fn has_colon(text: &str) -> bool {
    text.contains(':') || text.contains('：')
}

/// How a narrator introduces a line. In the present tense only: "Bob said: never again" is somebody telling what Bob said.
const VERBS: &[&str] =
    &["says", "replies", "answers", "responds", "asks", "sagt", "antwortet", "fragt", "说", "说道", "回答", "问"];

fn label_forms(name: &str) -> impl Iterator<Item = &str> {
    let first = name.split_whitespace().next().filter(|first| *first != name);
    [Some(name), first].into_iter().flatten()
}

/// Takes the speaker's own name away from the front.
pub(super) fn drop_own_name(text: &str, name: &str, mended: &mut Vec<&'static str>) -> String {
    let mut rest = text;
    if !has_colon(text) {
        return rest.to_owned();
    }
    while let Some(after) = label_forms(name).find_map(|form| after_label(rest, form)) {
        if mended.last() != Some(&"own_name") {
            mended.push("own_name");
        }
        rest = after;
    }
    rest.to_owned()
}

/// Takes a stage direction away from the front: `*sighs*`, `(laughing)`, `[nods]`. Emphasis on a first word stays, since
/// what follows it goes on in lower case.
pub(super) fn drop_stage_direction(text: &str, mended: &mut Vec<&'static str>) -> String {
    for (open, close) in [('*', '*'), ('(', ')'), ('[', ']'), ('（', '）')] {
        let parts = text.strip_prefix(open).and_then(|rest| rest.split_once(close));
        let Some((aside, rest)) = parts else { continue };
        let rest = rest.trim_start();
        let is_quote = |c: char| matches!(c, '"' | '“' | '„' | '「' | '\'' | '…');
        let goes_on = rest.starts_with(|c: char| c.is_lowercase() || !(c.is_alphanumeric() || is_quote(c)));
        if !aside.is_empty() && aside.chars().count() < LONGEST_ASIDE && !rest.is_empty() && !goes_on {
            mended.push("stage_direction");
            return rest.to_owned();
        }
    }
    text.to_owned()
}

/// Whether `text` begins as a line of one of `others`, or of a role that nobody in a conversation has.
pub(super) fn starts_as_other(text: &str, others: &[&str]) -> bool {
    if !has_colon(text) {
        return false;
    }
    let named = others.iter().any(|name| label_forms(name).any(|form| after_label(text, form).is_some()));
    named || ROLES.iter().any(|role| after_label(text, role).is_some())
}

/// Keeps what comes before a line, or a sentence, that is labelled as anyone's.
pub(super) fn cut_at_speaker_line(text: &str, everyone: &[&str], mended: &mut Vec<&'static str>) -> String {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    let inside = label_within(first, everyone);
    let mut kept = vec![first.get(..inside.unwrap_or(first.len())).unwrap_or(first)];
    let mut cut = inside.is_some();
    if !cut {
        kept.extend(lines.clone().take_while(|line| !starts_as_other(line, everyone) && !starts_as_stranger(line)));
        cut = kept.len() < text.lines().count();
    }
    if cut {
        mended.push("speaks_for_others");
    }
    kept.join("\n").trim_end().to_owned()
}

/// Whether a further line of a reply begins with a label that looks like a name.
fn starts_as_stranger(line: &str) -> bool {
    static LABEL: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"^[*_\[]*(?:\p{Lu}[\p{L}'’.-]+(?: \p{Lu}[\p{L}'’.-]+){0,2}|\p{Han}{2,4})[*_\]]*[:：]").ok()
    });
    LABEL.as_ref().is_some_and(|label| label.is_match(line))
}

/// Where in a line, after the end of a sentence, somebody of `everyone` begins to speak.
fn label_within(line: &str, everyone: &[&str]) -> Option<usize> {
    if !has_colon(line) {
        return None;
    }
    let ends =
        line.char_indices().filter(|(_, c)| matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？' | '"' | '”' | '」'));
    ends.map(|(at, end)| at + end.len_utf8()).find(|at| {
        let rest = line.get(*at..).unwrap_or_default().trim_start();
        let said = everyone.iter().flat_map(|name| label_forms(name)).find_map(|form| after_label(rest, form));
        // Up to the next label, if there is one: the entries of a list are short.
        let words = said.and_then(|said| said.split([':', '：']).next()).map(super::words::count);
        words.is_some_and(|words| words >= SPOKEN_WORDS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAST: &[&str] = &["Ann Lee", "Bob", "王伟"];

    #[test]
    fn a_label_is_a_name_with_a_colon_in_front() {
        for line in
            ["Bob: no", "**Bob:** no", "Bob (quietly): no", "bob says: no", "- Ann: no", "王伟：不", "Assistant: no"]
        {
            assert!(starts_as_other(line, CAST), "{line}");
        }
        for line in ["Bob, no", "Bobby: no", "Bob said: no", "Look: no", "It is Bob: he knows"] {
            assert!(!starts_as_other(line, CAST), "{line}");
        }
    }

    #[test]
    fn lines_and_sentences_of_others_are_cut_and_lists_stay() {
        for (text, kept) in [
            ("I wait.\nBob: But why?", "I wait."),
            ("I wait.\nSarah Miller: But why?", "I wait."),
            ("I wait. Bob: But why would we wait?", "I wait."),
            ("我等。王伟：我们为什么要等？", "我等。"),
            ("It is fair. Ann: milk. Bob: bread.", "It is fair. Ann: milk. Bob: bread."),
            (
                "Two lists, Ann: milk and a lot of eggs, Bob: bread.",
                "Two lists, Ann: milk and a lot of eggs, Bob: bread.",
            ),
        ] {
            assert_eq!(cut_at_speaker_line(text, CAST, &mut Vec::new()), kept);
        }
    }

    #[test]
    fn stage_directions_go_and_emphasis_stays() {
        for (text, kept) in [
            ("*sighs* We wait.", "We wait."),
            ("(laughing) We wait.", "We wait."),
            ("（叹气）我们等吧。", "我们等吧。"),
            ("*Now* you tell me.", "*Now* you tell me."),
            ("[nods]", "[nods]"),
        ] {
            assert_eq!(drop_stage_direction(text, &mut Vec::new()), kept);
        }
    }
}
