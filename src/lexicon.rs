//! Word lists that ship, and the one matcher that looks words up in them.
//!
//! The lists are the files below `prompts/lexicons/`, text that a translator can edit. Lines below a heading in brackets are
//! the entries of one list, one a line; `#` starts a comment. Entries are in lower case and say how they are looked for:
//!
//! | entry | stands for |
//! | --- | --- |
//! | `teacher` | this word |
//! | `middle ages` | these words in a row |
//! | `physio*` | a word or a text that starts so |
//! | `*ing` | a word or a text that ends so |
//! | `*agree more*`, `医生` | this anywhere; Chinese, Japanese and Thai need no stars, since they set no spaces |
//! | `/see (you\|ya)( soon)?/` | a pattern: `(a\|b)` one of these, `?` behind it this or nothing, `\w+` any word |
//!
//! A file is read once, when it is first asked. The words of all its lists stand in one table, so that a word is looked up
//! once, whatever the number of lists.

mod format;
mod index;

use std::sync::OnceLock;

use regex::Regex;

use format::LexiconEntry;
pub(crate) use format::sections;
use index::LexiconIndex;

/// Lists that are looked up together.
#[derive(Debug)]
pub(crate) struct Lexicon {
    source: Source,
    index: OnceLock<LexiconIndex>,
}

/// Where the lists come from, below the folder of all lexicons.
#[derive(Debug, Clone, Copy)]
enum Source {
    File(&'static str),
    Folder(&'static str),
    Heading { folder: &'static str, heading: &'static str },
}

/// One list of a lexicon.
#[derive(Debug)]
pub(crate) struct List {
    lexicon: &'static Lexicon,
    heading: &'static str,
    place: OnceLock<usize>,
}

/// Lists of a lexicon: those that hold a word. A bit for each, by the order of the headings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Marks(u64);

impl Lexicon {
    /// The lists of one file.
    pub(crate) const fn file(path: &'static str) -> Self {
        Self { source: Source::File(path), index: OnceLock::new() }
    }

    /// The lists of all files of a folder. What they have below the same heading is one list.
    pub(crate) const fn folder(path: &'static str) -> Self {
        Self { source: Source::Folder(path), index: OnceLock::new() }
    }

    /// What each file of a folder has below one heading: a list for each that has it, headed by the name of the file, which
    /// is a language.
    pub(crate) const fn by_language(folder: &'static str, heading: &'static str) -> Self {
        Self { source: Source::Heading { folder, heading }, index: OnceLock::new() }
    }

    /// The list below `heading`, which has to be there.
    pub(crate) const fn list(&'static self, heading: &'static str) -> List {
        List { lexicon: self, heading, place: OnceLock::new() }
    }

    /// The list below `heading`, if it is there.
    pub(crate) fn find(&'static self, heading: &str) -> Option<List> {
        let known = self.headings().iter().find(|known| **known == heading)?;
        Some(self.list(known))
    }

    /// The headings, in the order of the files.
    pub(crate) fn headings(&self) -> &[&'static str] {
        &self.index().headings
    }

    /// Every heading with every entry below it, in the order of the files.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let lists = self.headings().iter().zip(&self.index().entries);
        lists.flat_map(|(heading, entries)| entries.iter().map(|entry| (*heading, entry.text())))
    }

    /// The lists with an entry for `word`. A phrase is found where it is the whole of `word`.
    pub(crate) fn marks(&self, word: &str) -> Marks {
        let LexiconIndex { words, starts, ends, .. } = self.index();
        let whole = words.get(word).map(|found| found.marks);
        let starts = starts.at(word.as_bytes().first_chunk()).filter(|(part, _)| word.starts_with(part));
        let ends = ends.at(word.as_bytes().last_chunk()).filter(|(part, _)| word.ends_with(part));
        let parts = starts.chain(ends).map(|(_, marks)| marks);
        whole.into_iter().chain(parts).fold(Marks::default(), Marks::and)
    }

    /// The lists with an entry for the first of `words`, or for a phrase that they begin with.
    pub(crate) fn marks_at(&self, words: &[&str]) -> Marks {
        let Some((first, rest)) = words.split_first() else { return Marks::default() };
        let found = self.index().words.get(first);
        let phrases = found.into_iter().flat_map(|found| &found.phrases).filter(|(phrase, _)| rest.starts_with(phrase));
        phrases.fold(self.marks(first), |marks, (_, more)| marks.and(*more))
    }

    /// The lists that know `word` best: those that have it whole, else those that have its longest start.
    pub(crate) fn closest(&self, word: &str) -> Marks {
        let LexiconIndex { words, starts, .. } = self.index();
        let whole = words.get(word).map(|found| found.marks).filter(|marks| *marks != Marks::default());
        let mut starts = starts.at(word.as_bytes().first_chunk()).filter(|(part, _)| word.starts_with(part));
        whole.or_else(|| starts.next().map(|(_, marks)| marks)).unwrap_or_default()
    }

    /// What may stand anywhere and does stand in `text`: the place of its list among the headings, and where it is first.
    pub(crate) fn inside(&self, text: &str) -> impl Iterator<Item = (usize, usize)> {
        let lists = self.index().entries.iter().enumerate();
        let all = lists.flat_map(|(list, entries)| inside(entries).map(move |part| (list, part)));
        all.filter_map(|(list, part)| Some((list, text.find(part)?)))
    }

    fn index(&self) -> &LexiconIndex {
        self.index.get_or_init(|| {
            // A test reads all that ships.
            LexiconIndex::read(self.source).unwrap_or_else(|error| unreachable!("what ships can be read: {error}"))
        })
    }
}

impl List {
    /// Whether an entry stands for `word`.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.lexicon.marks(word).has(self)
    }

