//! `README.md`: the dataset card. Its front matter tells the Hugging Face hub and the `datasets` library where each table
//! is and of what type, so that neither guesses; its body is the template `card.md` beside this file.

use minijinja::Environment;
use minijinja::value::Serde;
use serde::Serialize;

use super::screening::Screening;
use super::seen::SeenRecords;
use super::table::{Split, WrittenTable};
use super::{Input, Leakage, ModelUse, PromptUse, StageOutcomes};
use crate::config;
use crate::record::Persona;
use crate::record::arrow::{ArrowRecord as _, Column, ColumnKind};

const TEMPLATE: &str = include_str!("card.md");
/// The tier of records that the model which ships has made.
pub(super) const DEMO: &str = "demo";
/// What the dataset is called when nobody named it.
const UNNAMED: &str = "Synthetic multi-party conversations";

/// The card's text; the error says why it cannot be rendered. `everyone`: how many people there are.
pub(super) fn render(
    input: &Input<'_>,
    tables: &[WrittenTable],
    exports: &[WrittenTable],
    seen: &SeenRecords,
    leakage: &Leakage,
    everyone: u64,
) -> Result<String, String> {
    let front =
        serde_saphyr::to_string(&FrontMatter::new(input, tables, exports, seen)).map_err(|error| error.to_string())?;
    let body = Serde(Body::new(input, tables, exports, seen, leakage, everyone));
    let body = Environment::new().render_str(TEMPLATE, body).map_err(|error| error.to_string())?;
    Ok(format!("---\n{}\n---\n\n{}\n", front.trim_end(), body.trim_end()))
}

