//! Where things lie in a destination.
//!
//! ```text
//! <dataset>/versions/<version>/README.md, data/…, …, manifest.json    the manifest written last, nothing written twice
//! <dataset>/latest.json                                               the pointer, replaced when all of that is there
//! ```
//!
//! A version is the first 16 digits of the SHA-256 of its manifest. The manifest holds the hash of every other file, so equal
//! data has an equal version wherever and whenever it is compiled.

/// Digits of a version.
const DIGITS: usize = 16;

/// The manifest of a version.
pub(crate) const MANIFEST: &str = "manifest.json";

/// The version of the dataset whose manifest has this SHA-256, in hex.
pub(crate) fn of_manifest(sha256: &str) -> String {
    sha256.chars().take(DIGITS).collect()
}

/// Whether this can be a version: it comes from a pointer that anyone may have written, and becomes part of a path.
pub(crate) fn is_version(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What lies in front of every version, with `/` at the end.
pub(crate) fn versions(dataset: &str) -> String {
    format!("{dataset}/versions/")
}

/// What lies in front of every file of a version, with `/` at the end.
pub(crate) fn prefix(dataset: &str, version: &str) -> String {
    format!("{}{version}/", versions(dataset))
}

/// The pointer.
pub(crate) fn pointer(dataset: &str) -> String {
    format!("{dataset}/latest.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_part_of_a_path_and_nothing_else() {
        let version = of_manifest(&"0123456789abcdef".repeat(4));
        assert_eq!(prefix("a/b", &version), "a/b/versions/0123456789abcdef/");
        assert!(is_version(&version));
        for bad in
            ["", "../../../../../..", "0123456789abcde", "0123456789ABCDEF", "0123456789abcdef0", "é123456789abcde"]
        {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
