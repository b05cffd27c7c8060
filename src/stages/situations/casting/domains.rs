//! What a person's life turns around, found by words.
//!
//! Every word of a description that stands in the lexicon votes for its domain; words before the first `who`, `that` or
//! `with` count twice, for they say what someone is rather than what they care about, and among equals the domain named
//! first wins. What may stand anywhere, for German compounds and for Chinese, which has no spaces, is looked for in texts
//! that are not plain English.

use crate::lexicon::Lexicon;

static DOMAINS: Lexicon = Lexicon::file("people/domains.txt");
/// Domains whose people have to do with each other, each pair once.
static ADJACENT: Lexicon = Lexicon::file("people/adjacent-domains.txt");

/// The domain of a description, from its words.
pub(in crate::stages::situations) fn of_text(text: &str) -> Option<&'static str> {
    of_folded(&text.to_lowercase())
}

/// The domain of a description in lower case.
pub(super) fn of_folded(folded: &str) -> Option<&'static str> {
    let mut votes = vec![Vote::default(); DOMAINS.headings().len()];
    let mut add = |domain: usize, weight, at| votes.get_mut(domain).into_iter().for_each(|vote| vote.add(weight, at));
    let mut weight = 2;
    let words = folded.split(|c: char| !c.is_alphanumeric() && c != '-').filter(|word| !word.is_empty());
    for (at, word) in words.enumerate() {
        if at > 1 && matches!(word, "who" | "that" | "which" | "with" | "der" | "die" | "das") {
            weight = 1;
        }
        for domain in DOMAINS.closest(word).places().take(1) {
            add(domain, weight, at);
        }
    }
    if !folded.is_ascii() || reads_german(folded) {
        DOMAINS.inside(folded).for_each(|(domain, at)| add(domain, 2, at));
    }
    let best = votes.iter().enumerate().filter(|(_, vote)| vote.weight > 0).min_by_key(|(_, vote)| vote.rank());
    best.and_then(|(domain, _)| DOMAINS.headings().get(domain)).copied()
}

/// Whether plain letters may be German: its articles, as words of their own.
fn reads_german(folded: &str) -> bool {
    let starts = ["ein ", "eine ", "ich bin ", "der "].iter().any(|start| folded.starts_with(start));
    starts || [" der ", " einer ", " eine ", " und ", " auf "].iter().any(|word| folded.contains(word))
}

/// The domains next to `domain`; none for one that the lexicon does not know.
pub(super) fn adjacent(domain: &str) -> impl Iterator<Item = &'static str> {
    ADJACENT.pairs().filter_map(move |(one, two)| match () {
        () if one == domain => Some(two),
        () if two == domain => Some(one),
        () => None,
    })
}

#[derive(Debug, Clone, Copy, Default)]
struct Vote {
    weight: u32,
    first: usize,
}

impl Vote {
    fn add(&mut self, weight: u32, at: usize) {
        self.first = if self.weight == 0 { at } else { self.first.min(at) };
        self.weight += weight;
    }

    /// Smallest for the heaviest, then the earliest.
    fn rank(&self) -> (u32, usize) {
        (u32::MAX - self.weight, self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_the_domain() {
        let cases = [
            ("A clinical psychologist specializing in therapy", Some("health")),
            ("A high school teacher who loves football", Some("education")),
            ("A young farmer from another state who seeks advice on rotational grazing", Some("farming")),
            ("a die-hard fan of Deportivo Lara football club", Some("sport")),
            ("A novelist with an interest in history and a love for dogs", Some("language")),
            ("Eine Krankenschwester, die nachts arbeitet", Some("health")),
            ("Ein Grundschullehrer aus Bremen", Some("education")),
            ("一位对国际政治持怀疑态度的博主", Some("politics")),
            ("香港电影忠实粉丝", Some("media")),
            ("A logical and skeptical individual", None),
            ("", None),
        ];
        for (text, domain) in cases {
            assert_eq!(of_text(text), domain, "{text}");
        }
    }

    #[test]
    fn the_tables_agree_with_each_other() {
        let known = |name: &str| DOMAINS.headings().contains(&name);
        for (one, two) in ADJACENT.pairs() {
            assert!(known(one) && known(two) && one != two, "{one}, {two}");
            assert_eq!(adjacent(one).filter(|other| *other == two).count(), 1, "{one}, {two}");
            assert_eq!(adjacent(two).filter(|other| *other == one).count(), 1, "{one}, {two}");
        }
        for domain in DOMAINS.headings() {
            assert!(adjacent(domain).count() >= 2, "{domain}");
        }
        assert_eq!(adjacent("apiculture").count(), 0);
    }
}
