//! Whether a line is in the language it should be in.
//!
//! By its script, and among languages written in Latin letters by function words and letters of their own. It errs towards
//! letting a line pass: short lines are not judged, names do not count, and another language must clearly win.
//!
//! Written here rather than taken from a library for whole texts: a line of talk is short, only one question is asked
//! (clearly another one?), and what is judged foreign decides which replies are kept, so it must never change with a
//! version of something else.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::words::SpokenWords;
use crate::lexicon::{Lexicon, List, Marks};

/// The most frequent words in talk. Some stand in several lists; what counts is which list has most of a line.
static FUNCTION_WORDS: Lexicon = Lexicon::by_language("talk", "function words");
/// Letters that few others use.
static LETTERS: Lexicon = Lexicon::by_language("talk", "letters");
/// The languages in Latin letters, which are told apart by their words.
static LATIN: LazyLock<Vec<Latin>> =
    LazyLock::new(|| FUNCTION_WORDS.headings().iter().map(|tag| Latin::of_language(tag)).collect());

/// Words a line must have to be judged by its words.
const LEAST_WORDS: usize = 5;
/// Words in another script, or hits of another language, that a line must have at least.
const LEAST_FOREIGN: usize = 3;

/// A writing system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Greek,
    Hebrew,
    Arabic,
    Devanagari,
    Thai,
    Han,
    Kana,
    Hangul,
    Other,
}

impl Script {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Self::Latin,
            '\u{370}'..='\u{3ff}' => Self::Greek,
            '\u{400}'..='\u{52f}' => Self::Cyrillic,
            '\u{590}'..='\u{5ff}' => Self::Hebrew,
            '\u{600}'..='\u{77f}' => Self::Arabic,
            '\u{900}'..='\u{97f}' => Self::Devanagari,
            '\u{e00}'..='\u{e7f}' => Self::Thai,
            '\u{3040}'..='\u{30ff}' => Self::Kana,
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => Self::Han,
            '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}' => Self::Hangul,
            _ => Self::Other,
        }
    }

    /// What a language is written in; nothing where that is not known or there are several.
    fn of_language(tag: &str) -> Option<Self> {
        Some(match tag {
            "ru" | "uk" | "bg" | "be" | "mk" => Self::Cyrillic,
            "el" => Self::Greek,
            "he" => Self::Hebrew,
            "ar" | "fa" | "ur" | "ps" => Self::Arabic,
            "hi" | "mr" | "ne" => Self::Devanagari,
            "th" => Self::Thai,
            "zh" => Self::Han,
            "ja" => Self::Kana,
            "ko" => Self::Hangul,
            "af" | "ca" | "cs" | "cy" | "da" | "de" | "en" | "es" | "et" | "eu" | "fi" | "fil" | "fr" | "ga" | "gl"
            | "hr" | "hu" | "id" | "is" | "it" | "lt" | "lv" | "ms" | "nb" | "nl" | "nn" | "no" | "pl" | "pt"
            | "ro" | "sk" | "sl" | "sq" | "sv" | "sw" | "tr" | "vi" => Self::Latin,
            _ => return None,
        })
    }
}

/// The primary subtag of a BCP 47 tag.
pub(super) fn primary(tag: &str) -> String {
    tag.split(['-', '_']).next().unwrap_or_default().to_lowercase()
}

/// The language that a conversation is held in.
#[derive(Debug)]
pub(super) struct Home<'a> {
    /// What it is written in; `None` where nothing is judged.
    script: Option<Script>,
    /// What tells it from others; `None` where that is not known.
    latin: Option<Latin>,
    /// The people's names.
    names: Vec<&'a str>,
}

impl<'a> Home<'a> {
    /// The language of the BCP 47 `tag`, among people with these `names`.
    pub(super) fn new(tag: &str, names: Vec<&'a str>) -> Self {
        let tag = primary(tag);
        let latin = FUNCTION_WORDS.find(&tag).map(|_| Latin::of_language(&tag));
        Self { script: Script::of_language(&tag), latin, names }
    }

    /// Whether `text` of `speaker`, which has these `words`, is clearly in another language. Names do not count.
    pub(super) fn is_foreign(&self, text: &str, words: &SpokenWords, speaker: usize) -> bool {
        let Some(script) = self.script else { return false };
        let words = self.without_names(text, words, speaker);
        is_in_other_script(&words, script) || (script == Script::Latin && self.is_other_latin(&words))
    }

    fn without_names<'w>(&self, text: &str, words: &'w SpokenWords, speaker: usize) -> Cow<'w, SpokenWords> {
        let parts = |name: &&'a str| [Some(*name), name.split_whitespace().next()].into_iter().flatten();
        if !self.names.iter().flat_map(parts).any(|part| text.contains(part)) {
            return Cow::Borrowed(words);
        }
        // The speaker's own name last: one name may be part of another.
        let (before, rest) = self.names.split_at(speaker.min(self.names.len()));
        let (own, after) = rest.split_at(rest.len().min(1));
        let names = before.iter().chain(after).chain(own).flat_map(parts);
        Cow::Owned(SpokenWords::of(&names.fold(text.to_owned(), |text, part| text.replace(part, " "))))
    }

    /// Whether one of the other languages has clearly more of the line than its own. What two languages share speaks for
    /// neither.
    fn is_other_latin(&self, words: &SpokenWords) -> bool {
        let Some(own) = self.latin.filter(|_| words.len() >= LEAST_WORDS) else { return false };
        let words: Vec<Signs> = words.iter().map(Signs::of).collect();
        let clearly = |other: Latin| {
            let theirs = hits(&words, other, own);
            theirs >= LEAST_FOREIGN && {
                let mine = hits(&words, own, other);
                theirs >= mine + 2 && theirs * 2 >= mine * 3
            }
        };
        LATIN.iter().copied().filter(|language| *language != own).any(clearly)
    }
}

