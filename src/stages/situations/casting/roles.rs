//! Roles that meet their counterpart whatever the domain, and roles that meet anyone.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Words looked at, at most; what someone is stands in front.
const HEAD_WORDS: usize = 16;

/// Two sides of one encounter each: teacher and student, doctor and patient. A word before the first `who` or `that` decides.
const ENCOUNTERS: &[(&str, &str)] = &[
    (
        "teacher professor tutor lecturer instructor educator mentor librarian lehrer lehrerin dozent",
        "student pupil undergraduate freshman sophomore trainee apprentice intern beginner learner newcomer schüler schülerin",
    ),
    (
        "doctor nurse physician therapist surgeon dentist psychologist psychiatrist pharmacist caregiver arzt ärztin",
        "survivor diagnosed suffering recovering disabled elderly pregnant rentner rentnerin",
    ),
    (
        "owner shopkeeper bartender barista waiter waitress salesperson retailer chef baker vendor mechanic plumber electrician",
        "customer client consumer shopper buyer guest tourist foodie homeowner traveler traveller",
    ),
    (
        "musician singer actor actress artist writer author comedian novelist director player athlete footballer coach",
        "fan enthusiast admirer follower lover supporter collector hobbyist amateur",
    ),
    (
        "mayor politician councillor senator officer official policymaker diplomat planner landlord lawyer journalist",
        "resident citizen taxpayer voter tenant activist immigrant refugee villager local",
    ),
    (
        "manager director ceo executive founder entrepreneur head supervisor captain",
        "employee worker assistant junior clerk secretary freelancer recruit",
    ),
    (
        "mother father mom mum dad parent grandmother grandfather grandparent guardian mutter vater",
        "toddler preschooler teenager teen daughter son child kid boy girl sister brother sibling",
    ),
];

/// Anyone may meet these: next door, across a counter, at a family table.
const EVERYDAY: &str = "neighbor neighbour resident local retired retiree mother father mom mum dad parent grandmother grandfather \
    grandparent sister brother cousin aunt uncle friend roommate student teenager bartender barista waiter waitress driver \
    hairdresser barber shopkeeper receptionist volunteer tourist traveler traveller nurse firefighter homeowner tenant mutter \
    vater nachbar nachbarin rentner rentnerin";

/// The same for Chinese, found anywhere.
const EVERYDAY_CHINESE: &[&str] =
    &["妈妈", "爸爸", "母亲", "父亲", "学生", "退休", "邻居", "居民", "司机", "护士", "朋友"];

/// Number of sides; side `n` meets side `n ^ 1`.
pub(super) const SIDES: usize = ENCOUNTERS.len() * 2;

/// The sides a description takes, and whether it meets anyone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Roles {
    sides: u32,
    pub(super) everyday: bool,
}

impl Roles {
    pub(super) fn of_text(text: &str) -> Self {
        let folded = text.to_lowercase();
        let words = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        let head = words.take_while(|word| !matches!(*word, "who" | "that" | "whose")).take(HEAD_WORDS);
        let mut roles = head.filter_map(|word| by_word().get(word)).fold(Self::default(), |one, other| one.and(*other));
        roles.everyday |= !folded.is_ascii() && EVERYDAY_CHINESE.iter().any(|word| folded.contains(word));
        roles
    }

    /// The sides taken.
    pub(super) fn sides(self) -> impl Iterator<Item = usize> {
        (0..SIDES).filter(move |side| self.sides & (1 << side) != 0)
    }

    fn and(self, other: Self) -> Self {
        Self { sides: self.sides | other.sides, everyday: self.everyday || other.everyday }
    }
}

fn by_word() -> &'static HashMap<&'static str, Roles> {
    static ROLES: OnceLock<HashMap<&'static str, Roles>> = OnceLock::new();
    ROLES.get_or_init(|| {
        let mut map: HashMap<&str, Roles> = HashMap::new();
        let mut add = |list: &'static str, roles: Roles| {
            for word in list.split_whitespace() {
                let entry = map.entry(word).or_default();
                *entry = entry.and(roles);
            }
        };
        for (side, list) in ENCOUNTERS.iter().flat_map(|(one, two)| [*one, *two]).enumerate() {
            add(list, Roles { sides: 1 << side, everyday: false });
        }
        add(EVERYDAY, Roles { sides: 0, everyday: true });
        map
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counterparts_are_told_by_the_first_phrase() {
        let sides = |text| Roles::of_text(text).sides().collect::<Vec<_>>();
        assert_eq!(sides("A strict teacher who was a fan of opera"), [0]);
        assert_eq!(sides("A shy student"), [1]);
        assert_eq!(sides("A statistician"), [0; 0]);
        assert!(Roles::of_text("A retired miner").everyday);
        assert!(Roles::of_text("我的邻居").everyday);
        assert!(!Roles::of_text("A quantum physicist").everyday);
    }
}
