//! Lines that only agree, thank or flatter.
//!
//! One is polite; several in a row are how chats of models end up (arXiv 2603.17094; autogen#254, eight of the last ten
//! turns). A line is one if next to nothing is left of it without words of agreement, of praise and of grammar. The word
//! lists are for English, German and Chinese; lines in other languages are not judged.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::words::Words;

/// Share of words, at most, that may be about something.
const CONTENT: f64 = 0.12;

/// Word lists of a language.
struct Lists {
    /// What agrees, thanks or praises. A line needs one of these.
    assent: &'static str,
    /// What carries it.
    grammar: &'static str,
    /// What objects, asks or turns; a line with one of these says something.
    turn: &'static str,
    /// Turns of phrase that look like an objection and are none.
    idioms: &'static [&'static str],
}

const ENGLISH: Lists = Lists {
    assent: "yes yeah yep yup yea sure right exactly absolutely definitely totally indeed agreed agree agrees agreeing true \
        certainly precisely ok okay fine good great perfect wonderful fantastic excellent amazing brilliant lovely nice \
        awesome beautiful thoughtful insightful inspiring inspired helpful kind sweet thanks thank thankful grateful \
        appreciate appreciated love loved glad happy pleased excited delighted cool super incredible terrific marvellous \
        marvelous splendid superb outstanding impressive wise clever smart valuable important reasonable sensible fair valid \
        compelling admirable admire respect perfectly beautifully nicely gladly positively cheers mhm \
        mm mmm hmm uh-huh wow spot bravo amen deal",
    grammar: "i you he she we they it its it's that's this that these those a an the is are was were be been being am i'm \
        you're we're they're i've you've we've i'd you'd we'd i'll we'll you'll to of for with and in on at as by from me my \
        your our us them their his her him just do does did doing have has had can could would will shall may might what how \
        why much more most than too also here there up out so such very really truly completely fully wholeheartedly \
        entirely deeply quite all everyone everybody guys both together team oh ah well said say saying says put point \
        points idea ideas plan plans suggestion suggestions thought thoughts perspective insight insights input advice \
        words word way approach think thinking feel feeling feels sounds sound sounding looks seems makes make made sense \
        work works sharing share shared bringing bring brought like way same side page mind mine one thing things let's let \
        know always again couldn't better hear see hearing seeing even or if about into course myself yourself job done \
        you've hope heart hearts lot lots bit mean means part contribution contributions wisdom energy enthusiasm passion honesty \
        whole group today discussion conversation",
    turn: "but not no don't doesn't didn't won't can't isn't aren't wasn't wouldn't shouldn't however though although unless \
        except instead rather never nothing who where when which whose",
    idioms: &[
        "couldn't have said it better",
        "could not have said it better",
        "couldn't agree more",
        "could not agree more",
        "no doubt about it",
        "no doubt",
        "without a doubt",
        "no question",
        "no argument here",
        "why not",
        "no problem",
    ],
};

const GERMAN: Lists = Lists {
    assent: "ja jawohl jep genau stimmt stimme richtig klar absolut natürlich gern gerne einverstanden super toll tolle tollen \
        toller prima wunderbar wunderbare wunderbarer großartig großartige großartiger perfekt perfekte schön schöne schöner \
        gut gute guter gutes okay ok danke dank dankbar dankeschön freue freut lieb nett recht zustimmen zustimmung \
        hervorragend hervorragende hervorragender ausgezeichnet ausgezeichnete fantastisch fantastische fantastischer klasse \
        spitze bestens sicher selbstverständlich definitiv exakt eben hm mhm ach wow klug kluge kluger wertvoll wertvolle \
        wertvoller hilfreich genauso ebenso ebenfalls begeistert glücklich froh liebe gefällt bravo passt",
    grammar: "ich du er sie es wir ihr mich mir dich dir euch uns ihm ihnen das dies dieser diese dieses der die den dem des \
        ein eine einen einem einer eines mein meine dein deine deinen deiner deinem euer eure unser unsere ihre ihren ist sind \
        war wäre bin bist seid sein hast habe haben hat hätte hätten kann können könnte würde würden werde wird machen macht \
        und oder auch so sehr wirklich total völlig ganz vollkommen voll viel vielen herzlichen tausend für mit zu zum zur in \
        im an am auf von vom bei über da dass fürs wie was als noch nur doch mal schon einfach hier alle allen alles zusammen \
        beide beiden idee ideen vorschlag vorschläge punkt gedanke gedanken ansicht meinung plan sache worte sicht \
        perspektive hinweis beitrag finde finden sehe sehen denke denken sagen sagst sagt gesagt klingt teilen geteilt \
        teilst team leute besser immer wieder aus seele gesprochen anschließen anderen",
    turn: "aber nicht kein keine keinen nein jedoch allerdings sondern obwohl trotzdem statt lieber nie niemals nichts wer wo \
        wann welche welcher warum wieso wenn falls",
    idioms: &[
        "hätte ich nicht besser sagen können",
        "hätte man nicht besser sagen können",
        "hätte es nicht besser sagen können",
        "keine frage",
        "kein zweifel",
        "ohne zweifel",
        "kein problem",
        "warum nicht",
    ],
};

