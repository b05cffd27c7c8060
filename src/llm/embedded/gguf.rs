//! GGUF, the file format of the weights: a head of metadata and of tensor descriptions, then the tensors' numbers.
//!
//! Read as the [specification](https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) says, versions 2 and 3,
//! as far as SmolLM2's file goes: tensors in `F32`, `Q4_1` and `Q8_0`.
//!
//! Nothing the file says is believed before it is held against the file's size, so memory stays within what the file
//! can fill.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};

/// Where tensors begin is a multiple of this, unless the metadata say otherwise.
const ALIGNMENT: u64 = 32;

/// Most dimensions of a tensor, as in GGML.
const DIMENSIONS: u32 = 4;

/// Rows of a tensor that are plain numbers at one time.
const SLAB: usize = 1024;

/// Numbers in a block of a quantized tensor.
const BLOCK: usize = 32;

/// What is wrong with a GGUF file.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The system could not read it.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It begins with something else.
    #[error("it is not GGUF of version 2 or 3")]
    Foreign,
    /// It promises more bytes than it has.
    #[error("it is cut short or damaged: something at byte {at} reaches beyond its end")]
    Short {
        /// Where the promise stands.
        at: u64,
    },
    /// A text is not UTF-8, or a type, a shape or an alignment is none of those there are.
    #[error("it is damaged: {what} at byte {at}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where it ends.
        at: u64,
    },
    /// A piece of metadata, a tensor or a token is missing, or is not what it has to be.
    #[error("it has no usable {0}")]
    Missing(String),
}

/// An open file whose head has been read.
#[derive(Debug)]
pub(super) struct Gguf<F> {
    file: F,
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, Tensor>,
}

/// A piece of metadata, as far as this model has use for it.
#[derive(Debug)]
enum Value {
    Unsigned(u64),
    Float(f32),
    Texts(Vec<String>),
    Other,
}

/// A tensor, seen as rows of numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tensor {
    /// Numbers in a row.
    width: usize,
    rows: usize,
    format: Format,
    /// Where its first byte is in the file.
    start: u64,
}

/// How numbers are stored.
#[derive(Debug, Clone, Copy)]
enum Format {
    F32,
    Q4_1,
    Q8_0,
}

impl<F: Read + Seek> Gguf<F> {
    /// Reads the head.
    pub(super) fn read(mut file: F) -> Result<Self, GgufError> {
        let size = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut head = Head { file, at: 0, size };
        let (magic, version) = (head.take::<4>()?, head.u32()?);
        if magic != *b"GGUF" || !matches!(version, 2 | 3) {
            return Err(GgufError::Foreign);
        }
        let (tensors, values) = (head.u64()?, head.u64()?);
        let metadata = (0..values).map(|_| Ok((head.text()?, head.value()?)));
        let metadata: HashMap<_, _> = metadata.collect::<Result<_, GgufError>>()?;
        let tensors = (0..tensors).map(|_| Ok((head.text()?, head.tensor()?)));
        let mut tensors: HashMap<_, _> = tensors.collect::<Result<_, GgufError>>()?;
        head.place(&mut tensors, metadata.get("general.alignment"))?;
        Ok(Self { file: head.file, metadata, tensors })
    }

    /// A whole number.
    pub(super) fn unsigned(&self, key: &str) -> Result<u64, GgufError> {
        match self.metadata.get(key) {
            Some(Value::Unsigned(value)) => Ok(*value),
            _ => Err(GgufError::Missing(key.to_owned())),
        }
    }

