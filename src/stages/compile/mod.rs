//! The dataset folder: sealed records in, a folder that loads as it stands out.
//!
//! ```text
//! README.md                              the dataset card
//! data/<split>-00000-of-00001.parquet    conversations
//! situations/…  personas/…               likewise
//! jsonl/<table>-<split>.jsonl            the same rows as JSON Lines
//! config.yaml                            what shaped the data
//! manifest.json                          every other file with bytes, rows and SHA-256; written last
//! ```
//!
//! Compiling is a pure function of its [`Input`]: rows stand in the order of their ids, and neither the clock nor the
//! host nor the name of a folder reaches a file. A table without rows is left out, as is a split without rows. The
//! folder must be fresh; whoever calls swaps it in when it is whole.

mod card;
mod files;
mod jsonl;
mod manifest;
mod splits;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use self::manifest::{FORMAT, FileEntry, Manifest};
pub use self::splits::Leakage;

use self::files::FileSink;
use crate::config;
use crate::record::arrow::{Row, TableError};
use crate::record::{Conversation, Persona, Situation};
use crate::store::fs::{self, FsError};

/// What a dataset is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The people; empty to leave them out.
    pub personas: &'a [Persona],
    /// The situations; empty to leave them out.
    pub situations: &'a [Situation],
    /// The conversations; empty to leave them out.
    pub conversations: &'a [Conversation],
    /// The settings that shaped the data as YAML: no host, no folder of the run, nothing secret.
    pub config: &'a str,
    /// What the card says of the dataset.
    pub card: &'a config::Card,
    /// From which similarity records were removed as duplicates; `None` when that is not known.
    pub dedup: Option<&'a config::Dedup>,
    /// The models that wrote it.
    pub models: &'a [ModelUse],
    /// The prompts they were given.
    pub prompts: &'a [PromptUse],
    /// What became of every input, in the order of the stages; a stage named as a table must agree with its rows.
    pub outcomes: &'a [StageOutcomes],
}

/// A model and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelUse {
    /// Such as `speaker`.
    pub role: String,
    /// The logical name.
    pub model: String,
    /// `demo` or `endpoint`, as in the records.
    pub tier: String,
}

/// A prompt and what it was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptUse {
    /// Such as `speaker`.
    pub role: String,
    /// Its file name, without folders.
    pub name: String,
    /// A hash of its text, in hex.
    pub hash: String,
}

/// What became of the inputs of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageOutcomes {
    /// `personas`, `situations` or `conversations`.
    pub stage: String,
    /// The counts.
    pub counts: Outcomes,
}

/// How many inputs ended in which way; each ends in exactly one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// In the output.
    pub accepted: u64,
    /// Removed as duplicates.
    pub duplicate: u64,
    /// Unsound, for a stated reason.
    pub rejected: u64,
    /// Refused by a content filter or by the model.
    pub refused: u64,
    /// No reply that could be used.
    pub failed: u64,
    /// Not tried for want of budget.
    pub over_budget: u64,
}

/// A finished folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// What is in it.
    pub manifest: Manifest,
    /// SHA-256 of `manifest.json`, in hex. It stands for the whole dataset: equal data, equal hash.
    pub manifest_sha256: String,
}

/// Why there is no dataset.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A file operation failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A table could not be written: a record does not fit its columns, or the disk failed.
    #[error("failed to write {path}: {source}", path = path.display())]
    Table {
        /// The Parquet file.
        path: PathBuf,
        /// Why.
        source: TableError,
    },
    /// A record has no JSON or YAML form.
    #[error("failed to write {path}: {reason}", path = path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A split's name cannot be part of a file name that every reader takes.
    #[error(
        "{table}: record {id} has the split {split:?}; a split is named with 1 to 64 of the characters A-Z, a-z, 0-9 and _"
    )]
    SplitName {
        /// The table.
        table: &'static str,
        /// The record.
        id: String,
        /// The name.
        split: String,
    },
    /// Two records of a table have one id.
    #[error("{table}: two records have the id {id}; give the records of each source ids of their own")]
    DuplicateId {
        /// The table.
        table: &'static str,
        /// The id.
        id: String,
    },
    /// Rows were lost or invented between a stage and here.
    #[error("{stage}: {accepted} records were accepted but {rows} are there; verify the run before compiling it")]
    Counts {
        /// The stage.
        stage: String,
        /// What the stage counted.
        accepted: u64,
        /// What is there.
        rows: u64,
    },
    /// No table has a row.
    #[error("there is no record to compile; a dataset needs at least one")]
    Empty,
}

