//! Goodbyes: lines that end a conversation.
//!
//! Strict on purpose: thanks in passing, and goodbyes that are talked about, are part of ordinary talk. So a goodbye must
//! be a clause of its own at the end of a line, with a few words more at most.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::words::count;

/// Words that may follow or precede a goodbye within its clause: "see you all at eight then".
const FEW: usize = 4;
/// Longest line that is nothing but thanks, in words.
const THANKS: usize = 6;

/// How people take their leave, as patterns over a clause in lower case.
const GOODBYES: &[&str] = &[
    r"(?:good ?)?bye(?: ?-?bye)?|farewell|so long|ciao|cheerio",
    r"see (?:you|ya|y'all)(?: (?:all|both|everyone|guys))?(?: (?:later|soon|then|there|around|tomorrow|tonight|next \w+|on \w+day|at \w+|in the morning))?",
    r"(?:talk|speak|chat) (?:to|with) you (?:all )?(?:later|soon|tomorrow|then)|talk (?:soon|later)|catch (?:you|ya) later|until (?:next time|then|tomorrow|we meet again)|till (?:next time|tomorrow)",
    r"take care(?: of yourselves)?|good ?night|sleep well|safe travels|get home safe(?:ly)?|be well|keep in touch|stay in touch",
    r"(?:have|enjoy) (?:a|an|your|the rest of your) (?:(?:great|good|nice|lovely|wonderful|safe|pleasant|beautiful|fantastic|amazing) )?(?:rest of your |rest of the )?(?:day|evening|night|one|weekend|trip|time|journey|flight|afternoon|morning|week)",
    r"(?:i(?:'d| had| would)? (?:better|really should|should|must|have to|need to|got to|gotta) (?:get going|be going|be off|head (?:off|out|home)|run|go now))|i'm off(?: then| now)?|gotta (?:go|run)",
    r"(?:it was|it's been) (?:so |really )?(?:great|good|nice|lovely|wonderful|a pleasure) (?:talking|chatting|speaking|meeting|seeing|catching up)(?: (?:to|with))?(?: (?:you|everyone))?(?: (?:all|both|everyone))?|(?:i )?look(?:ing)? forward to seeing you(?: all| both| there| then)*",
    r"tschüss(?:i|chen)?|tschau|ade|servus|auf wiedersehen|auf wiederhören|bis (?:bald|dann|später|morgen|gleich|demnächst|nachher|zum nächsten mal|nächste \w+|nächsten \w+|(?:mon|diens|mitt|donners|frei|sams|sonn)(?:tag|woch))",
    r"gute nacht|schlaft? gut|mach(?:t)?['’]?s? gut|(?:einen )?schönen? (?:tag|abend|feierabend|sonntag|nachmittag|wochenende|woche|nacht)(?: noch)?|komm(?:t)? gut (?:nach hause|heim)|man sieht sich|wir sehen uns(?: \w+)?|pass(?:t)? auf (?:dich|euch) auf",
    r"ich muss (?:jetzt |dann |dann mal |nun )?(?:los|weg|gehen)|ich geh dann mal",
    r"au revoir|à (?:demain|bientôt|plus(?: tard)?|la prochaine)|bonne (?:nuit|soirée|journée)|adi[oó]s|hasta (?:luego|mañana|pronto|la vista)|nos vemos|buenas noches|chau|tchau|adeus|até (?:logo|amanhã|breve)|boa noite|arrivederci|a domani|buonanotte|a presto",
    r"tot (?:ziens|morgen|straks)|doei|do widzenia|do jutra|dobranoc|до (?:свидания|завтра|встречи)|пока|спокойной ночи|görüşürüz|hoşça kal|iyi geceler|さようなら|また(?:ね|明日)|おやすみ(?:なさい)?|안녕히 (?:가세요|계세요)|내일 봐요|مع السلامة|إلى اللقاء|अलविदा|फिर मिलेंगे",
];