fn is_in_other_script(words: &SpokenWords, expected: Script) -> bool {
    let scripts = words.iter().filter_map(|word| word.chars().map(Script::of).find(|script| *script != Script::Other));
    let scripts: Vec<Script> = scripts.collect();
    let count = |script: Script| scripts.iter().filter(|found| **found == script).count();
    let own = count(expected);
    let foreign = scripts.len() - own;
    match expected {
        // Japanese is Han and kana; Han alone, at some length, is Chinese.
        Script::Kana => own == 0 && scripts.len() > LEAST_WORDS,
        Script::Han => count(Script::Kana) >= LEAST_FOREIGN || (foreign >= LEAST_FOREIGN && foreign > own),
        _ => foreign >= LEAST_FOREIGN && foreign > own,
    }
}

/// A language written in Latin letters, as it stands among the marks of words and of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Latin {
    words: Marks,
    letters: Marks,
}

impl Latin {
    fn of_language(tag: &str) -> Self {
        let marks = |lexicon: &'static Lexicon| lexicon.find(tag).as_ref().map(List::mark).unwrap_or_default();
        Self { words: marks(&FUNCTION_WORDS), letters: marks(&LETTERS) }
    }
}

/// What a word says of its language.
#[derive(Debug)]
struct Signs {
    /// The languages that it is a function word of.
    function: Marks,
    /// For each of its letters that few languages use, which those are.
    letters: Vec<Marks>,
}

impl Signs {
    fn of(word: &str) -> Self {
        // No letter of ASCII tells languages apart.
        let rare = word.chars().filter(|c| !c.is_ascii()).map(|c| LETTERS.marks(c.encode_utf8(&mut [0; 4])));
        Self {
            function: FUNCTION_WORDS.marks(word),
            letters: rare.filter(|languages| *languages != Marks::default()).collect(),
        }
    }

    /// Whether the word speaks for `language` and is none of `other`.
    fn hits(&self, language: Latin, other: Latin) -> bool {
        let own_letter = |letter: &Marks| letter.meets(language.letters) && !letter.meets(other.letters);
        !self.function.meets(other.words)
            && (self.function.meets(language.words) || self.letters.iter().any(own_letter))
    }
}

/// Words that speak for `language` and are none of `other`.
fn hits(words: &[Signs], language: Latin, other: Latin) -> usize {
    words.iter().filter(|word| word.hits(language, other)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_foreign(text: &str, tag: &str, names: &[&str]) -> bool {
        Home::new(tag, names.to_vec()).is_foreign(text, &SpokenWords::of(text), 0)
    }

    #[test]
    fn lines_of_every_language_are_at_home_in_their_own_and_in_no_other() {
        let lines = [
            ("en", "I don't know if the bus will come at all, so we should walk to the station."),
            ("de", "Ich weiß nicht, ob der Bus noch kommt, also gehen wir lieber zu Fuß zum Bahnhof."),
            ("fr", "Je ne sais pas si le bus va venir, alors on devrait aller à la gare à pied."),
            ("es", "No sé si el autobús va a venir, así que deberíamos ir a la estación a pie."),
            ("pt", "Não sei se o ônibus ainda vem, então devíamos ir a pé até a estação."),
            ("it", "Non so se l'autobus arriva ancora, quindi dovremmo andare alla stazione a piedi."),
            ("nl", "Ik weet niet of de bus nog komt, dus we kunnen beter naar het station lopen."),
            ("pl", "Nie wiem, czy autobus jeszcze przyjedzie, więc chodźmy na dworzec pieszo."),
            ("tr", "Otobüs gelir mi bilmiyorum, o yüzden istasyona yürüyerek gitsek daha iyi olur."),
            ("ru", "Я не знаю, придёт ли автобус, так что пойдём на вокзал пешком."),
            ("ar", "لا أعرف إن كانت الحافلة ستأتي، لذلك من الأفضل أن نمشي إلى المحطة."),
            ("hi", "मुझे नहीं पता कि बस आएगी या नहीं, तो चलो स्टेशन तक पैदल चलते हैं।"),
            ("zh", "我不知道公交车还来不来，我们还是走路去车站吧。"),
            ("ja", "バスが来るかどうか分からないから、駅まで歩いて行こうよ。"),
            ("ko", "버스가 올지 모르겠으니까 역까지 걸어가는 게 좋겠어요."),
        ];
        for (own, line) in lines {
            for (tag, _) in lines {
                assert_eq!(is_foreign(line, tag, &[]), own != tag, "{own} as {tag}: {line}");
            }
        }
    }

    #[test]
    fn names_short_lines_and_borrowed_words_do_not_count() {
        for (text, tag) in [
            ("Ja, genau.", "en"),
            ("Xochitl Guðmundsdóttir, Þórarinn and I will see.", "en"),
            ("我用 Excel 和 Word 写的报告。", "zh"),
            ("She ordered the crème brûlée and a café au lait.", "en"),
            ("Das Meeting ist im Conference Room, das Update kommt per Mail.", "de"),
            ("Nothing is known of this tongue at all, my friend.", "tlh"),
        ] {
            assert!(!is_foreign(text, tag, &["Xochitl Guðmundsdóttir", "Þórarinn"]), "{text}");
        }
    }

    #[test]
    fn languages_are_told_apart_by_single_letters_beyond_ascii() {
        assert!(LETTERS.pairs().all(|(_, letter)| letter.chars().count() == 1 && !letter.is_ascii()));
    }
}
