//! The rows of every format, word for word, and the laws that hold for all of them.

use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::config::export::{ExportFormat, LossFlag, SystemPlace};
use crate::record::arrow::ColumnKind;
use crate::record::{Participant, Relation, Situation, Speaker, Turn};
use crate::store::part::hash_file;

const TABLES: [ExportFormat; 8] = [
    ExportFormat::Messages,
    ExportFormat::PromptCompletion,
    ExportFormat::Sharegpt,
    ExportFormat::Openai,
    ExportFormat::Transcript,
    ExportFormat::NextSpeaker,
    ExportFormat::Addressee,
    ExportFormat::Convogen,
];

fn person(id: &str, name: &str) -> Speaker {
    Speaker {
        id: id.to_owned(),
        name: name.to_owned(),
        description: format!("{name} is here."),
        persona: format!("persona of {name}"),
    }
}

/// Ann, Bo and Cy, who say what `said` lists by number; who is addressed by number too.
fn talk(id: &str, said: &[(usize, &str, Option<usize>)]) -> Conversation {
    let people = [person("p1", "Ann"), person("p2", "Bo"), person("p3", "Cy")];
    let turn = |(index, (who, text, to)): (usize, &(usize, &str, Option<usize>))| Turn {
        index: u32::try_from(index).unwrap(),
        speaker_id: people[*who].id.clone(),
        speaker: people[*who].name.clone(),
        addressee_id: to.map(|to| people[to].id.clone()),
        text: (*text).to_owned(),
        selected_by: "model".to_owned(),
        attempts: 1,
    };
    let relation = |text: &str| Relation {
        from: "p1".to_owned(),
        to: "p2".to_owned(),
        r#type: "friend".to_owned(),
        text: text.to_owned(),
    };
    Conversation {
        id: id.to_owned(),
        situation_id: "s".to_owned(),
        situation: "At a lake.".to_owned(),
        topic: "the boat".to_owned(),
        conversation_starter: "Who rows?".to_owned(),
        language: "en".to_owned(),
        relations: vec![relation("Ann and Bo are friends."), relation("")],
        turns: said.iter().enumerate().map(turn).collect(),
        participants: people.to_vec(),
        stop_reason: "agreed".to_owned(),
        model: "demo".to_owned(),
        tier: "endpoint".to_owned(),
        prompt_tokens: 1,
        cached_prompt_tokens: 0,
        completion_tokens: 1,
        attributes: "{}".to_owned(),
        provenance: "{}".to_owned(),
        labels: "{}".to_owned(),
        safety: "{}".to_owned(),
        judgement: "{}".to_owned(),
        split: "train".to_owned(),
        hash: "h".to_owned(),
    }
}

fn boat() -> Conversation {
    talk(
        "c",
        &[(1, "Me.", None), (2, "No, Ann.", Some(0)), (0, "I can't.", None), (0, "Bo?", Some(1)), (1, "Fine.", None)],
    )
}

fn rows(talk: &Conversation, options: &ExportOptions) -> Vec<Value> {
    (formats::table(options).unwrap().rows)(talk, &RoomSecrets::default(), options)
}

fn options(format: ExportFormat) -> ExportOptions {
    ExportOptions::of(format)
}

const ANN: &str = "You are Ann. Ann is here.\n\npersona of Ann\n\nSituation: At a lake.\n\nTopic: the boat\n\nThe others:\n\
                   - Bo: Bo is here.\n- Cy: Cy is here.\n\nHow you know each other:\n- Ann and Bo are friends.";

#[test]
fn each_speaker_is_the_assistant_of_a_row_of_their_own() {
    let found = rows(&boat(), &options(ExportFormat::Messages));
    let ids: Vec<&Value> = found.iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, ["c#p1", "c#p2", "c#p3"]);
    let expected = json!({"id": "c#p1", "messages": [
        {"role": "system", "content": ANN},
        {"role": "user", "content": "Who rows?\nBo: Me.\nCy: No, Ann."},
        {"role": "assistant", "content": "I can't.\nBo?"},
    ]});
    assert_eq!(found[0], expected, "what Bo says at the end is cut");
    let bo: Vec<&Value> = found[1]["messages"].as_array().unwrap().iter().skip(1).collect();
    assert_eq!(
        json!(bo),
        json!([
            {"role": "user", "content": "Who rows?"},
            {"role": "assistant", "content": "Me."},
            {"role": "user", "content": "Cy: No, Ann.\nAnn: I can't.\nAnn: Bo?"},
            {"role": "assistant", "content": "Fine."},
        ])
    );
}