/// Writes the dataset into `folder`, which must be empty or absent.
pub fn compile(folder: &Path, input: Input<'_>) -> Result<Compiled, CompileError> {
    check_counts(&input)?;
    let leakage = splits::leakage(&input);
    let mut tables = Vec::new();
    tables.extend(table::write(folder, input.conversations, "data")?);
    tables.extend(table::write(folder, input.situations, "situations")?);
    tables.extend(table::write(folder, input.personas, "personas")?);
    if tables.is_empty() {
        return Err(CompileError::Empty);
    }
    let card = card::render(&input, &tables, &leakage)
        .map_err(|reason| CompileError::Encode { path: folder.join("README.md"), reason })?;
    let mut entries: Vec<FileEntry> = tables.iter().flat_map(|table| table.files.clone()).collect();
    entries.push(FileSink::write_whole(folder, "README.md", card.as_bytes())?);
    entries.push(FileSink::write_whole(folder, "config.yaml", input.config.as_bytes())?);
    let manifest = manifest::build(entries, &tables, input.outcomes, leakage);
    let manifest_sha256 = manifest::write(folder, &manifest)?;
    fs::sync_dir(folder)?;
    Ok(Compiled { manifest, manifest_sha256 })
}

/// An included stage has as many rows as it accepted. A stage of which nothing is included says nothing.
fn check_counts(input: &Input<'_>) -> Result<(), CompileError> {
    let rows = BTreeMap::from([
        (name_of(input.personas), input.personas.len() as u64),
        (name_of(input.situations), input.situations.len() as u64),
        (name_of(input.conversations), input.conversations.len() as u64),
    ]);
    for StageOutcomes { stage, counts: Outcomes { accepted, .. } } in input.outcomes {
        let rows = rows.get(stage.as_str()).copied().unwrap_or(0);
        if rows > 0 && rows != *accepted {
            return Err(CompileError::Counts { stage: stage.clone(), accepted: *accepted, rows });
        }
    }
    Ok(())
}

