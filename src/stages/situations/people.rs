//! The people who can be cast, by their number. A large file of them stays where it lies: what is held of each is where they
//! stand in it.

use std::borrow::Cow;
use std::path::PathBuf;

use super::casting::CastList;
use crate::record::{Fate, Persona, Tally};
use crate::stages::error::StageError;
use crate::stages::sealed::Sealed;
use crate::stages::writer::{Fates, PART};
use crate::store::checkpoint::CheckpointError;
use crate::store::fs::FsError;
use crate::store::lines::LinesFile;
use crate::store::part::RowPlace;
use crate::store::spool::Spool;

/// The people who can be cast.
#[derive(Debug)]
pub(crate) enum CastablePeople<'a> {
    /// At hand.
    Held(&'a [Persona]),
    /// In a sealed part.
    Sealed(SealedPeople),
    /// Put aside on disk.
    Spooled(Box<SpooledPeople>),
}

/// The people of a sealed part.
#[derive(Debug)]
pub(crate) struct SealedPeople {
    file: LinesFile,
    /// Where every [`STEP`]th line begins, from the first on, and where the last one ends.
    starts: Vec<u64>,
}

/// Lines that are read together to get at one of them: what the place of a line takes is divided by so many.
const STEP: usize = 16;

impl CastablePeople<'_> {
    /// Reads `people` once, to know where each stands, and shows everyone to `list`.
    ///
    /// # Errors
    /// If the part is damaged.
    pub(super) fn of(people: &Sealed<Persona>, list: &mut CastList) -> Result<Self, StageError> {
        let file = people.stage().lines_file(PART)?;
        let (mut starts, mut end) = (Vec::new(), 0);
        let mut lines = file.lines()?;
        while lines.advance().map_err(CheckpointError::from)? {
            let RowPlace { offset, length } = lines.place();
            list.add(&parse(&file, lines.number(), lines.line())?);
            if (lines.number() - 1).is_multiple_of(STEP as u64) {
                starts.push(offset);
            }
            end = offset + length as u64;
        }
        starts.push(end);
        Ok(Self::Sealed(SealedPeople { file, starts }))
    }

    /// The `number`-th person; nothing where there are not so many.
    ///
    /// # Errors
    /// If the part cannot be read, or changed since it was sealed.
    pub(super) fn get(&self, number: usize) -> Result<Option<Cow<'_, Persona>>, StageError> {
        match self {
            Self::Held(people) => Ok(people.get(number).map(Cow::Borrowed)),
            Self::Sealed(people) => Ok(people.get(number)?.map(Cow::Owned)),
            Self::Spooled(people) => Ok(people.get(number)?.map(Cow::Owned)),
        }
    }
}

/// People who wait in files for temporary things, for a look at who would be cast. They are gone with it.
#[derive(Debug)]
pub(crate) struct SpooledPeople {
    rows: Spool,
    pub(super) list: CastList,
    folder: PathBuf,
    tally: Tally,
}

impl SpooledPeople {
    /// Nobody yet.
    ///
    /// # Errors
    /// If the folder for temporary files cannot be written to.
    pub(crate) fn create() -> Result<Self, StageError> {
        let folder = std::env::temp_dir();
        Ok(Self {
            rows: Spool::create(&folder, "personas")?,
            list: CastList::default(),
            folder,
            tally: Tally::default(),
        })
    }

    fn get(&self, number: usize) -> Result<Option<Persona>, StageError> {
        let number = number as u64;
        if number >= self.tally.accepted {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&self.rows.read(number)?).map_err(|error| self.failed(error))?))
    }

    fn failed(&self, error: serde_json::Error) -> FsError {
        FsError { action: "put a persona aside in", path: self.folder.clone(), source: error.into() }
    }
}

impl Fates<Persona> for SpooledPeople {
    fn put(&mut self, fate: Fate<Persona>) -> Result<(), StageError> {
        if let Fate::Accepted(person) = &fate {
            self.list.add(person);
            self.rows.push(&serde_json::to_vec(person).map_err(|error| self.failed(error))?)?;
        }
        self.tally.add(fate.outcome());
        Ok(())
    }

    fn accepted(&mut self, number: usize) -> Result<Persona, StageError> {
        let lost = StageError::Sums { stage: "spooled", inputs: number as u64, outcomes: self.tally.accepted };
        self.get(number)?.ok_or(lost)
    }

    fn count_duplicates(&mut self, unlisted: u64) {
        self.tally.duplicate += unlisted;
    }

    fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

impl SealedPeople {
    fn get(&self, number: usize) -> Result<Option<Persona>, StageError> {
        let step = self.starts.get(number / STEP..).and_then(|rest| rest.first_chunk());
        let Some([start, end]) = step else { return Ok(None) };
        let length = usize::try_from(end - start).unwrap_or(usize::MAX);
        let lines = self.file.read(RowPlace { offset: *start, length })?;
        let line = lines.split_inclusive(|byte| *byte == b'\n').nth(number % STEP);
        line.map(|line| parse(&self.file, number as u64 + 1, line)).transpose()
    }
}

fn parse(file: &LinesFile, line: u64, text: &[u8]) -> Result<Persona, StageError> {
    let misread = |source| CheckpointError::Row { path: file.path().to_owned(), line, source };
    Ok(serde_json::from_slice(text).map_err(misread)?)
}
