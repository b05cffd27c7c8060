//! Defects as language models make them, planted into clean talk. Every choice is a seeded draw.

use convogen::Draw;

use super::phrases::{self, Phrases};
use super::talk::Play;

/// The kinds of defects, by the names that records have for them.
pub(crate) const KINDS: [&str; 15] = [
    "empty",
    "own_name",
    "stage_direction",
    "speaks_for_others",
    "torn",
    "too_long",
    "ai_talk",
    "leak",
    "language",
    "loop",
    "recital",
    "echo",
    "leaked_knowledge",
    "closing_loop",
    "agreement_run",
];
/// Words from which a line is long enough to be copied, cut or said twice.
const LONG: usize = 8;
/// Words of a description that is recited at least.
const RECITED: usize = 9;

/// A reply in its place.
#[derive(Debug)]
pub(crate) struct Planted<'a> {
    pub(crate) play: &'a Play,
    pub(crate) speaker: usize,
    /// What was said before, by name; the starter without one.
    pub(crate) said: Vec<(String, String)>,
    pub(crate) reply: String,
    pub(crate) words: Option<u32>,
    pub(crate) torn: bool,
    /// What somebody else alone knows.
    pub(crate) secret: Option<String>,
}

/// The turn at `at`, as it is.
pub(crate) fn clean(play: &Play, at: usize) -> Planted<'_> {
    let (speaker, reply) = play.turns[at].clone();
    let before = play.turns[..at].iter().map(|(who, text)| (play.people[*who].name.clone(), text.clone()));
    let said = [(String::new(), play.starter.clone())].into_iter().chain(before).collect();
    Planted { play, speaker, said, reply, words: None, torn: false, secret: None }
}

/// `count` defects of `kind`: three fifths English, a fifth German, a fifth Chinese.
pub(crate) fn many<'a>(kind: &str, plays: &'a [Play], count: usize) -> Vec<Planted<'a>> {
    (0..)
        .filter_map(|n: usize| {
            let mut draw = Draw::new(5, &["plant", kind, &n.to_string()]);
            let language = ["en", "en", "en", "de", "zh"][n % 5];
            let plays: Vec<&Play> = plays.iter().filter(|play| play.language == language).collect();
            let play = plays[draw.below(plays.len())];
            let at = draw.between(2, play.turns.len() - 1);
            let mut planted = clean(play, at);
            spoil(kind, &mut planted, &plays, &mut draw).then_some(planted)
        })
        .take(count)
        .collect()
}

/// Number of words; in Chinese two characters count as one.
fn length(text: &str) -> usize {
    let han = text.chars().filter(|c| matches!(c, '\u{4e00}'..='\u{9fff}')).count();
    if han > 0 { han / 2 } else { text.split_whitespace().count() }
}

fn pick<'p>(draw: &mut Draw, items: &[&'p str]) -> &'p str {
    draw.pick(items).copied().unwrap()
}

