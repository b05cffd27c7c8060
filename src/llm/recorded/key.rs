//! What a reply is recorded under.

use crate::llm::{ChatRequest, Role};

/// Part of every key: a change to what keys are made of gets a new number.
const KEY_FORMAT: &str = "convogen reply key v1";
/// The place of a call in the run. Together with the request it makes the key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallSite<'a> {
    /// The stage.
    pub stage: &'a str,
    /// The item.
    pub item: &'a str,
    /// The turn within the item; 0 where there are none.
    pub turn: u32,
    /// What the model is used for.
    pub role: Role,
    /// 0 for the first time of asking.
    pub attempt: u32,
}

/// The key of a call: BLAKE3 over format, place and canonical request, its first 128 bits in hex.
pub(crate) fn key(site: &CallSite<'_>, request: &ChatRequest) -> String {
    // Two requests without a text would have one key, and the reply to the first would answer the second.
    let body =
        serde_json::to_string(request).unwrap_or_else(|error| unreachable!("a request has a JSON form: {error}"));
    let (turn, attempt) = (site.turn.to_string(), site.attempt.to_string());
    let role = site.role.to_string();
    crate::record::content_hash([KEY_FORMAT, site.stage, site.item, &turn, &role, &attempt, &body])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::config::Model;
    use crate::llm::{Extra, Message, ReplyFormat};

    fn request(format: ReplyFormat) -> ChatRequest {
        ChatRequest {
            model: "demo".into(),
            messages: vec![
                Message::system("Be \"brief\".\n"),
                Message::user("Grüße, 你好 \u{1}"),
                Message::assistant(""),
            ]
            .into(),
            temperature: Some(0.8),
            top_p: None,
            max_tokens: 300,
            stop: Vec::new(),
            seed: u64::MAX,
            format,
            extra: None,
        }
    }

    #[test]
    fn keys_never_change() {
        let schema = json!({"type": "object", "properties": {"next": {"type": "string", "maxLength": 9, "enum": ["Ann", "Bob"]},
            "end": {"type": "boolean"}}, "required": ["next", "end"], "additionalProperties": false});
        let site =
            CallSite { stage: "conversations", item: "c-s-0001-000", turn: 12, role: Role::Selector, attempt: 1 };
        let text = request(ReplyFormat::Text { prefix: None });
        let prefixed = request(ReplyFormat::Text { prefix: Some("Ann:".into()) });
        let json = request(ReplyFormat::json("turn", schema));
        let bare =
            ChatRequest { temperature: None, top_p: Some(0.25), stop: vec!["\n".into()], seed: 0, ..text.clone() };
        let keys = [&text, &prefixed, &json, &bare].map(|request| key(&site, request));
        // Pinned: the replies of every run directory there is are found by them.
        let pinned = [
            "97be78eee1e5731e9a1946c09e7f0808",
            "8eb9c084cec276f4db579580a646061d",
            "af1de109e538275f9414b3ba3066211b",
            "a1363741c81a43483fb401c7bee174d9",
        ];
        assert_eq!(keys, pinned);
    }

    #[test]
    fn what_is_added_to_requests_is_part_of_the_key_where_it_shapes_replies() {
        let model = |yaml: &str| serde_saphyr::from_str::<Model>(yaml).unwrap();
        let site = CallSite { stage: "conversations", item: "c-s-0001-000", turn: 1, role: Role::Speaker, attempt: 0 };
        let plain = request(ReplyFormat::Text { prefix: None });
        let key_of = |yaml: &str| key(&site, &ChatRequest { extra: Extra::of(&model(yaml)), ..plain.clone() });
        for operational in ["{}", "{extra_body: {user: me, prompt_cache_key: a}}", "{headers: {X-Team: {value: a}}}"] {
            assert_eq!(key_of(operational), key(&site, &plain), "{operational}");
        }
        let shaping = [
            "{}",
            "{reasoning_effort: low}",
            "{reasoning_effort: high}",
            "{extra_body: {top_k: 40}}",
            "{extra_body: {top_k: 41}}",
            "{headers: {X-Version: {value: a, shapes_reply: true}}}",
        ];
        let keys: BTreeSet<String> = shaping.iter().map(|yaml| key_of(yaml)).collect();
        assert_eq!(keys.len(), shaping.len());
        assert_eq!(key_of("{extra_body: {a: {x: 1, y: 2}, b: 3}}"), key_of("{extra_body: {b: 3, a: {y: 2, x: 1}}}"));
    }
}
