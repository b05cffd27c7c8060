use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::exit::ExitCode;
use crate::record::Tally;
use crate::stages::imported::MAX_LINE;
use crate::stages::writer::{CollectedFates, LISTED_ROWS, StageWriter};

fn options() -> PersonaOptions {
    let splits = BTreeMap::from([("test".to_owned(), 0.1), ("train".to_owned(), 0.9)]);
    PersonaOptions { sample: None, skip: 0, min_chars: 10, max_chars: 2000, seed: 17, shard: None, splits }
}

fn with_sample(sample: u64) -> PersonaOptions {
    PersonaOptions { sample: Some(sample), ..options() }
}

fn file(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::File::options().create(true).write(true).truncate(true).open(&path).unwrap().write_all(bytes).unwrap();
    path
}

/// What was put, and what was made of it.
#[derive(Debug)]
struct People {
    fates: CollectedFates<Persona>,
    made: StageResult,
}

impl People {
    fn accepted(&self) -> &[Persona] {
        &self.fates.accepted
    }

    fn tally(&self) -> Tally {
        self.fates.tally()
    }
}

fn read(source: &PersonaSource, options: &PersonaOptions) -> Result<People, StageError> {
    let mut fates = CollectedFates::default();
    let made = super::read(source, options, &Progress::default(), &mut fates)?;
    Ok(People { fates, made })
}

fn read_bytes(bytes: &[u8], options: &PersonaOptions) -> Result<People, StageError> {
    let folder = tempfile::tempdir().unwrap();
    read(&PersonaSource::File(file(&folder, "people.jsonl", bytes)), options)
}

fn input(people: &People) -> &Value {
    &people.made.notes["input"]
}

fn rows(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        writeln!(text, r#"{{"persona":"A gardener who grows kind {n} of apples"}}"#).unwrap();
        text
    })
}

fn assert_sums(people: &People) {
    assert_eq!(people.made.inputs, people.tally().total() + people.made.not_sampled, "{people:?}");
    assert_eq!(people.tally().accepted, people.accepted().len() as u64);
}

#[test]
fn every_shape_of_the_source_is_understood() {
    let elite = concat!(
        r#"{"persona":"An oncologist who runs trials","general domain (top 1 percent)":"Medicine","#,
        r#""specific domain (top 1 percent)":"Oncology","general domain (top 0.1 percent)":"None","#,
        r#""specific domain (top 0.1 percent)":"None","specific domain (top 0.0.1 percent)":"x"}"#
    );
    let specific = r#"{"persona":"A keeper of rare bees","general domain (top 1 percent)":"None","specific domain (top 1 percent)":"Apiculture"}"#;
    let sample = r#"{"input persona":"  a potter from Delft \n","synthesized text":"...","description":null}"#;
    let text = format!("\u{feff}{elite}\r\n\r\n{sample}\n   \n{specific}");
    let people = read_bytes(text.as_bytes(), &options()).unwrap();
    assert_sums(&people);
    assert_eq!(people.made.inputs, 3, "blank lines are no rows");
    let seen: Vec<_> = people
        .accepted()
        .iter()
        .map(|p| (p.id.as_str(), p.persona.as_str(), p.domain.as_deref(), p.source.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("p0000000001", "An oncologist who runs trials", Some("medicine"), "people.jsonl:1"),
            ("p0000000003", "a potter from Delft", None, "people.jsonl:3"),
            ("p0000000005", "A keeper of rare bees", Some("apiculture"), "people.jsonl:5"),
        ]
    );
    assert_eq!(input(&people)["bytes"], text.len() as u64);
}

