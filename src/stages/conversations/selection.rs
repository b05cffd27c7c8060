//! Who speaks next.
//!
//! Every strategy chooses within the same closed set, [`candidates`]: nobody twice running unless allowed, nobody who has
//! had more turns than [`Balance`] lets anybody have, and towards the end those who have not spoken at all. A model's answer
//! is read against that set and can at worst name somebody legal; after three answers that name nobody the code decides,
//! inside the set. (AutoGen 0.4 falls back on the previous speaker, which it then refuses: autogen#7471.)

use crate::config::Balance;
use crate::draw::Draw;

/// How a speaker came to speak; the value of `selected_by` in records.
pub(crate) mod by {
    /// A model chose.
    pub(crate) const MODEL: &str = "model";
    /// Nobody else was left to choose.
    pub(crate) const ONLY_CANDIDATE: &str = "only_candidate";
    /// A model was asked and named nobody legal.
    pub(crate) const FALLBACK: &str = "fallback";
    /// Round robin.
    pub(crate) const ORDER: &str = "order";
    /// A draw.
    pub(crate) const DRAW: &str = "draw";
    /// The line before spoke to them by name.
    pub(crate) const ADDRESSED: &str = "addressed";
    /// They had said least.
    pub(crate) const QUOTA: &str = "quota";
    /// The previous speaker handed on the floor.
    pub(crate) const HANDED_OVER: &str = "handed_over";
}

/// What selection looks at: turns taken by each person, who spoke last, how many turns are left.
#[derive(Debug, Clone)]
pub(crate) struct Floor {
    /// Turns each person has taken.
    pub taken: Vec<u32>,
    /// Who spoke last; nobody before the first turn.
    pub last: Option<usize>,
    /// Turns left, this one included.
    pub left: u32,
    /// The most turns the conversation can have.
    pub max: u32,
    /// Whether one may speak twice running.
    pub allow_repeat: bool,
    /// How evenly turns are shared.
    pub balance: Balance,
}

/// Those who may speak now, in the order of the group. Never empty for a group of at least two.
pub(crate) fn candidates(floor: &Floor) -> Vec<usize> {
    let everyone: Vec<usize> = (0..floor.taken.len()).collect();
    let free: Vec<usize> =
        everyone.into_iter().filter(|person| floor.allow_repeat || Some(*person) != floor.last).collect();
    let silent: Vec<usize> = free.iter().copied().filter(|person| floor.taken.get(*person) == Some(&0)).collect();
    let unheard = floor.taken.iter().filter(|taken| **taken == 0).count();
    if !silent.is_empty() && floor.left as usize <= unheard {
        return silent;
    }
    let cap = most_turns(floor);
    let within: Vec<usize> =
        free.iter().copied().filter(|person| floor.taken.get(*person).is_some_and(|taken| *taken < cap)).collect();
    if within.is_empty() { free } else { within }
}

/// Turns ahead of whoever has said least from which on one has to wait.
const LEAD: u32 = 2;

/// So many turns are enough for now. A fair share is rounded up, since turns seldom divide evenly.
fn most_turns(floor: &Floor) -> u32 {
    let people = u32::try_from(floor.taken.len()).unwrap_or(u32::MAX).max(1);
    match floor.balance {
        Balance::Even => {
            let least = floor.taken.iter().min().copied().unwrap_or(0);
            floor.max.div_ceil(people).min(least + LEAD)
        }
        Balance::Loose => (3 * floor.max).div_ceil(2 * people).max(2),
    }
}

/// The next in order after the last speaker.
pub(crate) fn in_order(floor: &Floor, candidates: &[usize]) -> Option<usize> {
    let people = floor.taken.len();
    let start = floor.last.map_or(0, |last| last + 1);
    (0..people).map(|step| (start + step) % people).find(|person| candidates.contains(person))
}

/// A draw in which those who have said little weigh more.
pub(crate) fn drawn(floor: &Floor, candidates: &[usize], draw: &mut Draw) -> Option<usize> {
    let weights: Vec<f64> =
        candidates.iter().map(|person| 1.0 / f64::from(1 + floor.taken.get(*person).copied().unwrap_or(0))).collect();
    draw.weighted(&weights).and_then(|at| candidates.get(at).copied())
}

