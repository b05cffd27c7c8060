//! The time or world a person belongs to, found by words.
//!
//! Who could never meet, such as a knight and a software developer, should not be cast together. A description is of the
//! present unless it says otherwise in one of two ways:
//!
//! 1. Its first phrase names a time, or beings of another time or world (`a samurai`, `a 17th-century printer`), and no word
//!    of someone of today who deals with it (`historian`, `fan`, `films`: see [`TODAY`]).
//! 2. A verb of living leads to a time (`who lives in Victorian London`), and not to a thing that outlasted it (`a Victorian
//!    house`).
//!
//! A doubt is decided for the present. Descriptions in languages other than English are taken for the present.

use std::collections::HashSet;
use std::sync::OnceLock;

/// When, or in which world, a person lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Era {
    /// Today, as far as the description tells, with those who remember the 20th century.
    #[default]
    Present,
    /// Before the 20th century.
    Past,
    /// A future, a fantasy, a tale.
    Invented,
}

/// Times, as attributes. Centuries and decades are told by their number: see [`dated`].
const PERIODS: &str = "medieval|mediaeval|middle ages|victorian|edwardian|elizabethan|tudor|jacobean|regency era|renaissance|\
    feudal|prehistoric|stone age|bronze age|iron age|neolithic|antebellum|napoleonic|byzantine|mesopotamian|babylonian|aztec|\
    colonial|ancient greek|ancient greece|ancient rome|ancient roman|ancient egypt|ancient egyptian|ancient china|\
    ancient chinese|ancient india|ancient persia|ancient athens|ancient sparta|roman empire|edo period|tang dynasty|\
    ming dynasty|qing dynasty|han dynasty|eighteenth century|nineteenth century|seventeenth century|sixteenth century|\
    fifteenth century|fourteenth century|thirteenth century|twelfth century";

/// People of the past.
const PAST: &str = "samurai|viking|ronin|shogun|gladiator|centurion|legionary|pharaoh|conquistador|musketeer|knight errant|\
    knight sworn|young knight|old knight|brave knight|noble knight|wandering knight|roman soldier|roman senator|\
    roman emperor|roman slave|roman general|ancient warrior";

/// Beings of the future and of tales.
const INVENTED: &str = "wizard|sorcerer|sorceress|necromancer|mage|elf|elven|orc|goblin|vampire|werewolf|mermaid|deity|demigod|\
    dragon rider|dragon slayer|dragon tamer|talking dragon|fairy queen|fairy godmother|starship|spaceship|space marine|\
    space pirate|intergalactic|galactic|martian|mars colonist|lunar colonist|alien warlord|alien being|alien from|\
    alien princess|alien ambassador|alien visitor|space alien|cyborg|time traveler|time traveller|time travelling|\
    sentient robot|sentient ai|superhero|supervillain|fictional character|mythical";

/// Words that tell someone of today who studies, teaches, shows, makes, collects, plays or loves it, or uses it as a figure of
/// speech (`a spreadsheet wizard`).
const TODAY: &str = "historian|history|professor|lecturer|academic|scholar|researcher|scientist|archaeologist|archeologist|\
    anthropologist|linguist|philologist|medievalist|egyptologist|classicist|expert|specialist|student|undergraduate|teacher|\
    studies|literature|art|arts|architecture|philosophy|language|manuscripts|texts|coins|artifacts|antiques|furniture|\
    music|culture|mythology|folklore|fan|fanatic|enthusiast|buff|lover|aficionado|admirer|collector|reenactor|enactor|\
    actor|actress|performer|impersonator|cosplayer|larper|player|gamer|streamer|blogger|podcaster|podcast|youtuber|\
    author|writer|novelist|screenwriter|novel|novels|fiction|book|books|comic|comics|film|films|filmmaker|movie|movies|\
    anime|series|show|game|games|gaming|developer|designer|illustrator|animator|photographer|restorer|conservator|curator|\
    museum|librarian|translator|guide|tour|tourist|reader|viewer|descendant|inspired|themed|style|fair|faire|festival|\
    replica|club|team|restaurant|hotel|house|home|building|buildings|owner|realtor|police|politician|mp|cruise|sword|swords|\
    armor|armour|christmas|shelf|mall|cosmetics|spacex|nasa|astronomer|computer|tech|technology|spreadsheet|excel|coding|\
    code|software|data|math|maths|financial|finance|marketing|sales|kitchen|culinary|organizational|administrative|pinball|\
    business|political|startup|fundraising|installation|setup|everyday|local|real life";

