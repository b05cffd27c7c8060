//! What a description says of gender and origin. Age is no cue: names are not drawn by decade.
//!
//! Rules, the first that speaks decides. Gender: a noun of the first phrase (`a retired actress | who`), the grammar of other
//! languages (`eine Lehrerin`, `una`, 女), pronouns if they agree, `and mother of`. Origin: the nationality in the first phrase
//! unless it belongs to a subject (`a Chinese history teacher`), a place after `from`, `in` or `near`, the script or language
//! of the description itself. Words that may be something else (`polish`, `turkey`) count only with a capital.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::lists::{self, Gender, Region};

/// What a description says, as far as it says anything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cues {
    pub(super) gender: Option<Gender>,
    pub(super) region: Option<&'static Region>,
}

const FEMALE: &str = "woman girl lady female mother mom mum mommy grandmother grandma granny wife widow daughter granddaughter \
    sister aunt niece grandniece actress waitress hostess stewardess businesswoman chairwoman congresswoman policewoman \
    saleswoman sportswoman spokeswoman fisherwoman housewife nun queen princess duchess heiress bride schoolgirl girlfriend \
    ballerina seamstress godmother stepmother stepsister alumna governess empress lesbian matriarch frau mutter schwester \
    krankenschwester tochter oma tante mujer madre chica abuela hermana señora femme mère fille soeur donna ragazza nonna \
    sorella mulher mãe menina avó женщина девушка мать бабушка";

const MALE: &str = "man boy gentleman guy male father dad daddy grandfather grandpa husband widower son grandson brother uncle \
    nephew businessman chairman congressman policeman salesman sportsman spokesman fisherman fireman craftsman monk king prince \
    duke groom schoolboy boyfriend godfather stepfather stepbrother alumnus lad imam bachelor patriarch mann vater bruder sohn \
    opa onkel hombre padre chico abuelo hermano señor homme père garçon frère uomo ragazzo nonno fratello homem pai menino avô \
    мужчина парень отец дедушка";

/// Where the first phrase ends: what follows speaks of others too.
const PHRASE_ENDS: &str = "who whose whom that which of with from in at for on to by and or but as is was has near der die das que \
    qui che";

/// A nationality before one of these names a subject, not a person's origin.
const SUBJECTS: &str = "language languages literature history cuisine food cooking culture art arts film films cinema movie music \
    poetry mythology philosophy anime pop politics studies teacher professor instructor tutor lecturer translator interpreter \
    speaker learner student's linguist scholar expert enthusiast translation grammar novel novels architecture restaurant";

