//! One line to one description: strict about JSON, tolerant of keys.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::stages::imported::{InputLine, MAX_LINE};

/// Where a description is looked for: PersonaHub's `persona.jsonl` and elite files use the first, its samples the second.
pub(super) const TEXT_KEYS: [&str; 2] = ["persona", "input persona"];
/// The other one of a pair, in files whose every row is two people.
pub(super) const PARTNER_KEY: &str = "partner_persona";
/// What the person is called.
pub(super) const NAME_KEY: &str = "name";
/// Where elite rows state a domain, most useful first: the general ones are fewer, so that people share them.
pub(super) const DOMAIN_KEYS: [&str; 4] = [
    "general domain (top 1 percent)",
    "general domain (top 0.1 percent)",
    "specific domain (top 1 percent)",
    "specific domain (top 0.1 percent)",
];

/// Most keys of a row that a message names.
const NAMED_KEYS: usize = 8;

/// Takes a row of a source: its number, its text for people to see, and what it says.
pub(super) type TakeRow<'a> = dyn FnMut(u64, &[u8], Result<PersonaRow<'_>, RowFault>) + 'a;

/// Why a row is set aside.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum RowFault {
    #[error("longer than {MAX_LINE} bytes")]
    LineTooLong,
    #[error("not valid UTF-8 from byte {0}")]
    NotUtf8(usize),
    #[error("not a valid row: {0}")]
    Invalid(String),
    #[error("no `persona` and no `input persona`, but {0}; call the description `persona`")]
    NoText(String),
    #[error(
        "{found} field{} where the first row names {columns} columns; put a text that holds a comma, a semicolon, a tab or a line break in double quotes",
        if *found == 1 { "" } else { "s" }
    )]
    Fields { found: usize, columns: usize },
    #[error(
        "`persona` is a list of sentences, as in files of pairs, but no `partner_persona` stands beside it; add it, or make `persona` one text"
    )]
    NoPartner,
    #[error("control character {0} in the description")]
    ControlCharacter(String),
    #[error("empty description")]
    Empty,
    #[error("{chars} characters, fewer than {min}")]
    TooShort { chars: usize, min: usize },
    #[error("{chars} characters, more than {max}")]
    TooLong { chars: usize, max: usize },
    #[error("not a person: {0}")]
    NotAPerson(String),
}

/// What a row says.
#[derive(Debug)]
pub(super) struct PersonaRow<'a> {
    pub(super) persona: Cow<'a, str>,
    /// The other one, where a row is a pair.
    pub(super) partner: Option<Cow<'a, str>>,
    pub(super) name: Option<String>,
    pub(super) domain: Option<String>,
}

