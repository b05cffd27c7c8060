//! Whether a line is in the language it should be in.
//!
//! By its script, and among languages written in Latin letters by function words and letters of their own. It errs towards
//! letting a line pass: short lines are not judged, names do not count, and another language must clearly win.
//!
//! Written here rather than taken from a library for whole texts: a line of talk is short, only one question is asked
//! (clearly another one?), and what is judged foreign decides which replies are kept, so it must never change with a
//! version of something else.

use std::sync::LazyLock;

use super::words;
use crate::lexicon::{Lexicon, List, Marks};

/// The most frequent words in talk. Some stand in several lists; what counts is which list has most of a line.
static FUNCTION_WORDS: Lexicon = Lexicon::by_language("talk", "function words");
/// Letters that few others use.
static LETTERS: Lexicon = Lexicon::by_language("talk", "letters");
/// The languages that are told apart.
static LATIN: LazyLock<Vec<Latin>> =
    LazyLock::new(|| FUNCTION_WORDS.headings().iter().map(|tag| Latin::of(tag)).collect());

/// A language written in Latin letters.
#[derive(Debug)]
struct Latin {
    /// Primary subtag of BCP 47.
    tag: &'static str,
    words: List,
    letters: String,
}

/// A word of a line, and the languages that have it among their function words.
type Word<'a> = (&'a str, Marks);

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

/// Whether `text` is clearly not in the language of the BCP 47 `tag`. `names` do not count.
pub(super) fn is_foreign(text: &str, tag: &str, names: &[&str]) -> bool {
    let tag = tag.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    let Some(script) = Script::of_language(&tag) else { return false };
    let parts = names.iter().flat_map(|name| [Some(*name), name.split_whitespace().next()]).flatten();
    let text = parts.fold(text.to_owned(), |text, name| text.replace(name, " "));
    let words = words(&text);
    is_in_other_script(&words, script) || (script == Script::Latin && is_other_latin(&words, &tag))
}

fn is_in_other_script(words: &[String], expected: Script) -> bool {
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

/// Whether one of the other languages has clearly more of the line than its own. What two languages share speaks for neither.
fn is_other_latin(words: &[String], tag: &str) -> bool {
    let Some(own) = LATIN.iter().find(|language| language.tag == tag) else { return false };
    let words: Vec<Word<'_>> = words.iter().map(|word| (word.as_str(), FUNCTION_WORDS.marks(word))).collect();
    let clearly = |other: &Latin| {
        let (mine, theirs) = (own.hits(&words, other), other.hits(&words, own));
        theirs >= LEAST_FOREIGN && theirs >= mine + 2 && theirs * 2 >= mine * 3
    };
    words.len() >= LEAST_WORDS && LATIN.iter().filter(|language| language.tag != tag).any(clearly)
}

impl Latin {
    fn of(tag: &'static str) -> Self {
        let letters = LETTERS.find(tag).iter().flat_map(List::texts).collect();
        Self { tag, words: FUNCTION_WORDS.list(tag), letters }
    }

    /// Words that are function words of this language, or hold one of its letters, and nothing of `other`.
    fn hits(&self, words: &[Word<'_>], other: &Self) -> usize {
        let own_letter = |c: char| self.letters.contains(c) && !other.letters.contains(c);
        let is_own = |(word, marks): &&Word<'_>| marks.has(&self.words) || word.contains(own_letter);
        words.iter().filter(is_own).filter(|(_, marks)| !marks.has(&other.words)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