#[test]
fn who_never_speaks_has_no_row() {
    let found = rows(&talk("c", &[(1, "Me.", None)]), &options(ExportFormat::Openai));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["messages"]);
}

#[test]
fn without_a_starter_a_view_begins_with_what_another_says() {
    let mut silent = boat();
    silent.conversation_starter = " ".to_owned();
    let found = rows(&silent, &options(ExportFormat::Messages));
    assert_eq!(found[1]["messages"][1], json!({"role": "user", "content": "Cy: No, Ann.\nAnn: I can't.\nAnn: Bo?"}));
}

#[test]
fn the_system_text_stands_in_the_first_user_message_where_a_template_has_no_system_role() {
    let chosen = ExportOptions { system: Some(SystemPlace::FirstUser), ..options(ExportFormat::Messages) };
    let first = &rows(&boat(), &chosen)[0]["messages"][0];
    assert_eq!(*first, json!({"role": "user", "content": format!("{ANN}\n\nWho rows?\nBo: Me.\nCy: No, Ann.")}));
    let chosen = ExportOptions { format: ExportFormat::Sharegpt, ..chosen };
    let row = &rows(&boat(), &chosen)[0];
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "conversations"]);
    assert_eq!(row["conversations"][0]["value"], *first.get("content").unwrap());
}

#[test]
fn a_completion_is_one_reply_after_everything_before_it() {
    let found = rows(&boat(), &options(ExportFormat::PromptCompletion));
    let ids: Vec<&Value> = found.iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, ["c#p1#0", "c#p2#0", "c#p2#1", "c#p3#0"]);
    assert_eq!(found[2]["completion"], json!([{"role": "assistant", "content": "Fine."}]));
    assert_eq!(found[2]["prompt"].as_array().unwrap().len(), 4, "system, user, assistant, user");
}

#[test]
fn sharegpt_has_a_column_for_the_system_text() {
    let found = &rows(&boat(), &options(ExportFormat::Sharegpt))[0];
    let expected = json!({"id": "c#p1", "system": ANN, "conversations": [
        {"from": "human", "value": "Who rows?\nBo: Me.\nCy: No, Ann."},
        {"from": "gpt", "value": "I can't.\nBo?"},
    ]});
    assert_eq!(*found, expected);
}

#[test]
fn every_message_is_flagged_and_only_own_words_count() {
    for (flag, key, yes, no) in [
        (LossFlag::Train, "train", json!(true), json!(false)),
        (LossFlag::Weight, "weight", json!(1), json!(0)),
        (LossFlag::Loss, "loss", json!(true), json!(false)),
    ] {
        for (format, list, role) in
            [(ExportFormat::Messages, "messages", "role"), (ExportFormat::Sharegpt, "conversations", "from")]
        {
            let chosen = ExportOptions { loss: Some(flag), ..options(format) };
            for row in rows(&boat(), &chosen) {
                for message in row[list].as_array().unwrap() {
                    let own = ["assistant", "gpt"].contains(&message[role].as_str().unwrap());
                    assert_eq!(message[key], if own { yes.clone() } else { no.clone() }, "{message}");
                }
            }
        }
    }
}

