//! The whole embedded model against its promises.

use serde_json::{Value, json};

use super::structured::tests::fits;
use super::*;
use crate::llm::{Finish, Message, ReplyFormat, Usage};

fn request(format: ReplyFormat, max_tokens: u32, messages: Vec<Message>) -> ChatRequest {
    ChatRequest {
        model: "embedded".to_owned(),
        messages: messages.into(),
        temperature: Some(0.8),
        top_p: None,
        max_tokens,
        stop: Vec::new(),
        seed: 17,
        format,
        extra: None,
    }
}

fn plain(max_tokens: u32, question: &str) -> ChatRequest {
    request(ReplyFormat::Text { prefix: None }, max_tokens, vec![Message::user(question)])
}

fn filled(schema: Value, max_tokens: u32) -> ChatRequest {
    let messages = vec![Message::user("Ann and Bob quarrel about a fence. Describe it.")];
    request(ReplyFormat::json("fence", schema), max_tokens, messages)
}

fn answer(mind: &LoadedModel, request: &ChatRequest, slots: &Slots) -> Reply {
    mind.answer(request, slots, &|| false).unwrap()
}

fn situation_schema() -> Value {
    let text = |max: usize| json!({"type": "string", "maxLength": max});
    json!({
        "type": "object", "additionalProperties": false,
        "required": ["situation", "topic", "relations", "participants", "conversation_starter"],
        "properties": {
            "situation": text(400), "topic": text(80), "conversation_starter": text(200),
            "relations": {"type": "array", "minItems": 2, "maxItems": 3, "items": text(100)},
            "participants": {"type": "array", "minItems": 3, "maxItems": 3, "items": {
                "type": "object", "additionalProperties": false, "required": ["name", "stance", "goal"],
                "properties": {"name": {"type": "string", "enum": ["Ann", "Bob", "Carla"]}, "stance": text(100), "goal": {"type": ["string", "null"], "maxLength": 100}},
            }},
        },
    })
}

fn situation() -> ChatRequest {
    let system = "You write situations for group conversations. A situation says who is there, how they know each other, what is going on and what they disagree about.";
    let user = "The people:\n- Ann: a retired school librarian who grows vegetables and worries about the town's water supply.\n- Bob: a young electrician who has just started his own company and is short of money.\n- Carla: a nurse who works night shifts and chairs the tenants' association.\n\nWrite one situation in which these people meet and talk.";
    let format = ReplyFormat::json("situation", situation_schema());
    request(format, 700, vec![Message::system(system), Message::user(user)])
}

fn utterance(transcript: &str, name: &str, persona: &str) -> ChatRequest {
    let system = "People are talking in a group. Write what the person says next: one or two sentences, spoken, in their own voice. Answer what was said last and add something new.";
    let user = format!(
        "The situation: The tenants of an old house meet in the courtyard because the landlord wants to turn the shared garden into parking spaces.\nThe people: Ann, a retired librarian; Bob, a young electrician; Carla, a nurse.\n\nThe conversation so far:\nSo, has everybody read the landlord's letter?\n{transcript}\nYou are {name}. {persona} What does {name} say next?"
    );
    request(
        ReplyFormat::Text { prefix: Some(format!("{name}:")) },
        80,
        vec![Message::system(system), Message::user(user)],
    )
}

/// Pinned: weights, tokenizer, arithmetic and template in one. Without sampling it is the same on all processors, or
/// nearly.
#[test]
fn it_knows_what_it_was_trained_on() {
    let Some(mind) = testing::mind() else { return };
    let greedy =
        ChatRequest { temperature: Some(0.0), ..plain(40, "What is the capital of France? Answer in one sentence.") };
    let reply = answer(&mind, &greedy, &Slots::default());
    assert_eq!(reply.text, "The capital of France is Paris.");
    assert_eq!(reply.finish, Finish::Stop);
    assert_eq!(
        reply.usage,
        Usage { prompt_tokens: 42, cached_prompt_tokens: 0, completion_tokens: 8, ..Usage::default() }
    );
}

#[test]
fn a_state_does_not_depend_on_how_its_text_was_read() {
    let Some(mind) = testing::mind() else { return };
    let text =
        "Ann and Bob have been neighbours for twenty years, and for as long there has been the fence. ".repeat(5);
    let tokens = mind.vocabulary.encode(&text);
    assert!(tokens.len() > 100);
    let read = |pieces: &[usize]| {
        let mut memory = model::Memory::default();
        let mut rest = tokens.as_slice();
        let mut state = None;
        for piece in pieces.iter().chain([&tokens.len()]) {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            state = mind.llama.feed(now, &mut memory).or(state);
            rest = later;
        }
        mind.llama.logits(&state.unwrap())
    };
    let whole = read(&[]);
    assert_eq!(read(&[1, 2, 3, 64, 5]), whole);
    assert_eq!(read(&[tokens.len() - 1]), whole);
    assert_eq!(read(&vec![1; tokens.len()]), whole);
}

