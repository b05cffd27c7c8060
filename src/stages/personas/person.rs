//! Rows that are no person: organisations, several people at once, animals and things, references to a text that is not
//! there, pasted comments and questions.
//!
//! A false alarm costs a usable person and a miss only an odd one, so each rule wants a plain sign. The head of the first
//! noun phrase decides, found as the last word before a word that can't belong to it: `a company | that sells` is an
//! organisation, `a company director | who` is not, nor is `a startup | who`, since `who` says that a person is meant.
//! Whoever speaks of themselves is a person. Read against 2,000 real rows, see the tests of the module above.

use crate::lexicon::{Lexicon, List, Marks};

static KINDS: Lexicon = Lexicon::file("people/not-a-person.txt");
static ORGANISATIONS: List = KINDS.list("organisations");
static SEVERAL: List = KINDS.list("several people");
static PLURALS: List = KINDS.list("plural endings");
static NUMBERS: List = KINDS.list("numbers");
static ANIMALS_AND_THINGS: List = KINDS.list("animals and things");
static ARTICLES: List = KINDS.list("articles");
static PHRASE_ENDS: List = KINDS.list("ends the noun phrase");
static AFTER_SEVERAL: List = KINDS.list("after several people");
static AFTER_ORGANISATION: List = KINDS.list("after an organisation");
static AFTER_THING: List = KINDS.list("after a thing");
static TEXTS: List = KINDS.list("texts");
static AUTHORS: List = KINDS.list("authors");
static POINTERS: List = KINDS.list("pointers");
static SHOWN: List = KINDS.list("shown");
static MENTIONED: List = KINDS.list("mentioned");
static SPOKEN_OF: List = KINDS.list("spoken of before");
static QUESTIONS: List = KINDS.list("questions");
static COMMANDS: List = KINDS.list("commands");
static OF_THEMSELVES: List = KINDS.list("speaks of themselves");
static I: List = KINDS.list("i");

/// How texts start that are no description.
static STARTS: Lexicon = Lexicon::file("people/no-description.txt");
static NOTHING: List = STARTS.list("nothing");
static COMMENTS: List = STARTS.list("comments");
static INSTRUCTIONS: List = STARTS.list("instructions");
static A_COMPANY: List = STARTS.list("a company");
static COMPANY_NOUNS: List = STARTS.list("company nouns");
static SOME_PEOPLE: List = STARTS.list("several people");
static A_THING: List = STARTS.list("a thing");

/// What speaks against `folded` (see [`fold`](super::sample::fold)) being a person, if anything does.
pub(super) fn objection(folded: &str) -> Option<String> {
    let words = Words::of(folded);
    let what = match () {
        () if !folded.chars().any(char::is_alphabetic) => "no words",
        () if words.says_nothing(folded) => "no description",
        () if words.has_link() => "a link",
        () if words.dangles() => "refers to a text that is not there",
        () if words.asks(folded) => "a question",
        () if words.commands() || INSTRUCTIONS.start_of(folded).is_some() => "an instruction",
        () if COMMENTS.start_of(folded).is_some() => "a comment",
        () if words.first_person() => return None,
        () => return words.head().or_else(|| chinese(folded)),
    };
    Some(what.to_owned())
}

/// The first words of a description, each as it is written, without the punctuation about it, and the lists that hold it.
struct Words<'a>(Vec<(&'a str, &'a str, Marks)>);

/// A word without the punctuation about it; `who's` is `who`.
fn bare(word: &str) -> &str {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    word.strip_prefix("who").filter(|rest| matches!(*rest, "'s" | "’s")).map_or(word, |_| "who")
}

impl<'a> Words<'a> {
    fn of(folded: &'a str) -> Self {
        let looked_up = |written| (written, bare(written), KINDS.marks(bare(written)));
        Self(folded.split(' ').take(24).map(looked_up).collect())
    }

