//! What chat templates put between messages: `<|im_end|>`, `</s>`, `[/INST]` and the like.
//!
//! A server that does not know the token of its model's template sends it as text, and often what the model made up behind
//! it: the next message. So a token that ends the message ends the text; one in the middle of what is said spoils it.

use std::sync::LazyLock;

use regex::Regex;

use super::{Unread, ends_clause, pattern};

/// One of these is in every token.
const SIGNS: [char; 3] = ['<', '[', ']'];

/// The tokens, by their forms. Those between bars are of Llama 3 and 4, Qwen, Phi, `ChatML`, Command R, GLM, Granite,
/// `DeepSeek` (with bars of full width) and gpt-oss; `<turn|>` is Gemma 4; `[|endofturn|]` EXAONE; `]~b]` `MiniMax`.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"<[|｜][^<>|｜\s]{1,48}[|｜]>|<\|[a-z_]{2,24}>|<[a-z_]{2,24}\|>|</?s>|<_?(?:eos|bos|pad|unk|eod|eoa|eop|sop|eot|eom|sep|cls|mask)>|</?(?:start|end|begin|beginning)_of_[a-z_]{2,24}>|<\|?(?:unused|reserved_?|SPECIAL_|extra_id_|reserved_special_token_|dummy_)\d{1,4}\|?>|</?seed:(?:eos|bos|pad|tool_call)>|<0x[0-9A-Fa-f]{2}>|\[/?INST\]|<</?SYS>>|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS|TOOL_CONTENT)\]|\[(?:EOS|BOS|PAD|UNK|SEP|CLS|gMASK|END|STOP|END[ _]OF[ _](?:TURN|CONVERSATION|DIALOGUE))\]|\[\|[a-z_]{2,24}\|\]|\[control_\d{1,4}\]|\[e~\[|\]~!?b\[?\]?",
    )
});

/// The headings by which Alpaca's template parts messages.
static HEADING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?im)^[ \t]*#{2,4}[ \t]*(?:instruction|response|input|human|assistant|user|system)\b:?")
});

/// A token that lacks its end, at the end of a text.
static TORN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:<[|｜][^<>\s]{0,40}|</s|<(?:end|start)_of_[a-z_]{0,24}|\[/INS?T?)$"));

/// Who a message is from, as the line behind the token that opens it says.
static SENDER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)^\s*(?:(assistant|model|ai|bot|gpt|chatbot)|user|human|system|tool|ipython)[ \t]*(?::|\n|$|<)")
});

/// The tokens that open a message of somebody else.
static OTHERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:<[|｜](?:user|human|system|observation|tool)[|｜]>|\[inst\]|<<sys>>|#+ *(?:instruction|input|human|user|system))",
    )
});

/// Whether there can be a token in `text`.
pub(super) fn may_be_in(text: &str) -> bool {
    text.contains(SIGNS) || text.contains("##")
}

/// `text` up to the token that ends its message, without those that open it.
pub(super) fn cut(text: &str) -> Result<&str, Unread> {
    if !may_be_in(text) {
        return Ok(text);
    }
    let text = opened(text)?;
    let Some((start, end)) = first(text) else {
        return Ok(TORN.find(text).and_then(|torn| text.get(..torn.start())).map_or(text, str::trim_end));
    };
    let (before, behind) = (text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default());
    if ends_message(before, behind) { Ok(before.trim_end()) } else { Err(Unread::Markup) }
}

/// Where the first token or heading is.
fn first(text: &str) -> Option<(usize, usize)> {
    let found = [TOKEN.find(text), HEADING.find(text)].into_iter().flatten();
    found.min_by_key(regex::Match::start).map(|found| (found.start(), found.end()))
}

/// `text` behind the tokens that open the model's own message.
fn opened(text: &str) -> Result<&str, Unread> {
    let mut rest = text.trim_start();
    while let Some((_, end)) = first(rest).filter(|(start, _)| *start == 0) {
        if OTHERS.is_match(rest) {
            return Err(Unread::Markup);
        }
        let behind = rest.get(end..).unwrap_or_default();
        rest = match SENDER.captures(behind) {
            Some(sender) => match sender.get(1) {
                Some(own) => behind.get(own.end()..).unwrap_or_default().trim_start_matches([' ', ':', '\n']),
                None => return Err(Unread::Markup),
            },
            None => behind,
        }
        .trim_start();
    }
    Ok(if rest.len() == text.trim_start().len() { text } else { rest })
}