#[test]
fn bystanders_read_the_talk_and_guess_who_speaks_and_to_whom() {
    let text = "Who rows?\nBo: Me.\nCy: No, Ann.\nAnn: I can't.\nAnn: Bo?\nBo: Fine.";
    let expected = json!([{"id": "c", "situation": "At a lake.", "topic": "the boat", "text": text}]);
    assert_eq!(json!(rows(&boat(), &options(ExportFormat::Transcript))), expected);
    let next = rows(&boat(), &options(ExportFormat::NextSpeaker));
    assert_eq!(next.len(), 5);
    let expected = json!({
        "id": "c#1", "situation": "At a lake.", "context": "Who rows?\nBo: Me.",
        "candidates": [
            {"id": "p1", "name": "Ann", "description": "Ann is here."},
            {"id": "p2", "name": "Bo", "description": "Bo is here."},
            {"id": "p3", "name": "Cy", "description": "Cy is here."},
        ],
        "speaker": "Cy", "label": 2,
    });
    assert_eq!(next[1], expected);
    let addressed = rows(&boat(), &options(ExportFormat::Addressee));
    assert_eq!(addressed.len(), 2, "the turns that say whom they are said to");
    let expected = json!({
        "id": "c#3", "situation": "At a lake.", "context": "Who rows?\nBo: Me.\nCy: No, Ann.\nAnn: I can't.",
        "speaker": "Ann", "text": "Bo?",
        "candidates": [
            {"id": "p2", "name": "Bo", "description": "Bo is here."},
            {"id": "p3", "name": "Cy", "description": "Cy is here."},
        ],
        "addressee": "Bo", "label": 0,
    });
    assert_eq!(addressed[1], expected);
}

#[test]
fn upstream_numbers_guests_by_their_first_word() {
    let expected = json!({
        "meetingID": "c",
        "speakerMap": {"Bo": "Guest1", "Cy": "Guest2", "Ann": "Guest3"},
        "Conversation": [
            {"speaker": "Guest1", "transcript": "Me."},
            {"speaker": "Guest2", "transcript": "No, Ann."},
            {"speaker": "Guest3", "transcript": "I can't."},
            {"speaker": "Guest3", "transcript": "Bo?"},
            {"speaker": "Guest1", "transcript": "Fine."},
        ],
        "situation_config": {
            "individuals": [
                {"name": "Ann", "persona": "persona of Ann"},
                {"name": "Bo", "persona": "persona of Bo"},
                {"name": "Cy", "persona": "persona of Cy"},
            ],
            "relations": "Ann and Bo are friends.", "situation": "At a lake.", "topic": "the boat",
            "conversationStarter": "Who rows?",
        },
    });
    assert_eq!(Value::from(upstream::record(&boat())), expected);
}

fn written(folder: &Path, options: &ExportOptions, talks: &[Conversation]) -> Exported {
    let mut exporter = Exporter::new(options, folder, "", None).unwrap();
    for talk in talks {
        exporter.push(talk).unwrap();
    }
    exporter.finish().unwrap()
}

#[test]
fn upstream_parts_hold_so_many_records_as_json_and_as_quoted_cells() {
    let folder = tempfile::tempdir().unwrap();
    let chosen = ExportOptions { write_partition_size: Some(2), ..options(ExportFormat::Convogen) };
    let said = [(0, "A \"tab\"\there\nand a line.", None)];
    let talks: Vec<Conversation> = ["c1", "c2", "c3"].map(|id| talk(id, &said)).to_vec();
    let exported = written(folder.path(), &chosen, &talks);
    let names: Vec<&str> = exported.files.iter().map(|file| file.path.as_str()).collect();
    let parts = ["train/part-0.jsonl", "train/part-0.tsv", "train/part-1.jsonl", "train/part-1.tsv"];
    assert_eq!(names, [&["train-00000-of-00001.parquet"], &parts[..]].concat());
    assert_eq!(exported.files.iter().map(|file| file.rows.unwrap()).collect::<Vec<_>>(), [3, 2, 2, 1, 1]);
    let cells = fs::read_to_string(&folder.path().join("train/part-1.tsv")).unwrap();
    let lines: Vec<&str> = cells.lines().collect();
    assert_eq!(lines[0], "meetingID\tspeakerMap\tConversation\tsituation_config");
    let said = r#"[{""speaker"":""Guest1"",""transcript"":""A \""tab\""\there\nand a line.""}]"#;
    assert!(lines[1].starts_with(&format!("c3\t\"{{\"\"Ann\"\":\"\"Guest1\"\"}}\"\t\"{said}\"\t")), "{}", lines[1]);
    assert_eq!(lines.len(), 2, "a line break in a turn does not break a line");
}