    fn at(&self, index: usize) -> &'a str {
        self.0.get(index).map_or("", |(_, word, _)| word)
    }

    /// Whether the word at `index` stands in `list`.
    fn is(&self, index: usize, list: &List) -> bool {
        self.0.get(index).is_some_and(|(.., marks)| marks.has(list))
    }

    fn first_person(&self) -> bool {
        self.is(0, &OF_THEMSELVES) || (0..4).any(|index| self.is(index, &I))
    }

    fn has_link(&self) -> bool {
        self.0.first().is_some_and(|(word, ..)| word.starts_with("http://") || word.starts_with("https://"))
    }

    fn says_nothing(&self, folded: &str) -> bool {
        let text = folded.trim_end_matches(|c: char| !c.is_alphanumeric());
        NOTHING.start_of(text).is_some_and(|nothing| text == nothing || self.0.len() <= 4)
    }

    /// `he is also ...`, `the author of this comment`, `the person who wrote the above text`, `the above-mentioned man`.
    fn dangles(&self) -> bool {
        let someone = matches!(self.at(0), "the" | "a" | "an") && self.is(1, &AUTHORS);
        let pointed = someone && self.is(2, &POINTERS);
        let at_text = |index: usize| {
            let shown = self.is(index - 1, &SHOWN);
            let mentioned = (2..index).any(|index| self.is(index, &MENTIONED));
            let ends = index + 1 == self.0.len() || self.is(index + 1, &SHOWN);
            someone && self.at(0) == "the" && shown
                || ends && (pointed || mentioned && (self.at(index - 1) == "the" || shown))
        };
        self.continues() || (3..self.0.len()).filter(|index| self.is(*index, &TEXTS)).any(at_text)
    }

    /// Goes on about someone who was spoken of before. `She is a nurse` says enough by itself.
    fn continues(&self) -> bool {
        let told = matches!(self.at(1), "is" | "was") && self.is(2, &ARTICLES);
        match self.at(0) {
            "he" | "she" => !told,
            "they" | "his" | "their" => true,
            "her" => self.at(1) != "majesty's",
            "the" => self.is(1, &SPOKEN_OF),
            _ => false,
        }
    }

    fn asks(&self, folded: &str) -> bool {
        let open = self.is(0, &QUESTIONS) || !self.first_person();
        folded.ends_with(['?', '？']) && self.0.len() >= 3 && !self.is(0, &ARTICLES) && open
    }

    fn commands(&self) -> bool {
        self.is(0, &COMMANDS) && (self.is(1, &ARTICLES) || matches!(self.at(1), "me" | "your" | "in"))
    }

    /// The head of the first noun phrase, if it is no person.
    fn head(&self) -> Option<String> {
        let start = usize::from(self.is(0, &ARTICLES));
        let end = (start + 1..=self.0.len()).find(|index| self.ends_phrase(*index))?;
        let head = self.at(end - 1);
        if head == "assistant" && matches!(self.at(end.saturating_sub(2)), "ai" | "digital" | "virtual" | "voice") {
            return Some("an animal or a thing (`assistant`)".to_owned());
        }
        if self.counts(end) {
            return Some(format!("several people (`{head}`)"));
        }
        let lists = [
            (&SEVERAL, &AFTER_SEVERAL, "several people"),
            (&ORGANISATIONS, &AFTER_ORGANISATION, "an organisation"),
            (&ANIMALS_AND_THINGS, &AFTER_THING, "an animal or a thing"),
        ];
        // `the council of a town`; not `a University of Wisconsin administrator`.
        let owned = self.at(end) == "of" && (self.is(end + 1, &ARTICLES) || self.is(end - 1, &SEVERAL));
        let stands = |after: &List| self.at(end).is_empty() || self.is(end, after) || owned;
        let found = lists.iter().find(|(heads, after, _)| self.is(end - 1, heads) && stands(after));
        found.map(|(_, _, what)| format!("{what} (`{head}`)"))
    }

    /// `two neighbours`, `twin sisters`, `painters who`: more than one, and no article that belongs to a later noun. The
    /// phrase ends before `end`.
    fn counts(&self, end: usize) -> bool {
        let many = self.is(end - 1, &PLURALS) && !self.is(0, &ARTICLES);
        let numbered = self.is(0, &NUMBERS) && self.at(end - 1).ends_with('s');
        numbered || many && self.is(end, &AFTER_SEVERAL) && self.at(end) != "is"
    }

    /// Whether the phrase is over before the word at `index`. After a comma it may go on, as in `a school, library and
    /// museum director`, but then no word of the lists follows.
    fn ends_phrase(&self, index: usize) -> bool {
        let before = index.checked_sub(1).and_then(|index| self.0.get(index));
        let stopped = before.is_some_and(|(word, ..)| word.ends_with(['.', ',', ';', ':', '(', ')', '!']));
        index >= self.0.len() || self.is(index, &PHRASE_ENDS) || stopped
    }
}

