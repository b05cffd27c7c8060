//! The words a speaker says, out of a reply that should be nothing else.
//!
//! A model that takes itself for a helper puts words of its own around the line, counts its words, or hands it over as JSON,
//! in HTML or in a code fence. Each is taken off where nothing but the line is left; where that is not plain, the reply is
//! [`Unread::Wrapped`] and is asked for again. Whatever a person may say stays as it is.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::json::json;
use super::thinking::REPLIES;
use super::{Unread, answer, ends_clause, has_words, pattern};
use crate::lexicon::List;

/// What a line is called, by the key that holds it.
const KEYS: [&str; 18] = [
    "text",
    "line",
    "content",
    "message",
    "reply",
    "response",
    "utterance",
    "dialogue",
    "speech",
    "says",
    "say",
    "said",
    "answer",
    "output",
    "result",
    "spoken",
    "value",
    "turn",
];
/// Who says it, by the key that says so.
const SPEAKERS: [&str; 4] = ["speaker", "name", "character", "persona"];
/// Elements of HTML that stand around text.
const HTML: [&str; 16] = [
    "p",
    "div",
    "span",
    "br",
    "b",
    "i",
    "u",
    "em",
    "strong",
    "q",
    "blockquote",
    "html",
    "body",
    "speak",
    "small",
    "li",
];
/// Layers that are taken off one after the other.
const MAX_LAYERS: usize = 8;
/// One of these is in every wrapper, but for an introduction, which has a colon.
const SIGNS: [char; 12] = ['<', '>', '[', '{', '`', '~', '\n', '(', '（', '◁', '#', '*'];

static INTRODUCES: List = REPLIES.list("introduces");
static INTRODUCES_IN_FRONT: List = REPLIES.list("introduces in front");
static AGREES_TO_HELP: List = REPLIES.list("agrees to help");
static LABELS_THE_LINE: List = REPLIES.list("labels the line");
static OFFERS_MORE: List = REPLIES.list("offers more");
static COUNTS_WORDS: List = REPLIES.list("counts words");
static UNITS_OF_WORDS: List = REPLIES.list("units of words");

/// What was taken off a line, as ledgers name it.
const THOUGHTS_AND_TOKENS: &str = "markup";
const WRAPPER: &str = "wrapper";
const HELPER: &str = "helper";

/// The line in a reply, and what was taken off it.
///
/// # Errors
/// If the reply has no line, or it cannot be told from what is around it.
pub(crate) fn line<'r>(reply: &'r str, mended: &mut Vec<&'static str>) -> Result<Cow<'r, str>, Unread> {
    let mut text = match in_an_object(reply) {
        Some(inner) => {
            mended.push(WRAPPER);
            Cow::Owned(inner)
        }
        None => answer(reply)?,
    };
    // White space is evened out by whoever takes the line.
    if mended.is_empty() && text.len() < reply.trim().len() {
        mended.push(THOUGHTS_AND_TOKENS);
    }
    for _ in 0..MAX_LAYERS {
        let Some((inner, what)) = layer(&text)? else { break };
        if mended.last() != Some(&what) {
            mended.push(what);
        }
        // A thought or a token may stand within the wrapper.
        text = Cow::Owned(answer(&inner)?.into_owned());
    }
    if offers_choices(&text) { Err(Unread::Wrapped) } else { Ok(text) }
}

/// The line in a reply that is an object from its first letter on: thoughts and tokens within it are its own.
fn in_an_object(reply: &str) -> Option<String> {
    let text = reply.trim();
    if text.starts_with('{') { from_json(text).ok().flatten() } else { None }
}

/// `text` without the outermost of what is around the line, and what that was.
fn layer(text: &str) -> Result<Option<(String, &'static str)>, Unread> {
    let text = text.trim();
    let signs = text.contains(SIGNS);
    let helper =
        if signs || text.contains([':', '：']) || text.contains("TERMINATE") { without_helper(text) } else { None };
    if let Some(inner) = helper {
        return Ok(Some((inner.to_owned(), HELPER)));
    }
    if !signs && !text.starts_with('"') {
        return Ok(None);
    }
    let inner = match within_fence(text).or_else(|| within_markdown(text)).or_else(|| within_elements(text)) {
        None => from_json(text)?,
        inner => inner,
    };
    Ok(inner.map(|inner| (inner, WRAPPER)))
}