pub(super) fn parse(line: InputLine<'_>) -> Result<PersonaRow<'_>, RowFault> {
    let fields: Fields<'_> = serde_json::from_str(utf8(line)?).map_err(|error| RowFault::Invalid(said(&error)))?;
    if fields.is_pair && fields.partner.is_none() {
        return Err(RowFault::NoPartner);
    }
    let [first, second] = fields.texts;
    let domain = fields.domains.into_iter().flatten().find_map(|domain| stated(&domain));
    let Some(persona) = first.or(second) else {
        return Err(RowFault::NoText(named_keys(&fields.keys.into_iter().collect::<Vec<_>>())));
    };
    let name = fields.name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    Ok(PersonaRow { persona, partner: fields.partner, name, domain })
}

/// The text of a line.
pub(super) fn utf8(line: InputLine<'_>) -> Result<&str, RowFault> {
    let InputLine::Whole(bytes) = line else { return Err(RowFault::LineTooLong) };
    str::from_utf8(bytes).map_err(|error| RowFault::NotUtf8(error.valid_up_to() + 1))
}

/// Keys that are there in place of one that is wanted, for a message.
pub(super) fn named_keys(keys: &[impl AsRef<str>]) -> String {
    let shown = |key: &str| -> String { key.trim().chars().filter(|c| !c.is_control()).take(40).collect() };
    let named: Vec<String> = keys.iter().take(NAMED_KEYS).map(|key| format!("`{}`", shown(key.as_ref()))).collect();
    match keys.len().saturating_sub(NAMED_KEYS) {
        0 if named.is_empty() => "no key at all".to_owned(),
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// The description trimmed, if it is fit to be one.
pub(super) fn checked(persona: &str, min: usize, max: usize) -> Result<&str, RowFault> {
    let text = persona.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if let Some(c) = text.chars().find(|c| c.is_control() && !c.is_whitespace()) {
        return Err(RowFault::ControlCharacter(format!("U+{:04X}", u32::from(c))));
    }
    match text.chars().count() {
        0 => Err(RowFault::Empty),
        chars if chars < min => Err(RowFault::TooShort { chars, min }),
        chars if chars > max => Err(RowFault::TooLong { chars, max }),
        _ => Ok(text),
    }
}

/// A missing domain is the word `None`.
pub(super) fn stated(domain: &str) -> Option<String> {
    let domain = domain.trim().to_lowercase();
    (!domain.is_empty() && domain != "none").then_some(domain)
}

/// The parser's words, without its line number, which is always 1.
fn said(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    format!("{message} (column {})", error.column())
}

/// The keys that matter; the rest is checked to be JSON and dropped.
#[derive(Default)]
struct Fields<'a> {
    texts: [Option<Cow<'a, str>>; 2],
    partner: Option<Cow<'a, str>>,
    /// Whether a description is a list of sentences.
    is_pair: bool,
    name: Option<String>,
    domains: [Option<String>; 4],
    /// All that stand there.
    keys: BTreeSet<Cow<'a, str>>,
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::default();
        while let Some(Text(key)) = map.next_key()? {
            // Readers disagree on which of two equal keys counts, so neither does.
            if fields.keys.contains(&key) {
                return Err(serde::de::Error::custom(format_args!("key `{key}` stands twice")));
            }
            fields.take(&key, &mut map)?;
            fields.keys.insert(key);
        }
        Ok(fields)
    }
}

impl<'de> Fields<'de> {
    fn take<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let text_at = TEXT_KEYS.iter().position(|name| *name == key);
        let domain_at = DOMAIN_KEYS.iter().position(|name| *name == key);
        if let Some(slot) = text_at.and_then(|at| self.texts.get_mut(at)) {
            let Sentences { text, is_list } = map.next_value()?;
            self.is_pair |= is_list;
            *slot = Some(text);
        } else if key == PARTNER_KEY {
            self.partner = Some(map.next_value::<Sentences<'de>>()?.text);
        } else if key == NAME_KEY {
            self.name = map.next_value::<Value>()?.as_str().map(str::to_owned);
        } else if let Some(slot) = domain_at.and_then(|at| self.domains.get_mut(at)) {
            *slot = map.next_value::<Value>()?.as_str().map(str::to_owned);
        } else {
            map.next_value_seed(Skip)?;
        }
        Ok(())
    }
}

/// A string, borrowed from the line unless it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A description: one text, or a list of its sentences.
struct Sentences<'a> {
    text: Cow<'a, str>,
    is_list: bool,
}

impl<'de> Deserialize<'de> for Sentences<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SentencesVisitor;
        impl<'de> Visitor<'de> for SentencesVisitor {
            type Value = Sentences<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of sentences")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Sentences { text: Cow::Borrowed(text), is_list: false })
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Sentences { text: Cow::Owned(text.to_owned()), is_list: false })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut text = String::new();
                while let Some(Text(sentence)) = items.next_element()? {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(sentence.trim());
                }
                Ok(Sentences { text: Cow::Owned(text), is_list: true })
            }
        }
        deserializer.deserialize_any(SentencesVisitor)
    }
}

/// Checks a value and drops it. Unlike [`IgnoredAny`] it keeps to the parser's limit of nesting and its rules for escapes,
/// since the row is kept by others as it stands.
struct Skip;

impl<'de> DeserializeSeed<'de> for Skip {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Skip)?.is_some() {}
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(Skip)?;
        }
        Ok(())
    }
}
