//! Natural-looking English from a small grammar with large word lists: enough variety that hundreds of texts are no
//! near-duplicates of each other. What is written depends on the draw alone.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]

pub(crate) mod tongues;

use convogen::Draw;

const FIRST_NAMES: &str = "Amara Bogdan Celine Dmitri Esther Farid Greta Hamid Ingrid Jamal Katya Lorenzo Mireille Nnamdi \
    Odalys Pavel Quentin Rosalind Sven Tamsin Umberto Violeta Wendell Ximena Yusuf Zelda Anselm Birgit Cosmo Delphine Emeka \
    Fiona Gustavo Henrike Ignatius Jocasta Kofi Ludmila Matteo Nadia Osvaldo Petra Ramiro Soraya Tobias Ulrike Vincent \
    Wilhelmina Yolanda Zoran";
const LAST_NAMES: &str = "Abara Brandt Castellano Dufresne Eriksen Fontaine Grigorescu Haddad Ivarsson Jankowski Kessler \
    Lindqvist Moreau Nakamura Okafor Petrov Quiroga Rasmussen Sorensen Takahashi Ueda Villanueva Whitlock Xu Yilmaz Zamora \
    Achterberg Bellweather Cardoso Dragomir";
const ROLES: &[&str] = &[
    "retired surveyor",
    "night nurse",
    "pastry cook",
    "ferry pilot",
    "tax clerk",
    "piano tuner",
    "court reporter",
    "beekeeper",
    "structural engineer",
    "puppet maker",
    "school librarian",
    "vet",
    "roofer",
    "radio host",
    "glass blower",
    "bus driver",
    "cartographer",
    "midwife",
    "wine merchant",
    "locksmith",
    "marine biologist",
    "florist",
    "stonemason",
    "data analyst",
    "choir leader",
    "chess coach",
    "forester",
    "tailor",
    "air-traffic controller",
    "food critic",
    "cellist",
    "notary",
    "welder",
    "botanist",
    "translator",
    "mountain guide",
    "baker",
    "archivist",
    "plumber",
    "poet",
];
const PLACES: &[&str] = &[
    "the harbour office",
    "a crowded laundrette",
    "the village hall",
    "an unheated greenhouse",
    "the hospital canteen",
    "a disused cinema",
    "the night train",
    "the school kitchen",
    "a rooftop garden",
    "the county archive",
    "a roadside diner",
    "the observatory",
    "a half-built bridge",
    "the tax office",
    "a flooded cellar",
    "the fish market",
    "a mountain hut",
    "the radio studio",
    "an allotment shed",
    "the town library",
    "a bicycle workshop",
    "the opera foyer",
    "a campsite by the lake",
    "the print shop",
    "an airport lounge",
    "the chapel",
    "a vineyard terrace",
    "the boxing gym",
    "a veterinary clinic",
    "the old mill",
    "a tram depot",
    "the planning department",
    "a bakery before dawn",
    "the lighthouse",
    "a museum basement",
    "the community pool",
];
const THINGS: &[&str] = &[
    "the roof beam",
    "the missing ledger",
    "the borrowed van",
    "the seed catalogue",
    "the water meter",
    "the stage curtain",
    "the grant application",
    "the old piano",
    "the parking permit",
    "the insurance claim",
    "the spare key",
    "the wedding cake",
    "the boiler",
    "the exhibition poster",
    "the guest list",
    "the shared freezer",
    "the rota",
    "the translation",
    "the beehive",
    "the wiring plan",
    "the lost passport",
    "the telescope mirror",
    "the choir robes",
    "the tenancy agreement",
    "the chess clock",
    "the fishing licence",
    "the prototype",
    "the mural",
    "the sourdough starter",
    "the footbridge",
    "the donated paintings",
    "the school timetable",
    "the vaccine fridge",
    "the tide table",
    "the museum audio guide",
    "the recipe book",
    "the hand-drawn map",
    "the microphone",
    "the apple harvest",
    "the lift",
];
const TROUBLES: &[&str] = &[
    "fell apart on the way here",
    "was promised to two people at once",
    "cost twice what anyone expected",
    "has gone missing since the storm",
    "arrived in the wrong colour",
    "needs a signature that nobody can get",
    "makes a noise like a kettle",
    "was sold without asking",
    "does not fit through the door",
    "smells of smoke",
    "has been stuck at customs",
    "was copied from a rival",
    "is older than the contract says",
    "froze solid overnight",
    "broke again an hour ago",
    "belongs to someone else on paper",
    "was painted over by mistake",
    "keeps losing water",
    "has a crack nobody mentioned",
    "went to the wrong address",
    "failed the inspection",
    "is short by three hundred",
    "was left in the rain",
    "has to be returned tomorrow",
    "works only when it is cold",
    "is far heavier than it looks",
];
const PLANS: &[&str] = &[
    "call the supplier",
    "split the bill evenly",
    "start again from the drawings",
    "ask the council for more time",
    "sell it and rent instead",
    "keep quiet until the audit",
    "tell the neighbours the truth",
    "move the party indoors",
    "patch it with what we have",
    "write everything down",
    "drive there tonight",
    "let the children decide",
    "try the cheaper firm first",
    "cancel the whole order",
    "borrow one from the theatre",
    "count the boxes again",
    "wait for a second opinion",
    "apologise in person",
    "train two more volunteers",
    "change the locks",
    "photograph every page",
    "hire a proper electrician",
    "open a day later",
    "raise the ticket price",
    "take a vote",
    "swap the shifts",
    "read the small print",
    "put it back where it was",
];
const TIMES: &[&str] = &[
    "on a wet Thursday evening",
    "an hour before closing",
    "the morning after the storm",
    "late on Sunday",
    "during the first frost",
    "two days before the inspection",
    "in the middle of the lunch rush",
    "after the last tram",
    "on the eve of the festival",
    "at the end of a double shift",
    "while the power is out",
    "just after sunrise",
    "between two rehearsals",
    "on market day",
    "in the last week of term",
    "as the tide comes in",
    "during a long delay",
    "on the first day of the heatwave",
    "shortly before midnight",
    "while the kettle boils",
];
const OPENERS: &[&str] = &[
    "Honestly,",
    "Look,",
    "Wait,",
    "All right,",
    "Before you go,",
    "To be fair,",
    "Hold on,",
    "Well,",
    "See,",
    "Frankly,",
    "Listen,",
    "Between us,",
    "As I said,",
    "No,",
    "Yes, and",
    "Fine, but",
    "Hm,",
    "If you ask me,",
    "Sure,",
    "Good point, though",
    "Funny you say that:",
    "Last year",
    "My sister thinks",
    "What bothers me:",
    "Remember,",
    "For once",
    "Let me guess:",
    "Forgive me, but",
    "Oh,",
    "Then again,",
];
const RELATIONS: &[&str] = &[
    "neighbour",
    "colleague",
    "sibling",
    "old friend",
    "rival",
    "mentor",
    "customer",
    "landlord",
    "cousin",
    "teammate",
    "former partner",
    "client",
];
const HABITS: &[&str] = &[
    "keeps notes on everything",
    "never trusts the first answer",
    "hums when nervous",
    "collects ferry timetables",
    "talks to machines as if they were pets",
    "has opinions about soup",
    "walks everywhere, even in hail",
    "remembers every birthday",
    "plays cards for matchsticks",
    "writes letters by hand",
    "restores old radios",
    "swims in the sea all year",
    "argues for sport",
    "mends what others throw away",
    "is always ten minutes early",
    "cannot stand unfinished work",
    "paints tiny landscapes",
    "reads contracts for fun",
];

