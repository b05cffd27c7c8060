//! Private knowledge in a mouth that cannot have it.
//!
//! What one person alone knows stands in that person's prompt only. If another says it before its owner did, the model
//! has mixed people up, or the prompt has leaked. A secret is recognised by what is in it and in nothing this speaker could
//! know: neither public text, nor their own part, nor what has been said. One such word is a coincidence, several are not.

use std::collections::HashSet;

use super::copies::EarlierLine;
use super::words::{SpokenWords, WordHash, key};
use super::{TALK, language::primary};
use crate::lexicon::{Lexicon, List};

/// Unknown words of a secret that give it away together.
const TELLING_WORDS: usize = 3;
/// Fewer are enough where they are at least half of its unknown words.
const LEAST_WORDS: usize = 2;
/// Characters in a row that give a secret away in scripts without spaces.
const TELLING_RUN: usize = 6;
/// Shortest word that can tell anything.
const SHORTEST: usize = 4;
/// Digits of a number that nobody guesses.
const UNGUESSED_DIGITS: usize = 4;

/// Words that say little by themselves, so that they give nothing away, in talk of any language.
static COMMON: List = TALK.list("common words");
/// The same in talk of one language.
static COMMON_HERE: Lexicon = Lexicon::by_language("talk", "common words here");

/// What each person alone knows, and how much of it has been said.
#[derive(Debug, Default)]
pub(super) struct Secrets(Vec<Secret>);

#[derive(Debug)]
struct Secret {
    owner: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// The words that tell, each once.
    Words(Vec<Telling>),
    /// All of it, where words are characters.
    Characters(Vec<WordHash>),
}

#[derive(Debug)]
struct Telling {
    stem: WordHash,
    is_number: bool,
    was_said: bool,
}

/// What a person can know before anybody has spoken.
#[derive(Debug)]
pub(super) struct PriorKnowledge {
    texts: Vec<Vec<WordHash>>,
    stems: HashSet<WordHash>,
}

impl PriorKnowledge {
    pub(super) fn read<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let texts: Vec<SpokenWords> = texts.map(SpokenWords::of).collect();
        let stems = texts.iter().flat_map(stems).collect();
        Self { texts: texts.into_iter().map(SpokenWords::into_keys).collect(), stems }
    }
}

impl Secrets {
    /// `secrets` by who alone knows them, in talk of the language of a BCP 47 `tag`.
    pub(super) fn new<'a>(tag: &str, secrets: impl Iterator<Item = (usize, &'a str)>) -> Self {
        let common = COMMON_HERE.find(&primary(tag));
        let content = |secret| Content::read(secret, common.as_ref());
        Self(secrets.map(|(owner, secret)| Secret { owner, content: content(secret) }).collect())
    }

    /// What was said is no secret from then on.
    pub(super) fn hear(&mut self, words: &SpokenWords) {
        if self.0.is_empty() {
            return;
        }
        let stems: Vec<WordHash> = stems(words).collect();
        for secret in &mut self.0 {
            let Content::Words(words) = &mut secret.content else { continue };
            for word in words {
                word.was_said |= stems.contains(&word.stem);
            }
        }
    }

    /// Whether `words` tell a secret that `speaker` cannot know. `known` is what they can, besides what was `said`.
    pub(super) fn told_by<'k>(
        &self,
        speaker: usize,
        words: &SpokenWords,
        known: &dyn Fn() -> &'k PriorKnowledge,
        said: &(impl Iterator<Item = &'k EarlierLine> + Clone),
    ) -> bool {
        if self.0.iter().all(|secret| secret.owner == speaker) {
            return false;
        }
        let stems: Vec<WordHash> = stems(words).collect();
        self.0.iter().filter(|secret| secret.owner != speaker).any(|secret| match &secret.content {
            Content::Words(telling) => tell(telling, &stems, known),
            Content::Characters(secret) => shares_unknown_run(words.keys(), secret, known, said),
        })
    }
}

impl Content {
    fn read(secret: &str, common: Option<&List>) -> Self {
        let words = SpokenWords::of(secret);
        if words.are_unspaced() {
            return Self::Characters(words.into_keys());
        }
        let mut telling: Vec<Telling> = Vec::new();
        for stem in words.iter().filter(|word| is_telling(word, common)).map(stem) {
            if telling.iter().all(|other| other.stem != key(stem)) {
                telling.push(Telling { stem: key(stem), is_number: is_number(stem), was_said: false });
            }
        }
        Self::Words(telling)
    }
}

/// Whether enough of the `telling` words that are not known are among `stems`.
fn tell<'k>(telling: &[Telling], stems: &[WordHash], known: &dyn Fn() -> &'k PriorKnowledge) -> bool {
    let unsaid = || telling.iter().filter(|word| !word.was_said);
    let gives_away = |word: &&Telling| stems.contains(&word.stem);
    let (count, numbers) = counts(unsaid().filter(gives_away));
    // What is known makes it fewer. It need not be looked at where there are too few anyway.
    if count < LEAST_WORDS && numbers == 0 {
        return false;
    }
    let known = known();
    let unknown = || unsaid().filter(|word| !known.stems.contains(&word.stem));
    let (count, numbers) = counts(unknown().filter(gives_away));
    count >= TELLING_WORDS || (count >= LEAST_WORDS && count * 2 >= unknown().count()) || numbers > 0
}