/// Region, nationalities, places.
const ORIGINS: &[(&str, &str, &str)] = &[
    (
        "english",
        "american british english scottish welsh irish australian canadian kiwi texan californian jamaican",
        "america usa us uk britain england scotland wales ireland australia canada london york chicago boston texas california \
         florida ohio seattle detroit nashville iowa colorado manchester liverpool sydney melbourne toronto dublin zealand \
         jamaica kansas michigan illinois georgia alabama virginia oregon",
    ),
    (
        "spanish",
        "spanish mexican argentine argentinian colombian chilean peruvian venezuelan cuban latina latino hispanic filipino \
         filipina bolivian ecuadorian guatemalan dominican uruguayan honduran salvadoran",
        "spain mexico argentina colombia chile peru venezuela cuba bolivia ecuador guatemala uruguay paraguay honduras nicaragua \
         panama philippines madrid barcelona bogotá lima manila rica salvador",
    ),
    (
        "portuguese",
        "portuguese brazilian angolan mozambican",
        "portugal brazil brasil angola mozambique lisbon porto paulo",
    ),
    ("french", "french belgian québécois haitian", "france belgium paris lyon marseille quebec québec haiti brussels"),
    (
        "german",
        "german austrian swiss bavarian",
        "germany austria switzerland berlin munich hamburg vienna zurich deutschland",
    ),
    ("italian", "italian sicilian", "italy rome milan naples sicily turin florence venice italia"),
    ("dutch", "dutch flemish", "netherlands holland amsterdam rotterdam"),
    (
        "nordic",
        "swedish norwegian danish finnish icelandic scandinavian",
        "sweden norway denmark finland iceland stockholm oslo copenhagen helsinki scandinavia",
    ),
    ("polish", "polish", "poland warsaw krakow"),
    (
        "central-european",
        "czech slovak serbian croatian slovenian bosnian bulgarian macedonian montenegrin",
        "czechia slovakia serbia croatia slovenia bosnia bulgaria macedonia prague belgrade zagreb sofia",
    ),
    (
        "russian",
        "russian ukrainian belarusian soviet kazakh",
        "russia ukraine belarus moscow kyiv kiev petersburg kazakhstan siberia",
    ),
    ("greek", "greek cypriot", "greece athens crete cyprus"),
    ("turkish", "turkish azerbaijani", "turkey türkiye istanbul ankara azerbaijan"),
    (
        "arabic",
        "arab arabic egyptian syrian lebanese iraqi saudi yemeni jordanian moroccan algerian tunisian libyan sudanese kuwaiti \
         emirati qatari omani palestinian pakistani bangladeshi",
        "egypt syria lebanon iraq arabia yemen jordan morocco algeria tunisia libya sudan kuwait dubai qatar oman palestine gaza \
         cairo baghdad damascus beirut pakistan karachi lahore bangladesh dhaka",
    ),
    ("persian", "iranian persian afghan tajik", "iran afghanistan tehran kabul tajikistan"),
    ("hebrew", "israeli", "israel jerusalem haifa"),
    (
        "indian",
        "indian nepali nepalese bengali tamil punjabi gujarati",
        "india nepal lanka delhi mumbai kolkata chennai bangalore hyderabad pune kerala punjab rajasthan jaipur gujarat kathmandu",
    ),
    (
        "chinese",
        "chinese taiwanese cantonese singaporean",
        "china taiwan beijing shanghai kong taipei shenzhen guangzhou guangxi sichuan singapore macau",
    ),
    ("japanese", "japanese", "japan tokyo osaka kyoto hokkaido okinawa"),
    ("korean", "korean", "korea seoul busan"),
    ("vietnamese", "vietnamese", "vietnam hanoi saigon"),
    (
        "southeast-asian",
        "indonesian malaysian thai javanese balinese malay",
        "indonesia malaysia thailand jakarta bali bangkok kuala java",
    ),
    (
        "west-african",
        "nigerian ghanaian senegalese ivorian malian yoruba igbo cameroonian",
        "nigeria ghana senegal mali cameroon lagos accra dakar benin togo gambia liberia",
    ),
    (
        "east-african",
        "kenyan ethiopian ugandan tanzanian rwandan eritrean somali",
        "kenya ethiopia uganda tanzania rwanda eritrea somalia nairobi kampala mombasa",
    ),
    (
        "southern-african",
        "zulu zimbabwean zambian malawian namibian xhosa",
        "zimbabwe zambia malawi namibia botswana johannesburg soweto durban africa",
    ),
];

/// What `text` says.
pub(super) fn of_text(text: &str) -> Cues {
    let words = Words::of(text);
    let gender = words.noun().or_else(|| words.grammar()).or_else(|| chinese_gender(text));
    let gender = gender.or_else(|| words.pronouns()).or_else(|| words.later_noun());
    let region = words.nationality().or_else(|| words.place()).or_else(|| written_in(text, &words));
    Cues { gender, region: region.and_then(lists::region) }
}

struct Words {
    lower: Vec<String>,
    /// Whether the word starts with a capital.
    capital: Vec<bool>,
    /// Words before the first phrase ends.
    head: usize,
    /// Whether the first word is all capitals, as in `UN`.
    shouts: bool,
}

/// The tables above by word.
struct Index {
    gender: HashMap<&'static str, Gender>,
    phrase_ends: HashSet<&'static str>,
    subjects: HashSet<&'static str>,
    nationalities: HashMap<&'static str, &'static str>,
    places: HashMap<&'static str, &'static str>,
}

fn index() -> &'static Index {
    static INDEX: OnceLock<Index> = OnceLock::new();
    INDEX.get_or_init(|| {
        let gender = |list: &'static str, gender| list.split_whitespace().map(move |word| (word, gender));
        let origins = ORIGINS.iter();
        Index {
            gender: gender(FEMALE, Gender::Female).chain(gender(MALE, Gender::Male)).collect(),
            phrase_ends: PHRASE_ENDS.split_whitespace().collect(),
            subjects: SUBJECTS.split_whitespace().collect(),
            nationalities: origins.clone().flat_map(|(region, list, _)| each(list, region)).collect(),
            places: origins.flat_map(|(region, _, list)| each(list, region)).collect(),
        }
    })
}

fn each(list: &'static str, region: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    list.split_whitespace().map(move |word| (word, region))
}