#[test]
fn every_split_has_its_files_and_every_file_is_listed_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let other = Conversation { split: "test".to_owned(), ..talk("d", &[(1, "Me.", None), (0, "Bo?", Some(1))]) };
    for format in TABLES.into_iter().chain([ExportFormat::Convokit]) {
        let home = folder.path().join(format.as_str());
        let exported = written(&home, &options(format), &[boat(), other.clone()]);
        for file in &exported.files {
            assert_eq!(hash_file(&home.join(&file.path)).unwrap(), (file.bytes, file.sha256.clone()), "{}", file.path);
        }
        let names: Vec<&str> = exported.splits.iter().map(|split| split.name.as_str()).collect();
        let expected: &[&str] = if format == ExportFormat::Convokit { &[] } else { &["train", "test"] };
        assert_eq!(names, expected, "{format}");
    }
}

#[test]
fn a_large_split_has_several_files_and_its_card_finds_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let chosen = options(ExportFormat::Messages);
    let mut exporter = Exporter::new(&chosen, folder.path(), "", None).unwrap();
    exporter.cut.file = 1_000;
    for number in 0..4_000 {
        exporter.push(&Conversation { id: format!("c{number}"), ..boat() }).unwrap();
    }
    let written = exporter.finish().unwrap();
    let parts: Vec<(&str, u64)> =
        written.files.iter().map(|file| (file.path.as_str(), file.rows.unwrap_or_default())).collect();
    // Three speakers each; a file ends with the row group of 8,192 rows that makes it large enough.
    let expected =
        [("train-00000-of-00002.parquet", 8_192), ("train-00001-of-00002.parquet", 3_808), ("train.jsonl", 12_000)];
    assert_eq!(parts[..3], expected);
    assert_eq!(written.rows(), 12_000);
    for file in &written.files {
        assert_eq!(hash_file(&folder.path().join(&file.path)).unwrap(), (file.bytes, file.sha256.clone()));
    }
    write_card(folder.path(), &chosen, &written).unwrap();
    let card = fs::read_to_string(&folder.path().join("README.md")).unwrap();
    assert!(card.contains("  - split: train\n    path: train-*.parquet\n"), "{card}");
    assert!(card.contains("| `train` | 12000 |"), "{card}");
}

#[test]
fn a_split_that_cannot_be_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let chosen = options(ExportFormat::Messages);
    let mut exporter = Exporter::new(&chosen, folder.path(), "", None).unwrap();
    let error = exporter.push(&Conversation { split: "../x".to_owned(), ..boat() }).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Input);
    assert!(error.to_string().contains("conversation c has the split \"../x\""), "{error}");
}

#[test]
fn an_option_that_means_nothing_is_named() {
    let problem = |options: ExportOptions| options.problem().map(|(key, _)| key);
    let flagged = |format| ExportOptions { loss: Some(LossFlag::Train), ..options(format) };
    assert_eq!(problem(flagged(ExportFormat::Sharegpt)), None);
    assert_eq!(problem(flagged(ExportFormat::PromptCompletion)), Some("loss"));
    let placed = |format| ExportOptions { system: Some(SystemPlace::Message), ..options(format) };
    assert_eq!(problem(placed(ExportFormat::PromptCompletion)), None);
    assert_eq!(problem(placed(ExportFormat::Transcript)), Some("system"));
    let told = |format| ExportOptions { private: Some(true), ..options(format) };
    assert_eq!(problem(told(ExportFormat::Openai)), None);
    assert_eq!(problem(told(ExportFormat::NextSpeaker)), Some("private"));
    let parted = |format, size| ExportOptions { write_partition_size: Some(size), ..options(format) };
    assert_eq!(problem(parted(ExportFormat::Convogen, 1)), None);
    assert_eq!(problem(parted(ExportFormat::Convogen, 0)), Some("write_partition_size"));
    assert_eq!(problem(parted(ExportFormat::Convokit, 1)), Some("write_partition_size"));
}

/// Whether a row has the columns of its table and nothing else, at every depth, without a null.
fn fits(row: &Value, columns: &[Column]) -> bool {
    let Some(row) = row.as_object() else { return false };
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    row.keys().collect::<Vec<_>>() == names
        && columns.iter().all(|column| match (column.kind, &row[column.name]) {
            (ColumnKind::List(items), Value::Array(list)) => list.iter().all(|item| fits(item, items)),
            (ColumnKind::List(_), _) | (_, Value::Null) => false,
            _ => true,
        })
}

