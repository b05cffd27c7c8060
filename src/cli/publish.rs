//! `compile-upload` and `publish gc`.

use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::args::{CompileUploadArgs, GcArgs};
use super::failure::Failure;
use super::output::{Printer, rows_style, table};
use super::pipeline::{block_on, environment, exit_now, tell_translation};
use super::progress::{bytes, duration, thousands};
use super::reading;
use crate::config::environment::Environment;
use crate::config::upload::{self, BlobAuth, Upload};
use crate::exit::ExitCode;
use crate::net::entra;
use crate::publish::error::PublishError;
use crate::publish::flow::{self, PublishOptions};
use crate::publish::gc::CollectedGarbage;
use crate::publish::summary::{PointerState, Published};
use crate::publish::watch::PublishWatch;

impl From<PublishError> for Failure {
    fn from(error: PublishError) -> Self {
        Self::of(error.exit_code(), &error)
    }
}

/// Compiles and publishes. Returns the exit code.
pub(super) fn compile_upload(args: &CompileUploadArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let mut upload = upload::load(&args.config, &args.sets)?;
    let told = upload::translation(&args.config, &args.sets)?;
    tell_translation(&args.config.display().to_string(), &told, printer);
    let environment = environment(printer)?;
    settle_sign_in(&mut upload, &environment, printer);
    let options = PublishOptions { dry_run: args.dry_run, verify: args.verify, allow_partial: args.allow_partial };
    let bar = Arc::new(Mutex::new(None));
    let watch = watch(&bar, printer);
    let result = block_on(async {
        tokio::spawn(heed_signals(printer.clone()));
        flow::compile_upload(&upload, &environment, options, &watch).await
    })?;
    clear(&bar, printer);
    let published = result?;
    conclude(&published, &upload, printer);
    if args.json {
        printer.json(&json!(published))?;
    }
    sound(&published, printer)
}

/// Says what `auth: auto` comes to, and settles it.
fn settle_sign_in(upload: &mut Upload, environment: &Environment, printer: &Printer) {
    let Some(azure) = upload.destination.azure.as_mut().filter(|azure| azure.auth == BlobAuth::Auto) else { return };
    azure.auth = azure.sign_in(environment);
    let name = &azure.connection_string_env;
    printer.note(&match azure.auth {
        BlobAuth::Entra => {
            let who = entra::chosen(&|name| environment.var(name));
            format!("{name} is not set: signing in to Blob Storage with Entra ID, by {who}")
        }
        _ => format!("signing in to Blob Storage with the connection string in {name}"),
    });
}

/// Removes old versions.
pub(super) fn gc(args: &GcArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let upload = upload::load(&args.config, &args.sets)?;
    let environment = environment(printer)?;
    let keep = usize::try_from(args.keep).unwrap_or(usize::MAX);
    let collected = block_on(async {
        tokio::spawn(heed_signals(printer.clone()));
        flow::collect_garbage(&upload, &environment, keep, args.dry_run).await
    })??;
    printer.note(&removal(&collected));
    if args.json {
        printer.json(&json!(collected))?;
    }
    Ok(ExitCode::Success)
}

/// A bar a phase, of bytes where they are known.
fn watch(bar: &Arc<Mutex<Option<ProgressBar>>>, printer: &Printer) -> PublishWatch {
    let (counted, shown, compiled, told) = (Arc::clone(bar), Arc::clone(bar), Arc::clone(bar), printer.clone());
    let printer = printer.clone();
    PublishWatch {
        bytes: Arc::new(move |bytes, _| {
            if let Some(bar) = &*counted.lock().unwrap_or_else(PoisonError::into_inner) {
                bar.inc(bytes);
            }
        }),
        phase: Box::new(move |phase, bytes| {
            clear(&shown, &printer);
            let new = if bytes > 0 { printer.bytes_bar(phase) } else { printer.spinner(phase) };
            new.set_length(bytes);
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
        }),
        rows: Box::new(move |rows, all| {
            if let Some(bar) = &*compiled.lock().unwrap_or_else(PoisonError::into_inner) {
                if bar.length() != Some(all) {
                    bar.set_style(rows_style());
                    bar.set_length(all);
                }
                bar.set_position(rows);
            }
        }),
        notice: Box::new(move |notice| told.note(&notice)),
    }
}

fn clear(bar: &Mutex<Option<ProgressBar>>, printer: &Printer) {
    if let Some(old) = bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
        old.finish_and_clear();
        printer.bars().remove(&old);
    }
}