/// Chinese has no articles and no spaces: the classifier in front or the noun at the end tells.
fn chinese(folded: &str) -> Option<String> {
    let text = folded.trim_matches(|c: char| !c.is_alphanumeric());
    let starts = |list: &List| list.start_of(text).is_some();
    let what = match () {
        () if starts(&A_THING) => "an animal or a thing",
        () if starts(&A_COMPANY) && COMPANY_NOUNS.has(text) => "an organisation",
        () if starts(&SOME_PEOPLE) => "several people",
        () => return None,
    };
    Some(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> Option<String> {
        objection(&super::super::sample::fold(text))
    }

    #[test]
    fn what_is_no_person_is_named() {
        let cases = [
            ("A healthcare company looking to use machine learning", "an organisation (`company`)"),
            ("A large museum that needs to preserve its collection", "an organisation (`museum`)"),
            ("Ein mittelständisches Unternehmen, das Schrauben herstellt", "an organisation (`unternehmen`)"),
            ("一家专注于新能源的公司", "an organisation"),
            ("A group of roommates who quarrel", "several people (`group`)"),
            ("A young couple embarking on a renovation", "several people (`couple`)"),
            ("Students who study Brazilian history", "several people (`students`)"),
            ("一群热爱音乐的学生", "several people"),
            ("A mischievous parrot who imitates everyone", "an animal or a thing (`parrot`)"),
            ("An online learning platform that works with schools", "an animal or a thing (`platform`)"),
            ("The author of this comment", "refers to a text that is not there"),
            ("The person who wrote the above review of the film", "refers to a text that is not there"),
            ("the author of the text", "refers to a text that is not there"),
            ("a parishioner at the church mentioned in the text", "refers to a text that is not there"),
            ("What is the best way to learn Spanish?", "a question"),
            ("It is a shame that they closed the library", "a comment"),
            ("Thanks for sharing, this helped a lot", "a comment"),
            ("https://example.org/people/17", "a link"),
            ("12345 67890 !!!", "no words"),
        ];
        for (text, what) in cases {
            assert_eq!(judged(text).as_deref(), Some(what), "{text}");
        }
    }

    #[test]
    fn people_who_look_like_something_else_stay() {
        let people = [
            "A student considering joining the IE Business School",
            "A Chicago Council on Global Affairs employee",
            "A University of Wisconsin System administrator",
            "A school, library and museum director",
            "A nurse. Her company that sells scarves is small",
            "A family doctor in a village",
            "A team lead at a bank",
            "A software developing student",
            "A community based researcher",
            "A dog lover who runs a shelter",
            "A cat and dog groomer",
            "A local supplier who provides ingredients",
            "A startup who doubts himself",
            "A Class of 1990 graduate",
            "A writer whose blog has this text at the top",
            "I am a polar bear living in the melting Arctic",
            "As a group of one, I train alone. Why not?",
            "我是一位挪威体育记者",
            "一位对国际政治持怀疑态度的博主",
            "A philosopher who asks: why is there anything?",
            "Former teammate and good friend of a goalkeeper",
            "The mayor of the town who values the historian's work",
        ];
        for text in people {
            assert_eq!(judged(text), None, "{text}");
        }
    }
}
