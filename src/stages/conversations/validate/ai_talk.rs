//! A model that speaks of itself: what it is, what it cannot do, what it was told; and the role tokens of chat formats.
//!
//! Only in the first person: people may well talk *about* language models, and some of the personas build them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

/// Pieces of chat formats that stand in no talk.
const MARKERS: &[&str] =
    &["<|", "|>", "[inst]", "[/inst]", "<<sys>>", "<s>", "</s>", "### instruction", "### response"];

/// Phrases in which a model speaks as a model, a line each; `(?i)`.
const PHRASES: &[&str] = &[
    r"\b(?:as|i am|i'm|being|i am just|i'm just|i'm only|i am only) an? (?:\w+ )?(?:a\.?i\.?|artificial intelligence|language model|chat ?bot|(?:virtual|digital|ai) assistant)(?:\W|$)",
    r"\bi (?:can't|cannot|can not|am unable to|am not able to|won't be able to|am not programmed to) (?:assist|comply|fulfil|fulfill|generate|role-?play|engage in role|continue this (?:role-?play|conversation)|help with (?:that|this|your) request)",
    r"\bi (?:don't|do not) have (?:any )?(?:personal|human) (?:opinions?|feelings|emotions|experiences|beliefs|preferences)",
    r"\bmy (?:training data|knowledge cut-?off|programming (?:does|doesn't|prevents)|system prompt|content polic(?:y|ies))",
    r"\b(?:is there anything else i can (?:help|assist)|how (?:can|may) i assist you)",
    r"\bals (?:eine? )?(?:ki(?:-\w+| )|künstliche intelligenz|(?:großes )?sprachmodell|chatbot)",
    r"\bich bin (?:nur |bloß |lediglich |doch nur )?eine? (?:ki\b|ki-|künstliche intelligenz|sprachmodell|chatbot)",
    r"\bich (?:kann|darf) (?:bei |auf )?(?:dieser|diese|ihre|deine) anfrage (?:leider )?nicht",
    r"\b(?:en tant qu'|je suis une )(?:ia\b|intelligence artificielle|assistant virtuel|modèle de langage)|\ben tant que modèle de langage",
    r"\bcomo (?:una? |um |uma )?(?:ia\b|inteligencia artificial|inteligência artificial|modelo de (?:lenguaje|linguagem))",
    r"\b(?:in quanto|come) (?:ia\b|intelligenza artificiale|modello linguistico)",
    r"\bals (?:een )?(?:ai\b|ai-|taalmodel|kunstmatige intelligentie)",
    r"\bjako (?:ai\b|model językowy|sztuczna inteligencja)|\bbir (?:yapay zek[aâ]|dil modeli) olarak",
    r"как (?:ии\b|искусственный интеллект|языковая модель)",
    r"(?:作为|身为)(?:一个|一名|一款|一位)?(?:ai|人工智能|(?:大型?)?语言模型|聊天机器人|智能助手|虚拟助手)",
    r"我(?:只|仅仅)?(?:是|不过是)(?:一个|一名|一款|一位)?(?:由.{1,12}(?:训练|开发)的)?(?:ai(?:助手|模型|$|[，。,.])|人工智能|(?:大型?)?语言模型|聊天机器人|智能助手)",
    r"我(?:无法|不能)(?:满足|完成|处理|协助|帮助)(?:您|你)?的?(?:这个|该|此)?(?:请求|要求)",
    r"(?:ai|人工知能|言語モデル)(?:アシスタント)?として|(?:ai|인공지능|언어 모델)(?:로서|으로서)",
    r"(?:كنموذج لغوي|كذكاء اصطناعي|بصفتي (?:نموذج|ذكاء))|एक (?:एआई|कृत्रिम बुद्धि|भाषा मॉडल)",
];

/// One of these is in each of [`MARKERS`].
const MARKER_SIGNS: [char; 4] = ['<', '>', '[', '#'];

/// Whether `text` holds a role token.
pub(super) fn has_marker(text: &str) -> bool {
    if !text.contains(MARKER_SIGNS) {
        return false;
    }
    let lower = text.to_lowercase();
    MARKERS.iter().any(|marker| lower.contains(marker))
}

/// Whether a model speaks as a model in `text`.
pub(super) fn speaks_as_model(text: &str) -> bool {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(&PHRASES.join("|")));
    static ROUGHLY: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(&roughly(&PHRASES.join("|"))));
    let text = if text.contains('’') { Cow::Owned(text.replace('’', "'")) } else { Cow::Borrowed(text) };
    let matches = |pattern: &Option<Regex>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(&text));
    (text.is_ascii() || has_odd_letter(&text) || matches(&ROUGHLY)) && matches(&PATTERN)
}

fn pattern(source: &str) -> Option<Regex> {
    RegexBuilder::new(source).case_insensitive(true).build().ok()
}

/// A pattern that matches at least where `source` does, and takes one pass over any text. Word boundaries by Unicode take many
/// where letters are not ASCII; the ones of ASCII see more of them beside a letter of ASCII, as all are here.
fn roughly(source: &str) -> String {
    source.replace(r"\b", r"(?-u:\b)")
}

/// Whether there is a letter beyond ASCII that stands for one of ASCII: the Kelvin sign for a k, the long s for an s.
fn has_odd_letter(text: &str) -> bool {
    text.contains(['\u{212a}', '\u{17f}'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_from_people_who_talk_about_them() {
        for text in [
            "As an AI, I can't eat soup.",
            "I’m just a language model, Bob.",
            "I cannot fulfill this request.",
            "I don't have personal opinions on soup.",
            "Als KI-Modell habe ich keine Meinung.",
            "Ich bin nur ein Sprachmodell.",
            "作为一个人工智能，我没有味觉。",
            "我只是一个语言模型。",
            "En tant qu'IA, je ne mange pas.",
        ] {
            assert!(speaks_as_model(text), "{text}");
        }
        for text in [
            "We trained a language model on the parish records.",
            "She works as an aide, and as an AIDS nurse before that.",
            "I cannot help it, I hate soup.",
            "My instructions were clear: no soup.",
            "Als Kind habe ich Suppe gehasst.",
            "他们说语言模型可以写诗。",
        ] {
            assert!(!speaks_as_model(text), "{text}");
        }
        assert!(has_marker("<|im_start|>user") && !has_marker("3 < 4 | 5"));
        assert!(MARKERS.iter().all(|marker| marker.contains(MARKER_SIGNS)));
    }

    #[test]
    fn every_phrase_is_a_pattern() {
        for phrase in PHRASES {
            assert!(Regex::new(phrase).is_ok(), "{phrase}");
        }
    }
}
