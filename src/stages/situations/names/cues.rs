//! What a description says of gender and origin. Age is no cue: names are not drawn by decade.
//!
//! Rules, the first that speaks decides. Gender: a noun of the first phrase (`a retired actress | who`), the grammar of other
//! languages (`eine Lehrerin`, `una`, 女), pronouns if they agree, `and mother of`. Origin: the nationality in the first phrase
//! unless it belongs to a subject (`a Chinese history teacher`), a place after `from`, `in` or `near`, the script or language
//! of the description itself. Words that may be something else (`polish`, `turkey`) count only with a capital.

use super::lists::{self, Gender, Region};
use crate::lexicon::{Lexicon, List, Marks};

static GENDER: Lexicon = Lexicon::file("people/gender.txt");
static FEMALE: List = GENDER.list("female");
static MALE: List = GENDER.list("male");
static FEMALE_TITLES: List = GENDER.list("female titles");
static MALE_TITLES: List = GENDER.list("male titles");
static SHE: List = GENDER.list("she");
static HE: List = GENDER.list("he");
static NEITHER: List = GENDER.list("neither");
static GERMAN_FEMININE: List = GENDER.list("german feminine endings");
static GERMAN_MASCULINE: List = GENDER.list("german masculine endings");
static RUSSIAN_FEMININE: List = GENDER.list("russian feminine endings");
static FEMALE_ANYWHERE: List = GENDER.list("female anywhere");
static MALE_ANYWHERE: List = GENDER.list("male anywhere");
static FEMALE_SIGNS: List = GENDER.list("female signs");
static MALE_SIGNS: List = GENDER.list("male signs");
static NO_SIGNS: List = GENDER.list("no signs");

/// By region.
static NATIONALITIES: Lexicon = Lexicon::file("people/nationalities.txt");
/// By region.
static PLACES: Lexicon = Lexicon::file("people/places.txt");
/// Small words, by the region of their language; only such as English does not have, but for the list of English itself.
static LANGUAGES: Lexicon = Lexicon::file("people/languages.txt");

static ORIGINS: Lexicon = Lexicon::file("people/origins.txt");
static PHRASE_ENDS: List = ORIGINS.list("ends the first phrase");
static SUBJECTS: List = ORIGINS.list("subjects");
static LAND: List = ORIGINS.list("land");
static LEADS_TO_A_PLACE: List = ORIGINS.list("leads to a place");

/// What a description says, as far as it says anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cues {
    pub(super) gender: Option<Gender>,
    pub(super) region: Option<&'static Region>,
}

/// What `text` says.
pub(super) fn of_text(text: &str) -> Cues {
    let words = Words::of(text);
    let gender = words.title().or_else(|| words.noun()).or_else(|| words.grammar()).or_else(|| words.german());
    let gender = gender.or_else(|| other_scripts(text)).or_else(|| chinese_gender(text));
    let gender = gender.or_else(|| words.pronouns()).or_else(|| words.later_noun());
    let region = words.nationality().or_else(|| words.place()).or_else(|| written_in(text, &words));
    Cues { gender, region: region.and_then(lists::region) }
}

struct Words {
    lower: Vec<String>,
    /// What the lists of gender make of each word.
    gender: Vec<Marks>,
    /// Whether the word starts with a capital.
    capital: Vec<bool>,
    /// Words before the first phrase ends.
    head: usize,
    /// Whether the first word is all capitals, as in `UN`.
    shouts: bool,
}

