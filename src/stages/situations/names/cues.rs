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
    sorella mulher mãe menina avó kadın kız vrouw moeder женщина девушка мать бабушка";

const MALE: &str = "man boy gentleman guy male father dad daddy grandfather grandpa husband widower son grandson brother uncle \
    nephew businessman chairman congressman policeman salesman sportsman spokesman fisherman fireman craftsman monk king prince \
    duke groom schoolboy boyfriend godfather stepfather stepbrother alumnus lad imam bachelor patriarch mann vater bruder sohn \
    opa onkel hombre padre chico abuelo hermano señor homme père garçon frère uomo ragazzo nonno fratello homem pai menino avô \
    postman milkman doorman cameraman frontman handyman adam erkek \
    vader мужчина парень отец дедушка";

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
         jamaica kansas michigan illinois georgia alabama virginia oregon minnesota montana nebraska nevada ohio oklahoma \
         pennsylvania tennessee utah vermont wisconsin wyoming arizona arkansas delaware hawaii idaho indiana kentucky \
         louisiana maine maryland massachusetts mississippi missouri carolina dakota glasgow edinburgh cardiff belfast \
         birmingham leeds bristol oxford cambridge wellington auckland brisbane perth vancouver montreal philadelphia \
         atlanta denver houston dallas miami phoenix cornwall yorkshire",
    ),
    (
        "spanish",
        "spanish mexican argentine argentinian colombian chilean peruvian venezuelan cuban latina latino hispanic filipino \
         filipina bolivian ecuadorian guatemalan dominican uruguayan honduran salvadoran",
        "spain mexico argentina colombia chile peru venezuela cuba bolivia ecuador guatemala uruguay paraguay honduras nicaragua \
         panama philippines madrid barcelona bogotá lima manila rica oaxaca seville \
         sevilla valencia granada aires montevideo santiago quito caracas havana guadalajara monterrey medellín cusco \
         andalusia galicia catalonia",
    ),
    (
        "portuguese",
        "portuguese brazilian angolan mozambican",
        "portugal brazil brasil angola mozambique lisbon porto paulo \
         bahia recife brasília janeiro luanda maputo",
    ),
    (
        "french",
        "french belgian québécois haitian",
        "france belgium paris lyon marseille quebec québec haiti brussels \
         toulouse bordeaux nantes lille strasbourg brittany normandy provence",
    ),
    (
        "german",
        "german austrian swiss bavarian",
        "germany austria switzerland berlin munich hamburg vienna zurich deutschland münchen \
         köln cologne stuttgart frankfurt dresden leipzig bremen tyrol salzburg wien zürich bavaria geneva",
    ),
    (
        "italian",
        "italian sicilian",
        "italy rome milan naples sicily turin florence venice italia \
         roma milano napoli bologna cremona palermo genoa tuscany sardinia verona",
    ),
    ("dutch", "dutch flemish", "netherlands holland amsterdam rotterdam"),
    (
        "nordic",
        "swedish norwegian danish finnish icelandic scandinavian",
        "sweden norway denmark finland iceland stockholm oslo copenhagen helsinki scandinavia",
    ),
    ("polish", "polish", "poland warsaw krakow gdańsk"),
    (
        "central-european",
        "hungarian romanian czech slovak serbian croatian slovenian bosnian bulgarian macedonian montenegrin",
        "czechia slovakia serbia croatia slovenia bosnia bulgaria macedonia prague belgrade zagreb sofia hungary \
         budapest romania bucharest bratislava ljubljana sarajevo",
    ),
    (
        "russian",
        "russian ukrainian belarusian soviet kazakh",
        "russia ukraine belarus moscow kyiv kiev petersburg kazakhstan siberia",
    ),
    ("greek", "greek cypriot", "greece athens crete cyprus thessaloniki"),
    ("turkish", "turkish azerbaijani", "turkey türkiye istanbul ankara azerbaijan izmir anatolia"),
    (
        "arabic",
        "arab arabic egyptian syrian lebanese iraqi saudi yemeni jordanian moroccan algerian tunisian libyan sudanese kuwaiti \
         emirati qatari omani palestinian pakistani bangladeshi",
        "egypt syria lebanon iraq arabia yemen jordan morocco algeria tunisia libya sudan kuwait dubai qatar oman palestine gaza \
         cairo baghdad damascus beirut pakistan karachi lahore bangladesh dhaka \
         aleppo beirut casablanca tunis algiers alexandria amman khartoum abu",
    ),
    ("persian", "iranian persian afghan tajik", "iran afghanistan tehran kabul tajikistan"),
    ("hebrew", "israeli", "israel jerusalem haifa"),
    (
        "indian",
        "indian nepali nepalese bengali tamil punjabi gujarati",
        "india nepal lanka delhi mumbai kolkata chennai bangalore hyderabad pune kerala punjab rajasthan jaipur gujarat kathmandu goa darjeeling \
         assam calcutta bombay varanasi himalayas bhutan",
    ),
    (
        "chinese",
        "chinese taiwanese cantonese singaporean",
        "china taiwan beijing shanghai kong taipei shenzhen guangzhou guangxi sichuan singapore macau \
         chengdu wuhan nanjing xi'an yunnan",
    ),
    ("japanese", "japanese", "japan tokyo osaka kyoto hokkaido okinawa nagoya hiroshima fukuoka"),
    ("korean", "korean", "korea seoul busan incheon jeju"),
    ("vietnamese", "vietnamese", "vietnam hanoi saigon"),
    (
        "southeast-asian",
        "indonesian malaysian thai javanese balinese malay",
        "indonesia malaysia thailand jakarta bali bangkok kuala java sumatra cambodia laos myanmar",
    ),
    (
        "west-african",
        "nigerian ghanaian senegalese ivorian malian yoruba igbo cameroonian",
        "nigeria ghana senegal mali cameroon lagos accra dakar benin togo gambia liberia \
         ibadan abuja kumasi freetown niger burkina",
    ),
    (
        "east-african",
        "kenyan ethiopian ugandan tanzanian rwandan eritrean somali",
        "kenya ethiopia uganda tanzania rwanda eritrea somalia nairobi kampala mombasa addis zanzibar \
         kigali sudan",
    ),
    (
        "southern-african",
        "zulu zimbabwean zambian malawian namibian xhosa",
        "zimbabwe zambia malawi namibia botswana johannesburg soweto durban harare lusaka africa",
    ),
];

