//! What a model thinks before it answers, where a server leaves it in the text.
//!
//! | model or server | form |
//! | --- | --- |
//! | `DeepSeek` R1, Qwen 3, GLM, `MiniMax`, Nemotron, Hunyuan, EXAONE | `<think> … </think>`, `<thought> … </thought>` |
//! | the same, with the opening tag in the template | ` … </think>` |
//! | prompts that ask for it, Reflection, Marco-o1 | `<thinking>`, `<reasoning>`, `<reflection>`, `<scratchpad>` … |
//! | Magistral | `[THINK] … [/THINK]` |
//! | Kimi | `◁think▷ … ◁/think▷` |
//! | Seed-OSS | `<seed:think> … </seed:think>` |
//! | Command A | `<\|START_THINKING\|> … <\|END_THINKING\|>` |
//! | `OpenThinker`, Sky-T1 | `<\|begin_of_thought\|> … <\|end_of_thought\|>` |
//! | Apertus | `<\|inner_prefix\|> … <\|inner_suffix\|>` |
//! | Gemma 4, `MedGemma` | `<\|channel>thought … <channel\|>`, `<unused94> … <unused95>` |
//! | gpt-oss | `<\|channel\|>analysis<\|message\|> … <\|channel\|>final<\|message\|> … `, or `analysis … assistantfinal … ` |
//! | Granite 3, plain prompts | `Here is my thought process: … Here is my response: … ` |
//! | Ollama on a terminal | `Thinking... … ...done thinking.` |
//! | web interfaces | `<details type="reasoning"> … </details>` |
//!
//! What stands behind the last end of a thought is the answer. A thought that has an end needs no beginning; one that has a
//! beginning and no end is all there is.

use std::sync::LazyLock;

use regex::{Match, Regex};

use super::{Unread, ends_clause, has_words, pattern};
use crate::lexicon::{Lexicon, List};

/// How models introduce and label what they write, in every language.
pub(super) static REPLIES: Lexicon = Lexicon::file("replies/around-the-answer.txt");

/// Names of elements that hold thoughts.
const NAMES: &str = r"(?:seed:|ant:?|antml:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflect(?:ion|ions)?|rationale|scratch[-_]?pad|analysis|(?:inner|internal)[-_]?(?:monologue|thoughts?|dialogue)|monologue|chain[-_]of[-_]thought|cot|deliberation|(?:thought|thinking|reasoning)[-_]process|cot_budget_reflect)";

static OPEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i){LT}\s*{NAMES}(?:\s[^<>]*)?{GT}|\[{NAMES}\]|\{{think(?:ing)?\}}|◁\s*think(?:ing)?\s*▷|<[|｜](?:(?:begin|start)[_▁](?:of[_▁])?)?(?:think|thinking|thought|reasoning)[|｜]>|<\|inner_prefix\|>|<\|channel>|<(?:unused|ctrl)94>|<details\b[^<>]*(?:reason|think)[^<>]*>|<details>\s*<summary>[^<]{{0,60}}(?:think|thought|reason)[^<]{{0,60}}</summary>|(?m:^```(?:thinking|think|thoughts?|reasoning|analysis|scratchpad)[ \t]*$)|\A\s*Thinking\.\.\.\n"
    ))
});

static CLOSE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i){LT}\s*/\s*{NAMES}\s*{GT}|{LT}\s*{NAMES}\s*/\s*{GT}|\[\s*/\s*{NAMES}\s*\]|\{{/think(?:ing)?\}}|◁\s*/\s*think(?:ing)?\s*▷|<[|｜](?:end[_▁](?:of[_▁])?|/)(?:think|thinking|thought|reasoning)[|｜]>|<\|inner_suffix\|>|<channel\|>|<(?:unused|ctrl)95>|(?m:^\.\.\.done thinking\.?)"
    ))
});

/// Angle brackets, some of which are doubled, escaped as in HTML, or escaped as in Markdown.
const LT: &str = r"\\?(?:<{1,2}|&lt;)";
const GT: &str = r"\\?(?:>{1,2}|&gt;)";

/// One of these is in every mark, but for the words of Ollama's command line.
const SIGNS: [char; 6] = ['<', '&', '[', '{', '◁', '`'];
const DONE_THINKING: &str = "...done thinking";

/// What gpt-oss writes where special tokens are left out of the text.
const SPELLED_FINAL: &str = "assistantfinal";

static THOUGHTS_BEGIN: List = REPLIES.list("thoughts begin");
static ANSWER_BEGINS: List = REPLIES.list("answer begins");
static THINKS_ALOUD: List = REPLIES.list("thinks aloud");

/// What stands in `text` behind the thoughts.
pub(super) fn behind(text: &str) -> Result<&str, Unread> {
    let text =
        if text.contains(SIGNS) || text.contains(DONE_THINKING) { behind_marks(of_channels(text)?)? } else { text };
    behind_labels(spelled_out(text)?)
}

fn behind_marks(text: &str) -> Result<&str, Unread> {
    let opened = OPEN.find(text);
    let Some(end) = last_end(text, opened) else {
        return if begins_in(text) { Err(Unread::Thinking) } else { Ok(text) };
    };
    let said = text.get(end..).unwrap_or_default();
    if begins_in(said) {
        return Err(Unread::Thinking);
    }
    let start = opened.map(|open| open.start()).filter(|start| *start < end).unwrap_or(0);
    let before = text.get(..start).unwrap_or_default();
    match (has_words(said), has_words(before)) {
        (true, true) if is_amid(before, said) => Err(Unread::Thinking),
        (true, _) => Ok(said.trim_start()),
        (false, true) => Ok(before.trim_end()),
        (false, false) => Err(Unread::Thinking),
    }
}

/// Where the last thought ends. What also ends other things ends a thought that began by a mark of its kind.
fn last_end(text: &str, opened: Option<Match<'_>>) -> Option<usize> {
    let own = CLOSE.find_iter(text).last().map(|close| close.end());
    let shared = opened.and_then(|open| {
        let end = match open.as_str() {
            fence if fence.starts_with('`') => "\n```",
            details if details.starts_with("<details") => "</details>",
            _ => return None,
        };
        let rest = text.get(open.end()..)?;
        rest.find(end).map(|at| open.end() + at + end.len())
    });
    own.max(shared)
}

/// Whether a thought begins in `text` that has no end there: at its start, or where a sentence or a line has ended. Amid a
/// sentence a tag is talked about. In brackets and lower case it may be a stage direction.
fn begins_in(text: &str) -> bool {
    OPEN.find_iter(text).any(|open| {
        let before = text.get(..open.start()).unwrap_or_default().trim_end_matches([' ', '\t']);
        let is_aside = open.as_str().starts_with('[') && open.as_str().contains(char::is_lowercase);
        !is_aside && (before.ends_with(['\n', '>', ']']) || !has_words(before) || ends_clause(before))
    })
}

/// Whether a thought stood in the middle of a sentence.
fn is_amid(before: &str, behind: &str) -> bool {
    !before.trim_end_matches([' ', '\t']).ends_with('\n') && !ends_clause(before) && !behind.starts_with('\n')
}

/// The final channel of a reply in the markup of gpt-oss (Harmony); the call that it makes, where it calls a tool instead.
fn of_channels(text: &str) -> Result<&str, Unread> {
    if !text.contains("<|channel|>") && !text.contains("<|message|>") {
        return Ok(text);
    }
    let mut pieces = text.split("<|message|>");
    let mut header = pieces.next().unwrap_or_default();
    let (mut answer, mut call) = (None, None);
    for piece in pieces {
        let body = ["<|end|>", "<|return|>", "<|call|>", "<|start|>", "<|channel|>"];
        let end = body.iter().filter_map(|token| piece.find(token)).min().unwrap_or(piece.len());
        let said = piece.get(..end).unwrap_or_default();
        match channel(header) {
            "final" | "" => answer = Some(said),
            "commentary" if said.trim_start().starts_with('{') => call = Some(said),
            _ => {}
        }
        header = piece.get(end..).unwrap_or_default();
    }
    answer.or(call).filter(|said| has_words(said)).map(str::trim_start).ok_or(Unread::Thinking)
}

/// The channel that a header names; nothing where the message has none.
fn channel(header: &str) -> &str {
    match header.rsplit_once("<|channel|>") {
        Some((_, name)) => name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default(),
        // Behind a template that ends with `<|channel|>`.
        None if header.trim_start().starts_with("analysis") => "analysis",
        None => "",
    }
}

/// The final channel where the names of channels are all that is left of the markup.
fn spelled_out(text: &str) -> Result<&str, Unread> {
    let runs_on = |text: &str| text.starts_with(char::is_uppercase);
    if let Some((_, said)) = text.rsplit_once(SPELLED_FINAL) {
        return if has_words(said) { Ok(said.trim_start()) } else { Err(Unread::Thinking) };
    }
    match text.trim_start().strip_prefix("analysis") {
        Some(thoughts) if runs_on(thoughts) => Err(Unread::Thinking),
        _ => Ok(text.trim_start().strip_prefix("final").filter(|said| runs_on(said)).unwrap_or(text)),
    }
}

/// What stands behind a label such as `Here is my response:`, in a line of its own or in front of the answer.
fn behind_labels(text: &str) -> Result<&str, Unread> {
    static BEGIN: LazyLock<Regex> =
        LazyLock::new(|| THOUGHTS_BEGIN.pattern(r"\A\s*(?:[*_#>\s]*{}[\s*_]*[:：]|(?:#+|\*\*)\s*{}[ \t*_#]*\n)"));
    static ANSWER: LazyLock<Regex> = LazyLock::new(|| {
        ANSWER_BEGINS.pattern(r"(?m)^[ \t]*(?:[*_#>]*[ \t]*{}[ \t*_]*[:：]|(?:#+|\*\*)[ \t]*{}[ \t*_#]*$)[\s*_]*")
    });
    static ALOUD: LazyLock<Regex> = LazyLock::new(|| THINKS_ALOUD.pattern(r"\A[\s*_]*{}"));
    if ALOUD.is_match(text) {
        return Err(Unread::Thinking);
    }
    let begins = text.contains([':', '：', '#', '*']) && BEGIN.is_match(text);
    if !begins {
        return Ok(text);
    }
    let said = ANSWER.find_iter(text).last().and_then(|label| text.get(label.end()..));
    match said.filter(|said| has_words(said)) {
        Some(said) => Ok(said),
        // A single line that begins with such a word may be a person's.
        None if !text.trim().contains('\n') => Ok(text),
        None => Err(Unread::Thinking),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A thought around which each form is put, and the line behind it.
    const THOUGHT: &str = "Okay, Ann runs the ledger.\nMaybe \"I sold it\" would do, but no. Is 3 < 4?";
    const LINE: &str = "We wait, I suppose.";

    /// Forms that end: `{t}` is the thought.
    const FORMS: &[&str] = &[
        "<think>\n{t}\n</think>\n\n",
        "\n <think>{t}</think>",
        "{t}\n</think>\n\n",
        "{t}</think>",
        "<THINK>{t}</THINK>\n",
        "<thinking>\n{t}\n</thinking>\n\n",
        "{t}\n</thinking>\n",
        "<thought>{t}</thought>\n",
        "<reasoning>{t}</reasoning>\n",
        "<reflection>{t}</reflection>",
        "<scratchpad>{t}</scratchpad>\n",
        "<analysis>{t}</analysis>\n",
        "<inner_monologue>{t}</inner_monologue>\n",
        "<seed:think>{t}</seed:think>",
        "<thinking>{t}</thinking>\n",
        "<think>{t}<think>{t}</think>{t}</think>\n",
        "<think>{t}</think>\n<think>{t}</think>\n",
        "<thinking>{t}</think>",
        "<think type=\"deep\">{t}</think>",
        "<think></think>\n\n",
        "[THINK]{t}[/THINK]",
        "{t}[/THINK]",
        "[thinking]{t}[/thinking]\n",
        "◁think▷{t}◁/think▷",
        "{t}◁/think▷",
        "<|START_THINKING|>{t}<|END_THINKING|>",
        "<|begin_of_thought|>\n{t}\n<|end_of_thought|>\n\n",
        "<|thinking|>{t}<|/thinking|>",
        "<|inner_prefix|>{t}<|inner_suffix|>",
        "<|channel>thought\n{t}\n<channel|>",
        "<unused94>thought\n{t}<unused95>",
        "<|channel|>analysis<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|>",
        "analysis<|message|>{t}<|end|><|start|>assistant<|channel|>final<|message|>",
        "<|start|>assistant<|channel|>analysis<|message|>{t}<|end|><|channel|>commentary<|message|>{t}<|end|><|start|>assistant<|channel|>final <|constrain|>text<|message|>",
        "<|channel|>final<|message|>",
        "analysisWe need a line. {t}assistantfinal",
        "Here is my thought process:\n{t}\nHere is my response:\n",
        "Here's my thought process: {t}\n\nHere's my response: ",
        "**Thinking Process:**\n\n1. {t}\n\n**Final answer:** ",
        "Thought: {t}\nFinal Answer: ",
        "思考过程：{t}\n\n最终回答：",
        "Gedankengang: {t}\n\nAntwort:\n",
        "<details type=\"reasoning\" done=\"true\">\n<summary>Thought for 3 seconds</summary>\n{t}\n</details>\n",
        "<details>\n<summary>Thinking</summary>\n{t}\n</details>\n",
        "```thinking\n{t}\n```\n",
        "<<think>>{t}<</think>>\n",
        "&lt;think&gt;{t}&lt;/think&gt;\n",
        "\\<think\\>{t}\\</think\\>\n",
        "{think}{t}{/think}\n",
        "<ctrl94>thought\n{t}<ctrl95>",
        "Thinking...\n{t}\n...done thinking.\n\n",
        "## Thinking\n\n{t}\n\n## Response\n\n",
        "**Thought process**\n{t}\n\n**Final line**\n",
    ];

    #[test]
    fn the_line_behind_a_thought_stands_in_every_form() {
        for form in FORMS {
            let reply = format!("{}{LINE}", form.replace("{t}", THOUGHT));
            assert_eq!(behind(&reply), Ok(LINE), "{reply:?}");
        }
        assert_eq!(behind(&format!("{LINE}\n<think>{THOUGHT}</think>")), Ok(LINE), "a thought after the line");
        assert_eq!(
            behind("<think>a</think>Maybe this.<think>b</think>We wait."),
            Ok("We wait."),
            "drafts are thoughts"
        );
    }

    #[test]
    fn a_thought_without_an_end_is_all_there_is() {
        for form in FORMS {
            let Some((open, _)) = form.split_once("{t}").filter(|(open, _)| has_mark(open)) else { continue };
            for thought in [THOUGHT, "", "So the"] {
                let reply = format!("{open}{thought}");
                assert_eq!(behind(&reply), Err(Unread::Thinking), "{reply:?}");
                let reply = format!("{LINE}\n{reply}");
                let is_label = open.contains([':', '：']) && !open.contains(['<', '◁']) || open.starts_with("analysis");
                assert!(is_label || behind(&reply) == Err(Unread::Thinking), "{reply:?}");
            }
        }
        for nothing in
            ["<think>a</think>", "a</think>\n", "[THINK]a[/THINK] …", "<|channel|>final<|message|><|return|>"]
        {
            assert_eq!(behind(nothing), Err(Unread::Thinking), "{nothing}");
        }
    }

    /// Whether a form opens by something that no label in a line of its own could be.
    fn has_mark(open: &str) -> bool {
        open.contains(['<', '◁', '`']) || open.contains("[THINK]") || open.starts_with("**Thinking")
    }

    #[test]
    fn thoughts_without_any_mark_are_told_by_how_they_begin() {
        for thought in [
            "Okay, the user wants one line. The speaker runs the ledger.",
            "The user is asking for the next line of dialogue. Ann would object.",
            "Alright, the user needs me to continue the conversation as Ann.",
            "We need to produce one line for Ann, in character.",
            "Hmm, I should respond as Ann here.",
            "好的，用户想要一句台词。",
            "Okay, der Nutzer möchte eine Zeile von Anna.",
        ] {
            assert_eq!(behind(thought), Err(Unread::Thinking), "{thought}");
        }
    }

    #[test]
    fn people_who_talk_about_thinking_are_left_alone() {
        for line in [
            "Let me think about it overnight.",
            "Thinking: that is what we pay you for.",
            "I think </b> closes it, and <br> breaks the line.",
            "Put a <think> tag around it, would you?",
            "I <think> so.",
            "[thinking] Maybe Friday, then.",
            "[thought] No.",
            "Okay, the user wants a refund, so what do we do?",
            "The user needs a password for that.",
            "We need to write a response to the council by Friday.",
            "My final answer: no.",
            "Final answer: no.",
            "Here is my answer: no.",
            "Analysis is not my thing.",
            "analysis, that's what they call it",
            "final call, everyone",
            "If 3 < 4 and 5 > 4, then what?",
            "Reasoning with him is no use.",
            "In my thought process: first the roof, then the door.",
        ] {
            assert_eq!(behind(line), Ok(line));
        }
    }

    proptest! {
        #[test]
        fn nothing_of_a_thought_is_left(thought in "[a-zA-Z .,?\n]{0,60}", form in 0..FORMS.len()) {
            let form = FORMS[form];
            // A thought with a label for the answer in it has an answer in it.
            prop_assume!(!ANSWER_BEGINS.texts().any(|label| thought.to_lowercase().contains(label)));
            let reply = format!("{}{LINE}", form.replace("{t}", &thought));
            prop_assert_eq!(behind(&reply), Ok(LINE));
        }

        #[test]
        fn no_reply_makes_it_panic(text in "(<think>|</think>|\\[/?THINK\\]|<\\|channel\\|>|<\\|message\\|>|final|analysis|```|Thought:|\n|a |é|\\.){0,12}") {
            let _ = behind(&text);
        }
    }
}