/// Those who have said least, if somebody is two turns behind the others; then a draw among them.
pub(crate) fn least_heard(floor: &Floor, candidates: &[usize], draw: &mut Draw) -> Option<usize> {
    let taken = |person: &usize| floor.taken.get(*person).copied().unwrap_or(0);
    let least = candidates.iter().map(taken).min()?;
    let most = floor.taken.iter().max().copied().unwrap_or(0);
    let behind: Vec<usize> = candidates.iter().copied().filter(|person| taken(person) == least).collect();
    (most >= least + 2).then(|| draw.pick(&behind).copied()).flatten()
}

/// Whom a line speaks to by name: `Bob, what do you think?`, `…, right, Bob?`. Names that are merely mentioned do not count.
pub(crate) fn addressed(text: &str, names: &[&str], speaker: usize) -> Option<usize> {
    let mut found = None;
    for mention in mentions(text, names) {
        let before = text.get(..mention.start).unwrap_or_default().trim_end();
        let after = text.get(mention.end..).unwrap_or_default();
        let opens = before.is_empty() || before.ends_with(['.', '!', '?', '…', '。', '！', '？', ',', '，', '—']);
        let closes = after.is_empty() || after.starts_with([',', '?', '!', '.', '…', '，', '？', '！', '。', ':', '—']);
        if opens && closes && mention.person != speaker {
            found = Some(mention.person);
        }
    }
    found
}

/// What a selector's answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// Exactly one person.
    One(usize),
    /// Several, and nothing tells which is meant.
    Several,
    /// Nobody of the group.
    Nobody,
}

/// Reads a free-text answer that should name one of `names`.
///
/// Longer names win over names within them, `_` and `\_` stand for a space, case does not matter, a hyphen continues a
/// word (`Ann-Marie` is not Ann), and a first name is enough where only one person has it. Of several names the one the
/// answer starts with is meant (`Bob because Ann asked`), else the one called next.
pub(crate) fn read_name(answer: &str, names: &[&str]) -> Named {
    let found = mentions(answer, names);
    let Some(first) = found.first() else { return Named::Nobody };
    if found.iter().all(|mention| mention.person == first.person) {
        return Named::One(first.person);
    }
    let lead = answer.get(..first.start).unwrap_or_default();
    if !lead.contains(char::is_alphanumeric) {
        let joined = found.get(1).and_then(|second| answer.get(first.end..second.start)).unwrap_or_default();
        let listed =
            matches!(joined.trim().to_lowercase().as_str(), "" | "," | "/" | "and" | "or" | "&" | "und" | "oder");
        return if listed { Named::Several } else { Named::One(first.person) };
    }
    let called_next = found.iter().find(|mention| {
        let before = answer.get(..mention.start).unwrap_or_default().to_lowercase();
        let before = before.trim_end_matches(|c: char| !c.is_alphanumeric());
        ["next", "next is", "next speaker is", "next should be", "speaker is", "choose", "pick", "select"]
            .iter()
            .any(|cue| before.ends_with(cue))
    });
    called_next.map_or(Named::Several, |mention| Named::One(mention.person))
}

/// A name found in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mention {
    person: usize,
    start: usize,
    end: usize,
}

/// Every name in `text`, left to right, the longest at each place.
fn mentions(text: &str, names: &[&str]) -> Vec<Mention> {
    let forms = spoken_forms(names);
    let mut found: Vec<Mention> = Vec::new();
    let mut before = None;
    for (start, next) in text.char_indices() {
        let begins_word = !before.is_some_and(continues_word);
        before = Some(next);
        if !begins_word || found.last().is_some_and(|mention| start < mention.end) {
            continue;
        }
        let rest = text.get(start..).unwrap_or_default();
        let hits = forms.iter().filter_map(|(form, person)| Some((name_length(rest, form)?, *person)));
        if let Some((length, person)) = hits.max_by_key(|(length, _)| *length) {
            found.push(Mention { person, start, end: start + length });
        }
    }
    found
}

/// What everybody of a group can be called in short: the first name where only one person has it, else the full name.
pub(crate) fn shortest_forms<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut shortest = names.to_vec();
    for (form, person) in spoken_forms(names).into_iter().skip(names.len()) {
        shortest.get_mut(person).into_iter().for_each(|name| *name = form);
    }
    shortest
}