proptest! {
    /// Whoever says what, in whatever order: sides take turns from others to own, the persona of another is nowhere, and
    /// every row has every key.
    #[test]
    fn sides_take_turns_and_nobody_else_is_given_away(
        said in prop::collection::vec((0usize..3, "[a-z \"\t\n]{0,8}", prop::option::of(0usize..3)), 0..12),
        first_user: bool,
        loss in prop::option::of(prop::sample::select(vec![LossFlag::Train, LossFlag::Weight, LossFlag::Loss])),
    ) {
        let said: Vec<(usize, &str, Option<usize>)> = said.iter().map(|(who, text, to)| (*who, text.as_str(), *to)).collect();
        let talk = talk("c", &said);
        let system = if first_user { SystemPlace::FirstUser } else { SystemPlace::Message };
        for format in TABLES {
            let chosen = ExportOptions { system: Some(system), loss, ..options(format) };
            let columns = formats::table(&chosen).unwrap().columns;
            for row in rows(&talk, &chosen) {
                prop_assert!(fits(&row, columns), "{format}: {row}");
                let whose = row["id"].as_str().and_then(|id| id.split('#').nth(1)).unwrap_or_default().to_owned();
                let text = row.to_string();
                for (id, name) in [("p1", "Ann"), ("p2", "Bo"), ("p3", "Cy")] {
                    let own = whose == id || matches!(format, ExportFormat::Openai | ExportFormat::Convogen);
                    prop_assert!(own || !text.contains(&format!("persona of {name}")), "{format}: {row}");
                }
            }
        }
        let chosen = ExportOptions { system: Some(SystemPlace::FirstUser), ..options(ExportFormat::Messages) };
        for row in rows(&talk, &chosen) {
            let roles: Vec<&str> = row["messages"].as_array().unwrap().iter().filter_map(|m| m["role"].as_str()).collect();
            prop_assert!(roles.len().is_multiple_of(2) && roles.chunks(2).all(|pair| pair == ["user", "assistant"]), "{roles:?}");
        }
    }
}

/// Which of stance, goal and knowledge each of three people has, by situation.
type Kept = Vec<[[bool; 3]; 3]>;

const KEPT: [&str; 3] = ["stance", "goal", "knowledge"];

/// A text that occurs nowhere else.
fn secret(situation: usize, person: usize, kind: usize) -> String {
    format!("<{} of {person} in {situation}>", KEPT[kind])
}

fn situations(kept: &Kept) -> Vec<Situation> {
    let situation = |(number, people): (usize, &[[bool; 3]; 3])| {
        let text = |person: usize, kind: usize| people[person][kind].then(|| secret(number, person, kind));
        let participant = |(at, name): (usize, &str)| Participant {
            id: format!("p{}", at + 1),
            name: name.to_owned(),
            description: format!("{name} is here."),
            persona: format!("persona of {name}"),
            stance: text(at, 0),
            goal: text(at, 1),
            knowledge: text(at, 2),
        };
        Situation {
            id: format!("s{number}"),
            split: "train".to_owned(),
            personas: ["Ann", "Bo", "Cy"].into_iter().enumerate().map(participant).collect(),
            relations: Vec::new(),
            situation: "At a lake.".to_owned(),
            topic: "the boat".to_owned(),
            conversation_starter: "Who rows?".to_owned(),
            language: "en".to_owned(),
            attributes: "{}".to_owned(),
            provenance: "{}".to_owned(),
            labels: "{}".to_owned(),
            hash: "h".to_owned(),
        }
    };
    kept.iter().enumerate().map(situation).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever people keep to themselves, in however many situations, in whatever order and however little fits into memory: a
    /// row of messages says all of it that is its own person's, in the situation of its conversation, and no row of any form
    /// says anything that is anyone else's.
    #[test]
    fn a_row_says_what_its_person_keeps_to_themself_and_nothing_of_anyone_else(
        kept in prop::collection::vec(prop::array::uniform3(prop::array::uniform3(any::<bool>())), 1..12),
        grown in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        turned: bool,
        first_user: bool,
        memory in prop::sample::select(vec![1, 200, 1 << 20]),
    ) {
        let talks: Vec<(usize, Conversation)> = grown
            .iter()
            .enumerate()
            .map(|(number, index)| {
                let situation = index.index(kept.len());
                (situation, Conversation { situation_id: format!("s{situation}"), id: format!("c{number}"), ..boat() })
            })
            .collect();
        let mut people = situations(&kept);
        if turned {
            people.reverse();
        }
        let scratch = tempfile::tempdir().unwrap();
        let mut join = SecretsJoin::within(memory, scratch.path());
        for (_, talk) in &talks {
            join.conversation(talk).unwrap();
        }
        for situation in &people {
            join.situation(situation).unwrap();
        }
        let mut joined = join.finish().unwrap();
        let system = if first_user { SystemPlace::FirstUser } else { SystemPlace::Message };
        for (grown, talk) in &talks {
            let secrets = joined.next(talk).unwrap();
            for format in TABLES {
                let chat = format.is_chat();
                let chosen = ExportOptions { system: chat.then_some(system), ..options(format) };
                for row in (formats::table(&chosen).unwrap().rows)(talk, &secrets, &chosen) {
                    let row = row.to_string();
                    // A row of a form of messages is a person's, who is named in the system text.
                    let whose = ["Ann", "Bo", "Cy"].iter().position(|name| row.contains(&format!("You are {name}.")));
                    prop_assert_eq!(whose.is_some(), chat);
                    for (situation, person, kind, has) in every(&kept) {
                        let own = has && *grown == situation && whose == Some(person);
                        prop_assert_eq!(row.contains(&secret(situation, person, kind)), own, "{}", row);
                    }
                }
            }
        }
    }
}

