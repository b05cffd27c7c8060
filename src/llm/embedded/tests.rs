//! The whole embedded model against its promises.

use super::*;
use crate::llm::{Message, ReplyFormat};

fn request(format: ReplyFormat, temperature: f64, max_tokens: u32, messages: Vec<Message>) -> ChatRequest {
    ChatRequest {
        model: "embedded".to_owned(),
        messages,
        temperature: Some(temperature),
        top_p: None,
        max_tokens,
        stop: Vec::new(),
        seed: 17,
        format,
    }
}

#[test]
fn try_it() {
    let t = std::time::Instant::now();
    let mind = testing::mind().unwrap();
    println!("load {:?}", t.elapsed());
    let slots = Slots::default();
    let r = request(ReplyFormat::Text { prefix: None }, 0.0, 60, vec![Message::user("What is the capital of France, and what is it known for?")]);
    let t = std::time::Instant::now();
    let reply = mind.answer(&r, &slots, &|| false).unwrap();
    println!("{:?} {reply:?}", t.elapsed());
}

#[test]
fn zz_real() {
    let mut n = 0;
    let t = std::time::Instant::now();
    println!("{:?} {n} {:?}", weights::ensure(false, |_| n += 1), t.elapsed());
    let t = std::time::Instant::now();
    println!("{:?} {:?}", weights::locate(), t.elapsed());
}