/// How many there are, and how many of them are numbers.
fn counts<'a>(words: impl Iterator<Item = &'a Telling>) -> (usize, usize) {
    words.fold((0, 0), |(count, numbers), word| (count + 1, numbers + usize::from(word.is_number)))
}

/// Whether a word can tell anything, where `common` ones besides those of every language cannot.
fn is_telling(word: &str, common: Option<&List>) -> bool {
    let is_common = || COMMON.has(word) || common.is_some_and(|common| common.has(word));
    (word.chars().count() >= SHORTEST && !is_common()) || is_number(word)
}

/// A number of several digits that is no year.
fn is_number(word: &str) -> bool {
    let is_year = word.len() == 4 && (word.starts_with("19") || word.starts_with("20"));
    word.chars().filter(char::is_ascii_digit).count() >= UNGUESSED_DIGITS && !is_year
}

/// A word without the endings that change most in the languages written with spaces.
fn stem(word: &str) -> &str {
    let word = word.strip_suffix("'s").unwrap_or(word);
    let ending = ["en", "es", "n", "s", "e"].into_iter().find(|ending| word.ends_with(ending));
    let stem = ending.and_then(|ending| word.strip_suffix(ending)).filter(|stem| stem.chars().count() >= SHORTEST);
    stem.unwrap_or(word)
}

fn stems(words: &SpokenWords) -> impl Iterator<Item = WordHash> {
    words.iter().map(|word| key(stem(word)))
}

/// Whether `words` hold a run of characters of the secret that stands in nothing known and was not `said`.
fn shares_unknown_run<'k>(
    words: &[WordHash],
    secret: &[WordHash],
    known: &dyn Fn() -> &'k PriorKnowledge,
    said: &(impl Iterator<Item = &'k EarlierLine> + Clone),
) -> bool {
    let holds = |text: &[WordHash], run: &[WordHash]| text.windows(run.len()).any(|window| window == run);
    let is_known = |run: &[WordHash]| {
        known().texts.iter().any(|text| holds(text, run)) || said.clone().any(|line| holds(line.words(), run))
    };
    secret.windows(TELLING_RUN).any(|run| holds(words, run) && !is_known(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "She lent the spare key to Desmond in June and has never got it back.";
    const PUBLIC: &[&str] = &["The key to the shed is missing, and Desmond waters his chillies at night."];

    /// Whether one who knows `known` tells one of `secrets` after `said`.
    fn tells(line: &str, secrets: &[&str], known: &[&str], said: &[&str]) -> bool {
        tells_in("en", line, secrets, known, said)
    }

    fn tells_in(tag: &str, line: &str, secrets: &[&str], known: &[&str], said: &[&str]) -> bool {
        let known = PriorKnowledge::read(known.iter().copied());
        let mut secrets = Secrets::new(tag, secrets.iter().map(|secret| (0, *secret)));
        let said: Vec<SpokenWords> = said.iter().map(|line| SpokenWords::of(line)).collect();
        for words in &said {
            secrets.hear(words);
        }
        let said: Vec<EarlierLine> = said.into_iter().map(|words| EarlierLine::new(words.into_keys())).collect();
        let words = SpokenWords::of(line);
        assert!(!secrets.told_by(0, &words, &|| &known, &said.iter()), "the owner may tell it");
        secrets.told_by(1, &words, &|| &known, &said.iter())
    }

    #[test]
    fn a_secret_is_told_by_several_of_its_words() {
        for said in ["Did you not lend Desmond the spare one in June?", "The spare key was lent out in June, I hear."] {
            assert!(tells(said, &[SECRET], PUBLIC, &[]), "{said}");
        }
        for said in ["Who has the key, Desmond?", "I have no spare time in summer.", "Desmond never waters at night."] {
            assert!(!tells(said, &[SECRET], PUBLIC, &[]), "{said}");
        }
        let revealed = "Fine: I lent Desmond the spare key in June.";
        let line = "So you lent him the spare key in June!";
        assert!(!tells(line, &[SECRET], PUBLIC, &[revealed]));
        assert!(!tells(line, &[SECRET], &[revealed], &[]));
        assert!(tells("Try 4711 on the lock.", &["The code is 4711."], PUBLIC, &[]));
    }

    #[test]
    fn words_that_everyone_uses_tell_nothing_in_talk_of_their_language() {
        let secret = ["Nunca dicen nada todavía de la herencia de Desmond."];
        let line = "Todavía no sé nada, nunca dicen cuándo.";
        assert!(!tells_in("es-MX", line, &secret, PUBLIC, &[]));
        assert!(tells_in("en", line, &secret, PUBLIC, &[]), "what one language lists is nothing to another");
        assert!(tells_in("es", "Nunca hablan de la herencia de Desmond.", &secret, &["Nadie sabe nada."], &[]));
    }

    #[test]
    fn a_secret_without_spaces_is_told_by_a_run() {
        let secret = ["她把备用钥匙借给了王伟，到现在还没拿回来。"];
        let (public, revealed) = ("钥匙不见了。", "好吧，备用钥匙借给了王伟。");
        assert!(tells("听说备用钥匙借给了王伟？", &secret, &[public], &[]));
        assert!(!tells("王伟，钥匙在哪儿？", &secret, &[public], &[]));
        assert!(!tells("原来备用钥匙借给了王伟！", &secret, &[public], &[revealed]));
        assert!(!tells("原来备用钥匙借给了王伟！", &secret, &[revealed], &[]));
    }
}
