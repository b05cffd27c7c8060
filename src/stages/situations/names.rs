//! What people are called.
//!
//! PersonaHub's people have no names, and models left to invent them reuse a few ("Marcus Chen"). So names are drawn: to fit what
//! a description says of gender and origin, never two in a group that could be confused, and across the corpus the least used of
//! the fitting ones first. A name that the source states, or a description carries, is kept. Nothing but the seed and the order of calls counts, so the
//! caller asks in the order of items, once for each.

mod carried;
mod cues;
mod lists;
mod readable;
mod similar;

use std::collections::HashMap;

use crate::draw::Draw;
use cues::Cues;
use lists::{Gender, Name, Region, regions};
use similar::{confusable, first, folded};

/// A first name that a model proposes is taken until it is one in so many of all names given out.
const FIRST_NAME_SHARE: u64 = 100;
/// The same for first and family name together.
const FULL_NAME_SHARE: u64 = 1000;
/// A first name may always come this often, however few names there are.
const FIRST_NAME_FLOOR: u64 = 3;

/// Gives out names and remembers how often each was used.
#[derive(Debug)]
pub(crate) struct Namer {
    language: String,
    seed: u64,
    /// How often a folded name was given out: first names, full names, family names, each under its own text.
    used: HashMap<String, u64>,
    given_out: u64,
}

/// Someone to be named.
struct Bearer<'a> {
    persona: &'a str,
    /// What was proposed, if it can be read as a name at all.
    proposed: Option<String>,
}

impl Namer {
    /// A namer for texts in `language`, a BCP 47 tag.
    pub(crate) fn new(language: &str, seed: u64) -> Self {
        Self { language: language.to_owned(), seed, used: HashMap::new(), given_out: 0 }
    }

    /// Names for the people of group `ordinal`, given as stated name and persona, in their order: the name that is stated, if it
    /// can be one, else the one a description carries, else a first name that fits.
    pub(crate) fn name_group(&mut self, ordinal: u64, people: &[(Option<&str>, &str)]) -> Vec<String> {
        let bearers: Vec<_> = people.iter().map(|(_, persona)| Bearer { persona, proposed: None }).collect();
        let standing = people
            .iter()
            .map(|(stated, persona)| stated.and_then(readable::tidied).or_else(|| carried::of_text(persona)))
            .collect();
        self.settle(ordinal, &bearers, standing)
    }

    /// Names for people whom a model invented, given as name and persona: the proposed name if it is one, can't be confused with
    /// an earlier one of the group and is not worn out, else another that fits; with a family name if the proposed one had one.
    pub(crate) fn admit(&mut self, ordinal: u64, proposed: &[(String, String)]) -> Vec<String> {
        let bearers: Vec<_> =
            proposed.iter().map(|(name, persona)| Bearer { persona, proposed: readable::tidied(name) }).collect();
        let fresh = |name: &String| !self.is_worn(name);
        let kept = bearers.iter().map(|bearer| bearer.proposed.clone().filter(fresh)).collect();
        self.settle(ordinal, &bearers, kept)
    }

