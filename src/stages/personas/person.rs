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
    "academy agency airline association authority bakery bank bookshop bookstore brand brewery brigade business café chain charity \
     church clinic club college commission company conglomerate consortium cooperative corporation council court department \
     embassy enterprise factory federation festival firm foundation franchise gallery gmbh government guild hospital hotel institute \
     institution label laboratory league library magazine ministry monastery museum network newspaper ngo nonprofit non-profit \
     office orchestra organisation organization orphanage parliament parish pharmacy pub publication restaurant school \
     shop society startup start-up station store studio supermarket syndicate tank theater theatre union university zoo unternehmen firma \
     behörde verein verband stiftung gesellschaft genossenschaft schule empresa asociación cooperativa fundación organización \
     azienda associazione fondazione entreprise fondation coopérative associação fundação",
);

/// Several people at once: no single voice.
static SEVERAL: List = List::new(
    "alliance audience band board brothers choir coalition collective colleagues committee community cousins couple crew crowd duo \
     ensemble family flatmates friends gang group household jury neighbors neighbours pair panel partners quartet roommates \
     sisters squad staff team tribe trio troupe twins gruppe familie ehepaar paar mannschaft grupo familia pareja groupe famille \
     gruppo famiglia coppia família casal students parents people residents fans users members teachers employees citizens \
     volunteers siblings children kids women men girls boys nurses wives husbands",
);

/// Animals, and things: machines, buildings, works.
static ANIMALS_AND_THINGS: List = List::new(
    "ai algorithm app badger bat bear beaver bee butterfly camel cat chicken chimpanzee cow crab crocodile crow deer dinosaur dog \
     dolphin donkey dragon duck elephant fish fox frog giraffe goat goldfish goose gorilla hamster hedgehog hen horse kangaroo \
     kitten koala lamb lion lizard llama lobster mermaid mole monkey moose mouse octopus ostrich otter owl panda parrot peacock \
     penguin pig pigeon pony puppy rabbit raccoon rat raven rooster seagull seahorse seal shark sheep snail snake spider squirrel \
     swan tiger toad tortoise turtle unicorn whale wolf zebra hund katze pferd vogel perro gato caballo chien chat cheval cane \
     gatto cavallo cachorro cavalo bicycle bike boat book bridge building bus car castle chatbot clock computer device documentary \
     engine film forest game house island lighthouse machine mountain movie novel oak painting planet platform podcast poem \
     program puppet river robot satellite ship smartphone software song spaceship statue system tool tower toy train tram tree \
     truck village volcano website",
);

/// Words that can't stand before the head of a noun phrase.
static PHRASE_ENDS: List = List::new(
    "that which who whose whom with without in from for at on of to by as and or is are was has near under like being trying \
     wanting needing seeking looking providing offering specializing specialising developing producing selling working \
     aiming dedicated committed founded located living embarking the a an his her their its das die der von mit für zur zum \
     im que qui che de di about after during representing facing studying preparing searching touring using hoping \
     struggling serving hosting competing helping supporting running held led run based owned called known designed used \
     made built left guarding going having doing meeting playing training travelling traveling specialised specialized",
);

/// What may follow several people: `a group of hikers`, `a couple who`.
static AFTER_SEVERAL: List = List::new(
    "that which who whose with in from for at on of is are trying seeking looking working living embarking dedicated \
     committed von mit de di que qui che das die der without facing preparing searching touring hoping struggling \
     competing running planning playing training travelling traveling sharing meeting going",
);

/// What may follow an organisation. Not `who`, which means a person, nor `of`, `at` and `on`, which are parts of names:
/// `a University of Wisconsin administrator`, `a Council on Global Affairs employee`.
static AFTER_ORGANISATION: List = List::new(
    "that which with in from for is has trying wanting needing seeking looking providing offering specializing \
     specialising developing producing selling working aiming dedicated committed founded located das die que qui che zur zum im mit representing \
     facing studying preparing searching touring hoping struggling serving hosting competing helping supporting held led run \
     based owned called specialised specialized",
);

