//! Bench (not committed).
#![allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout
)]
use convogen::config;
use convogen::stages::compile::{self, Compared, Input, Source};
use convogen::store::lines::LinesFile;
use convogen::store::part::FileEntry;
fn rss() -> String {
    std::fs::read_to_string("/proc/self/status").unwrap().lines().find(|l| l.starts_with("VmHWM")).unwrap().to_owned()
}
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let out = std::path::Path::new(&args[2]);
    let rows: u64 = args[3].parse().unwrap();
    let root = std::path::Path::new(".");
    let entry = FileEntry::of(root, &args[1], Some(rows)).unwrap();
    let before = convogen::clock::cpu_time();
    let start = std::time::Instant::now();
    let source = Source::spooled(vec![LinesFile::new(root, entry)]);
    let compared = if args.get(4).is_none() { Compared::WhenMade } else { Compared::WhenCompiled };
    let input = Input {
        personas: Source::default(),
        situations: Source::default(),
        conversations: source,
        config: "version: 1\n",
        card: &config::Card::default(),
        dedup: &config::Dedup::default(),
        compared,
        models: &[],
        prompts: &[],
        outcomes: &[],
    };
    let compiled = compile::compile(out, &input, &|_| {}).unwrap();
    println!(
        "wall {:?} cpu {:?} {} {}",
        start.elapsed(),
        convogen::clock::cpu_time() - before,
        rss(),
        compiled.manifest_sha256
    );
}