#[test]
fn what_is_remembered_shows_in_nothing() {
    let Some(mind) = testing::mind() else { return };
    let turns = ["", "Ann: I have read it twice.\n", "Ann: I have read it twice.\nBob: So have I, and I like it.\n"];
    let requests: Vec<ChatRequest> =
        turns.iter().map(|transcript| utterance(transcript, "Carla", "You are calm.")).collect();
    let fresh: Vec<Reply> = requests.iter().map(|request| answer(&mind, request, &Slots::default())).collect();
    let shared = Slots::default();
    let warm: Vec<Reply> = requests.iter().map(|request| answer(&mind, request, &shared)).collect();
    assert_eq!(warm, fresh);
    let again: Vec<Reply> = requests.iter().rev().map(|request| answer(&mind, request, &shared)).collect();
    assert_eq!(again.into_iter().rev().collect::<Vec<_>>(), fresh, "in another order");
    let tokens = mind.vocabulary.chat(&requests[2].messages.list(), "Carla:");
    assert!(shared.take(&tokens).tokens().len() > tokens.len() / 2, "something is reused at all");
}

#[tokio::test]
async fn threads_and_company_change_no_reply() {
    let Some(mind) = testing::mind() else { return };
    let requests: Vec<ChatRequest> =
        (0..4).map(|seed| ChatRequest { seed, ..utterance("", "Bob", "You are in a hurry.") }).collect();
    let alone = Embedded::start(&mind, 1).unwrap();
    let mut expected = Vec::new();
    for request in &requests {
        expected.push(alone.attempt(request, Structured::None).await.unwrap());
    }
    let crowd = Embedded::start(&mind, 3).unwrap();
    let replies = requests.iter().rev().map(|request| crowd.attempt(request, Structured::None));
    let replies: Vec<Reply> = futures_util::future::join_all(replies).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(replies.into_iter().rev().collect::<Vec<_>>(), expected);
    assert!(expected.iter().any(|reply| reply.text != expected[0].text), "the seed decides");
}

#[test]
fn an_utterance_is_one_line_without_its_name() {
    let Some(mind) = testing::mind() else { return };
    for seed in 0..4 {
        let reply =
            answer(&mind, &ChatRequest { seed, ..utterance("", "Ann", "You are a librarian.") }, &Slots::default());
        assert!(!reply.text.is_empty() && !reply.text.contains('\n'), "{reply:?}");
        assert_eq!(reply.text.trim(), reply.text);
        assert!(!reply.text.starts_with("Ann"), "{reply:?}");
    }
}

#[test]
fn a_stop_text_ends_a_reply_and_is_not_part_of_it() {
    let Some(mind) = testing::mind() else { return };
    let question = "What is the capital of France? Answer in one sentence.";
    let stop = vec!["Berlin".to_owned(), "nce is".to_owned()];
    let reply = answer(&mind, &ChatRequest { temperature: Some(0.0), stop, ..plain(40, question) }, &Slots::default());
    assert_eq!((reply.text.as_str(), reply.finish), ("The capital of Fra", Finish::Stop));
}

#[test]
fn a_reply_that_runs_out_of_tokens_says_so() {
    let Some(mind) = testing::mind() else { return };
    let reply = answer(&mind, &plain(5, "Tell me a long story."), &Slots::default());
    assert_eq!((reply.finish, reply.usage.completion_tokens), (Finish::Length, 5));
    let object = json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}});
    let reply = answer(&mind, &filled(object, 2), &Slots::default());
    assert_eq!(reply.finish, Finish::Length);
    assert!(reply.usage.completion_tokens <= 2);
}

#[tokio::test]
async fn what_cannot_be_served_is_a_bad_request() {
    let Some(mind) = testing::mind() else { return };
    let model = Embedded::start(&mind, 1).unwrap();
    let refused = async |request: ChatRequest| match model.attempt(&request, Structured::None).await {
        Err(AttemptError::BadRequest { status: 400, message }) => message,
        other => panic!("{other:?}"),
    };
    let long = refused(plain(10, &"word ".repeat(model::CONTEXT))).await;
    assert!(long.contains("reads 4096 in all"), "{long}");
    assert!(refused(plain(u32::MAX, "Hi")).await.contains("4294967295"));
    assert!(refused(filled(json!({"type": "number"}), 10)).await.contains("type `number`"));
    assert!(model.attempt(&plain(3, "Hi"), Structured::None).await.is_ok(), "it goes on serving");
}