/// Three people as a Parquet file of another tool.
fn parquet() -> Vec<u8> {
    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    let column = |values: [Option<&str>; 3]| -> ArrayRef { std::sync::Arc::new(StringArray::from(values.to_vec())) };
    let batch = RecordBatch::try_from_iter([
        ("Name", column([Some("Ines Auer"), None, Some("")])),
        ("age", std::sync::Arc::new(Int64Array::from(vec![4, 5, 6])) as ArrayRef),
        ("persona", column([Some("A nurse, on nights"), Some("A baker of rye bread"), None])),
    ])
    .unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn the_same_people_come_out_of_any_kind_of_file() {
    let folder = tempfile::tempdir().unwrap();
    let csv = b"name,persona\nInes Auer,\"A nurse, on nights\"\n,A baker of rye bread\n,\n".to_vec();
    let jsonl = b"{\"persona\":\"A nurse, on nights\",\"name\":\" Ines Auer\"}\n{\"persona\":\"A baker of rye bread\",\"name\":7}\n{\"persona\":\"\"}\n".to_vec();
    let list = b"[{\"name\":\"Ines Auer\",\"persona\":\"A nurse, on nights\"},\n{\"persona\":\"A baker of rye bread\"},{\"persona\":\"\"}]".to_vec();
    let files = [
        ("people.csv", csv.clone(), 2),
        ("people.csv.gz", gzip(&csv), 2),
        ("people.jsonl", jsonl, 1),
        ("people.json", list, 1),
        ("people.parquet", parquet(), 1),
    ];
    for (name, bytes, first) in files {
        let people = read(&PersonaSource::File(file(&folder, name, &bytes)), &options()).unwrap();
        assert_sums(&people);
        let seen: Vec<_> = people.accepted().iter().map(|p| (p.persona.as_str(), p.name.as_deref())).collect();
        assert_eq!(seen, [("A nurse, on nights", Some("Ines Auer")), ("A baker of rye bread", None)], "{name}");
        assert_eq!(people.accepted()[0].source, format!("{name}:{first}"));
        let dropped: Vec<_> = people.fates.dropped.iter().map(|row| (row.id.clone(), row.reason.as_str())).collect();
        assert_eq!(dropped, [(format!("{name}:{}", first + 2), "empty description")]);
        assert_eq!(input(&people)["sha256"], InputDigest::of(&bytes).sha256);
    }
    let text = b"A nurse, on nights\r\n\nA baker of rye bread\n";
    let people = read(&PersonaSource::File(file(&folder, "people.txt", text)), &options()).unwrap();
    let seen: Vec<_> = people.accepted().iter().map(|p| (p.persona.as_str(), p.source.as_str())).collect();
    assert_eq!(seen, [("A nurse, on nights", "people.txt:1"), ("A baker of rye bread", "people.txt:3")]);
}

#[test]
fn the_table_that_ships_is_taken_whole() {
    let text = crate::config::assets::shipped("prompts/personas/example.csv");
    let people = read_bytes(text.as_bytes(), &options()).unwrap();
    let names: Vec<_> = people.accepted().iter().map(|person| person.name.as_deref()).collect();
    assert_eq!(names, [Some("Ines Auer"), Some("Tanvi Rao"), None], "{people:?}");
}

#[test]
fn a_table_without_personas_says_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut renamed = parquet();
    // The name stands in the schema, in the footer's statistics and in Arrow's copy of the schema, which is not read.
    while let Some(at) = renamed.windows(7).position(|window| window == b"persona") {
        renamed[at..at + 7].copy_from_slice(b"my text");
    }
    let said = "there is no column `persona` but ";
    for (name, bytes, columns) in [
        ("people.csv", b"who,text\nAnn,A nurse of old\n".to_vec(), "`who`, `text`"),
        ("people.parquet", renamed, "`Name`, `age`, `my text`"),
    ] {
        let told = refusal(&file(&folder, name, &bytes)).to_string();
        assert!(told.contains(&format!("{said}{columns}; call the one")), "{told}");
    }
}