/// What may follow an animal or a thing. No `developing`: `a software developing student`.
static AFTER_THING: List = List::new(
    "that which who with without in on from at for about of is being living looking das der die mit que qui che designed used \
     made built left guarding",
);

/// What a dangling reference points at.
static TEXTS: List = List::new(
    "answer article comment dialogue document email essay excerpt message paragraph passage piece post question quote \
     review sentence snippet statement text thread tweet",
);

/// Who a dangling reference speaks of.
static AUTHORS: List = List::new(
    "author character commenter individual man narrator person poster protagonist reader someone speaker student user woman \
     writer",
);

/// Between a person and a text that is not there: `the speaker | in the dialogue`.
static POINTERS: List = List::new("in from of mentioned described depicted discussed portrayed quoted referenced");

/// Before a text that is not there, or behind it.
static SHOWN: List = List::new("this above below given provided preceding previous following");

/// Starts of a question.
static INTERROGATIVES: List = List::new(
    "what how why when where which who whose whom can could should would will do does did is are was were has have was wie \
     warum wo wann welche",
);

/// Starts of an instruction, if an article or `me` follows.
static COMMANDS: List = List::new(
    "write describe provide generate create list explain summarize summarise translate imagine give tell answer consider \
     identify rewrite complete choose read suppose compose",
);

/// What stands where there is no description.
const NOTHING: &[&str] = &[
    "not applicable",
    "n/a",
    "not available",
    "not specified",
    "unspecified",
    "unknown",
    "to be determined",
    "no information",
    "no persona",
    "no description",
    "no data",
    "no details",
    "no text",
    "no context",
    "none",
    "nothing",
];

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
    "you should ",
    "you can ",
    "you could ",
    "you have ",
    "you need ",
    "we are ",
    "we have ",
    "we need ",
    "how to ",
    "it depends ",
    "if you ",
    "you are right",
    "you're ",
    "i agree ",
    "i disagree ",
    "great post",
    "great article",
    "great question",
    "nice post",
    "good point",
    "well said",
    "lol ",
    "haha",
    "wow",
    "same here",
];

/// Starts of what a model says that was asked for a description.
const INSTRUCTION_STARTS: &[&str] = &[
    "please ",
    "here is ",
    "here's ",
    "here are ",
    "based on the ",
    "the following ",
    "sorry",
    "i'm sorry",
    "i’m sorry",
    "i am sorry",
    "i cannot ",
    "i can't ",
    "as an ai ",
    "as a language model",
    "unable to ",
    "insert ",
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
    let starts = |list: &[&str]| list.iter().any(|start| folded.starts_with(start));
    let what = match () {
        () if !folded.chars().any(char::is_alphabetic) => "no words",
        () if words.says_nothing(folded) => "no description",
        () if words.has_link() => "a link",
        () if words.dangles() => "refers to a text that is not there",
        () if words.asks(folded) => "a question",
        () if words.commands() || starts(INSTRUCTION_STARTS) => "an instruction",
        () if starts(COMMENT_STARTS) => "a comment",
        () if words.first_person() => return None,
        () => return words.head().or_else(|| chinese(folded)),
    };
    Some(what.to_owned())
}

struct Words<'a>(Vec<&'a str>);

