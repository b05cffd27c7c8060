//! Asking a service what it thinks of a conversation: scores from 0 to 1 by category, whoever gives them.
//!
//! | service | one call sees | score |
//! | --- | --- | --- |
//! | `azure_content_safety` | lines up to 10,000 characters | severity / 7 |
//! | `openai_moderation` | up to 32 lines, each by itself | as it is; the highest of a category and its parts |
//! | `judge` | the whole conversation | severity / 3 |

use serde_json::{Value, json};

use super::category::Category;
use crate::config::safety::Service;
use crate::llm::azure::content_safety::TEXT_CAP;
use crate::llm::recorded::{CallGateway, CallSite};
use crate::llm::{Answer, Halt, Message, ReplyFormat, Role};
use crate::prompt::template::{PromptError, Template};
use crate::record::Conversation;
use crate::stages::transcript::{self, AskOutcome, MALFORMED, Unusable};

/// Texts in one call to a moderation endpoint, each with a result of its own.
const MOST_TEXTS: usize = 32;
/// The highest severity of Azure AI Content Safety.
const AZURE_TOP: f64 = 7.0;
/// The highest severity that the prompt for a judge knows.
const JUDGE_TOP: u64 = 3;

/// A score of a category.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CategoryScore {
    pub(super) category: Category,
    /// From 0 to 1.
    pub(super) value: f64,
    /// The turn, where the service saw it alone.
    pub(super) turn: Option<u32>,
}

/// A piece of a conversation for one call.
type Piece = Vec<(Option<u32>, String)>;

/// The prompt for service `judge`.
pub(super) fn prompt(name: &str, text: &str) -> Result<Template, PromptError> {
    transcript::prompt(name, text, &["conversation", "flaw"])
}

/// What `service` makes of a conversation. `prompt` is what a judge is told.
pub(super) async fn ask(
    calls: &CallGateway,
    service: Service,
    prompt: Option<&Template>,
    conversation: &Conversation,
) -> Result<AskOutcome<Vec<CategoryScore>>, Halt> {
    let site = CallSite { stage: super::STAGE, item: &conversation.id, turn: 0, role: Role::Safety, attempt: 0 };
    if let (Service::Judge, Some(prompt)) = (service, prompt) {
        let lines: Vec<String> = seen(conversation).into_iter().map(|(_, line)| line).collect();
        let values = json!({"conversation": lines.join("\n"), "flaw": ""});
        return transcript::ask(calls, site, prompt, &values, &judge_format(), read_judge).await;
    }
    let mut scores = Vec::new();
    for (at, piece) in (0_u32..).zip(pieces(seen(conversation), service)) {
        let messages = piece.iter().map(|(_, line)| Message::user(line.clone())).collect();
        let format = ReplyFormat::Text { prefix: None };
        // Neither service writes anything, so no token of a reply is set aside.
        let reply = match calls.ask_at_length(&CallSite { turn: at, ..site }, messages, format, 0).await? {
            Answer::Reply(reply) => reply,
            Answer::Refused { category, .. } => return Ok(AskOutcome::Refused(category)),
            Answer::Failed { reason, .. } => return Ok(AskOutcome::Failed(reason)),
        };
        let list = serde_json::from_str::<Value>(&reply.text).ok();
        let read = list.as_ref().and_then(Value::as_array).and_then(|list| match service {
            Service::AzureContentSafety => read_azure(list, &piece),
            _ => read_moderation(list, &piece),
        });
        match read {
            Some(read) => scores.extend(read),
            None => return Ok(AskOutcome::Unusable(MALFORMED.name)),
        }
    }
    Ok(AskOutcome::Read(scores))
}

/// What a service is shown: situation and topic, which stand in the record too, then starter and turns.
fn seen(conversation: &Conversation) -> Piece {
    let front = [&conversation.situation, &conversation.topic].map(|text| (None, transcript::one_line(text)));
    let front = front.into_iter().filter(|(_, line)| !line.is_empty());
    front.chain(transcript::lines(conversation)).collect()
}

/// The calls that `lines` of this many characters take at least: one for each piece.
pub(crate) fn pieces_of(service: Service, lines: f64, characters: f64) -> f64 {
    match service {
        Service::Judge => 1.0,
        Service::AzureContentSafety => (characters / TEXT_CAP as f64).ceil().max(1.0),
        Service::OpenaiModeration => (lines / MOST_TEXTS as f64).max(characters / TEXT_CAP as f64).ceil().max(1.0),
    }
}

/// Lines in pieces that one call takes. A line that is too long for one is cut.
fn pieces(lines: Piece, service: Service) -> Vec<Piece> {
    let most_lines = if service == Service::OpenaiModeration { MOST_TEXTS } else { usize::MAX };
    let mut pieces: Vec<Piece> = Vec::new();
    let mut characters = 0;
    for (turn, line) in lines {
        for part in cut(&line) {
            // One more for the line break.
            let length = part.chars().count() + 1;
            let fits = |piece: &&mut Piece| piece.len() < most_lines && characters + length <= TEXT_CAP;
            if let Some(piece) = pieces.last_mut().filter(fits) {
                piece.push((turn, part));
            } else {
                pieces.push(vec![(turn, part)]);
                characters = 0;
            }
            characters += length;
        }
    }
    pieces
}

fn cut(line: &str) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    characters.chunks(TEXT_CAP - 1).map(|part| part.iter().collect()).collect()
}