/// Ends at the first signal: nothing has to be drained, since what arrived at the destination is found there again.
async fn heed_signals(printer: Printer) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    printer.note("stopped; what readers see is whole, and the same command goes on with what was sent");
    exit_now(&printer);
}

/// The closing summary for people.
fn conclude(published: &Published, upload: &Upload, printer: &Printer) {
    printer.note(&report(published));
    if published.dry_run {
        printer.note(&format!(
            "nothing was written to {}; the same command without --dry-run does it",
            published.destination
        ));
        return;
    }
    printer.note(&format!("  read it     {}", reading::command(published, upload)));
    printer.note(&format!("  about it    less {}/dataset/README.md", upload.work_dir.display()));
    if published.verified.is_none() {
        printer.note("  check it    the same command with --verify reads everything back");
    }
}

/// What was published, where, and what of it was sent.
fn report(published: &Published) -> String {
    let Published { dataset, version, destination, .. } = published;
    let standing = match published.pointer {
        PointerState::Moved => format!("{dataset}: version {version} is the latest in {destination}"),
        PointerState::Unchanged if published.sent_bytes == 0 => {
            format!("{dataset}: version {version} is the latest in {destination} already; nothing had to be sent")
        }
        PointerState::Unchanged => format!("{dataset}: version {version}, the latest in {destination}, is whole again"),
        PointerState::WouldMove => format!("{dataset}: version {version} would become the latest in {destination}"),
    };
    let previous = match (&published.previous, published.pointer) {
        (Some(previous), PointerState::Moved) => format!(", after {previous}"),
        (Some(previous), PointerState::WouldMove) => format!(", now {previous}"),
        _ => String::new(),
    };
    let sent = if published.dry_run { "to be sent" } else { "sent" };
    let files = format!(
        "{} files, {}: {} {sent}, {} there already",
        thousands(published.files),
        bytes(published.bytes),
        bytes(published.sent_bytes),
        bytes(published.reused_bytes),
    );
    let read = published.verified.as_ref().map(|verified| {
        let (files, size) = (thousands(verified.files), bytes(verified.bytes));
        match verified.differences.len() {
            0 => format!("\n{files} files, {size} read back: every one as its manifest says"),
            wrong => format!("\n{files} files, {size} read back: {wrong} not as their manifest says"),
        }
    });
    let took = duration(published.wall_s);
    format!("{standing}{previous}, {took}\n{}\n{files}{}", rows(published), read.unwrap_or_default())
}

/// What can be left out of a table, as it stands in a summary and as people read it.
const REASONS: [(&str, &str); 3] =
    [("duplicate", "duplicate"), ("crosses_splits", "crosses splits"), ("situation_removed", "situation removed")];

/// Rows by table and, where anything was left out because of an earlier run, how much and why.
fn rows(published: &Published) -> String {
    let reasons = if published.removed.is_empty() { &[][..] } else { &REASONS[..] };
    let header = ["", "rows"].into_iter().chain(reasons.iter().map(|(_, shown)| *shown));
    let mut rows: Vec<Vec<String>> = vec![header.map(str::to_owned).collect()];
    for name in ["personas", "situations", "conversations"] {
        let removed = published.removed.get(name);
        let Some(count) = published.rows.get(name).copied().or(removed.map(|_| 0)) else { continue };
        let counts = reasons.iter().map(|(reason, _)| removed.and_then(|all| all.get(*reason)).copied().unwrap_or(0));
        rows.push([name.to_owned(), thousands(count)].into_iter().chain(counts.map(thousands)).collect());
    }
    table(&rows)
}

/// Exit code 11, with every difference, if what was read back is not what it should be.
fn sound(published: &Published, printer: &Printer) -> Result<ExitCode, Failure> {
    let differences = published.verified.iter().flat_map(|verified| &verified.differences);
    let told = differences.inspect(|difference| printer.warning(difference)).count();
    if told == 0 {
        return Ok(ExitCode::Success);
    }
    let message = format!("{}: {told} published files are not what their manifest says", published.dataset);
    let hint = "remove them at the destination and run the same command again: what is missing is sent anew";
    Err(Failure::new(ExitCode::Damage, message).with_hint(hint))
}