/// `text` without a helper's words in front or behind, if there are any.
fn without_helper(text: &str) -> Option<&str> {
    static BEHIND: LazyLock<Regex> = LazyLock::new(|| OFFERS_MORE.pattern(r"\n[\s*_(\[>—-]*{}[\s*_)\].!?！？。]*\z"));
    static COUNT: LazyLock<Regex> = LazyLock::new(|| {
        let units = UNITS_OF_WORDS.pattern("{}").as_str().replacen("(?i)", "", 1);
        COUNTS_WORDS.pattern(&COUNT_FORMS.replace("UNIT", &units))
    });
    static COUNT_IN_FRONT: LazyLock<Regex> =
        LazyLock::new(|| UNITS_OF_WORDS.pattern(r"\A[(\[（]\s*[~≈]?\s*\d{1,3}\s*{}\s*[)\]）][:：]?\s+"));
    // A separator, and the word by which AutoGen's agents end.
    static ENDED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?:\n[ \t]*(?:-{3,}|\*{3,}|={3,}|#{3,})|[\s*_]*\bTERMINATE\b[.*_]*)\s*\z"));
    let behind = if text.contains('\n') { BEHIND.find(text) } else { None };
    let counted =
        || COUNT.find(text).filter(|count| is_count_of(count.as_str(), text.get(..count.start()).unwrap_or_default()));
    let behind = behind.or_else(|| if text.contains(|c: char| c.is_ascii_digit()) { counted() } else { None });
    let behind = behind.or_else(|| ENDED.find(text));
    let kept = behind.and_then(|found| text.get(..found.start()));
    let kept = kept.or_else(|| COUNT_IN_FRONT.find(text).and_then(|found| text.get(found.end()..)));
    kept.filter(|kept| has_words(kept)).or_else(|| introduced(text))
}

/// Whether `count` counts the words of `line`: it stands behind the end of a sentence, in a line of its own, or is about right.
/// People speak of so many words of something else.
fn is_count_of(count: &str, line: &str) -> bool {
    let number = count.split(|c: char| !c.is_ascii_digit()).find_map(|digits| digits.parse::<usize>().ok());
    let words = line.split_whitespace().count();
    let is_near = number.is_some_and(|number| number <= 2 * words && words <= 2 * number);
    count.starts_with('\n') || count.contains([':', '：']) || ends_clause(line) || is_near
}

/// How words are counted behind a line: `(9 words)`, `Word count: 9`, `— 9 words` in a line of its own.
const COUNT_FORMS: &str = r"(?:[\s*_]*[(\[（]\s*(?:{}\s*[:：=]\s*[~≈]?\d{1,3}\s*(?:UNIT)?|(?:about |approximately |approx\.? |exactly |ca\.? )?[~≈]?\s*\d{1,3}\s*UNIT)\s*[)\]）]|\n[\s*_—–-]*{}[\s*_]*[:：=][\s*_]*[~≈]?\d{1,3}(?:\s*UNIT)?|\n[\s*_—–-]*[~≈]?\d{1,3}\s*UNIT)[\s*_.]*\z";

/// What an introduction such as `Sure! Here is the line:` introduces.
fn introduced(text: &str) -> Option<&str> {
    static AHEAD: LazyLock<Regex> =
        LazyLock::new(|| INTRODUCES.pattern(r#"\A[^\n]{0,160}?(?:\A|[\s*_"!.,，。！、])(?:{})[\s*_]*[:：][\s*_]*\n"#));
    static IN_FRONT: LazyLock<Regex> =
        LazyLock::new(|| INTRODUCES_IN_FRONT.pattern(r"\A(?:[^\n:：]{0,40}[!.,，。！]\s*)?(?:{})[*_\s]*[:：][*_\s]*"));
    static AGREED: LazyLock<Regex> = LazyLock::new(|| {
        let introduction = INTRODUCES.pattern("{}").as_str().replacen("(?i)", "", 1);
        AGREES_TO_HELP.pattern(&format!(r"\A{{}}[!.,，。！、]+\s*(?:{introduction})[*_\s]*[:：][*_\s]*"))
    });
    static LABEL: LazyLock<Regex> = LazyLock::new(|| LABELS_THE_LINE.pattern(r"\A[\s*_#]*{}[\s*_]*[:：][*_\s]*"));
    if !text.contains([':', '：']) {
        return None;
    }
    let found = AHEAD.find(text).or_else(|| IN_FRONT.find(text)).or_else(|| AGREED.find(text));
    let found = found.or_else(|| LABEL.find(text));
    found.and_then(|found| text.get(found.end()..)).filter(|line| has_words(line))
}

/// What stands in the last code fence, or between single backticks.
fn within_fence(text: &str) -> Option<String> {
    static FENCED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r"(?s)(?:\A|\n)[ \t]*(?:```|~~~)[\w-]*[ \t]*\n?(.*?)\s*(?:```|~~~)[ \t]*(?:\n|\z)"));
    let fenced = FENCED.captures_iter(text).filter_map(|fence| fence.get(1)).last();
    let ticked = || text.strip_prefix('`')?.strip_suffix('`').filter(|inner| !inner.contains('`'));
    let opened =
        || text.strip_prefix("```").filter(|rest| !rest.contains("```"))?.split_once('\n').map(|(_, rest)| rest);
    let inner = fenced.map(|inner| inner.as_str()).or_else(ticked).or_else(opened)?;
    has_words(inner).then(|| inner.trim().to_owned())
}

/// What stands in bold, in a quotation or below a separator, where that is the whole.
fn within_markdown(text: &str) -> Option<String> {
    let bold = || text.strip_prefix("**")?.strip_suffix("**").filter(|inner| !inner.contains("**"));
    let below =
        || text.strip_prefix("---").map(|rest| rest.trim_start_matches('-')).filter(|rest| rest.starts_with('\n'));
    if let Some(inner) = bold().or_else(below).filter(|inner| has_words(inner)) {
        return Some(inner.trim().to_owned());
    }
    let quoted: Option<Vec<&str>> = text.lines().map(|line| line.trim_start().strip_prefix('>')).collect();
    quoted.map(|lines| lines.join("\n").trim().to_owned())
}

/// What stands between the tags of an element that is the whole, or that holds the answer.
fn within_elements(text: &str) -> Option<String> {
    static TAG: LazyLock<Regex> = LazyLock::new(|| pattern(r"\A<([A-Za-z][\w:-]{0,30})((?:\s[^<>]*)?)/?>"));
    static NAMED: LazyLock<Regex> =
        LazyLock::new(|| pattern(r#"(?i)\b(?:name|speaker|character|who)\s*=\s*["']([^"']{1,60})["']"#));
    static PROLOGUE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\A<(?:!doctype|\?xml)[^<>]*>\s*"));
    if let Some(held) = held_answer(text) {
        return Some(held.to_owned());
    }
    if let Some(prologue) = PROLOGUE.find(text) {
        return text.get(prologue.end()..).map(str::to_owned);
    }
    if let Some(bare) = without_break(text) {
        return Some(bare.to_owned());
    }
    let tag = TAG.captures(text)?;
    let (name, whole) = (tag.get(1)?.as_str(), tag.get(0)?);
    let rest = text.get(whole.end()..)?;
    let is_html = HTML.iter().any(|known| known.eq_ignore_ascii_case(name));
    let Some(inner) = without_end_tag(rest, name) else {
        return (is_html && has_words(rest) && !rest.contains('<')).then(|| plain(rest));
    };
    if !has_words(inner) {
        return None;
    }
    let speaker =
        tag.get(2).and_then(|attributes| NAMED.captures(attributes.as_str())?.get(1)).map(|name| name.as_str());
    let is_name = name.starts_with(char::is_uppercase) && !is_html && !KEYS.contains(&name.to_lowercase().as_str());
    let speaker = speaker.map(str::to_owned).or_else(|| is_name.then(|| name.replace('_', " ")));
    let inner = if is_html { plain(inner) } else { inner.trim().to_owned() };
    Some(speaker.map_or_else(|| inner.clone(), |speaker| format!("{speaker}: {inner}")))
}

/// Elements that say that they hold the answer.
const ANSWERS: [&str; 6] = ["answer", "final_answer", "final", "output", "response", "reply"];

/// The content of the last element that holds the answer, whatever stands before it.
fn held_answer(text: &str) -> Option<&str> {
    let lower = text.to_ascii_lowercase();
    ANSWERS.iter().find_map(|name| {
        let open = lower.rfind(&format!("<{name}>"))?;
        let start = open + name.len() + 2;
        let end = lower.get(start..)?.find(&format!("</{name}>")).map_or(text.len(), |at| start + at);
        // Amid a sentence a tag is talked about.
        let before = text.get(..open)?;
        let begins = !has_words(before) || before.ends_with('\n') || ends_clause(before);
        text.get(start..end).map(str::trim).filter(|inner| begins && has_words(inner))
    })
}

/// `text` without a line break in HTML at its start or end.
fn without_break(text: &str) -> Option<&str> {
    const BREAKS: [&str; 6] = ["<br>", "<br/>", "<br />", "<BR>", "</p>", "&nbsp;"];
    let at_end = |mark: &&str| text.strip_suffix(*mark).filter(|before| !before.ends_with(' '));
    let found = BREAKS.iter().find_map(|mark| at_end(mark).or_else(|| text.strip_prefix(mark)))?;
    // The end of a paragraph belongs to its beginning.
    (has_words(found) && !found.starts_with("<p")).then(|| found.trim())
}

fn without_end_tag<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let start = text.len().checked_sub(name.len() + 3)?;
    let (inner, end) = (text.get(..start)?, text.get(start..)?);
    end.eq_ignore_ascii_case(&format!("</{name}>")).then_some(inner)
}

/// Text of HTML: tags of [`HTML`] left out, the usual entities written out.
fn plain(html: &str) -> String {
    static TAGS: LazyLock<Regex> =
        LazyLock::new(|| pattern(&format!(r"(?i)</?(?:{})(?:\s[^<>]*)?/?>", HTML.join("|"))));
    static BLOCKS: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)<(?:br\s*/?|/p|/div|/li)>"));
    let lines = BLOCKS.replace_all(html, "\n");
    let text = TAGS.replace_all(&lines, "");
    let entities = [
        ("&nbsp;", " "),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&apos;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ];
    let text = entities.iter().fold(text.into_owned(), |text, (entity, c)| text.replace(entity, c));
    text.trim().to_owned()
}

/// The line in an object, or in a string as JSON writes it.
fn from_json(text: &str) -> Result<Option<String>, Unread> {
    static OBJECT: LazyLock<Regex> = LazyLock::new(|| pattern(r#"[{\[]\s*\{?\s*""#));
    if text.starts_with('"') && text.contains('\\') {
        return Ok(serde_json::from_str(text).ok());
    }
    let Some(start) = OBJECT.find(text).map(|found| found.start()) else { return Ok(None) };
    let is_all = start == 0;
    let line = json(text, &KEYS).ok().filter(|value| is_all || KEYS.iter().any(|key| value.get(key).is_some()));
    match line.as_ref().and_then(spoken) {
        None if is_all => Err(Unread::Wrapped),
        line => Ok(line),
    }
}

/// The line that a JSON value holds, behind the name of whoever it says is speaking.
fn spoken(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => spoken(items.first()?),
        Value::Object(map) => {
            let text = |key: &&str| map.get(*key).and_then(Value::as_str).filter(|text| has_words(text));
            let mut texts = map.values().filter_map(Value::as_str);
            let only = texts.next().filter(|_| texts.next().is_none());
            let said = KEYS.iter().find_map(text).or(only)?;
            let speaker = SPEAKERS.iter().find_map(text).filter(|speaker| *speaker != said);
            Some(speaker.map_or_else(|| said.to_owned(), |speaker| format!("{speaker}: {said}")))
        }
        _ => None,
    }
}

/// Whether `text` offers several lines to choose from.
fn offers_choices(text: &str) -> bool {
    static CHOICE: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r"(?im)^[\s*_#(-]*(?:option|version|variant|variation|alternative|draft|attempt|choice|variante|opción|opção|versión|选项|版本|候補|案) ?(?:\d|[a-c])\b",
        )
    });
    text.contains('\n') && CHOICE.find_iter(text).nth(1).is_some()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(reply: &str) -> Result<String, Unread> {
        line(reply, &mut Vec::new()).map(|text| text.trim().trim_matches('"').to_owned())
    }

    const LINE: &str = "I sold the kettle, it's gone.";

    #[test]
    fn what_a_helper_says_around_a_line_is_taken_off() {
        for around in [
            "Sure! Here is the line:\n\n{x}",
            "Certainly! Here's Ann's line:\n\n\"{x}\"",
            "Of course. Here is a possible response for Ann:\n{x}",
            "Here is Ann's next line:\n\n{x}\n\nLet me know if you'd like another version!",
            "I apologize for the confusion. Here's the revised line:\n\n{x}",
            "**Ann's line:**\n{x}",
            "What Ann would say next:\n{x}",
            "Sure, here is the line: {x}",
            "Here's the line: {x}",
            "Line: {x}",
            "**Dialogue:** {x}",
            "Response:\n{x}",
            "Klar! Hier ist die Zeile:\n\n{x}",
            "Natürlich! Hier ist Anns Antwort:\n\n{x}\n\nMöchtest du, dass ich die Zeile anpasse?",
            "Bien sûr ! Voici la réplique :\n\n{x}",
            "¡Claro! Aquí tienes la línea:\n\n{x}",
            "Certo! Ecco la battuta:\n\n{x}",
            "Claro! Aqui está a fala:\n\n{x}",
            "Natuurlijk! Hier is de zin:\n\n{x}",
            "Oczywiście! Oto kwestia:\n\n{x}",
            "Конечно! Вот реплика:\n\n{x}",
            "Tabii ki! İşte satır:\n\n{x}",
            "当然！以下是这句台词：\n\n{x}",
            "好的，这是王伟的台词：\n{x}",
            "もちろんです！以下がセリフです：\n\n{x}",
            "물론이죠! 다음은 대사입니다:\n\n{x}",
            "بالتأكيد! إليك السطر:\n\n{x}",
            "ज़रूर! यह रही पंक्ति:\n\n{x}",
            "{x}\n\nLet me know if you want any changes.",
            "{x}\n\nI hope this helps!",
            "{x}\n\nWould you like me to continue the conversation?",
            "{x}\n\nFeel free to adjust the tone.",
            "{x}\n\nThis line shows that Ann is annoyed.",
            "{x}\n\n(Note: I kept it short.)",
            "{x}\n\n*Note: Ann is angry here.*",
            "{x}\n\n(Word count: 9)",
            "{x}\n\nWord count: 9",
            "{x}\n**Word count:** 9 words",
            "{x} (9 words)",
            "{x} [9 words]",
            "{x} *(9 words)*",
            "{x}\n\n— 9 words",
            "{x}\n(ca. 9 Wörter)",
            "{x}（9个字）",
            "{x}（字数：9）",
            "(9 words) {x}",
            "Sure! Here is the line:\n\n```\n\"{x}\"\n```\n\n(9 words)\n\nLet me know if you'd like another one.",
        ] {
            assert_eq!(read(&around.replace("{x}", LINE)).as_deref(), Ok(LINE), "{around:?}");
        }
    }

    #[test]
    fn a_line_is_taken_out_of_json_html_and_fences() {
        for around in [
            "{\"text\": \"{x}\"}",
            "{\"line\": \"{x}\", \"end\": false}",
            "{\n  \"dialogue\": \"{x}\"\n}",
            "[\"{x}\"]",
            "[{\"text\": \"{x}\"}]",
            "{\"anything\": \"{x}\"}",
            "{\"name\": \"speak\", \"arguments\": {\"text\": \"{x}\"}}",
            "```json\n{\"text\": \"{x}\"}\n```",
            "Sure!\n{\"text\": \"{x}\"}",
            "\"{x}\"",
            "```\n{x}\n```",
            "```text\n{x}\n```",
            "```\n{x}",
            "~~~\n{x}\n~~~",
            "`{x}`",
            "Here you are.\n```\n{x}\n```\nDone.",
            "<p>{x}</p>",
            "<P class=\"line\">{x}</P>\n",
            "<div><p>{x}</p></div>",
            "<!DOCTYPE html>\n<html><body><p>{x}</p></body></html>",
            "<span>{x}</span><br>",
            "{x}<br/>",
            "<p>{x}",
            "<line>{x}</line>",
            "<answer>{x}</answer>",
            "She is angry.\n<answer>{x}</answer>",
            "<response>\n{x}\n</response>",
            "<speak>{x}</speak>",
            "<p><b>I</b> sold the kettle, it&#39;s gone.</p>",
            "<|START_RESPONSE|>{x}<|END_RESPONSE|>",
            "<|begin_of_thought|>Hm.<|end_of_thought|>\n<|begin_of_solution|>{x}<|end_of_solution|>",
            "**{x}**",
            "> {x}",
            "---\n{x}\n---",
            "{x} TERMINATE",
            "{x}\n\nTERMINATE.",
            "{x} [END]",
            "{\"text\": \"<think>Hm.</think>{x}<|im_end|>\"}",
        ] {
            assert_eq!(read(&around.replace("{x}", LINE)).as_deref(), Ok(LINE), "{around:?}");
        }
        assert_eq!(read("\"He said \\\"no\\\" to me.\"").as_deref(), Ok("He said \"no\" to me."));
    }

    #[test]
    fn a_wrapper_that_names_a_speaker_leaves_the_name_in_front() {
        for (reply, text) in [
            ("{\"speaker\": \"Bob\", \"text\": \"No.\"}", "Bob: No."),
            ("[{\"name\": \"Ann\", \"line\": \"No.\"}, {\"name\": \"Bob\", \"line\": \"Yes.\"}]", "Ann: No."),
            ("<Bob>No.</Bob>", "Bob: No."),
            ("<turn speaker=\"Ann Lee\">No.</turn>", "Ann Lee: No."),
        ] {
            assert_eq!(read(reply).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_not_plain_is_asked_for_again() {
        for reply in [
            "{\"text\": \"I sold",
            "{\"mood\": \"sad\", \"tone\": \"low\"}",
            "Option 1: I sold it.\nOption 2: It is gone.",
            "**Version A:** I sold it.\n\n**Version B:** It is gone.",
        ] {
            assert_eq!(read(reply), Err(Unread::Wrapped), "{reply}");
        }
    }

    /// Lines as people say them, with everything in them that could be taken for something else.
    pub(crate) const INNOCENT: &[&str] = &[
        "Sure! I'll bring the van round.",
        "Sure, here's the thing: I sold it.",
        "Sure! Here is the key, it's under the mat.",
        "Of course: the van, always the van.",
        "Certainly. Let me know if you need a hand.",
        "Let me know if you'd like to come.",
        "I hope this helps you sleep.",
        "Would you like me to drive?",
        "Here's the plan:\nwe leave at six.",
        "Here's what I think: nobody reads those letters.",
        "Here is my answer: no.",
        "Let me think about it, I was thinking of Friday.",
        "I think, therefore I am late.",
        "Two words: too expensive.",
        "That's nine words, Bob, and eight too many.",
        "He said nine words (I counted) and left.",
        "We were nine (9) at the table.",
        "Word count matters to editors.",
        "(sighs) I told you.",
        "[laughs] You and your van.",
        "*whispers* They are listening (again).",
        "I need three things: milk, eggs, a lamp.",
        "If x < 3 and y > 5, the pump stops.",
        "It's 3 < 4, isn't it? And a<b, b>c.",
        "You forgot the closing </b>, that's why it's all bold.",
        "Write <p>hello</p> there, that makes a paragraph.",
        "A <div> in a <div>, all the way down.",
        "The answer: in the shed.",
        "The note says: back at nine.",
        "Look at the set {1, 2}, then at [3].",
        "Use {\"a\": 1} as an example? No: too long, I'd say {}.",
        "It costs ~20 a month, `ls -l` shows it.",
        "Her line was \"I sold it\", and then she left.",
        "Bob: he's the one with the van.",
        "Ann's reply: silence.",
        "My version is shorter.",
        "Option 1: we wait. Option 2: we don't.",
        "#winning, as they say.",
        "Tom & Jerry & <3 for all.",
        "We agreed on 5 p.m. [sharp].",
        "Klar, hier ist der Schlüssel: unter der Matte.",
        "Lass es mich wissen, wenn du kommst.",
        "Voilà: la clé est sous le tapis.",
        "好的，我明天去。",
        "这是我的回答：不行。",
        "もちろん、行きます。",
        "Final answer? Fine: yes.",
        "Nota: mañana no hay pan.",
        "The user manual says so, page 12.",
        "\"Never,\" she said, \"never again.\"",
        "I got an <unknown> caller, three times.",
        "**Never** again.",
        "*Now* you tell me, **now**.",
        "5 > 3, as ever.",
        "Put it in an <output> tag, will you?",
        "Write <answer>yes</answer> there and send it.",
        "You end the line with <br>",
        "The essay is short (300 words).",
        "That makes three (20 words each).",
        "They will TERMINATE the lease in May.",
    ];

    #[test]
    fn what_people_say_stays_as_it_is() {
        for said in INNOCENT {
            let mut mended = Vec::new();
            assert_eq!(line(said, &mut mended).as_deref(), Ok(*said));
            assert!(mended.is_empty(), "{said}: {mended:?}");
        }
    }

    proptest! {
        #[test]
        fn letters_digits_and_marks_of_sentences_are_never_touched(text in "[\\p{L}][\\p{L}\\p{N} ,.!?;'’—…-]{0,80}[\\p{L}.!?]") {
            let read = line(&text, &mut Vec::new());
            prop_assert_eq!(read.as_deref(), Ok(text.as_str()));
        }

        #[test]
        fn no_reply_makes_it_panic(text in "(</?p>|</?answer>|<br>|```|\\{\"text\": \"|\"\\}|Here is the line:|\\(9 words\\)|\n|a |é|：|\"){0,12}") {
            let _ = line(&text, &mut Vec::new());
        }
    }
}
