//! A preview as a page: who meets and why, then the talk, a colour for each person.

use serde_json::Value;

use super::super::output::Span;
use super::super::progress::thousands;
use super::super::wrap::{columns, wrap};
use crate::pipeline::preview::PreviewSample;
use crate::record::{Conversation, Dropped, Participant, Relation, Situation};

const BOLD: &str = "1";
const DIM: &str = "2";
/// Colours of the people in a group, used again from the start in a large one.
const VOICES: [&str; 6] = ["36", "33", "35", "32", "34", "31"];
/// Names longer than this are cut off beside what their owner says.
const NAME_COLUMNS: usize = 24;
/// A page wider than this is hard to read, a narrower one than this is none.
const READABLE: std::ops::RangeInclusive<usize> = 40..=110;

type Line = Vec<Span>;

/// Everything there is to show, in lines of at most `width` columns.
pub(in crate::cli) fn page(shown: &PreviewSample, width: usize) -> Vec<Line> {
    let mut page = Page { lines: Vec::new(), width: width.clamp(*READABLE.start(), *READABLE.end()) };
    for (at, situation) in shown.situations.iter().enumerate() {
        page.situation(situation, at + 1, shown.situations.len());
        let talks = shown.conversations.iter().filter(|talk| talk.situation_id == situation.id);
        talks.for_each(|talk| page.talk(talk));
        let prefix = format!("c-{}-", situation.id);
        let lost = shown.dropped.iter().filter(|dropped| dropped.id.starts_with(&prefix));
        lost.for_each(|dropped| page.lost(dropped));
        page.blank();
    }
    for dropped in shown.dropped.iter().filter(|dropped| !dropped.id.starts_with("c-")) {
        page.lost(dropped);
    }
    page.lines
}

struct Page {
    lines: Vec<Line>,
    width: usize,
}

fn span(text: impl Into<String>, style: &'static str) -> Span {
    Span { text: text.into(), style }
}

impl Page {
    fn blank(&mut self) {
        self.lines.push(Vec::new());
    }

    /// A paragraph, indented.
    fn text(&mut self, indent: usize, style: &'static str, text: &str) {
        for line in wrap(text, self.width - indent) {
            self.lines.push(vec![span(" ".repeat(indent), ""), span(line, style)]);
        }
    }

    /// A label and a paragraph to the right of it.
    fn labelled(&mut self, indent: usize, label: Span, column: usize, text: &str) {
        let at = indent + column + 2;
        let mut first = Some(label);
        for line in wrap(text, self.width.saturating_sub(at).max(10)) {
            let label = first.take().unwrap_or_else(|| span("", ""));
            let gap = (column + 2).saturating_sub(columns(&label.text));
            self.lines.push(vec![span(" ".repeat(indent), ""), label, span(" ".repeat(gap), ""), span(line, "")]);
        }
    }

    fn situation(&mut self, situation: &Situation, number: usize, of: usize) {
        let title = format!("━━ {number} of {of} · {} ", situation.id);
        let rule = "━".repeat(self.width.saturating_sub(columns(&title)));
        self.lines.push(vec![span(title + &rule, BOLD)]);
        self.text(0, "", &situation.situation);
        self.labelled(0, span("topic", DIM), 5, &situation.topic);
        for (what, json) in [("cell", &situation.attributes), ("label", &situation.labels)] {
            for (name, value) in pairs(json) {
                self.labelled(0, span(what, DIM), 5, &format!("{name}: {value}"));
            }
        }
        self.blank();
        for (at, person) in situation.personas.iter().enumerate() {
            self.person(person, voice(at));
        }
        for relation in &situation.relations {
            self.relation(relation, &situation.personas);
        }
        self.blank();
    }

    fn relation(&mut self, relation: &Relation, people: &[Participant]) {
        let name = |id: &str| people.iter().find(|person| person.id == id).map_or("", |person| person.name.as_str());
        let Relation { from, to, r#type, text } = relation;
        let kind = if r#type.is_empty() { String::new() } else { format!(" ({type})") };
        self.text(0, "", &format!("{} – {}{kind}: {text}", name(from), name(to)));
    }

    fn person(&mut self, person: &Participant, style: &'static str) {
        let name = cut(&person.name);
        let column = columns(&name);
        self.labelled(0, span(name, style), column, &person.description);
        let parts = [
            ("persona", Some(&person.persona)),
            ("stance", person.stance.as_ref()),
            ("goal", person.goal.as_ref()),
            ("knows", person.knowledge.as_ref()),
        ];
        for (label, text) in parts {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.labelled(4, span(label, DIM), 7, text);
            }
        }
    }

    fn talk(&mut self, talk: &Conversation) {
        let names: Vec<String> = talk.participants.iter().map(|person| cut(&person.name)).collect();
        let column = names.iter().map(|name| columns(name)).max().unwrap_or(0);
        self.labelled(0, span("▸", DIM), column, &talk.conversation_starter);
        for turn in &talk.turns {
            let at = talk.participants.iter().position(|person| person.id == turn.speaker_id).unwrap_or(0);
            self.labelled(0, span(cut(&turn.speaker), voice(at)), column, &turn.text);
        }
        self.blank();
        let repaired = talk.turns.iter().filter(|turn| turn.attempts > 1).count();
        let repaired = if repaired > 0 { format!(", {repaired} of them asked for again") } else { String::new() };
        let end = format!(
            "{} · {} turns{repaired} · {} prompt tokens ({} cached), {} completion tokens · {}",
            talk.stop_reason,
            talk.turns.len(),
            thousands(talk.prompt_tokens),
            thousands(talk.cached_prompt_tokens),
            thousands(talk.completion_tokens),
            talk.id,
        );
        self.text(0, DIM, &end);
    }

    fn lost(&mut self, dropped: &Dropped) {
        let Dropped { id, reason, detail, .. } = dropped;
        self.text(0, DIM, &format!("{id} was not accepted: {reason}: {detail}"));
    }
}

fn voice(at: usize) -> &'static str {
    VOICES.get(at % VOICES.len()).copied().unwrap_or_default()
}

/// A name as it stands beside what is said.
fn cut(name: &str) -> String {
    wrap(name, NAME_COLUMNS).into_iter().next().unwrap_or_default()
}

/// The members of a JSON object, texts without their quotes.
fn pairs(json: &str) -> Vec<(String, String)> {
    let members: serde_json::Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
    let shown = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    members.into_iter().map(|(name, value)| (name, shown(value))).collect()
}
