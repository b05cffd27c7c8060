//! How far a corpus can be compressed: raw bytes per compressed byte, higher where more is said again.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Level of gzip, its highest: what Python's `gzip` uses by default. Its window is 32 KiB.
const GZIP_LEVEL: u32 = 9;
/// Level of zstd for a sample.
const SAMPLE_LEVEL: i32 = 19;
/// Level of zstd for a whole corpus.
const CORPUS_LEVEL: i32 = 3;
/// Matches are looked for in so many bytes, as a power of two: 128 MiB, the most a reader accepts unasked.
const WINDOW: u32 = 27;

/// By gzip. `None` for an empty text.
pub(super) fn gzip(text: &str) -> Option<f64> {
    let mut encoder = GzEncoder::new(Counting::default(), Compression::new(GZIP_LEVEL));
    encoder.write_all(text.as_bytes()).ok()?;
    ratio(text.len() as u64, &encoder.finish().ok()?)
}

/// By zstd with a window that holds the whole sample. `None` for an empty text.
pub(super) fn zstd(text: &str) -> Option<f64> {
    let mut encoder = zstd::Encoder::new(Counting::default(), SAMPLE_LEVEL).ok()?;
    encoder.window_log(WINDOW).ok()?;
    encoder.set_pledged_src_size(Some(text.len() as u64)).ok()?;
    encoder.write_all(text.as_bytes()).ok()?;
    ratio(text.len() as u64, &encoder.finish().ok()?)
}

fn ratio(bytes: u64, compressed: &Counting) -> Option<f64> {
    (bytes > 0).then(|| bytes as f64 / compressed.0 as f64)
}

/// Compresses a corpus that comes piece by piece.
pub(super) struct Corpus {
    encoder: zstd::Encoder<'static, Counting>,
    bytes: u64,
}

impl Corpus {
    pub(super) fn new() -> io::Result<Self> {
        let mut encoder = zstd::Encoder::new(Counting::default(), CORPUS_LEVEL)?;
        encoder.long_distance_matching(true)?;
        encoder.window_log(WINDOW)?;
        Ok(Self { encoder, bytes: 0 })
    }

    pub(super) fn add(&mut self, text: &str) -> io::Result<()> {
        self.bytes += text.len() as u64;
        self.encoder.write_all(text.as_bytes())
    }

    /// `None` when nothing came.
    pub(super) fn finish(self) -> io::Result<Option<f64>> {
        Ok(ratio(self.bytes, &self.encoder.finish()?))
    }
}

/// Counts what is written and forgets it.
#[derive(Debug, Default)]
struct Counting(u64);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
