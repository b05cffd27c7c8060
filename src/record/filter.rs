//! Which conversations are meant: the filters of a page and of `show`, which mean the same.

use std::str::FromStr;

use super::{Conversation, Dropped, Facets};

/// What a conversation has to be like; all of it has to hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TalkFilter {
    /// A value it has, by the name of the facet.
    pub values: Vec<(String, String)>,
    /// Between what a number of it lies, by the name of the number. What has no such number is not meant.
    pub ranges: Vec<(String, NumberRange)>,
    /// What it says somewhere, in capitals or not: in its id, situation, topic, starter, a name or a turn.
    pub text: Option<String>,
}

/// A least and a most, both included, either of which may be open: `3..5`, `3..`, `..5`, or `3` alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct NumberRange {
    least: f64,
    most: f64,
}

impl FromStr for NumberRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no range; write 3..5, 3.., ..5 or 3");
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(wrong);
        let end = |text: &str, open: f64| if text.trim().is_empty() { Ok(open) } else { number(text) };
        let range = match text.split_once("..") {
            Some((least, most)) => Self { least: end(least, f64::NEG_INFINITY)?, most: end(most, f64::INFINITY)? },
            None => number(text).map(|number| Self { least: number, most: number })?,
        };
        if range.least > range.most { Err(format!("{text:?} begins above its end")) } else { Ok(range) }
    }
}

impl TalkFilter {
    /// Whether it asks for nothing, so that every conversation is meant.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this record, which was accepted, is meant.
    pub(crate) fn takes(&self, talk: &Conversation) -> bool {
        let names = talk.participants.iter().map(|person| &person.name);
        let texts = talk.turns.iter().map(|turn| &turn.text);
        let own = [&talk.id, &talk.situation, &talk.topic, &talk.conversation_starter];
        self.is_empty()
            || self.says(own.into_iter().chain(names).chain(texts)) && self.fits(&Facets::of(talk, "accepted"))
    }

    /// Whether this item, which did not make it, is meant.
    pub(crate) fn takes_lost(&self, lost: &Dropped) -> bool {
        self.says([&lost.id, &lost.reason, &lost.detail].into_iter()) && self.fits(&Facets::of_lost(lost.outcome))
    }

    fn fits(&self, facets: &Facets) -> bool {
        let has = |(name, value): &(String, String)| facets.values_of(name).any(|own| own == value);
        let lies = |(name, range): &(String, NumberRange)| {
            facets.number_of(name).is_some_and(|number| range.least <= number && number <= range.most)
        };
        self.values.iter().all(has) && self.ranges.iter().all(lies)
    }

    fn says<'a>(&self, mut texts: impl Iterator<Item = &'a String>) -> bool {
        let Some(wanted) = self.text.as_ref().map(|text| text.to_lowercase()) else { return true };
        texts.any(|text| text.to_lowercase().contains(&wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_it_is_meant_or_not_at_all() {
        let range = |least, most| Ok(NumberRange { least, most });
        assert_eq!("3..5".parse(), range(3.0, 5.0));
        assert_eq!("..2.5".parse(), range(f64::NEG_INFINITY, 2.5));
        assert_eq!("3..".parse(), range(3.0, f64::INFINITY));
        assert_eq!("4".parse(), range(4.0, 4.0));
        for wrong in ["", "five", "3-5", "5..3", "NaN", "1..2..3"] {
            assert!(wrong.parse::<NumberRange>().is_err(), "{wrong}");
        }
    }
}