/// Whether a token between the two ends a message: nothing more is said, another message begins, or all was said.
fn ends_message(before: &str, behind: &str) -> bool {
    let next = behind.trim_start_matches([' ', '\t']);
    let begins_another = next.starts_with('\n') || first(next).is_some_and(|(start, _)| start == 0);
    next.is_empty() || begins_another || SENDER.is_match(next) || ends_clause(before)
}

/// Whether a token of any kind stands in `text`.
pub(super) fn first_in(text: &str) -> Option<usize> {
    first(text).map(|(start, _)| start)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// End tokens of chat templates, as their tokenizers write them.
    pub(super) const ENDS: &[&str] = &[
        "<|im_end|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|end_of_text|>",
        "<|endoftext|>",
        "<|end|>",
        "<|eot|>",
        "<|EOT|>",
        "<|end_of_turn|>",
        "<|END_OF_TURN_TOKEN|>",
        "<|endofturn|>",
        "<|return|>",
        "<|eos|>",
        "<|role_end|>",
        "<｜end▁of▁sentence｜>",
        "<|user|>",
        "</s>",
        "<eos>",
        "<pad>",
        "<end_of_turn>",
        "<end_of_utterance>",
        "<turn|>",
        "[/INST]",
        "[INST]",
        "[|endofturn|]",
        "[EOS]",
        "<unused1>",
        "<seed:eos>",
        "<0x0A>",
        "[e~[",
    ];

    #[test]
    fn a_token_at_the_end_is_cut_off_with_what_follows_it() {
        for token in ENDS {
            for behind in
                ["", "\n", "\n\nBob: No!", "<|im_start|>user\nAnd then?", " user\nAnd then?", "assistant\nMore."]
            {
                let text = format!("We wait, and that's it.{token}{behind}");
                assert_eq!(cut(&text), Ok("We wait, and that's it."), "{text:?}");
            }
            // Nobody needs to end with a full stop.
            assert_eq!(cut(&format!("we wait then{token}\n{token}")), Ok("we wait then"), "{token}");
        }
        assert_eq!(cut("We wait.\n\n### Instruction:\nWrite a line."), Ok("We wait."));
        for torn in ["We wait.<|im_end", "We wait.<|", "We wait.</s", "We wait.<end_of_tu", "We wait.[/INS"] {
            assert_eq!(cut(torn), Ok("We wait."), "{torn}");
        }
    }

    #[test]
    fn a_token_in_the_middle_spoils_the_line() {
        for token in ENDS {
            assert_eq!(cut(&format!("We wait {token} for the bus")), Err(Unread::Markup), "{token}");
        }
        for text in ["<|im_start|>user\nWe wait.", "[INST] We wait.", "<|user|>\nWe wait.", "### Instruction: wait"] {
            assert_eq!(cut(text), Err(Unread::Markup), "{text}");
        }
    }

    #[test]
    fn tokens_that_open_the_models_own_message_are_passed_over() {
        for text in [
            "<s>We wait.</s>",
            "<|im_start|>assistant\nWe wait.<|im_end|>",
            "<|start_header_id|>assistant<|end_header_id|>\n\nWe wait.<|eot_id|>",
            "<start_of_turn>model\nWe wait.<end_of_turn>",
            "<bos><|turn>model\nWe wait.<turn|>",
            "<|assistant|>\nWe wait.",
            "<｜Assistant｜>We wait.",
            "[/INST] We wait.",
            "### Response:\nWe wait.",
        ] {
            assert_eq!(cut(text), Ok("We wait."), "{text}");
        }
    }

    #[test]
    fn signs_of_ordinary_talk_are_no_tokens() {
        for text in [
            "3 < 4 | 5 > 2, and x <| y is no operator I know.",
            "We wrote <b>bold</b> and <s-curve> on it, a <script> tag too.",
            "[laughs] I told you [twice].",
            "Is it a list[0] or a <List<String>>?",
            "I <3 you, and you </3 me.",
            "#winning, ## is a comment too.",
            "See section [INSTALL] and the [S] key.",
        ] {
            assert_eq!(cut(text), Ok(text));
        }
    }
}