    /// The longest entry for starts that `text` starts with.
    pub(crate) fn start_of(&self, text: &str) -> Option<&'static str> {
        let mut starts = self.lexicon.index().starts.at(text.as_bytes().first_chunk());
        starts.find(|(part, marks)| marks.has(self) && text.starts_with(part)).map(|(part, _)| part)
    }

    /// Where the first of what may stand anywhere stands in `text`.
    pub(crate) fn first_in(&self, text: &str) -> Option<usize> {
        inside(self.entries()).filter_map(|part| text.find(part)).min()
    }

    /// Whether any of what may stand anywhere stands in `text`.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        inside(self.entries()).any(|part| text.contains(part))
    }

    /// What the entries look for, in the order of the file.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &'static str> {
        self.entries().iter().map(|entry| entry.text())
    }

    /// A pattern for all entries together, which stand in the place of `{}` in `around`. The first of the file is tried
    /// first; letter case does not matter.
    pub(crate) fn pattern(&self, around: &str) -> Regex {
        let one = |entry: &LexiconEntry| match entry {
            LexiconEntry::Pattern(pattern) => without_captures(pattern),
            entry => regex::escape(entry.text()),
        };
        let any: Vec<String> = self.entries().iter().map(one).collect();
        let pattern = format!("(?i){}", around.replace("{}", &format!("(?:{})", any.join("|"))));
        Regex::new(&pattern).unwrap_or_else(|error| unreachable!("every pattern that ships is one: {error}"))
    }

    /// This list alone.
    pub(crate) fn mark(&self) -> Marks {
        Marks(1 << self.place())
    }

    fn entries(&self) -> &'static [LexiconEntry] {
        self.lexicon.index().entries.get(self.place()).map_or(&[], Vec::as_slice)
    }

    fn place(&self) -> usize {
        *self.place.get_or_init(|| {
            let place = self.lexicon.headings().iter().position(|heading| *heading == self.heading);
            place.unwrap_or_else(|| unreachable!("{:?} has no [{}]", self.lexicon.source, self.heading))
        })
    }
}

/// `pattern` with groups that remember nothing. What a group may remember is kept for every state of a pattern: with some sixty
/// of them, searches by the longest pattern took 32 MiB for each thread.
fn without_captures(pattern: &str) -> String {
    let mut without = String::with_capacity(pattern.len());
    let (mut escaped, mut in_class) = (false, false);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        without.push(c);
        let plain = !escaped;
        escaped = plain && c == '\\';
        in_class = if plain { (in_class || c == '[') && c != ']' } else { in_class };
        if plain && c == '(' && !in_class && chars.peek() != Some(&'?') {
            without.push_str("?:");
        }
    }
    without
}

impl Marks {
    /// Whether `list` is one of them.
    pub(crate) fn has(self, list: &List) -> bool {
        self.meets(list.mark())
    }

    /// Whether any of these is one of those.
    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These and those.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Their places among the headings, in order.
    pub(crate) fn places(self) -> impl Iterator<Item = usize> {
        // Each step takes the lowest bit away.
        let next = |left: &u64| left.checked_sub(1).map(|less| left & less);
        let left = std::iter::successors(Some(self.0), next).take_while(|left| *left != 0);
        left.map(|left| left.trailing_zeros() as usize)
    }
}

fn inside(entries: &[LexiconEntry]) -> impl Iterator<Item = &'static str> {
    entries.iter().filter_map(|entry| if let LexiconEntry::Inside(part) = entry { Some(*part) } else { None })
}

/// The words of a text: letters and digits in a row.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether a character is of a script that sets no spaces between words.
pub(crate) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{e00}'..='\u{e7f}')
}

#[cfg(test)]
mod tests;