/// Full names, and first names that only one person has.
fn spoken_forms<'a>(names: &[&'a str]) -> Vec<(&'a str, usize)> {
    let first = |name: &'a str| name.split([' ', '_']).next().unwrap_or(name);
    let mut forms = Vec::with_capacity(2 * names.len());
    forms.extend(names.iter().copied().zip(0..));
    for (person, name) in names.iter().enumerate() {
        let short = first(name);
        let unique = names.iter().filter(|other| first(other).eq_ignore_ascii_case(short)).count() == 1;
        if unique && short != *name && !short.ends_with('.') {
            forms.push((short, person));
        }
    }
    forms
}

fn continues_word(c: char) -> bool {
    // Han, kana and the like have no spaces between words: a name may follow such a character directly.
    (c.is_alphanumeric() && !is_unspaced(c)) || c == '_' || c == '-'
}

fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{0e00}'..='\u{0eff}')
}

/// How many bytes at the start of `text` spell `name` as a whole word, if they do.
fn name_length(text: &str, name: &str) -> Option<usize> {
    let mut rest = text.char_indices().peekable();
    for wanted in name.chars() {
        let (at, mut got) = rest.next()?;
        if got == '\\' && text.get(at + 1..)?.starts_with('_') {
            got = rest.next()?.1;
        }
        let same =
            got == wanted || (matches!(wanted, ' ' | '_') && matches!(got, ' ' | '_')) || is_same_letter(got, wanted);
        if !same {
            return None;
        }
    }
    let end = rest.peek().map_or(text.len(), |(at, _)| *at);
    let after = text.get(end..)?;
    let mut following = after.chars();
    let next = following.next();
    // A hyphen, an underscore or an escaped one continues a name only if a letter or digit follows.
    let glued = match next {
        Some('-' | '_' | '\\') => following.next().is_some_and(|c| c.is_alphanumeric() || c == '_'),
        Some(c) => continues_word(c),
        None => false,
    };
    (!glued).then_some(end)
}