/// `[{"category": "Hate", "severity": 2}, …]`.
fn read_azure(list: &[Value], piece: &Piece) -> Option<Vec<CategoryScore>> {
    let first = piece.first()?.0;
    let turn = first.filter(|_| piece.iter().all(|(turn, _)| *turn == first));
    let scores = list.iter().map(|entry| {
        let severity = entry.get("severity")?.as_f64().filter(|severity| (0.0..=AZURE_TOP).contains(severity))?;
        let category = match entry.get("category")?.as_str()? {
            "Hate" => Category::Hate,
            "SelfHarm" => Category::SelfHarm,
            "Sexual" => Category::Sexual,
            "Violence" => Category::Violence,
            _ => return None,
        };
        Some(CategoryScore { category, value: severity / AZURE_TOP, turn })
    });
    scores.collect::<Option<Vec<_>>>().filter(|scores| !scores.is_empty())
}

/// `[{"category_scores": {"hate": 0.1, "self-harm/intent": 0.2, …}}, …]`, one for each line. Categories of its own, such as
/// `illicit`, are passed over.
fn read_moderation(list: &[Value], piece: &Piece) -> Option<Vec<CategoryScore>> {
    let mut scores = Vec::new();
    for (result, (turn, _)) in list.iter().zip(piece) {
        let given = result.get("category_scores")?.as_object()?;
        for category in Category::JUDGED {
            let name = category.as_str().replace('_', "-");
            let parts = given.iter().filter(|(key, _)| {
                key.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            });
            let highest = parts
                .filter_map(|(_, score)| score.as_f64())
                .fold(None, |top: Option<f64>, score| Some(top.map_or(score, |top| top.max(score))));
            scores.extend(highest.map(|score| CategoryScore { category, value: score.clamp(0.0, 1.0), turn: *turn }));
        }
    }
    Some(scores).filter(|scores| !scores.is_empty())
}

fn judge_format() -> ReplyFormat {
    let severity = json!({"type": "integer", "enum": (0..=JUDGE_TOP).collect::<Vec<_>>()});
    let names = Category::JUDGED.map(Category::as_str);
    let properties: serde_json::Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), severity.clone())).collect();
    let schema = json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false});
    ReplyFormat::json("severities", schema)
}

fn read_judge(value: &Value) -> Result<Vec<CategoryScore>, Unusable> {
    let severity =
        |category: Category| value.get(category.as_str()).and_then(Value::as_u64).filter(|s| *s <= JUDGE_TOP);
    let scores = Category::JUDGED.map(|category| {
        Some(CategoryScore { category, value: severity(category)? as f64 / JUDGE_TOP as f64, turn: None })
    });
    scores.into_iter().collect::<Option<Vec<_>>>().ok_or(MALFORMED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(turn: u32, length: usize) -> (Option<u32>, String) {
        (Some(turn), "ü".repeat(length))
    }

    #[test]
    fn a_piece_is_never_longer_than_a_call_takes_and_nothing_is_lost() {
        let lines = vec![(None, "start".to_owned()), line(0, 6_000), line(1, 3_000), line(2, 3_000), line(3, 25_000)];
        let all: String = lines.iter().map(|(_, line)| line.as_str()).collect();
        let cut = pieces(lines, Service::AzureContentSafety);
        let texts: Vec<String> = cut
            .iter()
            .map(|piece| piece.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n"))
            .collect();
        assert!(texts.iter().all(|text| text.chars().count() <= TEXT_CAP), "{texts:?}");
        assert_eq!(texts.concat().replace('\n', ""), all);
        let many = pieces((0..70).map(|turn| line(turn, 1)).collect(), Service::OpenaiModeration);
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [32, 32, 6]);
    }

    #[test]
    fn scores_are_from_0_to_1_whoever_gives_them() {
        let piece = vec![(Some(4), "a".to_owned())];
        let azure = [json!({"category": "SelfHarm", "severity": 7}), json!({"category": "Hate", "severity": 0})];
        let scores = read_azure(&azure, &piece).unwrap();
        assert_eq!(scores[0], CategoryScore { category: Category::SelfHarm, value: 1.0, turn: Some(4) });
        let moderation =
            [json!({"category_scores": {"hate": 0.1, "hate/threatening": 0.9, "self-harm/intent": 0.2, "illicit": 1}})];
        let scores = read_moderation(&moderation, &piece).unwrap();
        assert_eq!(scores.len(), 2);
        assert_eq!(scores[0], CategoryScore { category: Category::Hate, value: 0.9, turn: Some(4) });
        let judge = json!({"hate": 0, "harassment": 3, "sexual": 1, "self_harm": 2, "violence": 0});
        assert_eq!(
            read_judge(&judge).unwrap()[1],
            CategoryScore { category: Category::Harassment, value: 1.0, turn: None }
        );
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let piece = vec![(None, "a".to_owned())];
        for list in
            [json!([]), json!([{"category": "Weather", "severity": 1}]), json!([{"category": "Hate", "severity": 9}])]
        {
            assert!(read_azure(list.as_array().unwrap(), &piece).is_none(), "{list}");
        }
        assert!(read_moderation(&[json!({"flagged": false})], &piece).is_none());
        for value in
            [json!({}), json!({"hate": 4, "harassment": 0, "sexual": 0, "self_harm": 0, "violence": 0}), json!([1])]
        {
            assert_eq!(read_judge(&value), Err(MALFORMED), "{value}");
        }
    }
}
