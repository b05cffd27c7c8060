//! How the files of word lists are written: headings, entries, comments. See the module above for what they mean.

use super::is_unspaced;

/// What is wrong with a file of word lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {wrong}")]
pub(crate) struct Malformed {
    /// The file.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
    pub(super) wrong: &'static str,
}

/// A heading and what stands below it, with the lines they stand on.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) heading: &'a str,
    pub(crate) line: usize,
    pub(crate) entries: Vec<(usize, &'a str)>,
}

/// Takes the `text` of a file of word lists apart.
///
/// # Errors
/// If an entry stands above the first heading, or a bracket elsewhere than around a heading.
pub(crate) fn sections<'a>(file: &str, text: &'a str) -> Result<Vec<Section<'a>>, Malformed> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (line, written) in (1..).zip(text.lines()) {
        let entry = written.split('#').next().unwrap_or_default().trim();
        let wrong = |wrong| Malformed { file: file.to_owned(), line, wrong };
        if let Some(heading) = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            sections.push(Section { heading, line, entries: Vec::new() });
        } else if entry.contains(['[', ']']) {
            return Err(wrong("brackets are for headings, which stand alone on their line"));
        } else if !entry.is_empty() {
            let section = sections.last_mut().ok_or_else(|| wrong("an entry above the first heading"))?;
            section.entries.push((line, entry));
        }
    }
    Ok(sections)
}

/// Fewest bytes beside a star.
pub(super) const LEAST_BYTES: usize = 2;

/// How an entry is looked for, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LexiconEntry {
    Words(&'static str),
    Start(&'static str),
    End(&'static str),
    Inside(&'static str),
    Pattern(&'static str),
}

impl LexiconEntry {
    pub(super) fn parse(written: &'static str) -> Result<Self, &'static str> {
        if let Some(pattern) = written.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
            return Ok(Self::Pattern(pattern));
        }
        let (rest, ahead) = written.strip_prefix('*').map_or((written, false), |rest| (rest, true));
        let (part, behind) = rest.strip_suffix('*').map_or((rest, false), |part| (part, true));
        match (ahead, behind) {
            _ if part.contains('*') => Err("a star stands at the start or the end of an entry"),
            _ if part.contains("  ") => Err("one space stands between two words"),
            _ if part.to_lowercase() != part => Err("entries are in lower case"),
            (false, false) if part.chars().all(is_unspaced) => Ok(Self::Inside(part)),
            (false, false) => Ok(Self::Words(part)),
            _ if part.len() < LEAST_BYTES => Err("a star needs at least two letters beside it"),
            (true, true) => Ok(Self::Inside(part)),
            (true, false) => Ok(Self::End(part)),
            (false, true) => Ok(Self::Start(part)),
        }
    }

    pub(super) fn text(self) -> &'static str {
        let (Self::Words(text) | Self::Start(text) | Self::End(text) | Self::Inside(text) | Self::Pattern(text)) = self;
        text
    }
}