    /// Names that stand are placed first, so that drawn ones keep clear of them; of two that clash the earlier stays.
    fn settle(&mut self, ordinal: u64, bearers: &[Bearer<'_>], standing: Vec<Option<String>>) -> Vec<String> {
        let mut taken = Taken::default();
        let mut names: Vec<Option<String>> = Vec::new();
        for name in standing {
            let clear = name.filter(|name| taken.is_clear(&folded(name)));
            if let Some(name) = &clear {
                taken.add(name);
            }
            names.push(clear);
        }
        for (index, (name, bearer)) in names.iter_mut().zip(bearers).enumerate() {
            if name.is_none() {
                let drawn = self.draw(&format!("{ordinal}.{index}"), bearer, &taken);
                taken.add(&drawn);
                *name = Some(drawn);
            }
        }
        let names: Vec<String> = names.into_iter().flatten().collect();
        for name in &names {
            self.count(name);
        }
        names
    }

    fn draw(&self, item: &str, bearer: &Bearer<'_>, taken: &Taken) -> String {
        let mut draw = Draw::new(self.seed, &["names", item]);
        let (region, gender) = self.fitting(bearer, &mut draw);
        let given = self.given(region, gender, taken, &mut draw);
        let full = bearer
            .proposed
            .as_ref()
            .is_some_and(|name| name.contains(' ') || similar::is_han(name) && name.chars().count() > 2);
        if !full {
            return given;
        }
        let family = self.least_used(&region.family, &mut draw, |_| true).map_or("", |family| family.written);
        region.full(&given, family)
    }

    /// Where the name comes from: what the description says, else what the proposed name says, else a draw.
    fn fitting(&self, bearer: &Bearer<'_>, draw: &mut Draw) -> (&'static Region, Gender) {
        let Cues { gender, region: place } = cues::of_text(bearer.persona);
        let of_name = bearer.proposed.as_deref().and_then(readable::bearer);
        let coin = if draw.unit() < 0.5 { Gender::Female } else { Gender::Male };
        let of_language = lists::of_language(&self.language);
        let weights: Vec<f64> = of_language.iter().map(|(_, weight)| *weight).collect();
        let drawn =
            draw.weighted(&weights).and_then(|at| of_language.get(at)).and_then(|(name, _)| lists::region(name));
        let region = place.or(of_name.map(|(region, _)| region)).or(drawn).unwrap_or(lists::english());
        (self.in_script(region), gender.or(of_name.map(|(_, gender)| gender)).unwrap_or(coin))
    }

    /// Chinese names are written in characters where the text is Chinese, in pinyin elsewhere.
    fn in_script(&self, region: &'static Region) -> &'static Region {
        let chinese = self.language.to_ascii_lowercase().starts_with("zh");
        let other = match region.name {
            "chinese" if chinese => lists::region("chinese-han"),
            "chinese-han" if !chinese => lists::region("chinese"),
            _ => None,
        };
        other.unwrap_or(region)
    }

    /// The least used name of the list that can't be confused; where a large group has used up the list, of any list.
    fn given(&self, region: &Region, gender: Gender, taken: &Taken, draw: &mut Draw) -> String {
        let clear = |name: &Name| taken.is_clear(&name.folded);
        let fitting = self.least_used(region.given(gender), draw, clear);
        let mut others = regions().iter().map(|region| region.given(gender));
        let found = fitting.or_else(|| others.find_map(|list| self.least_used(list, draw, clear)));
        match found {
            Some(name) => name.written.to_owned(),
            None => self.spelled_out(region, gender, taken, draw),
        }
    }

    /// For groups beyond all lists: first and family name, no two the same.
    fn spelled_out(&self, region: &Region, gender: Gender, taken: &Taken, draw: &mut Draw) -> String {
        let given = self.least_used(region.given(gender), draw, |_| true).map_or("", |given| given.written);
        let mut all = region.family.iter().map(|family| region.full(given, family.written));
        all.find(|name| !taken.has(name)).unwrap_or_else(|| given.to_owned())
    }

    /// Of those used least, the first that fits, seen from a drawn place in the list.
    fn least_used<'a>(&self, list: &'a [Name], draw: &mut Draw, fits: impl Fn(&Name) -> bool) -> Option<&'a Name> {
        let (head, tail) = list.split_at(draw.below(list.len()));
        let mut line: Vec<(u64, &Name)> = tail.iter().chain(head).map(|name| (self.uses(&name.folded), name)).collect();
        line.sort_by_key(|(uses, _)| *uses);
        line.into_iter().map(|(_, name)| name).find(|name| fits(name))
    }

    fn uses(&self, folded: &str) -> u64 {
        self.used.get(folded).copied().unwrap_or_default()
    }

    fn is_worn(&self, name: &str) -> bool {
        let name = folded(name);
        let full = name.contains(' ') && self.uses(&name) >= (self.given_out / FULL_NAME_SHARE).max(1);
        full || self.uses(first(&name)) >= (self.given_out / FIRST_NAME_SHARE).max(FIRST_NAME_FLOOR)
    }

    fn count(&mut self, name: &str) {
        self.given_out += 1;
        let name = folded(name);
        let parts = name.split_once(' ').map_or(vec![], |(first, family)| vec![first, family]);
        for part in parts.into_iter().chain([name.as_str()]) {
            *self.used.entry(part.to_owned()).or_default() += 1;
        }
    }
}

/// The names of a group so far, folded.
#[derive(Default)]
struct Taken(Vec<String>);

impl Taken {
    fn add(&mut self, name: &str) {
        self.0.push(folded(name));
    }

    fn is_clear(&self, folded: &str) -> bool {
        !self.0.iter().any(|other| confusable(folded, other))
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains(&folded(name))
    }
}

#[cfg(test)]
pub(super) mod seen;
#[cfg(test)]
mod tests;