impl Words {
    fn of(text: &str) -> Self {
        let shouts = text.chars().take(2).all(char::is_uppercase);
        let mut words = Self { lower: Vec::new(), capital: Vec::new(), head: usize::MAX, shouts };
        // `I am a mother`: the phrase starts after the verb.
        let text = ["I am ", "I'm ", "I’m "].iter().find_map(|start| text.strip_prefix(start)).unwrap_or(text);
        for raw in text.split_whitespace().flat_map(|word| word.split('-')).take(120) {
            let bare = raw.trim_matches(|c: char| !c.is_alphanumeric());
            let lower = bare.to_lowercase();
            if index().phrase_ends.contains(lower.as_str())
                && !words.lower.is_empty()
                && !(words.lower.len() == 1 && lower == "der")
            {
                words.head = words.head.min(words.lower.len());
            }
            words.capital.push(bare.starts_with(char::is_uppercase));
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

    fn noun(&self) -> Option<Gender> {
        self.lower.iter().take(self.head).find_map(|word| gender_of(word))
    }

    /// `eine Lehrerin`, `ein Lehrer`, `una abogada`, `um médico`. Capitals tell `Un` from the UN.
    fn grammar(&self) -> Option<Gender> {
        let next = self.at(1);
        let neutral =
            ["person", "persona", "personne", "pessoa", "kind", "mitglied"].iter().any(|word| next.starts_with(word));
        let feminine = || self.lower.iter().take(self.head.min(5)).any(|word| word.len() > 4 && word.ends_with("in"));
        match self.at(0) {
            _ if neutral || self.shouts => None,
            "eine" => feminine().then_some(Gender::Female),
            "una" | "une" | "uma" => Some(Gender::Female),
            "ein" | "um" | "un" => Some(Gender::Male),
            _ => None,
        }
    }

    fn pronouns(&self) -> Option<Gender> {
        let has = |list: &[&str]| self.lower.iter().any(|word| list.contains(&word.as_str()));
        match (has(&["she", "her", "hers", "herself"]), has(&["he", "his", "him", "himself"])) {
            (true, false) => Some(Gender::Female),
            (false, true) => Some(Gender::Male),
            _ => None,
        }
    }

    /// `a chemist and mother of two`, `who is a father`.
    fn later_noun(&self) -> Option<Gender> {
        let bound = |index: usize| {
            let (before, two) = (self.at(index.wrapping_sub(1)), self.at(index.wrapping_sub(2)));
            before == "and" || matches!(before, "a" | "an") && matches!(two, "is" | "and" | "as" | "became")
        };
        let found = self.lower.iter().enumerate().filter(|(index, _)| *index > 1 && bound(*index));
        found.into_iter().find_map(|(_, word)| gender_of(word))
    }

    fn nationality(&self) -> Option<&'static str> {
        let origin = |(at, word): (usize, &String)| {
            let own = self.is_capital(at) && self.at(at.wrapping_sub(1)) != "ancient";
            let subject = index().subjects.contains(self.at(at + 1));
            let known = index().nationalities.get(word.as_str()).or_else(|| index().places.get(word.as_str()));
            known.filter(|_| own && !subject).copied()
        };
        self.lower.iter().enumerate().take(self.head).find_map(origin)
    }

    fn place(&self) -> Option<&'static str> {
        let near = |at: usize| {
            (1..=4).any(|back| matches!(self.at(at.wrapping_sub(back)), "from" | "in" | "near" | "aus" | "en"))
        };
        let origin = |(at, word): (usize, &String)| {
            index().places.get(word.as_str()).filter(|_| self.is_capital(at) && near(at)).copied()
        };
        self.lower.iter().enumerate().find_map(origin)
    }

    fn is_capital(&self, at: usize) -> bool {
        self.capital.get(at) == Some(&true)
    }
}

fn gender_of(word: &str) -> Option<Gender> {
    index().gender.get(word).copied()
}

/// The sign that comes first; `they` and `other` hold the sign for `he`.
fn chinese_gender(text: &str) -> Option<Gender> {
    if text.is_ascii() {
        return None;
    }
    let text = text.replace("他们", "").replace("其他", "").replace("他人", "").replace("子女", "").replace("男女", "");
    let earliest = |signs: &[&str]| signs.iter().filter_map(|sign| text.find(sign)).min();
    let female = earliest(&["女", "她", "妈", "母亲", "奶奶", "姐", "妹", "妻", "婆婆"]);
    let male = earliest(&["男", "他", "爸", "父亲", "爷爷", "哥", "弟", "丈夫"]);
    match (female, male) {
        (Some(female), Some(male)) => Some(if female < male { Gender::Female } else { Gender::Male }),
        (female, male) => female.map(|_| Gender::Female).or(male.map(|_| Gender::Male)),
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
        () => latin(words.at(0), says),
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
            ("A nurse who argues with his wife about her car", None),
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
        for (region, _, _) in ORIGINS {
            assert!(lists::region(region).is_some(), "{region}");
        }
    }
}
