//! Rows that are no person: organisations, several people at once, animals and things, references to a text that is not
//! there, pasted comments and questions.
//!
//! A false alarm costs a usable person and a miss only an odd one, so each rule wants a plain sign. The head of the first
//! noun phrase decides, found as the last word before a word that can't belong to it: `a company | that sells` is an
//! organisation, `a company director | who` is not, nor is `a startup | who`, since `who` says that a person is meant.
//! Whoever speaks of themselves is a person. Read against 2,000 real rows, see the tests of the module above.

use std::collections::HashSet;
use std::sync::OnceLock;

/// Organisations. Words that also name people (`manufacturer`, `provider`, `supplier`, `publisher`) are left out.
static ORGANISATIONS: List = List::new(
    "agency airline association bank brand brewery business charity college company cooperative corporation council enterprise firm \
     foundation government hospital institute institution library ministry museum ngo nonprofit non-profit organisation \
     organization restaurant school startup start-up university unternehmen firma behörde empresa azienda entreprise",
);

/// Several people at once: no single voice.
static SEVERAL: List = List::new(
    "alliance coalition collective committee community couple crew duo family gang group pair squad team trio gruppe grupo \
     groupe gruppo students parents people residents fans users members teachers employees citizens volunteers siblings",
);

/// Animals that do not name a sports team too, and things.
static ANIMALS_AND_THINGS: List = List::new(
    "ai algorithm app bee camel cat chatbot chicken computer cow dog donkey elephant giraffe goat goldfish hamster horse \
     kitten monkey parrot platform pony puppy rabbit robot smartphone software squirrel tortoise tree turtle website",
);

/// Words that can't stand before the head of a noun phrase.
static PHRASE_ENDS: List = List::new(
    "that which who whose whom with without in from for at on of to by as and or is are was has near under like being trying \
     wanting needing seeking looking providing offering specializing specialising developing producing selling working \
     aiming dedicated committed founded located living embarking the a an his her their its das die der von mit für que \
     qui che de di",
);

/// What may follow several people: `a group of hikers`, `a couple who`.
static AFTER_SEVERAL: List = List::new(
    "that which who whose with in from for at on of is are trying seeking looking working living embarking dedicated \
     committed von mit de di que qui che",
);

/// What may follow an organisation. Not `who`, which means a person, nor `of`, `at` and `on`, which are parts of names:
/// `a University of Wisconsin administrator`, `a Council on Global Affairs employee`.
static AFTER_ORGANISATION: List = List::new(
    "that which with in from for is has trying wanting needing seeking looking providing offering specializing \
     specialising developing producing selling working aiming dedicated committed founded located das die que qui che",
);

/// What may follow an animal or a thing. No `developing`: `a software developing student`.
static AFTER_THING: List = List::new("that which who with in on from is being living");

/// What a dangling reference points at.
static TEXTS: List = List::new(
    "answer article comment dialogue document email essay excerpt message paragraph passage piece post question quote \
     review sentence snippet statement text thread tweet",
);

/// Who a dangling reference speaks of.
static AUTHORS: List = List::new("author writer poster commenter speaker narrator reader user person");

/// Starts of a comment rather than of a description.
const COMMENT_STARTS: &[&str] = &[
    "it is ",
    "it's ",
    "it was ",
    "it seems ",
    "this is ",
    "this was ",
    "there is ",
    "there are ",
    "thank you",
    "thanks for ",
    "please ",
    "you should ",
    "you can ",
    "you could ",
    "you have ",
    "you need ",
    "we are ",
    "we have ",
    "we need ",
    "how to ",
];

/// A list of words that is looked up once for every row.
struct List {
    text: &'static str,
    words: OnceLock<HashSet<&'static str>>,
}

impl List {
    const fn new(text: &'static str) -> Self {
        Self { text, words: OnceLock::new() }
    }

    fn has(&self, word: &str) -> bool {
        self.words.get_or_init(|| self.text.split(' ').collect()).contains(word)
    }
}

/// What speaks against `folded` (see [`fold`](super::sample::fold)) being a person, if anything does.
pub(super) fn objection(folded: &str) -> Option<String> {
    let words = Words(folded.split(' ').take(24).collect());
    if words.first_person() {
        return None;
    }
    let what = match () {
        () if !folded.chars().any(char::is_alphabetic) => "no words",
        () if words.has_link() => "a link",
        () if words.dangles() => "refers to a text that is not there",
        () if words.asks(folded) => "a question",
        () if comments(folded) => "a comment",
        () => return words.head().or_else(|| chinese(folded)),
    };
    Some(what.to_owned())
}