fn name_of<R: Row>(_: &[R]) -> &'static str {
    R::NAME
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::record::{Participant, Relation, Speaker, Turn};

    /// A dataset small enough to read.
    struct Sample {
        personas: Vec<Persona>,
        situations: Vec<Situation>,
        conversations: Vec<Conversation>,
        card: config::Card,
        dedup: config::Dedup,
        models: Vec<ModelUse>,
        prompts: Vec<PromptUse>,
        outcomes: Vec<StageOutcomes>,
    }

    impl Sample {
        fn new(size: usize) -> Self {
            let situations: Vec<Situation> = (0..size).map(situation).collect();
            let outcomes = |stage: &str, accepted: usize| StageOutcomes {
                stage: stage.to_owned(),
                counts: Outcomes { accepted: accepted as u64, duplicate: 2, ..Outcomes::default() },
            };
            Self {
                personas: (0..2 * size).map(persona).collect(),
                conversations: situations.iter().map(conversation).collect(),
                situations,
                card: config::Card::default(),
                dedup: config::Dedup::default(),
                models: vec![ModelUse {
                    role: "speaker".to_owned(),
                    model: "demo | `model`".to_owned(),
                    tier: "endpoint".to_owned(),
                }],
                prompts: vec![PromptUse {
                    role: "speaker".to_owned(),
                    name: "speaker.md".to_owned(),
                    hash: "0123456789abcdef".to_owned(),
                }],
                outcomes: vec![
                    outcomes("personas", 2 * size),
                    outcomes("situations", size),
                    outcomes("conversations", size),
                ],
            }
        }

        fn input(&self) -> Input<'_> {
            Input {
                personas: &self.personas,
                situations: &self.situations,
                conversations: &self.conversations,
                config: "version: 1\nseed: 17\n",
                card: &self.card,
                dedup: Some(&self.dedup),
                models: &self.models,
                prompts: &self.prompts,
                outcomes: &self.outcomes,
            }
        }
    }

    fn split(at: usize) -> String {
        if at % 5 == 4 { "test".to_owned() } else { "train".to_owned() }
    }

    fn persona(at: usize) -> Persona {
        Persona {
            id: format!("p{at:06}"),
            persona: format!("A gardener who grows {at} kinds of naïve roses"),
            name: None,
            domain: (at % 2 == 0).then(|| "gardening".to_owned()),
            split: split(at / 2),
            source: format!("personas.jsonl:{}", at + 1),
            hash: format!("{at:032x}"),
        }
    }

    fn situation(at: usize) -> Situation {
        let participant = |person: usize| Participant {
            id: format!("p{person:06}"),
            name: ["Ann", "Bo"][person % 2].to_owned(),
            description: format!("Grows {person} kinds of roses."),
            persona: persona(person).persona,
            stance: (at % 2 == 0).then(|| "against".to_owned()),
            goal: None,
            knowledge: None,
        };
        let relation = Relation {
            from: format!("p{:06}", 2 * at),
            to: format!("p{:06}", 2 * at + 1),
            r#type: "neighbour".to_owned(),
            text: "They share \"a fence\".".to_owned(),
        };
        Situation {
            id: format!("s-0000-{at:04}-00"),
            split: split(at),
            personas: vec![participant(2 * at), participant(2 * at + 1)],
            relations: if at % 3 == 0 { Vec::new() } else { vec![relation] },
            situation: format!("Over fence number {at}, two gardeners argue about hedge {at} and the winter of {at}."),
            topic: format!("hedge {at}"),
            conversation_starter: format!("So, who will cut hedge {at}?"),
            language: "en".to_owned(),
            attributes: "{}".to_owned(),
            provenance: r#"{"round":0}"#.to_owned(),
            hash: format!("{at:032x}"),
        }
    }

    fn conversation(situation: &Situation) -> Conversation {
        let speakers: Vec<Speaker> = situation
            .personas
            .iter()
            .map(|p| Speaker {
                id: p.id.clone(),
                name: p.name.clone(),
                description: p.description.clone(),
                persona: p.persona.clone(),
            })
            .collect();
        let turn = |index: usize| Turn {
            index: u32::try_from(index).unwrap(),
            speaker_id: speakers[index % 2].id.clone(),
            speaker: speakers[index % 2].name.clone(),
            addressee_id: (index > 0).then(|| speakers[(index + 1) % 2].id.clone()),
            text: format!("I say {} about {} — line\nbreak, «quote» 今日は", situation.id, situation.topic),
            selected_by: "order".to_owned(),
            attempts: 1,
        };
        Conversation {
            id: format!("c-{}-0", situation.id),
            situation_id: situation.id.clone(),
            split: situation.split.clone(),
            situation: situation.situation.clone(),
            topic: situation.topic.clone(),
            conversation_starter: situation.conversation_starter.clone(),
            language: situation.language.clone(),
            relations: situation.relations.clone(),
            turns: (0..4).map(turn).collect(),
            participants: speakers,
            stop_reason: "max_turns".to_owned(),
            model: "demo".to_owned(),
            tier: "endpoint".to_owned(),
            prompt_tokens: 1_000,
            cached_prompt_tokens: 0,
            completion_tokens: 80,
            attributes: situation.attributes.clone(),
            provenance: "{}".to_owned(),
            hash: situation.hash.clone(),
        }
    }

    /// Every file of a folder with its content, by path.
    fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let relative = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                    found.insert(relative, fs::read(&path).unwrap());
                }
            }
        }
        found
    }

    fn compiled(sample: &Sample) -> (Compiled, BTreeMap<String, Vec<u8>>) {
        let folder = tempfile::tempdir().unwrap();
        let compiled = compile(&folder.path().join("dataset"), sample.input()).unwrap();
        (compiled, contents(&folder.path().join("dataset")))
    }

    #[test]
    fn the_same_input_gives_the_same_folder() {
        let mut sample = Sample::new(10);
        let (first, files) = compiled(&sample);
        // Rows stand in the order of their ids, whatever order they come in.
        sample.conversations.reverse();
        sample.personas.rotate_left(3);
        assert_eq!(compiled(&sample), (first, files));
    }

    #[test]
    fn the_manifest_lists_every_file_as_it_is() {
        let (Compiled { manifest, manifest_sha256 }, mut files) = compiled(&Sample::new(10));
        let written = files.remove("manifest.json").unwrap();
        assert_eq!(serde_json::from_slice::<Manifest>(&written).unwrap(), manifest);
        assert_eq!(format!("{:x}", Sha256::digest(&written)), manifest_sha256);
        let listed: Vec<&str> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(listed, files.keys().collect::<Vec<_>>());
        for entry in &manifest.files {
            let bytes = &files[&entry.path];
            assert_eq!(entry.bytes, bytes.len() as u64, "{}", entry.path);
            assert_eq!(entry.sha256, format!("{:x}", Sha256::digest(bytes)), "{}", entry.path);
            if entry.path.starts_with("jsonl/") {
                assert_eq!(entry.rows, Some(bytes.iter().filter(|byte| **byte == b'\n').count() as u64));
            }
        }
        insta::assert_snapshot!(listed.join("\n"), @"
        README.md
        config.yaml
        data/test-00000-of-00001.parquet
        data/train-00000-of-00001.parquet
        jsonl/conversations-test.jsonl
        jsonl/conversations-train.jsonl
        jsonl/personas-test.jsonl
        jsonl/personas-train.jsonl
        jsonl/situations-test.jsonl
        jsonl/situations-train.jsonl
        personas/test-00000-of-00001.parquet
        personas/train-00000-of-00001.parquet
        situations/test-00000-of-00001.parquet
        situations/train-00000-of-00001.parquet
        ");
    }

    #[test]
    fn rows_add_up_in_every_form() {
        let sample = Sample::new(10);
        let (Compiled { manifest, .. }, files) = compiled(&sample);
        assert_eq!(manifest.rows["conversations"], BTreeMap::from([("test".to_owned(), 2), ("train".to_owned(), 8)]));
        let rows = |start: &str, end: &str| -> u64 {
            let entries = manifest.files.iter().filter(|e| e.path.starts_with(start) && e.path.ends_with(end));
            entries.filter_map(|entry| entry.rows).sum()
        };
        for (home, table, expected) in [("data/", "conversations", 10), ("personas/", "personas", 20)] {
            assert_eq!(rows(home, ".parquet"), expected);
            assert_eq!(rows(&format!("jsonl/{table}-"), ".jsonl"), expected);
        }
        let lines = &files["jsonl/conversations-train.jsonl"];
        let first: Conversation = serde_json::from_slice(lines.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
        assert_eq!(first, sample.conversations[0]);
    }

    #[test]
    fn clean_splits_leak_nothing_and_dirty_ones_are_told() {
        let mut sample = Sample::new(10);
        assert!(compiled(&sample).0.manifest.leakage.is_none());
        // Someone from the training split turns up in the test split, and a situation is told twice.
        sample.situations[4].personas[0] = sample.situations[0].personas[0].clone();
        sample.situations[9].situation = sample.situations[0].situation.clone();
        sample.situations[9].topic = sample.situations[0].topic.clone();
        sample.situations[9].conversation_starter = sample.situations[0].conversation_starter.to_uppercase();
        let expected = Leakage { persona_ids: 1, persona_texts: 1, situations: 2, conversations: 0 };
        assert_eq!(compiled(&sample).0.manifest.leakage, expected);
    }

    #[test]
    fn a_table_without_rows_is_left_out() {
        let mut sample = Sample::new(3);
        sample.conversations.clear();
        sample.personas.clear();
        let (Compiled { manifest, .. }, files) = compiled(&sample);
        assert_eq!(manifest.rows.keys().collect::<Vec<_>>(), ["situations"]);
        let card = String::from_utf8(files["README.md"].clone()).unwrap();
        assert!(card.contains("config_name: situations\n  default: true"), "{card}");
        assert!(!card.contains("config_name: conversations") && !card.contains("split: test"), "{card}");
    }

    #[test]
    fn what_cannot_be_compiled_is_named() {
        let failure = |change: fn(&mut Sample)| {
            let mut sample = Sample::new(3);
            change(&mut sample);
            let folder = tempfile::tempdir().unwrap();
            compile(folder.path(), sample.input()).unwrap_err().to_string()
        };
        insta::assert_snapshot!(failure(|s| s.conversations[1].split = "../../etc".to_owned()), @r#"conversations: record c-s-0000-0001-00-0 has the split "../../etc"; a split is named with 1 to 64 of the characters A-Z, a-z, 0-9 and _"#);
        insta::assert_snapshot!(failure(|s| s.conversations[1].id = s.conversations[0].id.clone()), @"conversations: two records have the id c-s-0000-0000-00-0; give the records of each source ids of their own");
        insta::assert_snapshot!(failure(|s| _ = s.situations.pop()), @"situations: 3 records were accepted but 2 are there; verify the run before compiling it");
        insta::assert_snapshot!(failure(|s| *s = Sample::new(0)), @"there is no record to compile; a dataset needs at least one");
    }

    #[test]
    fn a_folder_in_use_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let sample = Sample::new(3);
        compile(folder.path(), sample.input()).unwrap();
        let before = contents(folder.path());
        assert!(matches!(compile(folder.path(), sample.input()), Err(CompileError::Fs(_))));
        assert_eq!(contents(folder.path()), before);
    }

    #[test]
    fn the_card_in_full() {
        let mut sample = Sample::new(5);
        let (_, files) = compiled(&sample);
        insta::assert_snapshot!(String::from_utf8(files["README.md"].clone()).unwrap(), @r#"
        ---
        language:
        - en
        license: unknown
        pretty_name: Synthetic multi-party conversations
        size_categories:
        - n<1K
        task_categories:
        - text-generation
        tags:
        - synthetic
        - conversational
        - multi-party
        - convogen
        annotations_creators:
        - machine-generated
        source_datasets:
        - original
        configs:
        - config_name: conversations
          default: true
          data_files:
          - split: train
            path: data/train-*
          - split: test
            path: data/test-*
        - config_name: situations
          data_files:
          - split: train
            path: situations/train-*
          - split: test
            path: situations/test-*
        - config_name: personas
          data_files:
          - split: train
            path: personas/train-*
          - split: test
            path: personas/test-*
        dataset_info:
        - config_name: conversations
          features:
          - name: id
            dtype: string
          - name: situation_id
            dtype: string
          - name: situation
            dtype: string
          - name: topic
            dtype: string
          - name: conversation_starter
            dtype: string
          - name: language
            dtype: string
          - name: relations
            list:
            - name: from
              dtype: string
            - name: to
              dtype: string
            - name: type
              dtype: string
            - name: text
              dtype: string
          - name: participants
            list:
            - name: id
              dtype: string
            - name: name
              dtype: string
            - name: description
              dtype: string
            - name: persona
              dtype: string
          - name: turns
            list:
            - name: index
              dtype: int32
            - name: speaker_id
              dtype: string
            - name: speaker
              dtype: string
            - name: addressee_id
              dtype: string
            - name: text
              dtype: string
            - name: selected_by
              dtype: string
            - name: attempts
              dtype: int32
          - name: stop_reason
            dtype: string
          - name: model
            dtype: string
          - name: tier
            dtype: string
          - name: prompt_tokens
            dtype: int64
          - name: cached_prompt_tokens
            dtype: int64
          - name: completion_tokens
            dtype: int64
          - name: attributes
            dtype: string
          - name: provenance
            dtype: string
          - name: split
            dtype: string
          - name: hash
            dtype: string
          splits:
          - name: train
            num_bytes: 4026
            num_examples: 4
          - name: test
            num_bytes: 1123
            num_examples: 1
          download_size: 22488
          dataset_size: 5149
        - config_name: situations
          features:
          - name: id
            dtype: string
          - name: split
            dtype: string
          - name: personas
            list:
            - name: id
              dtype: string
            - name: name
              dtype: string
            - name: description
              dtype: string
            - name: persona
              dtype: string
            - name: stance
              dtype: string
            - name: goal
              dtype: string
            - name: knowledge
              dtype: string
          - name: relations
            list:
            - name: from
              dtype: string
            - name: to
              dtype: string
            - name: type
              dtype: string
            - name: text
              dtype: string
          - name: situation
            dtype: string
          - name: topic
            dtype: string
          - name: conversation_starter
            dtype: string
          - name: language
            dtype: string
          - name: attributes
            dtype: string
          - name: provenance
            dtype: string
          - name: hash
            dtype: string
          splits:
          - name: train
            num_bytes: 1943
            num_examples: 4
          - name: test
            num_bytes: 589
            num_examples: 1
          download_size: 13377
          dataset_size: 2532
        - config_name: personas
          features:
          - name: id
            dtype: string
          - name: persona
            dtype: string
          - name: name
            dtype: string
          - name: domain
            dtype: string
          - name: split
            dtype: string
          - name: source
            dtype: string
          - name: hash
            dtype: string
          splits:
          - name: train
            num_bytes: 1122
            num_examples: 8
          - name: test
            num_bytes: 302
            num_examples: 2
          download_size: 4963
          dataset_size: 1424
        ---

        # Synthetic multi-party conversations

        Synthetic conversations between several people, written by language models and made with
        [convogen](https://arxiv.org/abs/2503.17460)'s recipe: people are put into a situation, and a group chat is generated turn by turn.

        ## What is in it

        | table | split | rows |
        | --- | --- | --- |
        | `conversations` | `train` | 4 |
        | `conversations` | `test` | 1 |
        | `situations` | `train` | 4 |
        | `situations` | `test` | 1 |
        | `personas` | `train` | 8 |
        | `personas` | `test` | 2 |

        ```python
        from datasets import load_dataset
        rows = load_dataset("/absolute/path/to/this/folder", "conversations")
        ```

        - `data/` holds the table `conversations` as Parquet, `jsonl/conversations-<split>.jsonl` the same rows as JSON Lines.
        - `situations/` holds the table `situations` as Parquet, `jsonl/situations-<split>.jsonl` the same rows as JSON Lines.
        - `personas/` holds the table `personas` as Parquet, `jsonl/personas-<split>.jsonl` the same rows as JSON Lines.
        - `config.yaml` holds the settings that shaped the data, `manifest.json` every file with its size, rows and SHA-256.

        Rows stand in the order of their ids. In a conversation, `conversation_starter` opens and belongs to no one; `turns` are what the
        participants say. `attributes` and `provenance` are JSON as text.

        ## How it was made

        | role | model | tier |
        | --- | --- | --- |
        | `speaker` | `demo ' 'model'` | `endpoint` |

        | prompt for | file | hash |
        | --- | --- | --- |
        | `speaker` | `speaker.md` | `0123456789abcdef` |

        ## What became of every input

        | stage | accepted | duplicate | rejected | refused | failed | over budget |
        | --- | --- | --- | --- | --- | --- | --- |
        | personas | 10 | 2 | 0 | 0 | 0 | 0 |
        | situations | 5 | 2 | 0 | 0 | 0 | 0 |
        | conversations | 5 | 2 | 0 | 0 | 0 | 0 |

        ## Filters

        - Exact duplicates were removed, case and punctuation aside, and near duplicates: Jaccard similarity of word n-grams from 0.7
          for situations and from 0.8 for conversations. Candidates come from MinHash and are verified exactly.
        - Unsound replies were repaired or rejected, as counted above. No further filter for content was applied than those of the endpoints.
        - Splits were checked for what crosses them: 0 person ids, 0 descriptions of people,
          0 situations and 0 conversations have an equal or near duplicate in another split.

        ## Known limits

        - The people, their opinions and their conversations are invented. Any likeness to real persons is coincidence.
        - Language models are more polite, more wordy and more alike than people; openings and closings repeat.
        - Duplicates are found by their words. Two conversations that say the same in other words both stay.
        - What the models believe wrongly or unfairly about groups of people can show in personas and in what they say.

        ## Responsible use

        Apply safety filters of your own before training on this data or showing it to anyone. Do not present it as talk between real people.

        ## License

        No license is stated. Ask whoever gave you this dataset before you use or pass it on.

        ## Citation

        ```bibtex
        @misc{gody2025convogen,
          title = {ConvoGen: Enhancing Conversational AI with Synthetic Data: A Multi-Agent Approach},
          author = {Reem Gody and Mahmoud Goudy and Ahmed Y. Tawfik},
          year = {2025},
          eprint = {2503.17460},
          archivePrefix = {arXiv}
        }
        ```
        "#);

        sample.models[0].tier = "demo".to_owned();
        sample.card.license = Some("cc-by-4.0".to_owned());
        sample.card.name = Some("yes: a\nname".to_owned());
        sample.card.date = Some("2026-01-31".to_owned());
        sample.situations.iter_mut().for_each(|situation| situation.language = "no".to_owned());
        let card = String::from_utf8(compiled(&sample).1["README.md"].clone()).unwrap();
        let shown = |text: &str| assert!(card.contains(text), "no {text:?} in {card}");
        for text in [
            "license: cc-by-4.0",
            "Demo tier",
            "# yes: a name\n",
            "Date: 2026-01-31.",
            "pretty_name: \"yes: a name\"",
            "- \"no\"\n",
        ] {
            shown(text);
        }
        assert!(!card.contains("No license"));
    }

    /// With `CONVOGEN_SAMPLE_DATASET` set, writes a dataset there for `tests/readers/read_dataset.py` to read.
    #[test]
    fn a_folder_for_other_readers() {
        let Some(folder) = std::env::var_os("CONVOGEN_SAMPLE_DATASET") else {
            return println!("CONVOGEN_SAMPLE_DATASET is not set");
        };
        compile(Path::new(&folder), Sample::new(50).input()).unwrap();
    }
}