impl Words {
    fn of(text: &str) -> Self {
        let shouts = text.chars().take(2).all(char::is_uppercase);
        let mut words = Self { lower: Vec::new(), gender: Vec::new(), capital: Vec::new(), head: usize::MAX, shouts };
        // `I am a mother`: the phrase starts after the verb.
        let text = ["I am ", "I'm ", "I’m "].iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text);
        let parts =
            text.split_whitespace().flat_map(|word| word.split('-').map(move |part| (part, word.contains('-'))));
        for (raw, joined) in parts.take(120) {
            let bare = raw.trim_matches(|c: char| !c.is_alphanumeric());
            let lower = bare.to_lowercase();
            // `stay-at-home` is one word, and `Die der ...` no phrase.
            let begun = words.lower.len() > usize::from(lower == "der");
            if begun && !joined && PHRASE_ENDS.has(&lower) {
                words.head = words.head.min(words.lower.len());
            }
            words.capital.push(bare.starts_with(char::is_uppercase));
            words.gender.push(GENDER.marks(&lower));
            words.lower.push(lower);
            if raw.ends_with([',', '.', ';', '(']) {
                words.head = words.head.min(words.lower.len());
            }
        }
        words.head = words.head.min(words.lower.len());
        words
    }

    fn at(&self, index: usize) -> &str {
        self.lower.get(index).map_or("", String::as_str)
    }

    fn is(&self, at: usize, list: &List) -> bool {
        self.gender.get(at).is_some_and(|marks| marks.has(list))
    }

    fn gender(&self, at: usize) -> Option<Gender> {
        either(self.is(at, &FEMALE), self.is(at, &MALE))
    }

    fn noun(&self) -> Option<Gender> {
        let degree = |at: usize| self.at(at) == "bachelor" && self.at(at + 1) == "of";
        (0..self.head).filter(|at| !degree(*at)).find_map(|at| self.gender(at))
    }

    /// `Mrs. Bell`.
    fn title(&self) -> Option<Gender> {
        either(self.is(0, &FEMALE_TITLES), self.is(0, &MALE_TITLES))
    }

    /// `Die Wirtin ...`, `Krankenpfleger auf ...`, `Ich bin Schreiner`: the first noun's ending, where the text is German.
    fn german(&self) -> Option<Gender> {
        if self.told_by_small_words() != Some("german") {
            return None;
        }
        let noun = (0..self.head.min(6)).find(|at| self.is_capital(*at) && self.at(*at).len() > 4)?;
        either(self.is(noun, &GERMAN_FEMININE), self.is(noun, &GERMAN_MASCULINE))
    }

    /// The language of a text in Latin letters that has at least two of its small words and none of the English ones.
    fn told_by_small_words(&self) -> Option<&'static str> {
        let mut counts = vec![0; LANGUAGES.headings().len()];
        for language in self.lower.iter().flat_map(|word| LANGUAGES.marks(word).places()) {
            counts.get_mut(language).into_iter().for_each(|count| *count += 1);
        }
        let told = LANGUAGES.headings().iter().copied().zip(counts);
        let (english, others): (Vec<_>, Vec<_>) = told.partition(|(region, _)| *region == "english");
        if english.iter().any(|(_, count)| *count > 0) {
            return None;
        }
        // Of equals the first.
        let most = others.into_iter().rev().max_by_key(|(_, count)| *count);
        most.filter(|(_, count)| *count >= 2).map(|(region, _)| region)
    }

    /// `eine Lehrerin`, `ein Lehrer`, `una abogada`, `um médico`. Capitals tell `Un` from the UN.
    fn grammar(&self) -> Option<Gender> {
        let next = self.at(1);
        let feminine = || self.lower.iter().take(self.head.min(5)).any(|word| word.len() > 4 && word.ends_with("in"));
        match self.at(0) {
            _ if self.is(1, &NEITHER) || self.shouts => None,
            // `Soy camarera`, `Soy camarero`; words in -ista are both.
            "soy" if next.ends_with('o') => Some(Gender::Male),
            "soy" if next.ends_with('a') && !next.ends_with("ista") && next != "una" => Some(Gender::Female),
            "eine" => feminine().then_some(Gender::Female),
            "una" | "une" | "uma" => Some(Gender::Female),
            "ein" | "um" | "un" => Some(Gender::Male),
            _ => None,
        }
    }

    /// Pronouns up to where someone else is spoken of: a wife, a brother, `of Ella Fitzgerald`.
    fn pronouns(&self) -> Option<Gender> {
        let full_name = |at: usize| self.is_capital(at) && self.is_capital(at + 1) && at + 1 < self.lower.len();
        let other = |at: &usize| self.gender(*at).is_some() || full_name(*at) && self.at(at - 1) == "of";
        let until = (self.head.max(1)..self.lower.len()).find(other).unwrap_or(self.lower.len());
        let has = |list: &List| (0..until).any(|at| self.is(at, list));
        let (she, he) = (has(&SHE), has(&HE));
        either(she && !he, he && !she)
    }

    /// `a chemist and mother of two`, `who is a father`.
    fn later_noun(&self) -> Option<Gender> {
        let bound = |at: usize| {
            let (before, two) = (self.at(at - 1), self.at(at - 2));
            before == "and" || matches!(before, "a" | "an") && matches!(two, "is" | "and" | "as" | "became")
        };
        (2..self.lower.len()).filter(|at| bound(*at)).find_map(|at| self.gender(at))
    }

    fn nationality(&self) -> Option<&'static str> {
        let origin = |(at, word): (usize, &String)| {
            let own = self.is_capital(at) && self.at(at.wrapping_sub(1)) != "ancient";
            let told = || region_in(&NATIONALITIES, word).or_else(|| region_in(&PLACES, word));
            if own && !SUBJECTS.has(self.at(at + 1)) { told() } else { None }
        };
        self.lower.iter().enumerate().take(self.head).find_map(origin)
    }

    fn place(&self) -> Option<&'static str> {
        let near = |at: usize| {
            let stated = |back| LEADS_TO_A_PLACE.has(self.at(at.wrapping_sub(back)));
            let part = self.at(at.wrapping_sub(1)) == "of" && LAND.has(self.at(at.wrapping_sub(2)));
            (1..=4).any(stated) || part
        };
        let capitals = (0..self.lower.len()).filter(|at| self.is_capital(*at));
        capitals
            .filter_map(|at| Some((at, region_in(&PLACES, self.at(at))?)))
            .find(|(at, _)| near(*at))
            .map(|(_, region)| region)
    }

    fn is_capital(&self, at: usize) -> bool {
        self.capital.get(at) == Some(&true)
    }
}