/// The same where words are not set apart: anywhere in the clause that ends the line.
const GOODBYES_UNSPACED: &str = "再见|拜拜|回头见|回见|明天见|下次见|改天见|待会儿?见|周[一二三四五六日]见|下周见|回头聊|改天聊|下次再聊|晚安|保重|慢走|一路顺风|路上小心|我先走了|先走一步|先告辞|后会有期";

fn pattern(source: &str) -> Option<Regex> {
    RegexBuilder::new(source).case_insensitive(true).build().ok()
}

/// Whether a line says goodbye, or is nothing but thanks.
pub fn is_closing(text: &str) -> bool {
    let lower = text.to_lowercase().replace('’', "'");
    let clauses = lower.split(['.', '!', '?', ',', ';', '—', '–', '…', '。', '！', '，', '？', '；', '~', '～']);
    let clauses: Vec<&str> = clauses.map(str::trim).filter(|clause| !clause.is_empty()).collect();
    let goodbye = clauses.iter().rev().take(2).any(|clause| is_goodbye(clause));
    goodbye || only_thanks(&lower)
}

fn is_goodbye(clause: &str) -> bool {
    static SPACED: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(&format!("(?:{})", GOODBYES.join("|"))));
    static UNSPACED: LazyLock<Option<Regex>> =
        LazyLock::new(|| pattern(&format!("^.{{0,6}}(?:{GOODBYES_UNSPACED}).{{0,5}}$")));
    if UNSPACED.as_ref().is_some_and(|pattern| pattern.is_match(clause)) {
        return true;
    }
    let Some(pattern) = SPACED.as_ref() else { return false };
    pattern.find_iter(clause).any(|found| {
        let (before, after) = (clause.get(..found.start()), clause.get(found.end()..));
        before.zip(after).is_some_and(|(before, after)| at_the_edge(before, after))
    })
}

/// A goodbye stands at the beginning or the end of its clause, as whole words, and hardly anything with it.
fn at_the_edge(before: &str, after: &str) -> bool {
    let glued =
        before.ends_with(char::is_alphanumeric) || after.starts_with(|c: char| c.is_alphanumeric() || c == '\'');
    let (before, after) = (count(before), count(after));
    !glued && (before == 0 || after == 0) && before + after <= FEW
}

fn only_thanks(lower: &str) -> bool {
    const WORDS: &[&str] =
        &["thank you", "thanks", "danke", "vielen dank", "谢谢", "多谢", "merci", "gracias", "grazie", "obrigad"];
    let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
    let asks = lower.contains(['?', '？']);
    !asks && WORDS.iter().any(|thanks| bare.starts_with(thanks)) && count(bare) <= THANKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closings_are_told_from_ordinary_talk() {
        for closing in [
            "Bye!",
            "Alright, see you tomorrow.",
            "Take care, Ann!",
            "Thanks, everyone.",
            "Have a great day, Bob.",
            "Bye for now, all of you.",
            "I should get going.",
            "It was great talking with you all!",
            "Gute Nacht, Oma!",
            "Na dann, schönen Abend noch!",
            "Wir sehen uns am Montag.",
            "好吧，再见！",
            "那我先走了，大家保重。",
            "À demain, Paul.",
        ] {
            assert!(is_closing(closing), "{closing:?}");
        }
        for open in [
            "Thanks, but how would that pay the rent?",
            "The byelaws forbid it.",
            "She never said goodbye to me, and I still think about it every day.",
            "Did you see your brother?",
            "Thank you for the soup, it needs a pinch of salt though.",
            "I see you have not changed since we worked in the mine.",
            "Who will take care of the dog while you two are away?",
            "Bis morgen muss das Dach dicht sein, sonst regnet es rein.",
            "他走的时候连再见都没有跟我们说一声。",
            "I have to go to the bank before it closes.",
        ] {
            assert!(!is_closing(open), "{open:?}");
        }
    }

    #[test]
    fn every_goodbye_is_a_pattern() {
        assert!(GOODBYES.iter().all(|goodbye| pattern(goodbye).is_some()));
        assert!(pattern(GOODBYES_UNSPACED).is_some());
    }
}
