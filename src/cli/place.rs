//! Where the run of a configuration is, for people who type its command in another folder.
//!
//! `run_dir` counts from the working directory. Typed in a subfolder, the same command would so make, and pay for, a second
//! run. So where there is no run, the other folders of the configuration's project are looked at: the one that holds the
//! file, the one above if that is called `configs`, and those between that one and the working directory.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::config::loaded::Loaded;
use crate::exit::ExitCode;
use crate::pipeline::status;

/// What folders of configurations are called.
const CONFIG_FOLDERS: [&str; 2] = ["configs", "config"];

/// The directory of a run that is to be made or gone on with: `given`, or what the configuration says.
///
/// # Errors
/// If the configuration's run is in another folder, to be asked which is meant.
pub(super) fn to_make(loaded: &Loaded, given: Option<&Path>) -> Result<PathBuf, Failure> {
    let here = loaded.config.directory(given);
    match elsewhere(loaded, &here).filter(|_| given.is_none()) {
        None => Ok(here),
        Some(there) => {
            let (written, there) = (loaded.config.run_dir.display(), there.display());
            let message = format!(
                "run_dir {written} counts from the working directory, where there is no run, but {there} is one"
            );
            let hint = format!("--run-dir {there} goes on with it; --run-dir {written} makes another one here");
            Err(Failure::new(ExitCode::Usage, message).with_hint(hint))
        }
    }
}

/// The directory of a run that is to be looked at.
pub(super) fn to_read(loaded: &Loaded) -> PathBuf {
    let here = loaded.config.directory(None);
    elsewhere(loaded, &here).unwrap_or(here)
}

/// The run that `here` would be in another folder of the project, if it is not there itself.
fn elsewhere(loaded: &Loaded, here: &Path) -> Option<PathBuf> {
    let file = loaded.file.as_ref()?;
    if here.is_absolute() || status::is_run(here) {
        return None;
    }
    let working = Path::new(".").canonicalize().ok()?;
    let folder = working.join(file.parent()?).canonicalize().ok()?;
    let candidates = candidates(&working, &folder).into_iter().map(|folder| folder.join(here));
    candidates.into_iter().find(|run| status::is_run(run)).map(|run| seen_from(&working, &run))
}

/// The folders to look at besides `working`, of a project with its configuration in `folder`.
fn candidates(working: &Path, folder: &Path) -> Vec<PathBuf> {
    let is_for_configs =
        folder.file_name().is_some_and(|name| CONFIG_FOLDERS.iter().any(|known| name.eq_ignore_ascii_case(known)));
    let project = folder.parent().filter(|_| is_for_configs).unwrap_or(folder);
    let between = working.ancestors().skip(1).filter(|above| above.starts_with(project));
    let all = between.chain([project, folder]).filter(|candidate| *candidate != working);
    let mut all: Vec<PathBuf> = all.map(Path::to_owned).collect();
    all.dedup();
    all
}

/// `path` as it is written in `working`.
fn seen_from(working: &Path, path: &Path) -> PathBuf {
    let shared = working.ancestors().take_while(|above| !path.starts_with(above)).count();
    let above: PathBuf = std::iter::repeat_n("..", shared).collect();
    let rest = working.ancestors().nth(shared).and_then(|shared| path.strip_prefix(shared).ok());
    rest.map_or_else(|| path.to_owned(), |rest| above.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_the_project_are_looked_at() {
        for (working, folder, expected) in [
            ("/p", "/p/configs", vec!["/p/configs"]),
            ("/p/configs", "/p/configs", vec!["/p"]),
            ("/p/data/new", "/p/configs", vec!["/p/data", "/p", "/p/configs"]),
            ("/p/sub", "/p", vec!["/p"]),
            ("/p", "/p", vec![]),
            ("/elsewhere/x", "/p/configs", vec!["/p", "/p/configs"]),
        ] {
            let found = candidates(Path::new(working), Path::new(folder));
            assert_eq!(found, expected.iter().map(PathBuf::from).collect::<Vec<_>>(), "{working} {folder}");
        }
    }

    #[test]
    fn a_path_is_written_as_the_working_directory_sees_it() {
        for (working, path, expected) in [
            ("/p/configs", "/p/runs/demo", "../runs/demo"),
            ("/p/a/b", "/p/runs/demo", "../../runs/demo"),
            ("/p", "/p/configs/runs/demo", "configs/runs/demo"),
        ] {
            assert_eq!(seen_from(Path::new(working), Path::new(path)), Path::new(expected));
        }
    }
}