/// The region below whose heading a word stands.
fn region_in(lexicon: &'static Lexicon, word: &str) -> Option<&'static str> {
    lexicon.headings().get(lexicon.marks(word).places().next()?).copied()
}

fn either(female: bool, male: bool) -> Option<Gender> {
    female.then_some(Gender::Female).or(male.then_some(Gender::Male))
}

/// Russian by its relative pronoun and feminine endings, Arabic by the ending of the first word, Korean by its nouns.
fn other_scripts(text: &str) -> Option<Gender> {
    let first = text.split_whitespace().next().unwrap_or_default().trim_end_matches(|c: char| !c.is_alphabetic());
    let arabic = first.chars().any(|c| ('\u{600}'..='\u{6ff}').contains(&c));
    let he_does = || [" يعمل", " يعيش", " يدرس", " يحب"].iter().any(|verb| text.contains(verb));
    match () {
        () if FEMALE_ANYWHERE.is_in(text) => Some(Gender::Female),
        () if MALE_ANYWHERE.is_in(text) => Some(Gender::Male),
        () if RUSSIAN_FEMININE.has(&first.to_lowercase()) => Some(Gender::Female),
        () if arabic => either(first.ends_with('ة'), he_does()),
        () => None,
    }
}

/// The sign that comes first.
fn chinese_gender(text: &str) -> Option<Gender> {
    if text.is_ascii() {
        return None;
    }
    let text = NO_SIGNS.texts().fold(text.to_owned(), |text, both| text.replace(both, ""));
    let (female, male) = (FEMALE_SIGNS.first_in(&text), MALE_SIGNS.first_in(&text));
    match (female, male) {
        (Some(female), Some(male)) => either(female < male, true),
        (female, male) => either(female.is_some(), male.is_some()),
    }
}

/// The region whose language or script the description is written in; English and what can't be told give none.
fn written_in(text: &str, words: &Words) -> Option<&'static str> {
    let has = |range: std::ops::RangeInclusive<char>| text.chars().any(|c| range.contains(&c));
    let says = |list: &[&str]| words.lower.iter().any(|word| list.contains(&word.as_str()));
    match () {
        () if has('\u{3040}'..='\u{30ff}') => Some("japanese"),
        () if has('\u{ac00}'..='\u{d7af}') => Some("korean"),
        () if has('\u{4e00}'..='\u{9fff}') => Some("chinese"),
        () if has('\u{400}'..='\u{4ff}') => Some("russian"),
        () if has('\u{370}'..='\u{3ff}') && says(&["και", "που", "με", "ένας", "μια", "μία"]) => {
            Some("greek")
        }
        () if text.contains(['پ', 'چ', 'ژ', 'گ']) => Some("persian"),
        () if has('\u{600}'..='\u{6ff}') => Some("arabic"),
        () if has('\u{590}'..='\u{5ff}') => Some("hebrew"),
        () if has('\u{900}'..='\u{dff}') => Some("indian"),
        () if has('\u{e00}'..='\u{e7f}') => Some("southeast-asian"),
        () => latin(words.at(0), says).or_else(|| words.told_by_small_words()),
    }
}