/// A word without the punctuation about it; `who's` is `who`.
fn bare(word: &str) -> &str {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    word.strip_prefix("who").filter(|rest| matches!(*rest, "'s" | "’s")).map_or(word, |_| "who")
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

    fn says_nothing(&self, folded: &str) -> bool {
        let text = folded.trim_end_matches(|c: char| !c.is_alphanumeric());
        NOTHING.iter().any(|nothing| text == *nothing || self.0.len() <= 4 && text.starts_with(nothing))
    }

    /// `he is also ...`, `the author of this comment`, `the person who wrote the above text`, `the above-mentioned man`.
    fn dangles(&self) -> bool {
        let someone = matches!(self.at(0), "the" | "a" | "an") && AUTHORS.has(self.at(1));
        let pointed = someone && POINTERS.has(self.at(2));
        let at_text = |(index, word): (usize, &&str)| {
            TEXTS.has(bare(word)) && index >= 3 && {
                let before = self.at(index - 1);
                let mentioned = self.0.iter().take(index).skip(2).any(|word| is_mention(bare(word)));
                let ends = index + 1 == self.0.len() || SHOWN.has(self.at(index + 1));
                someone && self.at(0) == "the" && SHOWN.has(before)
                    || ends && (pointed || mentioned && (before == "the" || SHOWN.has(before)))
            }
        };
        self.continues() || self.0.iter().enumerate().any(at_text)
    }

    /// Goes on about someone who was spoken of before. `She is a nurse` says enough by itself.
    fn continues(&self) -> bool {
        let told = matches!(self.at(1), "is" | "was") && is_article(self.at(2));
        match self.at(0) {
            "he" | "she" => !told,
            "they" | "his" | "their" => true,
            "her" => self.at(1) != "majesty's",
            "the" => matches!(self.at(1), "above-mentioned" | "aforementioned" | "abovementioned" | "said" | "latter"),
            _ => false,
        }
    }

    fn asks(&self, folded: &str) -> bool {
        let open = INTERROGATIVES.has(self.at(0)) || !self.first_person();
        folded.ends_with(['?', '？']) && self.0.len() >= 3 && !is_article(self.at(0)) && open
    }

    fn commands(&self) -> bool {
        COMMANDS.has(self.at(0)) && (is_article(self.at(1)) || matches!(self.at(1), "me" | "your" | "in"))
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
        // `the council of a town`; not `a University of Wisconsin administrator`.
        let owned = follows == "of" && (is_article(self.at(end + 1)) || SEVERAL.has(head));
        let stands = |after: &List| follows.is_empty() || after.has(follows) || owned;
        let fits = |heads: &List, after: &List| heads.has(head) && stands(after);
        if head == "assistant" && matches!(self.at(end.saturating_sub(2)), "ai" | "digital" | "virtual" | "voice") {
            return Some("an animal or a thing (`assistant`)".to_owned());
        }
        if self.counts(head, follows) {
            return Some(format!("several people (`{head}`)"));
        }
        lists.iter().find(|(heads, after, _)| fits(heads, after)).map(|(_, _, what)| format!("{what} (`{head}`)"))
    }

    /// `two neighbours`, `twin sisters`, `painters who`: more than one, and no article that belongs to a later noun.
    fn counts(&self, head: &str, follows: &str) -> bool {
        let number =
            matches!(self.at(0), "two" | "three" | "four" | "five" | "several" | "many" | "some" | "twin" | "both");
        let plural =
            ["ers", "ors", "ists", "ents", "ants", "ians", "women", "men"].iter().any(|end| head.ends_with(end));
        let many = plural && !is_article(self.at(0)) && AFTER_SEVERAL.has(follows) && follows != "is";
        number && head.ends_with('s') || many
    }

    /// Whether the phrase is over before the word at `index`. After a comma it may go on, as in `a school, library and
    /// museum director`, but then no word of the lists follows.
    fn ends_phrase(&self, index: usize) -> bool {
        let stopped = |word: &&str| word.ends_with(['.', ',', ';', ':', '(', ')', '!']);
        let before = index.checked_sub(1).and_then(|index| self.0.get(index));
        index >= self.0.len() || PHRASE_ENDS.has(self.at(index)) || before.is_some_and(stopped)
    }
}

fn is_mention(word: &str) -> bool {
    matches!(word, "mentioned" | "described" | "quoted" | "referenced" | "depicted" | "discussed" | "portrayed")
}

/// Chinese has no articles and no spaces: the classifier in front or the noun at the end tells.
fn chinese(folded: &str) -> Option<String> {
    let text = folded.trim_matches(|c: char| !c.is_alphanumeric());
    let company =
        text.starts_with("一家") && ["公司", "机构", "企业", "組織", "组织"].iter().any(|end| text.ends_with(end));
    let starts = |signs: &[&str]| signs.iter().any(|start| text.starts_with(start));
    let several = starts(&["一群", "一对", "一對", "一家人", "两位", "几位"]);
    let thing = starts(&["一只", "一条", "一头", "一匹", "一台", "一辆", "一座", "一款"]);
    match () {
        () if thing => Some("an animal or a thing".to_owned()),
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