/// Longest first: each is taken out of the line before the shorter ones are looked for.
const CHINESE: &[&str] = &[
    "说到我心坎里了",
    "完全同意",
    "非常同意",
    "举双手赞成",
    "我也这么想",
    "我也这么觉得",
    "说得太好了",
    "有道理",
    "好主意",
    "没问题",
    "没错",
    "不错",
    "同意",
    "赞同",
    "赞成",
    "支持",
    "谢谢",
    "感谢",
    "多谢",
    "辛苦",
    "是的",
    "对的",
    "好的",
    "当然",
    "确实",
    "的确",
    "完全",
    "非常",
    "特别",
    "十分",
    "真是",
    "真的",
    "太棒",
    "很棒",
    "太好",
    "精彩",
    "厉害",
    "佩服",
    "高兴",
    "开心",
    "喜欢",
    "欣赏",
    "分享",
    "提醒",
    "建议",
    "意见",
    "观点",
    "看法",
    "想法",
    "主意",
    "点子",
    "计划",
    "方案",
    "觉得",
    "认为",
    "大家",
    "我们",
    "你们",
    "您们",
    "一样",
    "就是",
    "这样",
    "这么",
    "那么",
    "这个",
    "那个",
    "说得",
    "说的",
    "一起",
    "对",
    "是",
    "好",
    "行",
    "棒",
    "妙",
    "嗯",
    "哦",
    "啊",
    "呀",
    "吧",
    "呢",
    "了",
    "的",
    "得",
    "地",
    "我",
    "你",
    "您",
    "他",
    "她",
    "也",
    "都",
    "就",
    "这",
    "那",
    "很",
    "太",
    "真",
    "最",
    "更",
    "可",
    "以",
    "想",
    "说",
    "听",
    "有",
    "在",
    "和",
    "跟",
    "一",
    "个",
    "为",
    "能",
];
/// Without one of these a Chinese line agrees with nothing.
const CHINESE_ASSENT: &[&str] = &[
    "同意",
    "赞",
    "支持",
    "谢",
    "对",
    "是的",
    "好",
    "行",
    "棒",
    "没错",
    "不错",
    "当然",
    "确实",
    "的确",
    "有道理",
    "厉害",
    "佩服",
    "嗯",
    "精彩",
    "没问题",
    "心坎",
    "这么想",
    "这么觉得",
    "喜欢",
    "欣赏",
];
const CHINESE_TURN: &[&str] =
    &["但", "不过", "可是", "然而", "不是", "不要", "不能", "不同意", "不行", "为什么", "怎么", "谁", "哪"];

/// What a word is in [`Lists`], as bits.
const ASSENT: u8 = 1;
const GRAMMAR: u8 = 2;
const TURN: u8 = 4;

/// The lists of a language by word.
type Kinds = HashMap<&'static str, u8>;

fn kinds(lists: &Lists) -> Kinds {
    let mut kinds = Kinds::new();
    for (list, kind) in [(lists.assent, ASSENT), (lists.grammar, GRAMMAR), (lists.turn, TURN)] {
        list.split_whitespace().for_each(|word| *kinds.entry(word).or_default() |= kind);
    }
    kinds
}