/// Every place of `kept`: situation, person, kind, and whether there is something.
fn every(kept: &Kept) -> impl Iterator<Item = (usize, usize, usize, bool)> {
    kept.iter().enumerate().flat_map(|(situation, people)| {
        people.iter().enumerate().flat_map(move |(person, kinds)| {
            kinds.iter().enumerate().map(move |(kind, has)| (situation, person, kind, *has))
        })
    })
}

#[test]
fn a_situation_that_is_not_there_and_a_conversation_that_moved_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let joined = |ids: &[&str], situations: &[Situation]| {
        let mut join = SecretsJoin::new(folder.path());
        for id in ids {
            join.conversation(&Conversation { situation_id: "s0".to_owned(), ..talk(id, &[]) }).unwrap();
        }
        for situation in situations {
            join.situation(situation).unwrap();
        }
        join.finish()
    };
    let there = situations(&vec![[[true; 3]; 3]]);
    let error = joined(&["c"], &[]).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Input);
    assert!(error.to_string().starts_with("conversation c grew from the situation s0, which is not there"), "{error}");
    let chosen = ExportOptions { private: Some(true), ..options(ExportFormat::Messages) };
    let secrets = joined(&["c"], &there).unwrap();
    let mut exporter = Exporter::new(&chosen, folder.path(), "", Some(secrets)).unwrap();
    let error = exporter.push(&Conversation { id: "d".to_owned(), ..boat() }).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Io);
    assert!(error.to_string().starts_with("conversation d was not where it is"), "{error}");
}

#[test]
fn what_people_keep_to_themselves_stands_behind_who_they_are() {
    let mut join = SecretsJoin::new(Path::new("/nowhere"));
    join.conversation(&Conversation { situation_id: "s0".to_owned(), ..boat() }).unwrap();
    join.situation(&situations(&vec![[[true, true, false], [false; 3], [false, false, true]]])[0]).unwrap();
    let secrets = join.finish().unwrap().next(&boat()).unwrap();
    let found = chat::messages(&boat(), &secrets, &options(ExportFormat::Messages));
    let own = [
        "\n\nYour stance: <stance of 0 in 0>\nYour goal: <goal of 0 in 0>",
        "",
        "\n\nOnly you know: <knowledge of 2 in 0>",
    ];
    for ((row, name), own) in found.iter().zip(["Ann", "Bo", "Cy"]).zip(own) {
        let system = row["messages"][0]["content"].as_str().unwrap();
        assert!(system.contains(&format!("\n\npersona of {name}{own}\n\nSituation: ")), "{system}");
    }
}