fn pick(draw: &mut Draw, items: &[&'static str]) -> &'static str {
    draw.pick(items).copied().unwrap_or_default()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A full name; different `index` gives a different first name for the same `base`.
pub(crate) fn name(base: usize, index: usize) -> String {
    let nth = |words: &str, at: usize| {
        let words: Vec<&str> = words.split_whitespace().collect();
        words.get(at % words.len().max(1)).copied().unwrap_or_default().to_owned()
    };
    format!("{} {}", nth(FIRST_NAMES, base.wrapping_add(index.wrapping_mul(7))), nth(LAST_NAMES, base / 50 + index))
}

/// What someone might say: 6 to 25 words.
pub(crate) fn utterance(draw: &mut Draw) -> String {
    let (opener, thing, other) = (pick(draw, OPENERS), pick(draw, THINGS), pick(draw, THINGS));
    let (trouble, plan, second) = (pick(draw, TROUBLES), pick(draw, PLANS), pick(draw, PLANS));
    let (place, role) = (pick(draw, PLACES), pick(draw, ROLES));
    match draw.below(12) {
        0 => format!("{opener} {thing} {trouble}, so I would rather {plan}."),
        1 => format!("{opener} the {role} at {place} told me that {thing} {trouble}."),
        2 => format!("{}, and then {second} if {thing} {trouble}.", capital(plan)),
        3 => format!("{}? I will not, just because {thing} {trouble}.", capital(plan)),
        4 => format!("{opener} who said we had to {plan}? Nobody at {place} did."),
        5 => format!("Suppose we {plan}. What becomes of {thing}, and of {other}?"),
        6 => format!("{} {trouble}, so we {plan}? I would {second}.", capital(thing)),
        7 => format!("{opener} I spent a week at {place} over {thing}, and it {trouble}."),
        8 => format!("{opener} you sound like that {role} who wanted to {plan} over {thing}."),
        9 => format!("{opener} give me {thing} and an afternoon at {place}, and I can {plan} myself."),
        10 => format!("{opener} {other} matters more than {thing}, even if it {trouble}."),
        _ => format!("{opener} let us {plan} without the {role}, or {thing} stays at {place}."),
    }
}

/// A situation in the third person: 25 to 60 words.
pub(crate) fn situation(draw: &mut Draw) -> String {
    let (time, place) = (pick(draw, TIMES), pick(draw, PLACES));
    let (one, two, three) = (pick(draw, ROLES), pick(draw, ROLES), pick(draw, ROLES));
    let (thing, other) = (pick(draw, THINGS), pick(draw, THINGS));
    let (trouble, worse) = (pick(draw, TROUBLES), pick(draw, TROUBLES));
    let (plan, second, third) = (pick(draw, PLANS), pick(draw, PLANS), pick(draw, PLANS));
    let first = match draw.below(4) {
        0 => format!("{} a small group is stuck at {place}, because {thing} {trouble}.", capital(time)),
        1 => format!("At {place}, {time}, it comes out that {thing} {trouble}."),
        2 => format!("{} {trouble}, and those who share it meet at {place} {time}.", capital(thing)),
        _ => format!("Nobody planned to be at {place} {time}, but {thing} {trouble}."),
    };
    let then = match draw.below(4) {
        0 => format!("The {one} wants to {plan}, while the {two} would sooner {second}."),
        1 => format!("Some say it is time to {plan}; the {one} has quietly begun to {second}."),
        2 => format!("The {two} blames the {one}, who only meant to {plan} and not to {second}."),
        _ => format!("They agreed once to {plan}, yet the {one} and the {two} now each {second}."),
    };
    let last = match draw.below(3) {
        0 => format!("To make it worse, {other} {worse}, and somebody has to {third} before anyone goes home."),
        1 => format!("Meanwhile the {three} knows that {other} {worse} and hopes they will {third}."),
        _ => format!("If they do not {third} soon, {other}, which {worse}, will be the {three}'s to explain."),
    };
    format!("{first} {}", if draw.below(2) == 0 { then } else { last })
}

/// A topic in a few words.
pub(crate) fn topic(draw: &mut Draw) -> String {
    format!("whether to {} now that {} {}", pick(draw, PLANS), pick(draw, THINGS), pick(draw, TROUBLES))
}

/// A line that opens a conversation.
pub(crate) fn starter(draw: &mut Draw) -> String {
    let (thing, trouble, plan) = (pick(draw, THINGS), pick(draw, TROUBLES), pick(draw, PLANS));
    match draw.below(3) {
        0 => format!("So {thing} {trouble}. Do we {plan}, or does anyone have a better idea?"),
        1 => format!("Before we {plan}: who knew that {thing} {trouble}?"),
        _ => format!("{} {trouble}, and I am told we are to {plan}. Is that right?", capital(thing)),
    }
}

/// A person in one sentence.
pub(crate) fn person(draw: &mut Draw) -> String {
    let (role, place, habit) = (pick(draw, ROLES), pick(draw, PLACES), pick(draw, HABITS));
    let article = if role.starts_with(['a', 'e', 'i', 'o', 'u']) { "An" } else { "A" };
    format!("{article} {role} from around {place} who {habit}.")
}

/// What somebody wants or holds to be so.
pub(crate) fn intent(draw: &mut Draw) -> String {
    format!("to {} and not to {}, whatever happens to {}", pick(draw, PLANS), pick(draw, PLANS), pick(draw, THINGS))
}

/// A fact that nobody would guess: its words stand in no other text made here.
pub(crate) fn knowledge(draw: &mut Draw) -> String {
    const HIDDEN: &[&str] =
        &["envelope", "necklace", "testament", "revolver", "banknotes", "diary", "fingerprint", "medallion"];
    const WHERE: &[&str] =
        &["floorboards", "chimney", "cupboard", "mattress", "hatbox", "gutter", "dovecote", "sugar bowl"];
    let code = draw.between(10_000, 99_999);
    format!("A certain {} marked {code} lies beneath the {}.", pick(draw, HIDDEN), pick(draw, WHERE))
}

/// One word for how two people stand to each other.
pub(crate) fn relation(draw: &mut Draw) -> String {
    pick(draw, RELATIONS).to_owned()
}