#[test]
fn each_bad_row_is_named_and_the_rest_is_kept() {
    let deep = format!(r#"{{"persona":"A baker of rye bread","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let cases: &[(&[u8], &str)] = &[
        (b"[\"A baker of rye bread\"]", "not a valid row: invalid type: sequence, expected an object"),
        (b"{\"persona\":\"A baker of rye", "not a valid row: EOF while parsing a string"),
        (b"{\"persona\":\"A baker\xff of rye bread\"}", "not valid UTF-8 from byte 20"),
        (b"{\"persona\":\"A baker \\ud800 of rye bread\"}", "not a valid row: "),
        (b"{\"persona\":\"A baker of rye bread\",\"x\":\"\\ud800\"}", "not a valid row: "),
        (b"{\"persona\":\"A baker\\u0000 of rye bread\"}", "control character U+0000"),
        (b"{\"persona\":\"A baker\0 of rye bread\"}", "not a valid row: control character"),
        (b"\0\0\0\0", "not a valid row: expected value"),
        (
            b"{\"persona\":\"A baker of rye bread\",\"persona\":\"A cook of fine soups\"}",
            "not a valid row: key `persona` stands twice",
        ),
        (b"{\"persona\":\"A baker of rye bread\",\"x\":1e999}", "not a valid row: number out of range"),
        (deep.as_bytes(), "not a valid row: recursion limit exceeded"),
        (b"{\"persona\":null}", "not a valid row: invalid type: null, expected a string"),
        (b"{\"persona\":\" \"}", "empty description"),
        (b"{\"persona\":\"A cook\"}", "6 characters, fewer than 10"),
        (
            b"{\"text\":\"A baker of rye bread\",\"age\":4}",
            "no `persona` and no `input persona`, but `age`, `text`; call the description `persona`",
        ),
        (b"{\"persona\":\"A software company that sells billing\"}", "not a person: an organisation (`company`)"),
    ];
    let mut bytes = Vec::new();
    for (row, _) in cases {
        bytes.extend_from_slice(row);
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(br#"{"persona":"The one good row of all"}"#);
    let people = read_bytes(&bytes, &options()).unwrap();
    assert_sums(&people);
    assert_eq!(people.accepted().len(), 1);
    assert_eq!(people.accepted()[0].id, format!("p{:010}", cases.len() + 1));
    for (number, (row, (_, reason))) in people.fates.dropped.iter().zip(cases).enumerate() {
        assert_eq!(row.id, format!("people.jsonl:{}", number + 1));
        assert!(row.reason.starts_with(reason), "{}: {}", row.id, row.reason);
        assert!(!row.detail.chars().any(char::is_control));
    }
    assert_eq!(people.fates.dropped.len(), cases.len());
}

#[test]
fn a_line_beyond_the_cap_is_one_rejected_row() {
    let row = |filling: &str| format!(r#"{{"persona":"A miller of old grains","x":"{filling}"}}"#);
    let long = |length: usize| row(&"x".repeat(length - row("").len()));
    let text = [long(MAX_LINE + 1), long(MAX_LINE), long(3 << 20), rows(1)].join("\n");
    let people = read_bytes(text.as_bytes(), &options()).unwrap();
    assert_eq!(
        people.fates.dropped.iter().map(|r| (r.id.as_str(), r.reason.as_str())).collect::<Vec<_>>(),
        [("people.jsonl:1", "longer than 1048576 bytes"), ("people.jsonl:3", "longer than 1048576 bytes"),]
    );
    assert_eq!(people.accepted().iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["p0000000002", "p0000000004"]);
}

#[test]
fn case_spacing_and_unicode_form_make_no_new_person() {
    let text = concat!(
        "{\"persona\":\"A Café owner in Straßburg\"}\n",
        "{\"persona\":\"a cafe\\u0301  OWNER in STRASSBURG\"}\n",
        "{\"persona\":\"A ca\\u200bfé owner\\tin Straßburg\"}\n",
        "{\"persona\":\"A cafe owner in Strassburg\"}\n",
    );
    let people = read_bytes(text.as_bytes(), &options()).unwrap();
    assert_sums(&people);
    assert_eq!(people.accepted().iter().map(|p| p.id.as_str()).collect::<Vec<_>>(), ["p0000000001", "p0000000004"]);
    let kept: Vec<_> = people.fates.duplicates.iter().map(|d| (d.id.as_str(), d.kept.as_str())).collect();
    assert_eq!(kept, [("people.jsonl:2", "p0000000001"), ("people.jsonl:3", "p0000000001")]);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compression_is_told_by_content_not_by_name() {
    let text = rows(3_000);
    let (head, tail) = text.as_bytes().split_at(text.len() / 3);
    let plain = read_bytes(text.as_bytes(), &options()).unwrap();
    let members = [gzip(head), gzip(tail)].concat();
    let frames = [zstd::encode_all(head, 3).unwrap(), zstd::encode_all(tail, 3).unwrap()].concat();
    for bytes in [members, frames] {
        let people = read_bytes(&bytes, &options()).unwrap();
        assert_eq!(people.accepted(), plain.accepted());
        assert_eq!(input(&people)["bytes"], bytes.len() as u64, "the digest is of the file, not of its content");
    }
}

#[test]
fn compressed_data_cut_short_or_damaged_is_refused() {
    let text = rows(3_000);
    for (bytes, name) in [(gzip(text.as_bytes()), "gzip"), (zstd::encode_all(text.as_bytes(), 3).unwrap(), "zstd")] {
        for end in [6, bytes.len() / 2, bytes.len() - 1] {
            let error = read_bytes(&bytes[..end], &options()).unwrap_err();
            assert!(
                matches!(source(&error), Some(SourceError::CutShort { compression, .. }) if *compression == name),
                "{end}: {error}"
            );
            assert_eq!(error.exit_code(), ExitCode::Input);
        }
        let mut bytes = bytes;
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        let error = read_bytes(&bytes, &options()).unwrap_err();
        assert!(matches!(source(&error), Some(SourceError::Damaged { .. } | SourceError::CutShort { .. })), "{error}");
    }
}

fn source(error: &StageError) -> Option<&SourceError> {
    match error {
        StageError::Personas(PersonasError::Source(error)) => Some(error),
        _ => None,
    }
}

fn refusal(path: &Path) -> StageError {
    let error = read(&PersonaSource::File(path.to_owned()), &options()).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Input, "{error}");
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    error
}

#[test]
fn what_is_no_file_of_rows_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    assert!(matches!(source(&refusal(&pipe)), Some(SourceError::NotAFile { kind: "a pipe", .. })));
    assert!(matches!(source(&refusal(folder.path())), Some(SourceError::NotAFile { kind: "a directory", .. })));
    assert!(matches!(source(&refusal(Path::new("/dev/zero"))), Some(SourceError::NotAFile { kind: "a device", .. })));
    assert!(matches!(source(&refusal(&folder.path().join("absent"))), Some(SourceError::Missing { .. })));
    let file = |bytes: &[u8]| file(&folder, "people.jsonl", bytes);
    assert!(matches!(refusal(&file(b"")), StageError::Personas(PersonasError::Empty { .. })));
    assert!(matches!(refusal(&file(b"\n \r\n")), StageError::Personas(PersonasError::Empty { .. })));
    assert!(matches!(refusal(&file(&gzip(b""))), StageError::Personas(PersonasError::Empty { .. })));
    assert!(matches!(source(&refusal(&file(b"PAR1..."))), Some(SourceError::Table { line: None, .. })));
    assert!(matches!(source(&refusal(&file(b"\xff\xfe{\0"))), Some(SourceError::OtherFormat { .. })));
    assert!(matches!(
        refusal(&file(b"\x7fELF\0\0\n\0")),
        StageError::Personas(PersonasError::NoPersonas { rows: 2, line: 1, .. })
    ));
}

#[test]
fn the_text_that_ships_is_read_like_a_file() {
    let people = read(&PersonaSource::BuiltIn("{\"persona\":\"A gardener of alpine plants\"}\n"), &options()).unwrap();
    assert_eq!(people.accepted()[0].source, "built-in:1");
    assert_eq!(input(&people)["sha256"].as_str().unwrap().len(), 64);
    assert!(matches!(
        read(&PersonaSource::BuiltIn(""), &options()),
        Err(StageError::Personas(PersonasError::Empty { .. }))
    ));
}

#[test]
fn a_larger_sample_contains_the_smaller() {
    let text = rows(300) + &rows(300);
    let all = read_bytes(text.as_bytes(), &options()).unwrap();
    assert_eq!((all.tally().accepted, all.tally().duplicate), (300, 300));
    let mut smaller: Vec<Persona> = Vec::new();
    for size in [1, 7, 50, 299, 300, 1000] {
        let people = read_bytes(text.as_bytes(), &with_sample(size)).unwrap();
        assert_sums(&people);
        assert_eq!(people.tally().accepted, size.min(300));
        assert_eq!(people.tally().duplicate, size.min(300), "only copies of what was taken are duplicates");
        assert_eq!(people.fates.duplicates.len() as u64, people.tally().duplicate);
        assert!(smaller.iter().all(|person| people.accepted().contains(person)), "ids and splits stay");
        assert!(people.accepted().iter().all(|person| all.accepted().contains(person)));
        assert!(people.accepted().is_sorted_by_key(|person| &person.id), "source order");
        smaller = people.fates.accepted;
    }
    let drawn = |seed| read_bytes(text.as_bytes(), &PersonaOptions { seed, ..with_sample(50) }).unwrap().fates.accepted;
    let same = drawn(17).iter().filter(|one| drawn(18).iter().any(|other| one.id == other.id)).count();
    assert!(same < 25, "another seed draws other people, {same} are the same");
}

#[test]
fn shares_decide_how_many_people_a_split_has() {
    let people = read_bytes(rows(4_000).as_bytes(), &options()).unwrap();
    let test = people.accepted().iter().filter(|p| p.split == "test").count();
    // Binomial, 400 expected, standard deviation 19.
    assert!((320..480).contains(&test), "{test}");
    let one = read_bytes(rows(5).as_bytes(), &PersonaOptions { splits: BTreeMap::new(), ..options() }).unwrap();
    assert!(one.accepted().iter().all(|p| p.split == "train"));
}

#[test]
fn lists_are_bounded_and_counts_are_not() {
    let many = usize::try_from(LISTED_ROWS).unwrap();
    let text = rows(1) + &"{\"persona\":\"short\"}\n".repeat(many + 5) + &rows(1).repeat(many + 7);
    for sample in [None, Some(3)] {
        let folder = tempfile::tempdir().unwrap();
        let source = PersonaSource::File(file(&folder, "people.jsonl", text.as_bytes()));
        let mut writer = StageWriter::<Persona>::create("personas", &folder.path().join("stage")).unwrap();
        writer.list_few();
        let options = PersonaOptions { sample, ..options() };
        let made = super::read(&source, &options, &Progress::default(), &mut writer).unwrap();
        let sealed = writer.seal(made, String::new(), None).unwrap();
        let Tally { rejected, duplicate, .. } = sealed.tally();
        assert_eq!((rejected, duplicate), (LISTED_ROWS + 5, LISTED_ROWS + 7));
        let rows = |name: &str| sealed.stage().manifest().files.iter().find(|file| file.path == name).unwrap().rows;
        assert_eq!((rows("rejected.jsonl"), rows("duplicates.jsonl")), (Some(LISTED_ROWS), Some(LISTED_ROWS)));
        assert_eq!(sealed.stage().manifest().notes["reasons"]["5 characters, fewer than 10"], LISTED_ROWS + 5);
    }
}

/// Bytes that look enough like rows to reach every branch.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(br#"{"persona":"#.to_vec()),
        Just(br#"{"input persona":"A nurse who sings","#.to_vec()),
        Just(b"{\"persona\":\"A nurse who sings\"}\n".to_vec()),
        Just(b"\"A company that\"}".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        Just(b"\\ud83d\\ude00".to_vec()),
        Just(b"\x1f\x8b\x08".to_vec()),
        "\\PC{0,12}".prop_map(String::into_bytes),
        proptest::collection::vec(any::<u8>(), 0..16),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in soup(), sample in proptest::option::of(0_u64..4)) {
        let options = PersonaOptions { sample, min_chars: 1, ..options() };
        match read_bytes(&bytes, &options) {
            Ok(people) => {
                assert_sums(&people);
                let ids: std::collections::BTreeSet<_> = people.accepted().iter().map(|p| &p.id).collect();
                prop_assert_eq!(ids.len(), people.accepted().len());
                let again = read_bytes(&bytes, &options).unwrap();
                prop_assert_eq!(again.accepted(), people.accepted());
                prop_assert_eq!(again.tally(), people.tally());
            }
            Err(error) => prop_assert!(error.exit_code() == ExitCode::Input && !error.to_string().is_empty()),
        }
    }

    #[test]
    fn folding_is_idempotent(text in "\\PC{0,40}") {
        let folded = sample::fold(&text);
        prop_assert_eq!(sample::fold(&folded), folded.clone());
        prop_assert_eq!(sample::fold(&text.to_uppercase()), sample::fold(&text.to_uppercase().to_lowercase()));
    }
}

#[test]
fn which_rows_are_set_aside_and_why_stays_what_it_was() {
    // Pinned: samples and splits of earlier versions depend on it.
    let rows = concat!(
        include_str!("../../../tests/fixtures/personas/labelled.jsonl"),
        include_str!("../../../prompts/personas/personahub-placeholder.jsonl"),
        include_str!("../../../prompts/personas/quickstart.jsonl")
    );
    let people = read(&PersonaSource::BuiltIn(rows), &PersonaOptions { min_chars: 1, ..options() }).unwrap();
    assert_sums(&people);
    let number = |id: &str| id.trim_start_matches("built-in:").to_owned();
    let aside = people.fates.dropped.iter().map(|row| format!("{} {}", number(&row.id), row.reason));
    let kept = people.accepted().iter().map(|person| format!("{} {}", person.id, person.split));
    let lines: Vec<String> = aside.chain(kept).collect();
    insta::assert_snapshot!(record_hash(&lines), @"0fea2b2a98cac9fed0ec063f0afe9aa3");
}

fn record_hash(lines: &[String]) -> String {
    crate::record::content_hash(lines.iter().map(String::as_str))
}

fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CONVOGEN_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join("data").join(name);
    let found = path.is_file().then_some(path);
    if found.is_none() {
        println!("skipped: no {name} under {}", root.display());
    }
    found
}

#[test]
fn real_rows_lose_only_what_is_no_person() {
    let Some(path) = shared("personahub-2000.jsonl") else { return };
    let people = read(&PersonaSource::File(path), &PersonaOptions { min_chars: 1, ..options() }).unwrap();
    assert_sums(&people);
    assert_eq!(people.made.inputs, 2_000);
    println!("{:?}", people.tally());
    for row in &people.fates.dropped {
        println!("{:>5} {} | {}", row.id, row.reason, row.detail);
    }
    assert!((30..=60).contains(&people.tally().rejected), "{:?}", people.tally());
}

/// `count` pairs, the last one a copy of the first, as one JSON list.
fn pairs(count: usize) -> String {
    let pair = |n: usize| {
        format!(r#"{{"persona": ["I mend clock {n}.", " I sleep late."], "partner_persona": ["I drive bus {n}."]}}"#)
    };
    let rows: Vec<String> = (0..count - 1).chain([0]).map(pair).collect();
    format!("\u{feff}[\n{}\n]\n", rows.join(",\n"))
}

#[test]
fn a_pair_is_two_people_who_end_alike() {
    for sample in [None, Some(100)] {
        let people = read_bytes(pairs(30).as_bytes(), &PersonaOptions { sample, ..options() }).unwrap();
        assert_sums(&people);
        let tally = people.tally();
        assert_eq!((tally.accepted, tally.duplicate, people.made.inputs), (58, 2, 60));
        for (number, pair) in people.accepted().chunks(2).enumerate() {
            assert_eq!(pair[0].persona, format!("I mend clock {number}. I sleep late."));
            assert_eq!(pair[1].persona, format!("I drive bus {number}."));
            assert_eq!((&pair[0].source, &pair[0].split), (&pair[1].source, &pair[1].split));
            assert_eq!(pair[1].id, format!("{}b", pair[0].id));
        }
    }
    let some = read_bytes(pairs(30).as_bytes(), &with_sample(5)).unwrap();
    assert_sums(&some);
    assert_eq!(some.tally().accepted, 10, "a sample counts rows");
}

#[test]
fn a_pair_without_one_half_is_named() {
    let text = r#"[{"persona": ["I mend clocks."]}, {"persona": ["I mend clocks."], "partner_persona": []}, {"persona": ["I mend clocks."], "partner_persona": [4]},
        {"partner_persona": ["I mend clocks."]}, {"persona": "A baker of rye bread"}]"#;
    let people = read_bytes(text.as_bytes(), &options()).unwrap();
    let reasons: Vec<String> = people.fates.dropped.iter().map(|row| format!("{} {}", row.id, row.reason)).collect();
    insta::assert_snapshot!(reasons.join("\n"), @"
    people.jsonl:1 `persona` is a list of sentences, as in files of pairs, but no `partner_persona` stands beside it; add it, or make `persona` one text
    people.jsonl:2 empty description
    people.jsonl:3 not a valid row: invalid type: integer `4`, expected a string (column 53)
    people.jsonl:4 no `persona` and no `input persona`, but `partner_persona`; call the description `persona`
    ");
    assert_eq!(people.accepted().len(), 1);
    let torn =
        read_bytes(b"[{\"persona\": \"A baker of rye bread\"},\n {\"persona\": ", &options()).unwrap_err().to_string();
    assert!(torn.contains("line 2: EOF while parsing") && torn.contains("begins as a JSON list of rows"), "{torn}");
}

#[test]
fn rows_at_the_start_can_be_left_out() {
    let all = read_bytes(rows(9).as_bytes(), &options()).unwrap();
    let rest = read_bytes(rows(9).as_bytes(), &PersonaOptions { skip: 4, ..options() }).unwrap();
    assert_sums(&rest);
    assert_eq!(rest.accepted(), &all.accepted()[4..]);
}

#[test]
fn copies_are_found_alike_in_memory_and_on_disk() {
    let mut text = String::new();
    for n in 0..400_usize {
        let person = |n: usize| format!("A gardener who grows kind {} of apples", n * n % 90);
        match n % 7 {
            0 => writeln!(text, r#"{{"persona":["{}"],"partner_persona":["{}"]}}"#, person(n), person(n + 1)).unwrap(),
            1 => writeln!(text, r#"{{"persona":"short"}}"#).unwrap(),
            _ => writeln!(text, r#"{{"persona":"{}"}}"#, person(n)).unwrap(),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let source = PersonaSource::File(file(&folder, "people.jsonl", text.as_bytes()));
    let found = |held| {
        let mut fates = CollectedFates::default();
        let made = read_holding(held, &source, &options(), &Progress::default(), &mut fates).unwrap();
        let CollectedFates { accepted, dropped, mut duplicates, .. } = fates;
        duplicates.sort_by(|one, other| one.id.cmp(&other.id));
        (accepted, dropped, duplicates, made.inputs)
    };
    let expected = found(usize::MAX);
    assert!(expected.0.len() > 50 && expected.1.len() > 50 && expected.2.len() > 200, "{expected:?}");
    for held in [0, 1, 20, 60] {
        assert_eq!(found(held), expected, "{held} held");
    }
}