    /// A number.
    pub(super) fn float(&self, key: &str) -> Result<f32, GgufError> {
        match self.metadata.get(key) {
            Some(Value::Float(value)) => Ok(*value),
            _ => Err(GgufError::Missing(key.to_owned())),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, key: &str) -> Result<&[String], GgufError> {
        match self.metadata.get(key) {
            Some(Value::Texts(texts)) => Ok(texts),
            _ => Err(GgufError::Missing(key.to_owned())),
        }
    }

    /// The tensor `name`, which has to have `rows` rows of `width` numbers.
    pub(super) fn tensor(&self, name: &str, width: usize, rows: usize) -> Result<Tensor, GgufError> {
        let tensor = self.tensors.get(name).filter(|tensor| (tensor.width, tensor.rows) == (width, rows));
        tensor.copied().ok_or_else(|| GgufError::Missing(format!("{name} of {rows} times {width} numbers")))
    }

    /// Hands the numbers of `tensor` to `take`, some whole rows at a time.
    pub(super) fn numbers(&mut self, tensor: Tensor, mut take: impl FnMut(&[f32])) -> Result<(), GgufError> {
        let Tensor { width, rows, format, start } = tensor;
        self.file.seek(SeekFrom::Start(start))?;
        let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
        for first in (0..rows).step_by(SLAB) {
            let blocks = width * SLAB.min(rows - first) / format.numbers();
            bytes.resize(blocks * format.bytes(), 0);
            self.file.read_exact(&mut bytes)?;
            numbers.clear();
            format.decode(&bytes, &mut numbers);
            take(&numbers);
        }
        Ok(())
    }
}

/// The head on its way in.
struct Head<F> {
    file: F,
    /// Bytes read.
    at: u64,
    /// Bytes of the file.
    size: u64,
}

impl<F: Read + Seek> Head<F> {
    /// Whether there are `count` more bytes.
    fn claim(&self, count: u64) -> Result<(), GgufError> {
        if count > self.size.saturating_sub(self.at) { Err(GgufError::Short { at: self.at }) } else { Ok(()) }
    }

    fn damaged(&self, what: &'static str) -> GgufError {
        GgufError::Damaged { what, at: self.at }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        self.claim(N as u64)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    fn text(&mut self) -> Result<String, GgufError> {
        let length = self.u64()?;
        self.claim(length)?;
        let mut bytes = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut bytes)?;
        self.at += length;
        String::from_utf8(bytes).map_err(|_| self.damaged("a text that is not UTF-8"))
    }

    fn value(&mut self) -> Result<Value, GgufError> {
        match self.u32()? {
            4 => Ok(Value::Unsigned(self.u32()?.into())),
            6 => Ok(Value::Float(f32::from_bits(self.u32()?))),
            8 => self.text().map(|_| Value::Other),
            9 => self.list(),
            10 => Ok(Value::Unsigned(self.u64()?)),
            kind => self.skip(kind, 1),
        }
    }

    fn list(&mut self) -> Result<Value, GgufError> {
        let (kind, count) = (self.u32()?, self.u64()?);
        if kind != 8 {
            return self.skip(kind, count);
        }
        let texts = (0..count).map(|_| self.text());
        Ok(Value::Texts(texts.collect::<Result<_, _>>()?))
    }

    /// Passes over `count` numbers of a kind that nothing here is written in.
    fn skip(&mut self, kind: u32, count: u64) -> Result<Value, GgufError> {
        let bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            _ => return Err(self.damaged("a value of unknown type")),
        };
        let bytes = count.saturating_mul(bytes);
        self.claim(bytes)?;
        self.at += bytes;
        self.file.seek(SeekFrom::Start(self.at))?;
        Ok(Value::Other)
    }

    /// A tensor's description; where it starts is counted from where the head ends.
    fn tensor(&mut self) -> Result<Tensor, GgufError> {
        let dimensions = self.u32()?;
        if !(1..=DIMENSIONS).contains(&dimensions) {
            return Err(self.damaged("a tensor's number of dimensions"));
        }
        let shape = (0..dimensions).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
        let format = match self.u32()? {
            0 => Format::F32,
            3 => Format::Q4_1,
            8 => Format::Q8_0,
            _ => return Err(self.damaged("a tensor of unknown type")),
        };
        let start = self.u64()?;
        let (width, others) = shape.split_first().map_or((1, &[][..]), |(width, others)| (*width, others));
        let rows = others.iter().try_fold(1_u64, |rows, size| rows.checked_mul(*size));
        let (width, rows) = (usize::try_from(width), usize::try_from(rows.unwrap_or(u64::MAX)));
        let (Ok(width), Ok(rows)) = (width, rows) else { return Err(self.damaged("a tensor's shape")) };
        if !width.is_multiple_of(format.numbers()) {
            return Err(self.damaged("a tensor's shape"));
        }
        Ok(Tensor { width, rows, format, start })
    }