/// The metadata that the hub knows.
#[derive(Debug, Serialize)]
struct FrontMatter {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    language: Vec<String>,
    license: String,
    pretty_name: String,
    size_categories: [&'static str; 1],
    task_categories: [&'static str; 1],
    tags: [&'static str; 4],
    annotations_creators: [&'static str; 1],
    source_datasets: [&'static str; 1],
    configs: Vec<TableConfig>,
    dataset_info: Vec<TableInfo>,
}

/// Where a table is.
#[derive(Debug, Serialize)]
struct TableConfig {
    config_name: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    data_files: Vec<DataFiles>,
}

#[derive(Debug, Serialize)]
struct DataFiles {
    split: String,
    path: String,
}

/// Of what type a table is, and how large.
#[derive(Debug, Serialize)]
struct TableInfo {
    config_name: &'static str,
    features: Vec<Feature>,
    splits: Vec<SplitInfo>,
    download_size: u64,
    dataset_size: u64,
}

/// A column; `list` for a list of objects, else `dtype`.
#[derive(Debug, Serialize)]
struct Feature {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dtype: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<Vec<Feature>>,
}

#[derive(Debug, Serialize)]
struct SplitInfo {
    name: String,
    num_bytes: u64,
    num_examples: u64,
}

impl FrontMatter {
    fn new(input: &Input<'_>, tables: &[WrittenTable], exports: &[WrittenTable], seen: &SeenRecords) -> Self {
        // A form that is no table has no splits.
        let listed = || tables.iter().chain(exports).filter(|table| !table.splits.is_empty());
        Self {
            language: seen.languages.iter().cloned().collect(),
            // The hub's word for a license that nobody stated.
            license: input.card.license.clone().unwrap_or_else(|| "unknown".to_owned()),
            pretty_name: title(input.card),
            size_categories: [size_category(tables.first().map_or(0, WrittenTable::rows))],
            task_categories: ["text-generation"],
            tags: ["synthetic", "conversational", "multi-party", "convogen"],
            annotations_creators: ["machine-generated"],
            source_datasets: ["original"],
            configs: listed().enumerate().map(|(at, table)| TableConfig::new(table, at == 0)).collect(),
            dataset_info: listed().map(TableInfo::new).collect(),
        }
    }
}

impl TableConfig {
    /// The first table is what loads when none is named.
    fn new(table: &WrittenTable, default: bool) -> Self {
        let files =
            |split: &Split| DataFiles { split: split.name.clone(), path: format!("{}/{}-*", table.folder, split.name) };
        Self { config_name: table.name, default, data_files: filled(table).map(files).collect() }
    }
}

impl TableInfo {
    fn new(table: &WrittenTable) -> Self {
        Self {
            config_name: table.name,
            features: table.columns.iter().map(Feature::new).collect(),
            splits: filled(table).map(split_info).collect(),
            download_size: table.splits.iter().map(|split| split.parquet_bytes).sum(),
            dataset_size: table.splits.iter().map(|split| split.arrow_bytes).sum(),
        }
    }
}

impl Feature {
    fn new(column: &Column) -> Self {
        let list = match column.kind {
            ColumnKind::List(columns) => Some(columns.iter().map(Self::new).collect()),
            _ => None,
        };
        Self { name: column.name, dtype: column.kind.dtype(), list }
    }
}

/// The splits that have rows: the `datasets` library loads no table that is said to have one without.
fn filled(table: &WrittenTable) -> impl Iterator<Item = &Split> {
    table.splits.iter().filter(|split| split.rows > 0)
}

fn split_info(split: &Split) -> SplitInfo {
    SplitInfo { name: split.name.clone(), num_bytes: split.arrow_bytes, num_examples: split.rows }
}

/// What the template shows.
#[derive(Debug, Serialize)]
struct Body<'a> {
    title: String,
    date: Option<String>,
    license: bool,
    demo: bool,
    tables: Vec<BodyTable>,
    exports: Vec<BodyTable>,
    split_count: usize,
    used_people: bool,
    models: Vec<ModelUse>,
    prompts: Vec<PromptUse>,
    outcomes: &'a [StageOutcomes],
    dedup: &'a config::Dedup,
    leakage: &'a Leakage,
    everyone: u64,
    screening: Screening,
}

#[derive(Debug, Serialize)]
struct BodyTable {
    name: &'static str,
    folder: &'static str,
    splits: Vec<SplitInfo>,
}

impl<'a> Body<'a> {
    fn new(
        input: &Input<'a>,
        tables: &[WrittenTable],
        exports: &[WrittenTable],
        seen: &SeenRecords,
        leakage: &'a Leakage,
        everyone: u64,
    ) -> Self {
        let table = |table: &WrittenTable| BodyTable {
            name: table.name,
            folder: table.folder,
            splits: table.splits.iter().map(split_info).collect(),
        };
        Self {
            title: title(input.card),
            date: input.card.date.as_deref().map(one_line),
            license: input.card.license.is_some(),
            demo: seen.demo || input.models.iter().any(|model| model.tier == DEMO),
            tables: tables.iter().map(table).collect(),
            exports: exports.iter().map(table).collect(),
            used_people: input.cast_in.is_some() && tables.iter().any(|table| table.name == Persona::NAME),
            split_count: tables.iter().map(|table| filled(table).count()).max().unwrap_or(0),
            models: input.models.iter().map(model_cells).collect(),
            prompts: input.prompts.iter().map(prompt_cells).collect(),
            outcomes: input.outcomes,
            dedup: input.dedup,
            leakage,
            everyone,
            screening: seen.screening.screening(),
        }
    }
}

fn model_cells(model: &ModelUse) -> ModelUse {
    ModelUse { role: cell(&model.role), model: cell(&model.model), tier: cell(&model.tier) }
}

fn prompt_cells(prompt: &PromptUse) -> PromptUse {
    PromptUse { role: cell(&prompt.role), name: cell(&prompt.name), hash: cell(&prompt.hash) }
}

pub(super) fn title(card: &config::Card) -> String {
    card.name.as_deref().map_or_else(|| UNNAMED.to_owned(), one_line)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text from a configuration as code in a Markdown table, which it must not be able to break out of.
pub(super) fn cell(text: &str) -> String {
    format!("`{}`", one_line(text).replace(['`', '|'], "'"))
}

/// The hub's size classes.
fn size_category(rows: u64) -> &'static str {
    match rows {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        10_000_000..100_000_000 => "10M<n<100M",
        100_000_000..1_000_000_000 => "100M<n<1B",
        _ => "n>1B",
    }
}