/// What was removed, or would be.
fn removal(collected: &CollectedGarbage) -> String {
    let CollectedGarbage { dataset, destination, kept, removed, dry_run } = collected;
    if kept.is_empty() {
        return format!("{dataset}: nothing is published in {destination}, so nothing was removed");
    }
    let verb = if *dry_run { "would be removed" } else { "removed" };
    let mut lines = Vec::new();
    for garbage in removed {
        let never = if garbage.was_latest { "" } else { ", never the latest" };
        let (files, size) = (thousands(garbage.files), bytes(garbage.bytes));
        lines.push(format!("{verb}: versions/{} ({files} files, {size}{never})", garbage.version));
    }
    lines.push(format!(
        "{dataset} in {destination}: {} {verb}, {} kept, newest first: {}",
        versions(removed.len()),
        kept.len(),
        kept.join(", ")
    ));
    lines.join("\n")
}

fn versions(count: usize) -> String {
    if count == 1 { "1 version".to_owned() } else { format!("{count} versions") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::publish::gc::Garbage;
    use crate::publish::verify::PublishVerification;

    fn published() -> Published {
        Published {
            dataset: "team/talks".to_owned(),
            version: "0123456789abcdef".to_owned(),
            destination: "folder out".to_owned(),
            files: 9,
            bytes: 3 << 20,
            sent_bytes: 1 << 20,
            reused_bytes: 2 << 20,
            rows: BTreeMap::from([("situations".to_owned(), 1_200), ("personas".to_owned(), 30)]),
            pointer: PointerState::Moved,
            wall_s: 2.0,
            ..Published::default()
        }
    }

    #[test]
    fn the_summary_says_what_is_where_and_what_it_took() {
        let first = published();
        let differences = vec!["x".to_owned()];
        let merged = Published {
            removed: BTreeMap::from([("situations".to_owned(), BTreeMap::from([("crosses_splits".to_owned(), 7)]))]),
            previous: Some("fedcba9876543210".to_owned()),
            verified: Some(PublishVerification {
                files: 9,
                bytes: 3 << 20,
                differences,
                ..PublishVerification::default()
            }),
            ..published()
        };
        let again = Published { pointer: PointerState::Unchanged, sent_bytes: 0, ..published() };
        let mended = Published { pointer: PointerState::Unchanged, ..published() };
        let dry = Published { pointer: PointerState::WouldMove, dry_run: true, ..published() };
        let shown = [first, merged, again, mended, dry].map(|published| report(&published)).join("\n\n");
        insta::assert_snapshot!(shown, @r#"
        team/talks: version 0123456789abcdef is the latest in folder out, 2.0 s
                     rows
        personas       30
        situations  1,200
        9 files, 3.00 MiB: 1.00 MiB sent, 2.00 MiB there already

        team/talks: version 0123456789abcdef is the latest in folder out, after fedcba9876543210, 2.0 s
                     rows  duplicate  crosses splits  situation removed
        personas       30          0               0                  0
        situations  1,200          0               7                  0
        9 files, 3.00 MiB: 1.00 MiB sent, 2.00 MiB there already
        9 files, 3.00 MiB read back: 1 not as their manifest says

        team/talks: version 0123456789abcdef is the latest in folder out already; nothing had to be sent, 2.0 s
                     rows
        personas       30
        situations  1,200
        9 files, 3.00 MiB: 0 B sent, 2.00 MiB there already

        team/talks: version 0123456789abcdef, the latest in folder out, is whole again, 2.0 s
                     rows
        personas       30
        situations  1,200
        9 files, 3.00 MiB: 1.00 MiB sent, 2.00 MiB there already

        team/talks: version 0123456789abcdef would become the latest in folder out, 2.0 s
                     rows
        personas       30
        situations  1,200
        9 files, 3.00 MiB: 1.00 MiB to be sent, 2.00 MiB there already
        "#);
    }

    #[test]
    fn the_removal_says_what_went_and_what_stays() {
        let garbage =
            |version: &str, was_latest| Garbage { version: version.to_owned(), files: 3, bytes: 2048, was_latest };
        let collected = CollectedGarbage {
            dataset: "talks".to_owned(),
            destination: "folder out".to_owned(),
            dry_run: true,
            kept: vec!["b".repeat(16)],
            removed: vec![garbage("aaaaaaaaaaaaaaaa", true), garbage("cccccccccccccccc", false)],
        };
        let none = CollectedGarbage { kept: Vec::new(), removed: Vec::new(), ..collected.clone() };
        insta::assert_snapshot!([removal(&collected), removal(&none)].join("\n\n"), @r#"
        would be removed: versions/aaaaaaaaaaaaaaaa (3 files, 2.00 KiB)
        would be removed: versions/cccccccccccccccc (3 files, 2.00 KiB, never the latest)
        talks in folder out: 2 versions would be removed, 1 kept, newest first: bbbbbbbbbbbbbbbb

        talks: nothing is published in folder out, so nothing was removed
        "#);
    }
}
