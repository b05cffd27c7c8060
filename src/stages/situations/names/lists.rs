//! The names that can be drawn: the files of `prompts/names/`, compiled in.
//!
//! A file has three sections, `[female]`, `[male]` and `[family]`, each a line of names that are one word each. They were
//! written for convogen from common knowledge: names in use, none of them rare, none of them a joke.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::similar::folded;
use crate::config::assets;
use crate::lexicon;

/// What a given name says of its bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Gender {
    Female,
    Male,
}

/// A name as it is written and as it is compared.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) written: &'static str,
    pub(super) folded: String,
}

/// Names that go together.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) name: &'static str,
    female: Vec<Name>,
    male: Vec<Name>,
    pub(super) family: Vec<Name>,
}

impl Region {
    pub(super) fn given(&self, gender: Gender) -> &[Name] {
        match gender {
            Gender::Female => &self.female,
            Gender::Male => &self.male,
        }
    }

    /// Given and family name in the order and spacing of the script.
    pub(super) fn full(&self, given: &str, family: &str) -> String {
        match self.name {
            "chinese-han" => format!("{family}{given}"),
            _ => format!("{given} {family}"),
        }
    }

    /// The names of the file of that name.
    fn read(name: &'static str) -> Self {
        let file = format!("{FOLDER}/{name}.txt");
        let sections = assets::builtin(&file).map(|text| lexicon::sections(&file, text));
        // A test reads all that ships.
        let Some(Ok(sections)) = sections else { unreachable!("{file} ships and can be read") };
        let names = |heading| {
            let lines =
                sections.iter().filter(|section| section.heading == heading).flat_map(|section| &section.entries);
            let words = lines.flat_map(|(_, line)| line.split_whitespace());
            words.map(|written| Name { written, folded: folded(written) }).collect()
        };
        Self { name, female: names("female"), male: names("male"), family: names("family") }
    }
}

/// All regions, in a fixed order.
pub(super) fn regions() -> &'static [Region] {
    static REGIONS: OnceLock<Vec<Region>> = OnceLock::new();
    REGIONS.get_or_init(|| NAMES.split(' ').map(Region::read).collect())
}

/// A region by name.
pub(super) fn region(name: &str) -> Option<&'static Region> {
    regions().iter().find(|region| region.name == name)
}

/// The region for people of whom nothing at all is known.
pub(super) fn english() -> &'static Region {
    static ENGLISH: OnceLock<Region> = OnceLock::new();
    ENGLISH.get_or_init(|| Region::read("english"))
}

/// Whose name a given name is, if it stands in one of the lists; the first list counts.
pub(super) fn bearer(given: &str) -> Option<(&'static Region, Gender)> {
    type Bearers = HashMap<&'static str, (&'static Region, Gender)>;
    static BEARERS: OnceLock<Bearers> = OnceLock::new();
    let bearers = BEARERS.get_or_init(|| {
        let mut bearers = Bearers::new();
        for region in regions() {
            for gender in [Gender::Female, Gender::Male] {
                for given in region.given(gender) {
                    bearers.entry(&given.folded).or_insert((region, gender));
                }
            }
        }
        bearers
    });
    bearers.get(folded(given).as_str()).copied()
}

/// Regions, with weights, for people of whom nothing is known but the language they are written about in. English is written
/// about people from everywhere, German and French about neighbours too. A language that is not listed is treated as English.
pub(super) fn of_language(language: &str) -> &'static [(&'static str, f64)] {
    let primary = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    match primary.as_str() {
        "es" | "ca" | "gl" => &[("spanish", 1.0)],
        "pt" => &[("portuguese", 1.0)],
        "fr" => &[("french", 0.8), ("arabic", 0.1), ("west-african", 0.1)],
        "de" => &[("german", 0.8), ("turkish", 0.1), ("polish", 0.1)],
        "it" => &[("italian", 1.0)],
        "nl" => &[("dutch", 1.0)],
        "sv" | "nb" | "nn" | "no" | "da" | "fi" | "is" => &[("nordic", 1.0)],
        "pl" => &[("polish", 1.0)],
        "cs" | "sk" | "sr" | "hr" | "sl" | "bs" | "bg" | "mk" => &[("central-european", 1.0)],
        "ru" | "uk" | "be" | "kk" => &[("russian", 1.0)],
        "el" => &[("greek", 1.0)],
        "tr" | "az" => &[("turkish", 1.0)],
        "ar" => &[("arabic", 1.0)],
        "fa" => &[("persian", 1.0)],
        "he" => &[("hebrew", 1.0)],
        "hi" | "bn" | "ta" | "te" | "mr" | "gu" | "kn" | "ml" | "pa" | "ne" => &[("indian", 1.0)],
        "zh" => &[("chinese-han", 1.0)],
        "ja" => &[("japanese", 1.0)],
        "ko" => &[("korean", 1.0)],
        "vi" => &[("vietnamese", 1.0)],
        "id" | "ms" | "th" | "tl" => &[("southeast-asian", 1.0)],
        "yo" | "ig" | "ha" | "wo" | "ak" => &[("west-african", 1.0)],
        "sw" | "am" | "om" | "so" | "rw" => &[("east-african", 1.0)],
        "zu" | "xh" | "sn" | "st" | "tn" => &[("southern-african", 1.0)],
        _ => &[
            ("english", 0.75),
            ("spanish", 0.05),
            ("indian", 0.05),
            ("chinese", 0.05),
            ("arabic", 0.05),
            ("west-african", 0.05),
        ],
    }
}

const FOLDER: &str = "prompts/names";

/// The files in the order in which they are looked through; what is new comes last, so that nobody is named otherwise.
const NAMES: &str = "english spanish portuguese french german italian dutch nordic polish central-european russian greek \
    turkish arabic persian hebrew indian chinese chinese-han japanese korean vietnamese southeast-asian west-african \
    east-african southern-african";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::readable::is_name;
    use super::*;

    #[test]
    fn lists_are_full_and_sound() {
        for region in regions() {
            let least = match region.name {
                "english" => 60,
                "dutch" | "greek" | "hebrew" | "southern-african" => 25,
                _ => 40,
            };
            for names in [region.given(Gender::Female), region.given(Gender::Male)] {
                assert!(names.len() >= least, "{} has {} names", region.name, names.len());
                let distinct: BTreeSet<_> = names.iter().map(|name| name.written).collect();
                assert_eq!(distinct.len(), names.len(), "{}", region.name);
            }
            assert!(region.family.len() >= 25, "{}", region.name);
            for given in region.female.iter().chain(&region.male) {
                assert!(is_name(given.written), "{}: {}", region.name, given.written);
            }
            for family in &region.family {
                let full = region.full(region.female[0].written, family.written);
                assert!(is_name(&full), "{}: {full}", region.name);
            }
        }
    }

    #[test]
    fn every_language_has_lists() {
        for language in ["en", "en-GB", "de_AT", "zh-Hant", "xx", ""] {
            let regions = of_language(language);
            assert!(!regions.is_empty() && regions.iter().all(|(name, _)| region(name).is_some()), "{language}");
        }
        assert_eq!(of_language("DE-ch")[0].0, "german");
    }
}