struct Words<'a>(Vec<&'a str>);

fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

fn is_article(word: &str) -> bool {
    matches!(word, "a" | "an" | "the" | "another" | "one" | "ein" | "eine" | "un" | "una" | "une" | "um" | "uma")
}

impl Words<'_> {
    fn at(&self, index: usize) -> &str {
        self.0.get(index).map_or("", |word| bare(word))
    }

    fn first_person(&self) -> bool {
        let starts = matches!(self.at(0), "as" | "my" | "soy" | "je" | "ich" | "sono" | "sou" | "als" | "я");
        let says_i = |word: &&str| matches!(bare(word), "i" | "i'm" | "i’m" | "i've" | "i’ve");
        starts || self.at(0).starts_with('我') || self.0.iter().take(4).any(says_i)
    }

    fn has_link(&self) -> bool {
        self.0.first().is_some_and(|word| word.starts_with("http://") || word.starts_with("https://"))
    }

    /// `the author of this comment`, `the person who wrote the above text`, `a parishioner mentioned in the text`.
    fn dangles(&self) -> bool {
        let by_name = self.at(0) == "the" && AUTHORS.has(self.at(1));
        self.0.iter().enumerate().any(|(index, word)| {
            let points = TEXTS.has(bare(word)) && index >= 3;
            let (one, two) = (self.at(index.saturating_sub(1)), self.at(index.saturating_sub(2)));
            let shown = matches!(one, "this" | "above" | "given" | "provided" | "preceding");
            let mentioned = two == "in"
                && one == "the"
                && matches!(self.at(index.saturating_sub(3)), "mentioned" | "described" | "quoted" | "referenced");
            let whole = two == "of" && one == "the" && index == 4 && self.0.len() == 5;
            points && (mentioned || by_name && (shown || whole))
        })
    }

    fn asks(&self, folded: &str) -> bool {
        folded.ends_with(['?', '？']) && self.0.len() >= 3 && !is_article(self.at(0))
    }

    /// The head of the first noun phrase, if it is no person.
    fn head(&self) -> Option<String> {
        let start = usize::from(is_article(self.at(0)));
        let end = (start + 1..=self.0.len()).find(|index| self.ends_phrase(*index))?;
        let (head, follows) = (self.at(end - 1), self.at(end));
        let lists = [
            (&SEVERAL, &AFTER_SEVERAL, "several people"),
            (&ORGANISATIONS, &AFTER_ORGANISATION, "an organisation"),
            (&ANIMALS_AND_THINGS, &AFTER_THING, "an animal or a thing"),
        ];
        let fits = |heads: &List, after: &List| heads.has(head) && (follows.is_empty() || after.has(follows));
        lists.iter().find(|(heads, after, _)| fits(heads, after)).map(|(_, _, what)| format!("{what} (`{head}`)"))
    }

    /// Whether the phrase is over before the word at `index`. After a comma it may go on, as in `a school, library and
    /// museum director`, but then no word of the lists follows.
    fn ends_phrase(&self, index: usize) -> bool {
        let stopped = |word: &&str| word.ends_with(['.', ',', ';', ':', '(', ')', '!']);
        let before = index.checked_sub(1).and_then(|index| self.0.get(index));
        index >= self.0.len() || PHRASE_ENDS.has(self.at(index)) || before.is_some_and(stopped)
    }
}

fn comments(folded: &str) -> bool {
    COMMENT_STARTS.iter().any(|start| folded.starts_with(start))
}

/// Chinese has no articles and no spaces: the classifier in front or the noun at the end tells.
fn chinese(folded: &str) -> Option<String> {
    let text = folded.trim_matches(|c: char| !c.is_alphanumeric());
    let company =
        text.starts_with("一家") && ["公司", "机构", "企业", "組織", "组织"].iter().any(|end| text.ends_with(end));
    let several = ["一群", "一对", "一對"].iter().any(|start| text.starts_with(start));
    match () {
        () if company => Some("an organisation".to_owned()),
        () if several => Some("several people".to_owned()),
        () => None,
    }
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
