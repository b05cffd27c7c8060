//! Reads what a model said for a turn: what can be mended is mended, what cannot is named.
//!
//! Cheap and deterministic, so that a replay of recorded replies judges them as the run did. The catalogue of
//! failures: replies that speak for others, echo, loop, leak the prompt, recite the persona, never end or end too
//! soon (arXiv 2511.09710, 2407.09897; autogen#390, #86, #1499).

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

/// Everything a reply is judged against.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Name of the one who speaks.
    pub speaker: &'a str,
    /// Their persona.
    pub persona: &'a str,
    /// Names of the others.
    pub others: Vec<&'a str>,
    /// What was said before: (name, text), the starter first with an empty name.
    pub said: Vec<(&'a str, &'a str)>,
    /// The instructions the speaker got; copied passages are leaks.
    pub instructions: &'a str,
    /// The word target of this turn.
    pub words: Option<u32>,
    /// Whether the reply was cut off by its token limit.
    pub torn: bool,
    /// Whether the conversation may not end yet.
    pub must_go_on: bool,
}

/// What is wrong with a reply. [`Flaw::reason`] tells the model, [`Flaw::name`] the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flaw {
    /// No words.
    Empty,
    /// It begins as somebody else.
    SpeaksForOthers,
    /// It repeats an earlier line.
    Echo,
    /// It repeats itself.
    Loop,
    /// It shows instructions, markers, or that a model speaks.
    Leak,
    /// It recites the persona.
    Recital,
    /// The token limit cut it before the first sentence ended.
    Torn,
    /// Far over the word target, with no sentence end to cut at.
    TooLong,
    /// The second goodbye in a row while the conversation has to go on.
    ClosingLoop,
    /// Not the JSON object that was asked for.
    NotJson,
}

impl Flaw {
    /// The name in records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::SpeaksForOthers => "speaks_for_others",
            Self::Echo => "echo",
            Self::Loop => "loop",
            Self::Leak => "leak",
            Self::Recital => "recital",
            Self::Torn => "torn",
            Self::TooLong => "too_long",
            Self::ClosingLoop => "closing_loop",
            Self::NotJson => "not_json",
        }
    }

    /// The reason as the model is told.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Empty => "it had no words in it",
            Self::SpeaksForOthers => "it spoke for somebody else",
            Self::Echo => "it repeated what had been said before",
            Self::Loop => "it repeated itself",
            Self::Leak => "it talked about its instructions",
            Self::Recital => "it recited the description of the person",
            Self::Torn => "it was too long and was cut off",
            Self::TooLong => "it was much too long",
            Self::ClosingLoop => "it said goodbye although the conversation goes on",
            Self::NotJson => "it was not the JSON object that was asked for",
        }
    }
}

/// A reply that can stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The words to keep.
    pub text: String,
    /// What was mended on the way, for the ledger.
    pub mended: Vec<&'static str>,
}

/// Words of a 4-gram that may recur within a turn before it counts as a loop.
const LOOP_REPEATS: usize = 3;
/// Share of a line's word 3-grams that stood in one earlier line from which it is an echo.
const ECHO_OVERLAP: f64 = 0.8;
/// Consecutive words shared with instructions that make a leak.
const LEAK_WORDS: usize = 8;
/// Consecutive words shared with the persona that make a recital.
const RECITAL_WORDS: usize = 7;

/// Judges and mends `reply`.
pub fn examine(reply: &str, scene: &Scene<'_>) -> Result<Sound, Flaw> {
    let mut mended = Vec::new();
    if has_marker(reply) {
        return Err(Flaw::Leak);
    }
    let mut text = unwrap(reply);
    text = drop_own_name(&text, scene.speaker, &mut mended);
    if starts_as_other(&text, &scene.others) {
        return Err(Flaw::SpeaksForOthers);
    }
    text = cut_at_speaker_line(&text, scene, &mut mended);
    text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text = cut_to_length(text, scene, &mut mended)?;
    let words = words(&text);
    if words.is_empty() {
        return Err(Flaw::Empty);
    }
    if loops(&words) {
        return Err(Flaw::Loop);
    }
    if shares_run(&words, &self::words(scene.instructions), LEAK_WORDS) {
        return Err(Flaw::Leak);
    }
    if shares_run(&words, &self::words(scene.persona), RECITAL_WORDS) {
        return Err(Flaw::Recital);
    }
    if echoes(&words, scene) {
        return Err(Flaw::Echo);
    }
    let previous = scene.said.last().map_or("", |(_, text)| *text);
    if scene.must_go_on && is_closing(&text) && is_closing(previous) {
        return Err(Flaw::ClosingLoop);
    }
    Ok(Sound { text, mended })
}