/// Things of the past that people of today live in.
const STANDING: &str = "house|home|building|apartment|flat|cottage|mansion|terrace|villa|farmhouse|castle|town|village|city|\
    quarter|district|church";

/// Verbs of living.
const LIVING: &str = "lives|lived|living|born|resides|residing|reigns|reigning|rules|ruling|stranded";

/// Words that end the first phrase.
const BREAKS: &str = "who|that|whose|which|with|about|on|for|lives|lived|living|born|reigning|studying|researching|writing|\
    exploring|documenting|analyzing|analysing|investigating|focusing|specializing|specialising|working|interested|fascinated|\
    passionate|obsessed|drafting|developing|designing|advising|teaching|recreating|restoring|collecting|making|creating|\
    translating|incorporating|drawing|selling|learning|reading";

/// The first phrase has no more words.
const HEAD_WORDS: usize = 14;

/// A time named so many words after a verb of living is what the verb leads to.
const REACH: usize = 6;

/// The last century of the past.
const LAST_CENTURY: u32 = 19;

impl Era {
    /// What sets the draws of this era apart from those of others.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Present => "/present",
            Self::Past => "/past",
            Self::Invented => "/invented",
        }
    }

    /// The era a description tells.
    pub(super) fn of_text(text: &str) -> Self {
        let folded = text.to_lowercase();
        let words: Vec<&str> = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let tables = Tables::shared();
        let end = words.iter().take(HEAD_WORDS).take_while(|word| !tables.breaks.contains(**word)).count();
        let (head, rest) = words.split_at(end);
        if tables.lives_in_past(rest) {
            Self::Past
        } else if holds(&tables.today, head) {
            Self::Present
        } else if holds(&tables.invented, head) {
            Self::Invented
        } else if holds(&tables.past, head) || tables.in_past(head) {
            Self::Past
        } else {
            Self::Present
        }
    }
}

/// The lists above, to look up.
#[derive(Debug)]
struct Tables {
    periods: HashSet<&'static str>,
    past: HashSet<&'static str>,
    invented: HashSet<&'static str>,
    today: HashSet<&'static str>,
    standing: HashSet<&'static str>,
    living: HashSet<&'static str>,
    breaks: HashSet<&'static str>,
}

impl Tables {
    fn shared() -> &'static Self {
        static TABLES: OnceLock<Tables> = OnceLock::new();
        let of = |list: &'static str| list.split('|').collect();
        TABLES.get_or_init(|| Self {
            periods: of(PERIODS),
            past: of(PAST),
            invented: of(INVENTED),
            today: of(TODAY),
            standing: of(STANDING),
            living: of(LIVING),
            breaks: of(BREAKS),
        })
    }

    fn in_past(&self, words: &[&str]) -> bool {
        holds(&self.periods, words) || dated(words)
    }

    /// Whether a verb of living leads to a time.
    fn lives_in_past(&self, rest: &[&str]) -> bool {
        rest.iter().enumerate().filter(|(_, word)| self.living.contains(**word)).any(|(at, _)| {
            let reached: Vec<&str> = rest.iter().skip(at + 1).take(REACH).copied().collect();
            self.in_past(&reached) && !holds(&self.standing, &reached)
        })
    }
}