/// Puts a defect in; `false` where this place does not lend itself to it.
pub(crate) fn spoil(kind: &str, planted: &mut Planted<'_>, plays: &[&Play], draw: &mut Draw) -> bool {
    let words = phrases::of(planted.play.language);
    match kind {
        "empty" => planted.reply = pick(draw, &["", "...", "…", "***", "\"\"", "—", "```\n```", " \n "]).to_owned(),
        "own_name" => planted.reply = label(planted, planted.speaker, draw) + &planted.reply,
        "stage_direction" => planted.reply = format!("{} {}", pick(draw, words.asides), capital(&planted.reply)),
        "speaks_for_others" => return speak_for_other(planted, draw),
        "torn" => return tear(planted, draw),
        "too_long" => stretch(planted, plays, draw),
        "ai_talk" => planted.reply = beside(pick(draw, words.machine), planted, draw),
        "leak" => planted.reply = leak(draw),
        "language" => planted.reply = foreign(planted.play.language, draw),
        "loop" => return repeat_itself(planted, draw),
        "recital" => return recite(planted, words, draw),
        "echo" => return echo(planted, words, draw),
        "leaked_knowledge" => tell(planted, words, draw),
        "closing_loop" => {
            let goodbye = farewell(planted, words, draw);
            planted.said.last_mut().unwrap().1 = goodbye;
            planted.reply = farewell(planted, words, draw);
        }
        _ => {
            for back in 1..=2 {
                let line = assent(planted, words, draw);
                let at = planted.said.len() - back;
                planted.said[at].1 = line;
            }
            planted.reply = assent(planted, words, draw);
        }
    }
    true
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn label(planted: &Planted<'_>, person: usize, draw: &mut Draw) -> String {
    let name = planted.play.people[person].name.clone();
    let first = name.split(' ').next().unwrap().to_owned();
    let colon = if planted.play.language == "zh" { "：" } else { ": " };
    match draw.below(5) {
        0 => format!("**{name}:** "),
        1 => format!("{first}{colon}"),
        2 => format!("{name} (quietly){colon}"),
        3 => format!("[{name}]{colon}"),
        _ => format!("{name}{colon}"),
    }
}

/// Somebody else of the scene.
fn other(planted: &Planted<'_>, draw: &mut Draw) -> usize {
    let people = planted.play.people.len();
    (planted.speaker + 1 + draw.below(people - 1)) % people
}

fn speak_for_other(planted: &mut Planted<'_>, draw: &mut Draw) -> bool {
    let who = other(planted, draw);
    let later = planted.play.turns.get(planted.said.len()..).unwrap_or_default();
    let Some((_, line)) = draw.pick(later) else { return false };
    let label = label(planted, who, draw);
    let ends = planted.reply.ends_with(['.', '!', '?', '。', '！', '？']);
    planted.reply = match draw.below(4) {
        0 => format!("{label}{line}"),
        1 => format!("{}\n{label}{line}", planted.reply),
        2 if ends && length(line) >= LONG => format!("{} {label}{line}", planted.reply),
        3 if planted.play.language != "zh" => format!("{}\n\nSarah Thompson: {line}", planted.reply),
        _ => return false,
    };
    true
}

fn tear(planted: &mut Planted<'_>, draw: &mut Draw) -> bool {
    let characters: Vec<char> = planted.reply.chars().collect();
    if length(&planted.reply) < LONG {
        return false;
    }
    let cut: String = characters[..draw.between(characters.len() / 2, characters.len() - 3)].iter().collect();
    planted.reply = cut;
    planted.torn = true;
    !planted.reply.ends_with(['.', '!', '?', '。', '！', '？', '"', ' '])
}

/// A speech: sentences that nobody has said in this scene, each once.
fn stretch(planted: &mut Planted<'_>, plays: &[&Play], draw: &mut Draw) {
    let target = draw.between(2, 6);
    let others: Vec<&str> = plays
        .iter()
        .filter(|play| play.situation != planted.play.situation)
        .flat_map(|play| &play.turns)
        .map(|(_, text)| text.as_str())
        .filter(|text| length(text) >= LONG / 2)
        .collect();
    planted.words = Some(u32::try_from(target).unwrap());
    planted.reply = draw.sample(&others, 12).into_iter().copied().collect::<Vec<_>>().join(" ");
}

/// `phrase` before, after or instead of what was said.
fn beside(phrase: &str, planted: &Planted<'_>, draw: &mut Draw) -> String {
    match draw.below(3) {
        0 => format!("{phrase} {}", planted.reply),
        1 => format!("{} {phrase}", planted.reply),
        _ => phrase.to_owned(),
    }
}

/// A passage of the prompts.
pub(crate) const INSTRUCTIONS: &str = "Each line says one thing, in the speaker's own words, and reacts to what was just said: it asks, \
    objects, jokes, hesitates, adds something new. Nobody repeats what was said, sums up, describes themselves, or agrees for \
    the sake of peace.";

/// Ten to fourteen words in a row out of the prompts, or a token of a chat format.
fn leak(draw: &mut Draw) -> String {
    if draw.below(5) == 0 {
        return format!("{}user", pick(draw, &["<|im_start|>", "<|im_end|>", "[INST] ", "### Instruction: "]));
    }
    let words: Vec<&str> = INSTRUCTIONS.split_whitespace().collect();
    let count = draw.between(10, 14);
    let start = draw.below(words.len() - count);
    format!("{}{}", pick(draw, &["", "Sure. ", "So, "]), words[start..start + count].join(" "))
}

fn foreign(language: &str, draw: &mut Draw) -> String {
    let banks: Vec<&[&str]> =
        phrases::FOREIGN.iter().filter(|(tag, _)| *tag != language).map(|(_, bank)| *bank).collect();
    let bank = banks[draw.below(banks.len())];
    let sentences = draw.sample(bank, draw_count(bank.len()));
    sentences.into_iter().copied().collect::<Vec<_>>().join(" ")
}

/// Two sentences where there are two.
fn draw_count(of: usize) -> usize {
    of.min(2)
}

fn repeat_itself(planted: &mut Planted<'_>, draw: &mut Draw) -> bool {
    let line = planted.reply.trim_end_matches(['.', '!', '?', '。', '！', '？']).to_owned();
    if length(&line) < LONG - 2 || line.contains(['.', '!', '?', '。', '！', '？', '"']) {
        return false;
    }
    let (stop, joint) = if planted.play.language == "zh" { ("。", "，") } else { (". ", ", ") };
    planted.reply = match draw.below(3) {
        0 => format!("{line}{stop}{line}{stop}"),
        1 => format!("{line}{joint}{line}{joint}{line}{stop}"),
        _ => format!("{line}{stop}{}{stop}{line}{stop}", phrases::of(planted.play.language).filler[draw.below(8)]),
    };
    true
}

fn recite(planted: &mut Planted<'_>, words: &Phrases, draw: &mut Draw) -> bool {
    let persona = &planted.play.people[planted.speaker].persona;
    if length(persona) < RECITED {
        return false;
    }
    let lead = pick(draw, words.introductions);
    let whole: Vec<&str> = persona.split_whitespace().collect();
    let part = match (planted.play.language, draw.below(2)) {
        ("zh", _) | (_, 0) => persona.clone(),
        _ => whole[whole.len() - RECITED + 1..].join(" "),
    };
    planted.reply = lead.replace("{}", &part);
    true
}

fn echo(planted: &mut Planted<'_>, words: &Phrases, draw: &mut Draw) -> bool {
    let long: Vec<String> =
        planted.said.iter().map(|(_, text)| text.clone()).filter(|text| length(text) >= LONG).collect();
    let Some(line) = draw.pick(&long) else { return false };
    let bare = line.trim_end_matches(['.', '!', '?', '。', '！', '？']);
    let chinese = planted.play.language == "zh";
    planted.reply = match draw.below(5) {
        0 => line.clone(),
        1 => format!("{}{}", pick(draw, words.openers), line),
        2 => bare.to_lowercase(),
        3 if !chinese => {
            format!("{bare}, {}.", planted.play.people[other(planted, draw)].name.split(' ').next().unwrap())
        }
        4 if !chinese => bare.rsplit_once(' ').unwrap().0.to_owned() + ".",
        _ => format!("{bare}！"),
    };
    true
}

fn tell(planted: &mut Planted<'_>, words: &Phrases, draw: &mut Draw) {
    let (act, place, reason) = (pick(draw, words.acts), pick(draw, words.places), pick(draw, words.reasons));
    planted.secret = Some(words.secret.replace("{act}", act).replace("{place}", place).replace("{reason}", reason));
    let (one, two) = if draw.below(2) == 0 { (act, place) } else { (act, reason) };
    planted.reply = pick(draw, words.tellings).replace("{1}", one).replace("{2}", two);
}

fn farewell(planted: &Planted<'_>, words: &Phrases, draw: &mut Draw) -> String {
    let who = planted.play.people[other(planted, draw)].name.split(' ').next().unwrap().to_owned();
    let goodbye = pick(draw, words.goodbyes).replace("{}", &who);
    match draw.below(3) {
        0 => format!("{} {goodbye}", pick(draw, words.leaving)),
        _ => goodbye,
    }
}

fn assent(planted: &Planted<'_>, words: &Phrases, draw: &mut Draw) -> String {
    let who = planted.play.people[other(planted, draw)].name.split(' ').next().unwrap().to_owned();
    let count = draw.between(1, 2);
    let joint = if planted.play.language == "zh" { "" } else { " " };
    draw.sample(words.assents, count).into_iter().map(|line| line.replace("{}", &who)).collect::<Vec<_>>().join(joint)
}