/// Lower-cased words by Unicode's rules (UAX 29), so that scripts without spaces have words too.
pub fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(str::to_lowercase).collect()
}

/// Role tokens, and phrases in which a model speaks of itself or its prompt.
fn has_marker(text: &str) -> bool {
    const MARKERS: &[&str] = &[
        "<|",
        "|>",
        "[inst]",
        "<<sys>>",
        "as an ai",
        "language model",
        "system prompt",
        "my instructions",
        "as a chatbot",
        "als ki-",
        "sprachmodell",
        "作为一个ai",
        "作为ai",
        "语言模型",
    ];
    let lower = text.to_lowercase();
    MARKERS.iter().any(|marker| lower.contains(marker))
}

/// Takes away what surrounds a line: code fences, one pair of quotes around the whole, stage directions in front.
fn unwrap(reply: &str) -> String {
    let mut text = reply.trim().trim_start_matches("```").trim_end_matches("```").trim();
    for (open, close) in [('"', '"'), ('“', '”'), ('„', '“'), ('「', '」')] {
        let inner = text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
        if let Some(inner) = inner.filter(|t| !t.contains(open) && !t.contains(close)) {
            text = inner.trim();
        }
    }
    text.to_owned()
}

/// What follows `name` as a speaker label at the start of `line` (`Ann:`, `**Ann:**`, `Ann (laughing):`), if it is one.
fn after_label<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let bare = line.trim_start_matches(['*', '_', '#', '>', '[', ' ']);
    let head = bare.get(..name.len()).filter(|head| head.eq_ignore_ascii_case(name) || *head == name)?;
    let mut rest = bare.get(head.len()..)?.trim_start_matches(['*', '_', ']', ' ']);
    if let Some(aside) = rest.strip_prefix('(') {
        rest = aside.split_once(')').filter(|(inside, _)| inside.len() < 40)?.1.trim_start();
    }
    let rest = rest.strip_prefix([':', '：'])?;
    Some(rest.trim_start_matches(['*', '_', ' ']))
}

fn label_forms(name: &str) -> impl Iterator<Item = &str> {
    let first = name.split_whitespace().next().filter(|first| *first != name);
    [Some(name), first].into_iter().flatten()
}

fn drop_own_name(text: &str, name: &str, mended: &mut Vec<&'static str>) -> String {
    let mut rest = text;
    while let Some(after) = label_forms(name).find_map(|form| after_label(rest, form)) {
        if mended.last() != Some(&"own_name") {
            mended.push("own_name");
        }
        rest = after;
    }
    rest.to_owned()
}

fn starts_as_other(text: &str, others: &[&str]) -> bool {
    others.iter().any(|name| label_forms(name).any(|form| after_label(text, form).is_some()))
}

/// Keeps what comes before a line that is labelled as anyone's. A list such as `A: x, B: y` within a line stays.
fn cut_at_speaker_line(text: &str, scene: &Scene<'_>, mended: &mut Vec<&'static str>) -> String {
    let everyone: Vec<&str> = scene.others.iter().copied().chain([scene.speaker]).collect();
    let kept: Vec<&str> = text.lines().take_while(|line| !starts_as_other(line, &everyone)).collect();
    if kept.len() < text.lines().count() {
        mended.push("speaks_for_others");
    }
    kept.join("\n")
}

