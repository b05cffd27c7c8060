//! Rows of equal length by number, without a reallocation that holds all of them twice.

/// Rows in a block.
const BLOCK: usize = 1 << 15;

/// Rows of `stride` values, numbered from 0.
#[derive(Debug)]
pub(super) struct Strided<T> {
    stride: usize,
    blocks: Vec<Vec<T>>,
}

impl<T: Copy> Strided<T> {
    /// None yet.
    pub(super) fn new(stride: usize) -> Self {
        Self { stride: stride.max(1), blocks: Vec::new() }
    }

    /// Adds rows, one behind the other.
    pub(super) fn extend(&mut self, values: &[T]) {
        for row in values.chunks_exact(self.stride) {
            let full = BLOCK * self.stride;
            if self.blocks.last().is_none_or(|block| block.len() == full) {
                self.blocks.push(Vec::with_capacity(full));
            }
            self.blocks.last_mut().into_iter().for_each(|block| block.extend_from_slice(row));
        }
    }

    /// The values of a row; none behind the last.
    pub(super) fn row(&self, number: u32) -> &[T] {
        let (block, start) = self.place(number);
        self.blocks.get(block).and_then(|block| block.get(start..start + self.stride)).unwrap_or_default()
    }

    /// One value of a row.
    pub(super) fn get(&self, number: u32, column: usize) -> Option<T> {
        let (block, start) = self.place(number);
        self.blocks.get(block)?.get(start + column).copied()
    }

    /// Replaces one value of a row.
    pub(super) fn set(&mut self, number: u32, column: usize, value: T) {
        let (block, start) = self.place(number);
        if let Some(place) = self.blocks.get_mut(block).and_then(|block| block.get_mut(start + column)) {
            *place = value;
        }
    }

    fn place(&self, number: u32) -> (usize, usize) {
        let number = number as usize;
        (number / BLOCK, number % BLOCK * self.stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_number_across_blocks() {
        let block = u32::try_from(BLOCK).unwrap();
        let (mut rows, count) = (Strided::new(3), block * 2 + 5);
        for number in 0..count {
            rows.extend(&[number, number + 1, number + 2]);
        }
        for number in [0, 1, block - 1, block, count - 1] {
            assert_eq!(rows.row(number), [number, number + 1, number + 2]);
            rows.set(number, 1, 7);
            assert_eq!((rows.get(number, 0), rows.get(number, 1)), (Some(number), Some(7)));
        }
        assert!(rows.row(count).is_empty() && rows.get(count, 0).is_none());
    }
}