    /// Puts the tensors behind the head. Together they may not have more bytes than there are: or else one part of the
    /// file could stand for many tensors and fill any memory.
    fn place(&self, tensors: &mut HashMap<String, Tensor>, alignment: Option<&Value>) -> Result<(), GgufError> {
        let alignment = match alignment {
            None => ALIGNMENT,
            Some(Value::Unsigned(alignment @ 1..=0xFFFF)) => *alignment,
            Some(_) => return Err(self.damaged("an alignment")),
        };
        let base = self.at.next_multiple_of(alignment);
        let mut free = self.size.saturating_sub(base);
        for tensor in tensors.values_mut() {
            let bytes = tensor.bytes().ok_or(GgufError::Short { at: self.at })?;
            free = free.checked_sub(bytes).ok_or(GgufError::Short { at: self.at })?;
            tensor.start = tensor.start.saturating_add(base);
            if tensor.start.saturating_add(bytes) > self.size {
                return Err(GgufError::Short { at: tensor.start });
            }
        }
        Ok(())
    }
}

impl Tensor {
    /// Bytes in the file, unless they are more than can be counted.
    fn bytes(self) -> Option<u64> {
        let row = (self.width / self.format.numbers()).checked_mul(self.format.bytes())?;
        Some(row.checked_mul(self.rows)? as u64)
    }
}

impl Format {
    /// Numbers that are stored together.
    fn numbers(self) -> usize {
        match self {
            Self::F32 => 1,
            Self::Q4_1 | Self::Q8_0 => BLOCK,
        }
    }

    /// Bytes of so many numbers.
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Q4_1 => 2 + 2 + BLOCK / 2,
            Self::Q8_0 => 2 + BLOCK,
        }
    }

    /// Appends the numbers in `bytes`, whole blocks of them, to `numbers`. The layouts are those of GGML's
    /// `block_q4_1` and `block_q8_0`.
    fn decode(self, bytes: &[u8], numbers: &mut Vec<f32>) {
        match self {
            Self::F32 => numbers.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            Self::Q4_1 => bytes.as_chunks().0.iter().for_each(|block| q4_1(block, numbers)),
            Self::Q8_0 => bytes.as_chunks().0.iter().for_each(|block| q8_0(block, numbers)),
        }
    }
}

/// A scale, a minimum, and 32 numbers of four bits: the low halves of 16 bytes, then their high halves.
fn q4_1([s0, s1, m0, m1, quants @ ..]: &[u8; 20], numbers: &mut Vec<f32>) {
    let (scale, least) = (half([*s0, *s1]), half([*m0, *m1]));
    let quants = quants.iter().map(|byte| byte & 0xF).chain(quants.iter().map(|byte| byte >> 4));
    numbers.extend(quants.map(|quant| f32::from(quant) * scale + least));
}

/// A scale and 32 numbers of eight bits.
fn q8_0([s0, s1, quants @ ..]: &[u8; 34], numbers: &mut Vec<f32>) {
    let scale = half([*s0, *s1]);
    numbers.extend(quants.iter().map(|quant| f32::from(quant.cast_signed()) * scale));
}

/// A number of 16 bits (IEEE 754 `binary16`) that is finite. Its exponent is moved to where `f32` has its own, and the
/// bias, which differs by 112, is made up for by a multiplication, which is exact.
fn half(bytes: [u8; 2]) -> f32 {
    const BIAS: f32 = f32::from_bits((127 + 112) << 23);
    let bits = u32::from(u16::from_le_bytes(bytes));
    let magnitude = f32::from_bits((bits & 0x7FFF) << 13) * BIAS;
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests;