/// Small words by the region of their language: only such as English does not have.
const SMALL_WORDS: &[(&str, &str)] = &[
    (
        "german",
        "und ein eine einer einem einen eines der die das nicht auf mit für seine ihre seinen ihren im zum zur ist bin ich von",
    ),
    ("spanish", "que por las los una un el del con en su y soy"),
    ("french", "qui les des dans une un au aux du et le la est sur"),
    ("italian", "che di della nel nella un una il gli per suo sua è"),
    ("portuguese", "que um uma da do dos das por com não e em seu sua"),
    ("dutch", "een die het van de met elke zijn haar op en"),
    ("turkish", "bir ve için olan yapan çok genç"),
];

/// `the coast of Ghana` is a place someone lives at; `the history of Ghana` is not.
const LAND: &[&str] = &[
    "coast",
    "hills",
    "mountains",
    "north",
    "south",
    "east",
    "west",
    "streets",
    "catacombs",
    "suburbs",
    "outskirts",
    "city",
    "village",
    "town",
    "island",
    "islands",
    "capital",
    "mayor",
    "citizen",
    "native",
    "resident",
    "port",
    "valley",
    "desert",
    "plains",
    "heart",
    "centre",
    "center",
    "markets",
    "shores",
    "highlands",
    "countryside",
];

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
        let parts =
            text.split_whitespace().flat_map(|word| word.split('-').map(move |part| (part, word.contains('-'))));
        for (raw, joined) in parts.take(120) {
            let bare = raw.trim_matches(|c: char| !c.is_alphanumeric());
            let lower = bare.to_lowercase();
            // `stay-at-home` is one word, and `Die der ...` no phrase.
            let begun = words.lower.len() > usize::from(lower == "der");
            if begun && !joined && index().phrase_ends.contains(lower.as_str()) {
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
        let degree = |at: usize| self.at(at) == "bachelor" && self.at(at + 1) == "of";
        let nouns = self.lower.iter().enumerate().take(self.head).filter(|(at, _)| !degree(*at));
        nouns.map(|(_, word)| word).find_map(|word| gender_of(word))
    }

    /// `Mrs. Bell`.
    fn title(&self) -> Option<Gender> {
        match self.at(0) {
            "mrs" | "ms" | "miss" | "madam" | "frau" | "doña" | "signora" | "madame" => Some(Gender::Female),
            "mr" | "sir" | "herr" | "don" | "signor" | "monsieur" => Some(Gender::Male),
            _ => None,
        }
    }

    /// `Die Wirtin ...`, `Krankenpfleger auf ...`, `Ich bin Schreiner`: the first noun's ending, where the text is German.
    fn german(&self) -> Option<Gender> {
        if self.told_by_small_words() != Some("german") {
            return None;
        }
        let noun = (0..self.head.min(6)).find(|at| self.is_capital(*at) && self.at(*at).len() > 4)?;
        let ends = |list: &[&str]| list.iter().any(|end| self.at(noun).ends_with(end));
        match () {
            () if ends(&["in", "frau"]) => Some(Gender::Female),
            () if ends(&["er", "mann", "ist", "ent", "eur", "arzt"]) => Some(Gender::Male),
            () => None,
        }
    }

    /// The language of a text in Latin letters that has at least two of its small words and none of the English ones.
    fn told_by_small_words(&self) -> Option<&'static str> {
        let count = |list: &str| self.lower.iter().filter(|word| super::readable::listed(list, word)).count();
        if count("the a of and who with") > 0 {
            return None;
        }
        let told = SMALL_WORDS.iter().map(|(region, list)| (count(list), *region)).rev();
        told.max_by_key(|(count, _)| *count).filter(|(count, _)| *count >= 2).map(|(_, region)| region)
    }

    /// `eine Lehrerin`, `ein Lehrer`, `una abogada`, `um médico`. Capitals tell `Un` from the UN.
    fn grammar(&self) -> Option<Gender> {
        let next = self.at(1);
        let neutral =
            ["person", "persona", "personne", "pessoa", "kind", "mitglied"].iter().any(|word| next.starts_with(word));
        let feminine = || self.lower.iter().take(self.head.min(5)).any(|word| word.len() > 4 && word.ends_with("in"));
        match self.at(0) {
            _ if neutral || self.shouts => None,
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
        let other = |at: &usize| gender_of(self.at(*at)).is_some() || full_name(*at) && self.at(at - 1) == "of";
        let until = (self.head.max(1)..self.lower.len()).find(other).unwrap_or(self.lower.len());
        let has = |list: &[&str]| self.lower.iter().take(until).any(|word| list.contains(&word.as_str()));
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
            let stated =
                |back| matches!(self.at(at.wrapping_sub(back)), "from" | "in" | "near" | "aus" | "en" | "across");
            let part = self.at(at.wrapping_sub(1)) == "of" && LAND.contains(&self.at(at.wrapping_sub(2)));
            (1..=4).any(stated) || part
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

/// Russian by its relative pronoun and feminine endings, Arabic by the ending of the first word, Korean by its nouns.
fn other_scripts(text: &str) -> Option<Gender> {
    let has = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
    let first = text.split_whitespace().next().unwrap_or_default().trim_end_matches(|c: char| !c.is_alphabetic());
    let arabic = first.chars().any(|c| ('\u{600}'..='\u{6ff}').contains(&c));
    match () {
        () if has(&["которая", "여성", "여자", "어머니", "할머니", "아줌마"]) => {
            Some(Gender::Female)
        }
        () if has(&["который", "남성", "남자", "아버지", "할아버지"]) => Some(Gender::Male),
        () if ["ница", "истка", "сестра"].iter().any(|end| first.to_lowercase().ends_with(end)) => {
            Some(Gender::Female)
        }
        () if arabic && first.ends_with('ة') => Some(Gender::Female),
        () if arabic && has(&[" يعمل", " يعيش", " يدرس", " يحب"]) => Some(Gender::Male),
        () => None,
    }
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
        for (region, _, _) in ORIGINS {
            assert!(lists::region(region).is_some(), "{region}");
        }
    }
}
