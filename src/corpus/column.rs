//! Values by the number of their record, without a reallocation that holds all of them twice.

/// Values in a block.
const BLOCK: usize = 1 << 15;

/// A value for each record, numbered from 0.
#[derive(Debug)]
pub(super) struct RecordColumn<T>(Vec<Vec<T>>);

impl<T: Copy> RecordColumn<T> {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds values, one behind the other.
    pub(super) fn extend(&mut self, values: impl IntoIterator<Item = T>) {
        let mut values = values.into_iter();
        loop {
            if self.0.last().is_none_or(|block| block.len() == BLOCK) {
                let Some(first) = values.next() else { return };
                let mut block = Vec::with_capacity(BLOCK);
                block.push(first);
                self.0.push(block);
            }
            let Some(block) = self.0.last_mut() else { return };
            let (before, room) = (block.len(), BLOCK - block.len());
            block.extend(values.by_ref().take(room));
            if block.len() - before < room {
                return;
            }
        }
    }

    /// The value of a record; none behind the last.
    pub(super) fn get(&self, number: u32) -> Option<T> {
        let number = number as usize;
        self.0.get(number / BLOCK)?.get(number % BLOCK).copied()
    }

    /// All values, by the number of their record.
    pub(super) fn values(&self) -> impl Iterator<Item = T> {
        self.0.iter().flatten().copied()
    }

    /// Replaces the value of a record.
    pub(super) fn set(&mut self, number: u32, value: T) {
        let number = number as usize;
        if let Some(place) = self.0.get_mut(number / BLOCK).and_then(|block| block.get_mut(number % BLOCK)) {
            *place = value;
        }
    }

    /// Gives every record the same value.
    pub(super) fn fill(&mut self, value: T) {
        self.0.iter_mut().for_each(|block| block.fill(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_number_across_blocks() {
        let block = u32::try_from(BLOCK).unwrap();
        for step in [1, 7, block, 3 * block] {
            let (mut column, count) = (RecordColumn::new(), block * 2 + 5);
            for start in (0..count).step_by(step as usize) {
                column.extend(start..count.min(start + step));
            }
            assert!(column.values().eq(0..count));
            for number in [0, 1, block - 1, block, count - 1] {
                assert_eq!(column.get(number), Some(number));
                column.set(number, 7);
                assert_eq!((column.get(number), column.get(count)), (Some(7), None));
            }
            column.fill(9);
            assert!((0..count).all(|number| column.get(number) == Some(9)));
        }
    }
}