/// Whether `text`, which has these `words`, only agrees, thanks or flatters. `names` are the people's, which say nothing
/// either.
pub(super) fn only_agrees(text: &str, words: &Words, language: &str, names: &[&str]) -> bool {
    static ENGLISH_KINDS: LazyLock<Kinds> = LazyLock::new(|| kinds(&ENGLISH));
    static GERMAN_KINDS: LazyLock<Kinds> = LazyLock::new(|| kinds(&GERMAN));
    if text.contains(['?', '？']) {
        return false;
    }
    match language.split('-').next().unwrap_or_default() {
        "en" => only_agrees_in(text, words, &ENGLISH, &ENGLISH_KINDS, names),
        "de" => only_agrees_in(text, words, &GERMAN, &GERMAN_KINDS, names),
        "zh" => only_agrees_in_chinese(text, names),
        _ => false,
    }
}

fn only_agrees_in(text: &str, words: &Words, lists: &Lists, kinds: &Kinds, names: &[&str]) -> bool {
    let mut lower = text.to_lowercase().replace('’', "'");
    let mut assents = false;
    for idiom in lists.idioms {
        if lower.contains(idiom) {
            assents = true;
            lower = lower.replace(idiom, " ");
        }
    }
    if !assents && text.is_ascii() {
        return mostly_assents(words, assents, kinds, names);
    }
    mostly_assents(&Words::of(&lower), assents, kinds, names)
}

/// Whether next to nothing in `words` is about something, and something `assents`.
fn mostly_assents(words: &Words, assents: bool, kinds: &Kinds, names: &[&str]) -> bool {
    let is = |kind: u8, word: &str| kinds.get(word).is_some_and(|kinds| kinds & kind != 0);
    if words.iter().any(|word| is(TURN, word)) || !(assents || words.iter().any(|word| is(ASSENT, word))) {
        return false;
    }
    let is_name = |word: &str| names.iter().any(|name| name.to_lowercase().split_whitespace().any(|part| part == word));
    let content = words.iter().filter(|word| !is(ASSENT | GRAMMAR, word) && !is_name(word));
    content.count() as f64 <= words.len() as f64 * CONTENT
}

fn only_agrees_in_chinese(text: &str, names: &[&str]) -> bool {
    let is_han = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
    let length = is_han(text);
    if CHINESE_TURN.iter().any(|turn| text.contains(turn)) || !CHINESE_ASSENT.iter().any(|assent| text.contains(assent))
    {
        return false;
    }
    let rest = names.iter().chain(CHINESE).fold(text.to_owned(), |rest, part| rest.replace(part, " "));
    is_han(&rest) as f64 <= length as f64 * CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_told_from_what_says_something() {
        for (language, text) in [
            ("en", "Absolutely, Ann, I couldn't agree more."),
            ("en", "Thank you so much for sharing that, it's such a wonderful idea!"),
            ("en", "Yeah, exactly."),
            ("de", "Genau, das sehe ich auch so, Ann."),
            ("de", "Vielen Dank, das ist eine wunderbare Idee!"),
            ("zh", "说得太好了，我完全同意王伟的看法。"),
            ("zh", "是的，没错，谢谢大家的分享！"),
        ] {
            assert!(only_agrees(text, &Words::of(text), language, &["Ann", "王伟"]), "{text}");
        }
        for (language, text) in [
            ("en", "Yes, at eight, behind the church."),
            ("en", "Good, but who pays?"),
            ("en", "Sure, if the bus runs on Sundays."),
            ("en", "The roof leaks."),
            ("de", "Ja, aber das Dach ist undicht."),
            ("de", "Gut, dann hole ich die Leiter aus dem Keller."),
            ("zh", "好的，那我明天早上去车站接他。"),
            ("zh", "同意，不过钱从哪儿来？"),
            ("fr", "Oui, tout à fait."),
        ] {
            assert!(!only_agrees(text, &Words::of(text), language, &["Ann", "王伟"]), "{text}");
        }
    }
}
