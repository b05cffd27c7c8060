//! Prompts tried out: every section of every prompt rendered with sample values, so that a loop that does not end, or a key
//! that nobody has, is found before a run gets to the one section in a thousand calls that has it.
//!
//! Each is rendered twice: with everything that can be there, and without what may be missing.

use serde_json::{Value, json};

use super::inputs::{Inputs, InputsError};
use crate::config::{Config, PromptSyntax, SituationMode};
use crate::prompt::language;
use crate::prompt::template::{PromptError, Template};

/// What is wrong with the texts of a run: each that cannot be read, and each section that does not render.
pub(crate) fn faults(inputs: &Inputs, config: &Config) -> Vec<InputsError> {
    let mut faults = inputs.faults(config);
    let language = language::name(&config.language);
    let language = language.as_str();
    let mut try_out = |template: &Template, full: Value, spare: Value| faults.extend(rehearse(template, &full, &spare));
    if config.situations.mode != SituationMode::File
        && let Ok(prompt) = inputs.situations_prompt(config)
    {
        match prompt.config.syntax {
            PromptSyntax::Sections => {
                let values = |full| situations(config, prompt.config.shots_per_prompt, full);
                try_out(&prompt.template, values(true), values(false));
            }
            PromptSyntax::Braces | PromptSyntax::BracesText => {
                let values = json!({"shots": "[]", "numGeneratedExamples": 2, "personas": PERSONA, "error": FLAW});
                try_out(&prompt.template, values.clone(), values);
            }
        }
    }
    for (place, template) in inputs.conversation_templates().into_iter().enumerate() {
        // The selector is told what the candidates are.
        let described = place == 2;
        if let Ok(template) = template {
            try_out(&template, turn(language, described, true), turn(language, described, false));
        }
    }
    for template in [inputs.safety_prompt(), inputs.judge_prompt()].into_iter().filter_map(Result::ok).flatten() {
        let values = finished();
        try_out(&template, values.clone(), values);
    }
    faults
}

fn rehearse(template: &Template, full: &Value, spare: &Value) -> Vec<InputsError> {
    let mut found: Vec<PromptError> = Vec::new();
    for section in template.sections() {
        let tried = [full, spare].into_iter().find_map(|values| template.render(section, values).err());
        found.extend(tried);
    }
    found.into_iter().map(InputsError::from).collect()
}

const NAMES: [&str; 3] = ["Ines", "Tanvi", "Victor"];
const PERSONA: &str = "A locksmith from around the old mill who collects ferry timetables.";
const SITUATION: &str = "During a long delay a small group is stuck at the chapel.";
const TIE: &str = "Ines and Tanvi are old friends.";
const LINE: &str = "Has anyone got the parking permit?";
const FLAW: &str = "it repeats an earlier line";

/// As `SituationValues`.
fn situations(config: &Config, shots: usize, full: bool) -> Value {
    let given = || NAMES.map(|name| json!({"name": name, "persona": PERSONA}));
    let seed = |text: &str| full.then(|| text.to_owned());
    let are_given = config.situations.mode == SituationMode::Predefined;
    let groups = if are_given { vec![given(), given()] } else { Vec::new() };
    let cells = if config.situations.coverage.is_some() { 3 } else { 0 };
    json!({
        "language": config.language, "language_name": language::name(&config.language), "count": 2, "groups": groups, "min_people": 3, "max_people": 5,
        "shots": vec![json!({"input": PERSONA, "output": "{}"}); shots],
        "attributes": vec![json!({"name": "setting", "value": "a train"}); cells],
        "intent": seed("ask where a parcel is"), "dialogue": seed(LINE), "summary": seed(SITUATION),
        "schema": full.then_some("{}"), "error": FLAW,
    })
}

/// As the values of a turn, and those of a summary; `described`: candidates come with what they are.
fn turn(language: &str, described: bool, full: bool) -> Value {
    let member = |name: &str| json!({"name": name, "description": PERSONA});
    let of_person = |text: &str| full.then(|| text.to_owned());
    let candidates = NAMES.map(|name| if described { member(name) } else { json!(name) });
    json!({
        "name": NAMES[0], "persona": PERSONA, "stance": of_person("to wait"), "goal": of_person("to get home"),
        "knowledge": of_person("The permit is in the drawer."), "cast": NAMES.map(member), "relations": [TIE, TIE],
        "situation": SITUATION, "topic": "a permit", "starter": LINE, "language_name": language,
        "last_name": full.then_some(NAMES[1]), "words": full.then_some(9), "candidates": candidates, "may_end": full,
        "flaw": FLAW, "summary": full.then_some(SITUATION), "lines": LINE,
    })
}

/// As the values of whoever looks at a conversation that has ended.
fn finished() -> Value {
    let person =
        NAMES.map(|name| json!({"name": name, "persona": PERSONA, "stance": "to wait", "goal": "to get home"}));
    json!({"situation": SITUATION, "topic": "a permit", "people": person, "relations": [TIE, TIE],
        "conversation": format!("{}: {LINE}", NAMES[0]), "flaw": FLAW})
}
