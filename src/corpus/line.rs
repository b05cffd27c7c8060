//! Id and text of a record, read from a line of JSON. Other keys are passed over.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::record::misread;

/// Bytes of a record at most.
pub(super) const LONGEST: usize = 16 << 20;

/// The fields that are read of a record.
#[derive(Debug, Clone)]
pub(crate) struct FieldNames {
    /// The text that is compared.
    pub text: String,
    /// The id.
    pub id: String,
}

/// What is read of a record, borrowed from its line where it has no escapes.
#[derive(Debug)]
pub(crate) struct IdAndText<'a> {
    /// The id.
    pub id: Cow<'a, str>,
    /// The text.
    pub text: Cow<'a, str>,
}

impl FieldNames {
    /// Reads a line. The error says what is wrong and what to do.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Result<IdAndText<'a>, String> {
        if line.len() > LONGEST {
            return Err(format!("the record has more than {} MiB; split it or take it out", LONGEST >> 20));
        }
        let mut reader = serde_json::Deserializer::from_slice(line);
        let read = self.deserialize(&mut reader).and_then(|read| reader.end().map(|()| read));
        read.map_err(|error| misread(line, &told(&error)))
    }

    /// The id of a record that was read before, if `head`, the start of its line, has it whole.
    pub(super) fn id_within(&self, head: &[u8]) -> Option<String> {
        let mut found = None;
        // Whatever ends the reading: nothing behind the id is looked at.
        let _ =
            IdSeek { name: &self.id, found: &mut found }.deserialize(&mut serde_json::Deserializer::from_slice(head));
        found
    }

    fn missing<E: Error>(name: &str, what: &str) -> E {
        E::custom(format_args!("there is no field `{name}`; name the one that holds the {what} with --{what}-field"))
    }
}

/// What is wrong, without the line, which is always the first; with the column where it is the JSON.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    if error.is_data() { what.to_owned() } else { format!("{what} (column {})", error.column()) }
}

impl<'de> DeserializeSeed<'de> for &FieldNames {
    type Value = IdAndText<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &FieldNames {
    type Value = IdAndText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record: an object on one line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut text, mut id) = (None, None);
        while let Some(key) = map.next_key_seed(KEY)? {
            // One field may be both: an id that is compared.
            if key == self.text && key == self.id {
                text = once(&key, text.is_some(), map.next_value_seed(TEXT)?)?;
                id.clone_from(&text);
            } else if key == self.text {
                text = once(&key, text.is_some(), map.next_value_seed(TEXT)?)?;
            } else if key == self.id {
                id = once(&key, id.is_some(), map.next_value_seed(ID)?)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let id = id.ok_or_else(|| FieldNames::missing(&self.id, "id"))?;
        Ok(IdAndText { id, text: text.ok_or_else(|| FieldNames::missing(&self.text, "text"))? })
    }
}

/// Looks for the id alone, and gives up the rest of the record.
struct IdSeek<'a> {
    name: &'a str,
    found: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for IdSeek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for IdSeek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KEY)? {
            if key == self.name {
                let id = map.next_value_seed(ID)?.into_owned();
                // What follows shows that a number is whole.
                map.next_key::<IgnoredAny>()?;
                *self.found = Some(id);
                return Err(A::Error::custom("the rest does not matter"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Readers disagree on which of two equal keys counts, so neither does.
fn once<T, E: Error>(key: &str, is_second: bool, value: T) -> Result<Option<T>, E> {
    if is_second { Err(E::custom(format_args!("the field `{key}` stands twice"))) } else { Ok(Some(value)) }
}

/// A string, borrowed where it has no escapes; for an id also a whole number, which is taken as its digits.
#[derive(Clone, Copy)]
struct TextSeed {
    wanted: &'static str,
    is_id: bool,
}

const KEY: TextSeed = TextSeed { wanted: "a key to be a string", is_id: false };
const TEXT: TextSeed = TextSeed { wanted: "the field of the text to be a string", is_id: false };
const ID: TextSeed = TextSeed { wanted: "the id to be a string or a whole number", is_id: true };

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        if self.is_id { deserializer.deserialize_any(self) } else { deserializer.deserialize_str(self) }
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str, id: &str) -> FieldNames {
        FieldNames { text: text.to_owned(), id: id.to_owned() }
    }

    #[test]
    fn id_and_text_are_found_among_other_keys() {
        let names = names("text", "id");
        let of = |line: &str| names.read(line.as_bytes()).map(|read| (read.id.into_owned(), read.text.into_owned()));
        let pair = |id: &str, text: &str| Ok((id.to_owned(), text.to_owned()));
        assert_eq!(of(r#"{"id":"a","x":{"text":[1,{}]},"text":"b\n\u00e4"}"#), pair("a", "b\nä"));
        assert_eq!(of(r#" {"text":"","id":-17}  "#), pair("-17", ""));
        assert_eq!(of(r#"{"\u0069d":"a","text":"b"}"#), pair("a", "b"));
    }

    #[test]
    fn an_id_is_found_in_the_start_of_a_line_or_not_at_all() {
        let names = names("text", "id");
        for line in [
            r#"{"id":"a\u00e4","text":"b"}"#,
            r#"{"text":"a text","x":[{"id":"no"}],"id":-1234,"y":0}"#,
            r#"{"text":"","id":1234}"#,
        ] {
            let id = names.read(line.as_bytes()).unwrap().id;
            let found: Vec<_> = (0..=line.len()).map(|end| names.id_within(&line.as_bytes()[..end])).collect();
            assert!(found.iter().flatten().all(|found| *found == id), "{found:?}");
            assert_eq!((&found[0], found[line.len()].as_deref()), (&None, Some(&*id)));
        }
        assert_eq!(names.id_within(br#"{"text":"b"}"#), None);
    }

    #[test]
    fn one_field_may_be_both() {
        let names = names("q", "q");
        let read = names.read(br#"{"q":"same"}"#).unwrap();
        assert_eq!((&*read.id, &*read.text), ("same", "same"));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_what_to_do() {
        let names = names("text", "id");
        let mut told = String::new();
        for line in [
            "[]",
            r#"{"id":"a"}"#,
            r#"{"text":"a"}"#,
            r#"{"id":1.5,"text":"a"}"#,
            r#"{"id":"a","text":null}"#,
            r#"{"id":"a","id":"b","text":"c"}"#,
            r#"{"id":"a","text":"b"} x"#,
            r#"{"id":"a","text":"b"#,
        ] {
            told += &format!("{}\n", names.read(line.as_bytes()).unwrap_err());
        }
        insta::assert_snapshot!(told, @r"
        invalid type: sequence, expected a record: an object on one line
        there is no field `text`; name the one that holds the text with --text-field
        there is no field `id`; name the one that holds the id with --id-field
        invalid type: floating point `1.5`, expected the id to be a string or a whole number
        invalid type: null, expected the field of the text to be a string
        the field `id` stands twice
        trailing characters (column 23)
        EOF while parsing a string (column 19)
        ");
    }
}