/// Whether a word, or two words in a row, stand in `list`.
fn holds(list: &HashSet<&str>, words: &[&str]) -> bool {
    let pairs = words.iter().zip(words.iter().skip(1)).map(|(one, other)| format!("{one} {other}"));
    words.iter().any(|word| list.contains(word)) || pairs.into_iter().any(|pair| list.contains(pair.as_str()))
}

/// Whether a century (`18th-century`) or a decade (`1850s`) of the past is named.
fn dated(words: &[&str]) -> bool {
    let numbered = |word: &str| word.trim_end_matches(char::is_alphabetic).parse::<u32>().ok();
    let century = |(one, other): (&&str, &&str)| {
        *other == "century" && numbered(one).is_some_and(|century| (1..=LAST_CENTURY).contains(&century))
    };
    let decade = |word: &&str| {
        word.strip_suffix('s')
            .and_then(|year| year.parse::<u32>().ok())
            .is_some_and(|year| (1000..LAST_CENTURY * 100).contains(&year))
    };
    words.iter().zip(words.iter().skip(1)).any(century) || words.iter().any(decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASES: &[(&str, &[&str])] = &[
        (
            "past",
            &[
                "A medieval knight sworn to a cruel lord",
                "A Victorian governess with a secret",
                "An 18th-century clockmaker who lives in Geneva",
                "A Roman legionary guarding the northern wall",
                "A samurai without a master",
                "A Viking shipbuilder from Trondheim",
                "An ancient Greek physician",
                "A silk merchant of the Tang dynasty",
                "A scribe in ancient Egypt who fears the priests",
                "A gold miner of the 1850s",
                "A midwife who lives in Victorian London",
                "A historian who lives in 14th-century Damascus",
                "A nun living in the middle ages",
                "Awoman in the Victorian age who wants to vote",
                "A printer in the early sixteenth century",
                "A brave knight errant",
            ],
        ),
        (
            "invented",
            &[
                "A wizard who lost his staff",
                "An elf from the northern woods",
                "A young dragon rider",
                "The captain of a starship on its last voyage",
                "A ruthless and power-hungry alien warlord, seeking domination",
                "An ancient deity known for their wisdom",
                "A fictional character from a children's storybook",
                "A time traveler from the year 3000",
                "A mars colonist who grows potatoes",
                "A vampire afraid of the dark",
                "A cyborg mechanic with a rusty arm",
            ],
        ),
        (
            "present",
            &[
                "A nurse on a night shift",
                "A historian of medieval trade",
                "A Victorian-literature professor",
                "A fan of samurai films",
                "A collector of ancient Roman coins",
                "A viking reenactor and plumber",
                "A game developer who draws wizards",
                "A spreadsheet wizard in accounting",
                "A restorer of 18th-century furniture",
                "An author of dragon rider novels",
                "A librarian who loves Victorian mysteries",
                "A couple living in a Victorian house",
                "A baker who lives in a medieval town in Tuscany",
                "A guide in a medieval castle",
                "A Minnesota Vikings supporter",
                "A graduate student researching ancient warfare",
                "An expert in ancient Roman history",
                "A professor of 19th-century art",
                "An astronaut training for a flight",
                "A WWII veteran who didn't finish high school",
                "A senior android developer",
                "A filmmaker working on a case of the early 19th century",
                "A historian of the 20th century",
                "A pensioner born in the 1950s",
                "A SpaceX engineer testing the Starship",
                "An archaeologist who lives like a Viking",
                "A cosplayer dressed as an elf",
                "An old parishioner from the Roman Catholic Diocese of Lins",
                "A supporter of the Army Black Knights",
                "一位研究中世纪的历史学家",
                "",
            ],
        ),
    ];

    #[test]
    fn the_era_is_told_by_who_someone_is_and_not_by_what_they_study_or_love() {
        for (era, texts) in PHRASES {
            for text in *texts {
                assert_eq!(format!("{:?}", Era::of_text(text)).to_lowercase(), *era, "{text}");
            }
        }
    }
}