/// Cuts a torn or overlong reply at its last sentence end within the limit.
///
/// A word target is a wish: what is over it and cannot be cut stays, unless it is a speech.
fn cut_to_length(text: String, scene: &Scene<'_>, mended: &mut Vec<&'static str>) -> Result<String, Flaw> {
    let limit = scene.words.map(|target| (target as usize) * 2 + 10);
    let length = words(&text).len();
    let over = limit.is_some_and(|limit| length > limit);
    if !over && !scene.torn {
        return Ok(text);
    }
    let mut kept = String::new();
    let sentences: Vec<&str> = text.split_sentence_bounds().collect();
    for sentence in &sentences {
        let whole = sentence.trim_end().ends_with(['.', '!', '?', '…', '。', '！', '？', '"', '”']);
        let fits = limit.is_none_or(|limit| words(&kept).len() + words(sentence).len() <= limit);
        if !whole || !fits {
            break;
        }
        kept.push_str(sentence);
    }
    if kept.trim().is_empty() {
        return match scene.words {
            _ if scene.torn => Err(Flaw::Torn),
            Some(target) if length > (target as usize) * 3 + 40 => Err(Flaw::TooLong),
            _ => Ok(text),
        };
    }
    mended.push(if scene.torn { "torn" } else { "too_long" });
    Ok(kept.trim_end().to_owned())
}

/// Whether a 4-gram recurs often, or the text is one sentence said twice.
fn loops(words: &[String]) -> bool {
    let mut grams: Vec<&[String]> = words.windows(4).collect();
    grams.sort_unstable();
    let often = grams.chunk_by(|a, b| a == b).any(|run| run.len() >= LOOP_REPEATS);
    let (left, right) = words.split_at(words.len() / 2);
    often || (words.len() >= 6 && words.len().is_multiple_of(2) && left == right)
}

fn shares_run(words: &[String], source: &[String], length: usize) -> bool {
    let runs: BTreeSet<&[String]> = source.windows(length).collect();
    !runs.is_empty() && words.windows(length).any(|run| runs.contains(run))
}

/// Whether a line of some length says again what one earlier line said. Back-channels may recur.
fn echoes(words: &[String], scene: &Scene<'_>) -> bool {
    if words.len() < 4 {
        return false;
    }
    let own: BTreeSet<&[String]> = words.windows(3).collect();
    scene.said.iter().any(|(_, earlier)| {
        let earlier = self::words(earlier);
        let shared = earlier.windows(3).collect::<BTreeSet<_>>().intersection(&own).count();
        shared as f64 / own.len() as f64 >= ECHO_OVERLAP
    })
}

/// Whether a line says goodbye, or is nothing but thanks.
///
/// Strict on purpose: thanks in passing, and goodbyes that are talked about, are part of ordinary talk.
pub fn is_closing(text: &str) -> bool {
    const GOODBYES: &[&str] = &[
        "bye",
        "goodbye",
        "good bye",
        "bye bye",
        "see you",
        "see ya",
        "see you later",
        "see you soon",
        "see you tomorrow",
        "see you all",
        "see you there",
        "see you then",
        "take care",
        "good night",
        "talk soon",
        "talk to you later",
        "talk to you soon",
        "until next time",
        "have a great day",
        "have a good day",
        "have a nice day",
        "have a good one",
        "have a great evening",
        "have a good evening",
        "have a good night",
        "tschüss",
        "auf wiedersehen",
        "bis bald",
        "bis dann",
        "bis später",
        "bis morgen",
        "gute nacht",
        "schönen tag noch",
        "mach's gut",
        "macht's gut",
        "再见",
        "拜拜",
        "回头见",
        "明天见",
        "晚安",
    ];
    let lower = text.to_lowercase().replace('’', "'");
    let clauses: Vec<&str> =
        lower.split(['.', '!', '?', ',', ';', '—', '…', '。', '！', '，', '？']).map(str::trim).collect();
    let last = clauses.iter().rev().filter(|clause| !clause.is_empty()).take(2);
    let goodbye = last.into_iter().any(|clause| {
        GOODBYES.iter().any(|phrase| {
            let rest = clause.strip_prefix(phrase).or_else(|| clause.strip_suffix(phrase));
            // "bye for now", "see you all at eight then": a few more words still make a goodbye.
            rest.is_some_and(|rest| rest.is_empty() || (!starts_inside_word(rest, phrase) && words(rest).len() <= 4))
        })
    });
    goodbye || only_thanks(&lower)
}

/// `bye` must not be found in `byelaws`; scripts without spaces have no such boundary.
fn starts_inside_word(rest: &str, phrase: &str) -> bool {
    phrase.is_ascii() && rest.starts_with(char::is_alphanumeric)
}

