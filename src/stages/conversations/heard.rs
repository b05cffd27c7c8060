//! What was said so far, as prompts show it: all of it, or the last turns with what came before them in short.

use crate::llm::Message;
use crate::record::Participant;

/// The transcript of a conversation in progress.
#[derive(Debug)]
pub(super) struct Heard<'a> {
    people: &'a [Participant],
    /// What everybody is called in front of their lines.
    labels: Vec<&'a str>,
    /// Each turn on a line of its own.
    text: String,
    lines: Vec<HeardLine>,
    /// The first line that is shown.
    from: usize,
    /// What stands for the lines before it.
    past: Option<String>,
}

/// Where a turn stands in the transcript.
#[derive(Debug, Clone, Copy)]
struct HeardLine {
    speaker: usize,
    /// Where the name begins.
    start: usize,
    /// Where the words begin.
    words: usize,
    end: usize,
}

impl<'a> Heard<'a> {
    /// Nothing yet, of `people`.
    pub(super) fn new(people: &'a [Participant]) -> Self {
        let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
        let labels = super::selection::shortest_forms(&names);
        Self { people, labels, text: String::new(), lines: Vec::new(), from: 0, past: None }
    }

    /// Takes in what `speaker` said.
    pub(super) fn hear(&mut self, speaker: usize, words: &str) {
        let Some(label) = self.labels.get(speaker) else { return };
        if !self.lines.is_empty() {
            self.text.push('\n');
        }
        let start = self.text.len();
        self.text.push_str(label);
        self.text.push_str(": ");
        let words_start = self.text.len();
        self.text.push_str(words);
        self.lines.push(HeardLine { speaker, start, words: words_start, end: self.text.len() });
    }

    /// Who spoke last.
    pub(super) fn last(&self) -> Option<&'a Participant> {
        self.people.get(self.lines.last()?.speaker)
    }

    /// The first line that is shown.
    pub(super) fn from(&self) -> usize {
        self.from
    }

    /// The lines that stop being shown once the first one is `from`, as text.
    pub(super) fn leaving(&self, from: usize) -> &str {
        let lines = self.lines.get(self.from..from).unwrap_or_default();
        lines.first().zip(lines.last()).map_or("", |(first, last)| self.copied(first.start, last.end))
    }

    /// Shows the lines from `from` on alone, behind `past`.
    pub(super) fn show_from(&mut self, from: usize, past: String) {
        self.from = from;
        self.past = Some(past);
    }

    /// System message, then opener and transcript, then what is asked for. The turns of the one with the id `own` are the
    /// assistant's.
    ///
    /// Neighbours of one role are merged, because strict chat templates want roles to alternate, and the last message
    /// is the user's, because some servers continue a trailing assistant message instead of answering it.
    pub(super) fn arrange(
        &self,
        system: String,
        opener: &str,
        own: Option<&str>,
        last: &[Option<String>; 2],
    ) -> Vec<Message> {
        let is_own =
            |line: &HeardLine| own.is_some() && self.people.get(line.speaker).map(|person| person.id.as_str()) == own;
        let lines = self.lines.get(self.from..).unwrap_or_default();
        let mut messages = vec![Message::system(system)];
        let mut heard = opener.to_owned();
        add(&mut heard, self.past.as_deref().unwrap_or_default());
        let mut stable = vec![heard.len()];
        for run in lines.chunk_by(|a, b| is_own(a) == is_own(b)) {
            let (Some(first), Some(end)) = (run.first(), run.last()) else { continue };
            if is_own(first) {
                let text = std::mem::take(&mut heard);
                stable = vec![text.len()];
                messages.extend((!text.is_empty()).then(|| Message::user(text).stable_to(&stable)));
                let texts: Vec<&str> = run.iter().map(|line| self.copied(line.words, line.end)).collect();
                messages.push(Message::assistant(texts.join("\n")));
                stable.clear();
            } else {
                let base = add(&mut heard, self.copied(first.start, end.end));
                // A request like this one, made a turn ago, ended where the last line begins.
                stable = run.iter().rev().nth(1).map_or(stable, |line| vec![base + line.end - first.start]);
                stable.push(heard.len());
            }
        }
        last.iter().flatten().for_each(|text| _ = add(&mut heard, text));
        messages.push(Message::user(heard).stable_to(&stable));
        messages
    }

    fn copied(&self, start: usize, end: usize) -> &str {
        self.text.get(start..end).unwrap_or_default()
    }
}

/// Adds a paragraph. Returns where it begins.
fn add(text: &mut String, paragraph: &str) -> usize {
    if !text.is_empty() && !paragraph.is_empty() {
        text.push_str("\n\n");
    }
    let start = text.len();
    text.push_str(paragraph);
    start
}
