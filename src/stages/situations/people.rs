//! The people who can be cast, by their number. A large file of them stays where it lies: what is held of each is where they
//! stand in it.

use std::borrow::Cow;

use super::casting::CastList;
use crate::record::Persona;
use crate::stages::error::StageError;
use crate::stages::sealed::Sealed;
use crate::stages::writer::PART;
use crate::store::checkpoint::CheckpointError;
use crate::store::lines::LinesFile;
use crate::store::part::RowPlace;

/// The people who can be cast.
#[derive(Debug)]
pub(crate) enum CastablePeople<'a> {
    /// At hand.
    Held(&'a [Persona]),
    /// In a sealed part.
    Sealed(SealedPeople),
}

/// The people of a sealed part.
#[derive(Debug)]
pub(crate) struct SealedPeople {
    file: LinesFile,
    /// Where each line begins, and where the last one ends.
    starts: Vec<u64>,
}

impl CastablePeople<'_> {
    /// Reads `people` once, to know where each stands, and shows everyone to `list`.
    ///
    /// # Errors
    /// If the part is damaged.
    pub(super) fn of(people: &Sealed<Persona>, list: &mut CastList) -> Result<Self, StageError> {
        let file = people.stage().lines_file(PART)?;
        let mut starts = vec![0];
        let mut lines = file.lines()?;
        while lines.advance().map_err(CheckpointError::from)? {
            let RowPlace { offset, length } = lines.place();
            list.add(&parse(&file, lines.number(), lines.line())?);
            starts.push(offset + length as u64);
        }
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
        }
    }
}

impl SealedPeople {
    fn get(&self, number: usize) -> Result<Option<Persona>, StageError> {
        let Some([start, end]) = self.starts.get(number..).and_then(|rest| rest.first_chunk()) else { return Ok(None) };
        let length = usize::try_from(end - start).unwrap_or(usize::MAX);
        let line = self.file.read(RowPlace { offset: *start, length })?;
        parse(&self.file, number as u64 + 1, &line).map(Some)
    }
}

fn parse(file: &LinesFile, line: u64, text: &[u8]) -> Result<Persona, StageError> {
    let misread = |source| CheckpointError::Row { path: file.path().to_owned(), line, source };
    Ok(serde_json::from_slice(text).map_err(misread)?)
}