fn latin(start: &str, says: impl Fn(&[&str]) -> bool) -> Option<&'static str> {
    match start {
        "um" | "uma" | "sou" => Some("portuguese"),
        "ein" | "eine" | "ich" => Some("german"),
        "soy" => Some("spanish"),
        "je" => Some("french"),
        "sono" => Some("italian"),
        "een" => Some("dutch"),
        "bir" => Some("turkish"),
        "en" | "ett" | "et" if says(&["som", "och", "og"]) => Some("nordic"),
        "un" | "una" | "une" => match () {
            () if says(&["che", "di", "il", "della", "per"]) => Some("italian"),
            () if start == "une" || says(&["qui", "les", "des", "dans", "par", "et"]) => Some("french"),
            () => Some("spanish"),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> (Option<Gender>, Option<&'static str>) {
        let cues = of_text(text);
        (cues.gender, cues.region.map(|region| region.name))
    }

    #[test]
    fn gender_follows_what_the_person_is() {
        use Gender::{Female, Male};
        for (text, gender) in [
            ("A retired actress who advises her husband", Some(Female)),
            ("a grandniece of William Elwood Murray", Some(Female)),
            ("A father who raises his daughter", Some(Male)),
            ("I am a single mother", Some(Female)),
            ("A chemist who lost his glasses", Some(Male)),
            ("A chemist and mother of two", Some(Female)),
            ("A girls' soccer coach", None),
            ("A women's rights lawyer", None),
            ("A nurse who argues with his wife about her car", Some(Male)),
            ("Eine Lehrerin aus Bremen", Some(Female)),
            ("Ein Lehrer aus Bremen", Some(Male)),
            ("Una persona apasionada por la historia", None),
            ("Uma estudante universitária", Some(Female)),
            ("一位母亲", Some(Female)),
            ("一位关心他人的医生", None),
            ("UN peacekeeper with a medal", None),
            ("An engineer", None),
        ] {
            assert_eq!(said(text).0, gender, "{text}");
        }
    }

    #[test]
    fn origin_follows_nationality_place_and_language() {
        for (text, region) in [
            ("A Yemeni mother with a son in the militia", Some("arabic")),
            ("An enthusiastic fan of Jamaican cricket who lives in Canada", Some("english")),
            ("A Chinese history teacher", None),
            ("A conservative politician in Denmark", Some("nordic")),
            ("a mother from Turkey who named her daughter", Some("turkish")),
            ("A man who eats turkey in winter", None),
            ("A shoe polish collector", None),
            ("A junior mining engineer from Ghana", Some("west-african")),
            ("A fan of Japanese anime", None),
            ("一位对国际政治持怀疑态度的博主", Some("chinese")),
            ("Soy un desarrollador de software", Some("spanish")),
            ("Un historien passionné par la généalogie des familles", Some("french")),
            ("Un noto architetto che contribuisce", Some("italian")),
            ("Разработчик веб-сайтов", Some("russian")),
            ("A gardener", None),
        ] {
            assert_eq!(said(text).1, region, "{text}");
        }
    }

    #[test]
    fn every_origin_has_names() {
        for origins in [&NATIONALITIES, &PLACES, &LANGUAGES] {
            for region in origins.headings() {
                assert!(lists::region(region).is_some(), "{region}");
            }
        }
    }
}