fn only_thanks(lower: &str) -> bool {
    const THANKS: &[&str] = &["thank you", "thanks", "danke", "vielen dank", "谢谢", "多谢"];
    let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
    THANKS.iter().any(|thanks| bare.starts_with(thanks)) && words(bare).len() <= 6 && !lower.contains('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene<'a>() -> Scene<'a> {
        Scene {
            speaker: "Ann Lee",
            persona: "a retired postman who breeds racing pigeons on the roof of a tower block",
            others: vec!["Bob", "Carla Díaz"],
            said: vec![
                ("", "The lift has stopped between two floors."),
                ("Bob", "I knew we should have taken the stairs today."),
            ],
            instructions: "Speak as Ann Lee would in real life. Say one thing at a time, in your own words.",
            words: None,
            torn: false,
            must_go_on: false,
        }
    }

    #[test]
    fn what_can_be_mended_is() {
        let table = [
            ("Ann Lee: We wait.", "We wait.", vec!["own_name"]),
            ("**Ann:** We wait.", "We wait.", vec!["own_name"]),
            ("Ann Lee (sighing): We wait.", "We wait.", vec!["own_name"]),
            ("\"We wait.\"", "We wait.", vec![]),
            ("We wait.\nBob: No!\nAnn Lee: Yes.", "We wait.", vec!["speaks_for_others"]),
            ("Two lists, Ann: milk, Bob: bread.", "Two lists, Ann: milk, Bob: bread.", vec![]),
            ("  We \n wait. ", "We wait.", vec![]),
        ];
        for (reply, text, mended) in table {
            let sound = examine(reply, &scene()).unwrap();
            assert_eq!((sound.text.as_str(), sound.mended), (text, mended), "{reply:?}");
        }
    }

    #[test]
    fn what_cannot_be_mended_is_named() {
        let table = [
            ("", Flaw::Empty),
            ("...", Flaw::Empty),
            ("Bob: I told you.", Flaw::SpeaksForOthers),
            ("Carla: I told you.", Flaw::SpeaksForOthers),
            ("I knew we should have taken the stairs today!", Flaw::Echo),
            ("We wait here now. We wait here now.", Flaw::Loop),
            ("As an AI I cannot be stuck in a lift.", Flaw::Leak),
            ("<|im_start|>user", Flaw::Leak),
            ("I should say one thing at a time, in your own words, right?", Flaw::Leak),
            ("Well, I am a retired postman who breeds racing pigeons on the roof.", Flaw::Recital),
        ];
        for (reply, flaw) in table {
            assert_eq!(examine(reply, &scene()), Err(flaw), "{reply:?}");
        }
    }

    #[test]
    fn a_torn_reply_ends_at_a_sentence_or_not_at_all() {
        let torn = Scene { torn: true, ..scene() };
        let sound = examine("We wait. Then somebody will certainly co", &torn).unwrap();
        assert_eq!((sound.text.as_str(), sound.mended), ("We wait.", vec!["torn"]));
        assert_eq!(examine("Then somebody will certainly co", &torn), Err(Flaw::Torn));
        let short = Scene { words: Some(2), ..scene() };
        let long = "We wait. Then ".to_owned() + &(0..40).map(|n| format!("w{n} ")).collect::<String>();
        assert_eq!(examine(&long, &short).unwrap().text, "We wait.");
        let speech: String = (0..50).map(|n| format!("w{n} ")).collect();
        assert_eq!(examine(&speech, &short), Err(Flaw::TooLong));
        assert!(
            examine("We wait here until somebody comes along and lets us out of this lift, all right?", &short).is_ok()
        );
    }

    #[test]
    fn back_channels_may_recur_and_goodbyes_may_not_loop() {
        let mut scene = scene();
        scene.said.push(("Bob", "Yes, right."));
        assert!(examine("Yes, right.", &scene).is_ok());
        scene.said.push(("Bob", "Well, see you tomorrow then!"));
        scene.must_go_on = true;
        assert_eq!(examine("Goodbye, Bob!", &scene), Err(Flaw::ClosingLoop));
        scene.must_go_on = false;
        assert!(examine("Goodbye, Bob!", &scene).is_ok());
    }

    #[test]
    fn closings_are_told_from_ordinary_talk() {
        for closing in [
            "Bye!",
            "Alright, see you tomorrow.",
            "Take care, Ann!",
            "Thanks, everyone.",
            "Gute Nacht, Oma!",
            "好吧，再见！",
            "Have a great day, Bob.",
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
        ] {
            assert!(!is_closing(open), "{open:?}");
        }
    }
}