#[test]
fn nobody_waiting_ends_the_work() {
    let Some(mind) = testing::mind() else { return };
    let result = mind.answer(&plain(4000, "Tell me a long story."), &Slots::default(), &|| true);
    assert!(matches!(result, Err(EngineError::Abandoned)));
}

#[test]
fn json_fits_its_schema_whatever_the_schema() {
    let Some(mind) = testing::mind() else { return };
    let schemas = [
        situation_schema(),
        json!({"enum": ["1", "10", "101", "a longer one", "", null, 10]}),
        json!({"type": "array", "minItems": 2, "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": ["string", "null"], "maxLength": 12}}}),
        json!({"type": "integer", "minimum": -3, "maximum": 120}),
        json!({"anyOf": [{"type": "boolean"}, {"type": "string", "maxLength": 5}, {"type": "null"}]}),
        json!({"type": "object", "additionalProperties": false, "required": ["text", "next", "end"], "properties": {
            "text": {"type": "string"}, "next": {"enum": ["p1", "p2", "p10"]}, "end": {"type": "boolean"}}}),
    ];
    let slots = Slots::default();
    for schema in schemas {
        for seed in 0..2 {
            let reply = answer(&mind, &ChatRequest { seed, ..filled(schema.clone(), 600) }, &slots);
            let value: Value =
                serde_json::from_str(&reply.text).unwrap_or_else(|error| panic!("{error}: {}", reply.text));
            assert!(fits(&value, &schema), "{value} does not fit {schema}");
            assert_eq!(reply.finish, Finish::Stop);
            assert!(reply.usage.completion_tokens <= 600);
        }
    }
}

#[test]
fn choices_follow_what_the_model_finds_likely() {
    let Some(mind) = testing::mind() else { return };
    let messages = vec![Message::user("Which city is the capital of France?")];
    let schema = json!({"type": "object", "required": ["capital"], "properties": {"capital": {"enum": ["Oslo", "Paris", "Lima"]}}});
    let format = ReplyFormat::json("capital", schema);
    let reply =
        answer(&mind, &ChatRequest { temperature: Some(0.0), ..request(format, 20, messages) }, &Slots::default());
    assert_eq!(reply.text, r#"{"capital": "Paris"}"#);
}

/// `cargo test --lib bench_ -- --ignored --nocapture`, alone on the machine.
#[test]
#[ignore = "measures; prints speed, memory and samples"]
fn bench_speed_and_samples() {
    let timed = |name: &str, work: &mut dyn FnMut() -> u64| {
        let start = std::time::Instant::now();
        let tokens = work();
        println!("{name}: {tokens} tokens, {:.0} a second", tokens as f64 / start.elapsed().as_secs_f64());
    };
    let Some(mind) = testing::mind() else { return };
    let slots = Slots::default();
    for words in [200, 1000] {
        let prompt = plain(1, &"word ".repeat(words));
        timed("prompt", &mut || answer(&mind, &prompt, &Slots::default()).usage.prompt_tokens);
    }
    let story = plain(200, "Write a long story about a lighthouse keeper.");
    timed("reply", &mut || answer(&mind, &story, &slots).usage.completion_tokens);
    for seed in 0..3 {
        let request = ChatRequest { seed, ..situation() };
        let mut text = String::new();
        timed("situation", &mut || {
            let reply = answer(&mind, &request, &slots);
            text = reply.text;
            reply.usage.completion_tokens
        });
        println!("{text}");
    }
    let people = [
        ("Ann", "You are a retired librarian who grows vegetables there and does not want to lose them."),
        ("Bob", "You need a place to park your van and would not mind."),
        ("Carla", "You chair the tenants' association and want everybody to agree on a letter."),
    ];
    let mut transcript = String::new();
    for (seed, (name, persona)) in (0..8).zip(people.iter().cycle()) {
        let request = ChatRequest { seed, ..utterance(&transcript, name, persona) };
        timed("turn", &mut || {
            let reply = answer(&mind, &request, &slots);
            transcript = format!("{transcript}{name}: {}\n", reply.text);
            reply.usage.completion_tokens
        });
    }
    println!("{transcript}");
    let status = crate::store::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    println!("{}", status.lines().filter(|line| line.starts_with("VmHWM")).collect::<String>());
}
