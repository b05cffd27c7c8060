//! Who speaks next, in each of the ways that `conversations.speaker_selection` names.

use serde_json::json;

use super::selection::{self, Named, by};
use super::{ConversationState, STAGE};
use crate::config::{Balance, Ending, SpeakerSelection};
use crate::draw::Draw;
use crate::llm::recorded::CallSite;
use crate::llm::{Answer, Finish, Halt, ReplyFormat, Role};
use crate::prompt::reading;

/// Answers asked of a selector before the code decides, as AutoGen does.
pub(super) const SELECTOR_TRIES: u32 = 3;

impl ConversationState<'_> {
    /// Who speaks next and why, or nobody when the selector's word was the second vote to end.
    pub(super) async fn next_speaker(&mut self) -> Result<Option<(usize, &'static str)>, Halt> {
        let candidates = selection::candidates(&self.floor);
        if let [only] = candidates.as_slice() {
            return Ok(Some((*only, by::ONLY_CANDIDATE)));
        }
        if self.settings.speaker_selection == SpeakerSelection::Auto {
            return self.ask_selector(&candidates).await;
        }
        let mut draw = self.draw(self.index(), "select");
        let chosen = match self.settings.speaker_selection {
            SpeakerSelection::RoundRobin => selection::in_order(&self.floor, &candidates).map(|p| (p, by::ORDER)),
            SpeakerSelection::Fused => self.handed_over(&candidates, &mut draw),
            SpeakerSelection::Rules => self.by_rules(&candidates, &mut draw),
            SpeakerSelection::Random | SpeakerSelection::Auto => None,
        };
        let chosen = chosen.or_else(|| selection::drawn(&self.floor, &candidates, &mut draw).map(|p| (p, by::DRAW)));
        Ok(Some(chosen.unwrap_or((0, by::DRAW))))
    }

    fn handed_over(&mut self, candidates: &[usize], draw: &mut Draw) -> Option<(usize, &'static str)> {
        let handed_to = self.handed_to.take();
        if self.turns.is_empty() {
            return None;
        }
        self.ledger.choose();
        if let Some(person) = handed_to.filter(|person| candidates.contains(person)) {
            return Some((person, by::HANDED_OVER));
        }
        self.ledger.fall_back();
        selection::drawn(&self.floor, candidates, draw).map(|person| (person, by::FALLBACK))
    }

    fn by_rules(&self, candidates: &[usize], draw: &mut Draw) -> Option<(usize, &'static str)> {
        let addressed = self.turns.last().and_then(|turn| turn.addressee_id.as_deref());
        let addressed = addressed.and_then(|id| self.situation.personas.iter().position(|person| person.id == id));
        if let Some(person) = addressed.filter(|person| candidates.contains(person)) {
            return Some((person, by::ADDRESSED));
        }
        selection::least_heard(&self.floor, candidates, draw).map(|person| (person, by::QUOTA))
    }

    async fn ask_selector(&mut self, candidates: &[usize]) -> Result<Option<(usize, &'static str)>, Halt> {
        let index = self.index();
        // The vote is about the talk so far, so it needs the minimum to have been spoken already.
        let may_end = self.settings.ending == Ending::Agreed && index >= self.settings.turns.min;
        let mut flaw: Option<String> = None;
        let mut room = self.calls.profile(Role::Selector).max_tokens;
        self.ledger.choose();
        for attempt in 0..SELECTOR_TRIES {
            let messages = self.script.select(candidates, may_end, flaw.as_deref())?;
            let format = self.format(candidates, selector_format);
            let site = CallSite { stage: STAGE, item: &self.id, turn: index, role: Role::Selector, attempt };
            self.ledger.ask_selector();
            // A selector that refuses or fails costs the choice, not the conversation.
            let answer = self.calls.ask_at_length(&site, messages, format, room).await?;
            let Answer::Reply(reply) = answer else { break };
            self.ledger.hear_selector(reply.usage);
            if reply.finish == Finish::Length {
                room = self.calls.profile(Role::Selector).max_tokens.saturating_mul(2);
            }
            let (named, end) = self.read_choice(&reply.text);
            match named {
                Named::One(person) if candidates.contains(&person) => {
                    let ends = end && may_end && self.vote_of_selector();
                    return Ok((!ends).then_some((person, by::MODEL)));
                }
                Named::One(person) => {
                    flaw = Some(format!("{} may not speak now", self.names(&[person]).join("")));
                }
                Named::Several => flaw = Some("it named more than one person".to_owned()),
                Named::Nobody => flaw = Some("it named nobody of the group".to_owned()),
            }
        }
        self.ledger.fall_back();
        let mut draw = self.draw(index, "fallback");
        let is_even = self.settings.balance == Balance::Even;
        let person = is_even.then(|| self.by_rules(candidates, &mut draw)).flatten().map(|(person, _)| person);
        let person = person.or_else(|| selection::drawn(&self.floor, candidates, &mut draw));
        Ok(Some((person.unwrap_or(0), by::FALLBACK)))
    }

    /// The person named and the vote, from JSON if there is any, else from the text as it is.
    fn read_choice(&self, reply: &str) -> (Named, bool) {
        let everyone = self.everyone();
        let Ok(value) = reading::json(reply, &["next"]) else {
            let said = reading::answer(reply).unwrap_or_default();
            return (selection::read_name(&said, &everyone), false);
        };
        let end = value.get("end").and_then(serde_json::Value::as_bool).unwrap_or(false);
        match value.get("next").and_then(serde_json::Value::as_str) {
            Some(name) => (selection::read_name(name, &everyone), end),
            None => (selection::read_name(reply, &everyone), end),
        }
    }

    /// The selector's word counts as a vote of the one who spoke last. Whether it settles the matter.
    fn vote_of_selector(&mut self) -> bool {
        self.votes.extend(self.floor.last.map(|person| (self.index() - 1, person)));
        self.agreed_to_end()
    }
}

/// What a selector answers: a name of the closed set, and its word on whether the talk is over.
fn selector_format(names: &[&str]) -> ReplyFormat {
    let schema = json!({
        "type": "object",
        "properties": {
            "next": {"type": "string", "enum": names},
            "end": {"type": "boolean"},
        },
        "required": ["next", "end"],
        "additionalProperties": false,
    });
    ReplyFormat::json("next_speaker", schema)
}
