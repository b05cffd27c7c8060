//! The time or world a person belongs to, found by words.
//!
//! Who could never meet, such as a knight and a software developer, should not be cast together. A description is of the
//! present unless it says otherwise in one of two ways:
//!
//! 1. Its first phrase names a time, or beings of another time or world (`a samurai`, `a 17th-century printer`), and no word
//!    of someone of today who deals with it (`historian`, `fan`, `films`).
//! 2. A verb of living leads to a time (`who lives in Victorian London`), and not to a thing that outlasted it (`a Victorian
//!    house`).
//!
//! A doubt is decided for the present. Descriptions in languages that the lexicon has no words of are taken for the present.

use crate::lexicon::{Lexicon, List, Marks};

static ERAS: Lexicon = Lexicon::file("people/eras.txt");
static PERIODS: List = ERAS.list("periods");
static PAST: List = ERAS.list("past");
static INVENTED: List = ERAS.list("invented");
static TODAY: List = ERAS.list("today");
static STANDING: List = ERAS.list("standing");
static LIVING: List = ERAS.list("living");
static BREAKS: List = ERAS.list("ends the first phrase");

/// When, or in which world, a person lives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Era {
    /// Today, as far as the description tells, with those who remember the 20th century.
    #[default]
    Present,
    /// Before the 20th century.
    Past,
    /// A future, a fantasy, a tale.
    Invented,
}

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

    /// The era a description tells, from its words in lower case.
    pub(super) fn of_words(words: &[&str]) -> Self {
        let end = words.iter().take(HEAD_WORDS).take_while(|word| !BREAKS.has(word)).count();
        let (head, rest) = words.split_at(end);
        let told = told(head);
        if lives_in_past(rest) {
            Self::Past
        } else if told.has(&TODAY) {
            Self::Present
        } else if told.has(&INVENTED) {
            Self::Invented
        } else if told.has(&PAST) || told.has(&PERIODS) || dated(head) {
            Self::Past
        } else {
            Self::Present
        }
    }
}

/// The lists that hold any of `words`, or two or more in a row.
fn told(words: &[&str]) -> Marks {
    let tails = (0..words.len()).filter_map(|at| words.get(at..));
    tails.fold(Marks::default(), |told, tail| told.and(ERAS.marks_at(tail)))
}

/// Whether a verb of living leads to a time, and not to a thing that outlasted it.
fn lives_in_past(rest: &[&str]) -> bool {
    let reached = |at: usize| rest.iter().skip(at + 1).take(REACH).copied().collect::<Vec<_>>();
    let verbs = rest.iter().enumerate().filter(|(_, word)| LIVING.has(word));
    verbs.map(|(at, _)| reached(at)).any(|reached| {
        let told = told(&reached);
        (told.has(&PERIODS) || dated(&reached)) && !told.has(&STANDING)
    })
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
    use crate::lexicon::words;

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
                let folded = text.to_lowercase();
                let told = Era::of_words(&words(&folded).collect::<Vec<_>>());
                assert_eq!(format!("{told:?}").to_lowercase(), *era, "{text}");
            }
        }
    }
}