/// Whether two characters are the same but for case.
fn is_same_letter(one: char, other: char) -> bool {
    let is_ascii = one.is_ascii() && other.is_ascii();
    if is_ascii { one.eq_ignore_ascii_case(&other) } else { one.to_lowercase().eq(other.to_lowercase()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floor(taken: &[u32], last: Option<usize>, left: u32) -> Floor {
        Floor { taken: taken.to_vec(), last, left, max: 10, allow_repeat: false, balance: Balance::Loose }
    }

    #[test]
    fn every_row_of_the_name_table_is_read_right() {
        let names = ["Ann", "Ann_Lee", "Bob"];
        let table = [
            ("Ann_Lee", Named::One(1)),
            ("Ann Lee", Named::One(1)),
            ("Ann\\_Lee", Named::One(1)),
            ("Ann-Marie", Named::Nobody),
            ("ann", Named::One(0)),
            ("**Bob**", Named::One(2)),
            ("Bob.", Named::One(2)),
            ("Bob's turn", Named::One(2)),
            ("Bob because Ann asked", Named::One(2)),
            ("Bob_2", Named::Nobody),
            ("The next speaker is Ann Lee, since Bob is done.", Named::One(1)),
            ("Ann or Bob", Named::Several),
            ("Either Ann or Bob", Named::Several),
            ("TERMINATE", Named::Nobody),
            ("", Named::Nobody),
        ];
        for (answer, named) in table {
            assert_eq!(read_name(answer, &names), named, "{answer:?}");
        }
    }

    #[test]
    fn a_first_name_is_enough_where_one_person_has_it() {
        let names = ["Maria López", "Tom Baker", "Tom Oduya"];
        assert_eq!(read_name("Maria", &names), Named::One(0));
        assert_eq!(read_name("Tom", &names), Named::Nobody);
        assert_eq!(read_name("tom oduya!", &names), Named::One(2));
        assert_eq!(read_name("下一个是王伟。", &["王伟", "李娜"]), Named::One(0));
    }

    #[test]
    fn a_name_is_an_address_only_where_it_is_called() {
        let names = ["Ann", "Bob", "Carla"];
        assert_eq!(addressed("Bob, what do you think?", &names, 0), Some(1));
        assert_eq!(addressed("That's too far, right, Carla?", &names, 0), Some(2));
        assert_eq!(addressed("I told Bob about it yesterday.", &names, 0), None);
        assert_eq!(addressed("Ann, you fool!", &names, 0), None);
    }

    #[test]
    fn nobody_speaks_twice_running_and_nobody_stays_silent() {
        assert_eq!(candidates(&floor(&[1, 1, 1], Some(1), 5)), [0, 2]);
        assert_eq!(candidates(&floor(&[3, 3, 0], Some(1), 1)), [2]);
        assert_eq!(candidates(&floor(&[3, 3, 0, 0], Some(1), 2)), [2, 3]);
        assert_eq!(candidates(&floor(&[5, 2, 1], Some(1), 2)), [2], "five of ten turns are enough for one of three");
        assert_eq!(candidates(&floor(&[2, 1], Some(0), 5)), [1]);
        let repeat = Floor { allow_repeat: true, ..floor(&[1, 1], Some(0), 5) };
        assert_eq!(candidates(&repeat), [0, 1]);
    }

    /// The Gini coefficient of the turns that `taken` has.
    fn gini(taken: &[u32]) -> f64 {
        let apart: u32 = taken.iter().flat_map(|one| taken.iter().map(|other| one.abs_diff(*other))).sum();
        f64::from(apart) / f64::from(2 * taken.iter().sum::<u32>() * u32::try_from(taken.len()).unwrap())
    }

    /// The turns of a conversation in which `pick` chooses among the candidates.
    fn held(people: usize, max: u32, balance: Balance, mut pick: impl FnMut(&[usize]) -> usize) -> Vec<u32> {
        let mut now = Floor { max, balance, ..floor(&vec![0; people], None, max) };
        while now.left > 0 {
            let choice = candidates(&now);
            let person = choice[pick(&choice)];
            let most = now.taken[person] + 1;
            let least = *now.taken.iter().min().unwrap();
            // Where nobody else is left, the one who spoke last had said least.
            let cornered = choice.iter().all(|other| now.taken[*other] >= now.taken[person]) && now.last.is_some();
            assert!(balance == Balance::Loose || most <= least + LEAD || cornered, "{now:?} -> {person}");
            now.taken[person] += 1;
            (now.last, now.left) = (Some(person), now.left - 1);
        }
        now.taken
    }

    #[test]
    fn turns_are_shared_whoever_is_chosen_and_off_means_off() {
        let mut mean = [0.0; 2];
        for (balance, mean) in [Balance::Even, Balance::Loose].into_iter().zip(&mut mean) {
            let groups: Vec<(usize, u32)> = (3..=5).flat_map(|people| (6..=12).map(move |max| (people, max))).collect();
            for (people, max) in &groups {
                // The worst that a model can choose: always whoever it likes best.
                *mean += gini(&held(*people, *max, balance, |_| 0)) / groups.len() as f64;
                let mut draw = Draw::new(u64::from(*max), &["held"]);
                held(*people, *max, balance, |choice| draw.below(choice.len()));
            }
        }
        assert!(mean[0] <= 0.15 && mean[1] > 0.2, "{mean:?}");
        assert_eq!(candidates(&Floor { balance: Balance::Even, ..floor(&[3, 2, 1], Some(1), 4) }), [2]);
        assert_eq!(candidates(&floor(&[3, 2, 1], Some(1), 4)), [0, 2]);
    }

    #[test]
    fn order_skips_who_may_not_speak() {
        assert_eq!(in_order(&floor(&[1, 1, 0], Some(2), 5), &[0, 1]), Some(0));
        assert_eq!(in_order(&floor(&[0, 0, 0], None, 5), &[0, 1, 2]), Some(0));
        assert_eq!(in_order(&floor(&[1, 0, 0], Some(0), 5), &[2]), Some(2));
    }

    #[test]
    fn who_fell_behind_is_heard_first() {
        let mut draw = Draw::new(1, &["test"]);
        assert_eq!(least_heard(&floor(&[3, 2, 1], Some(0), 5), &[1, 2], &mut draw), Some(2));
        assert_eq!(least_heard(&floor(&[2, 1, 1], Some(0), 5), &[1, 2], &mut draw), None);
        assert!(drawn(&floor(&[2, 1, 1], Some(0), 5), &[1, 2], &mut draw).is_some());
    }
}
