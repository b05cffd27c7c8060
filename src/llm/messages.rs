//! The messages of a request, in the form in which they are hashed and sent.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Message;

/// The messages of a request, oldest first, as JSON: that goes into the key and into every body that is sent, so it is
/// made once, and the texts are not held a second time.
#[derive(Debug, Clone)]
pub struct Messages {
    json: Box<RawValue>,
    count: usize,
    content_bytes: usize,
    /// Message and place in its text, in bytes, up to which the request is or will be the same as others.
    stable: Vec<(usize, usize)>,
}

impl Messages {
    /// The messages themselves, read back.
    pub fn list(&self) -> Vec<Message> {
        serde_json::from_str(self.json.get())
            .unwrap_or_else(|error| unreachable!("what was written here is read here: {error}"))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The places up to which they stay the same, as a message and the bytes of its text, in order.
    pub(crate) fn stable(&self) -> &[(usize, usize)] {
        &self.stable
    }

    /// The bytes of their texts, nothing escaped.
    pub fn content_bytes(&self) -> usize {
        self.content_bytes
    }
}

impl From<Vec<Message>> for Messages {
    fn from(messages: Vec<Message>) -> Self {
        let content_bytes = messages.iter().map(|message| message.content.len()).sum();
        let places =
            |(at, message): (usize, &Message)| message.stable.iter().map(move |place| (at, *place)).collect::<Vec<_>>();
        let stable = messages.iter().enumerate().flat_map(places).collect();
        let json = serde_json::value::to_raw_value(&messages)
            .unwrap_or_else(|error| unreachable!("roles and texts can be written as JSON: {error}"));
        Self { json, count: messages.len(), content_bytes, stable }
    }
}

impl PartialEq for Messages {
    fn eq(&self, other: &Self) -> bool {
        self.json.get() == other.json.get()
    }
}

impl Serialize for Messages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.json.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Message>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_written_as_a_list_of_them_is_and_read_back() {
        let list = vec![Message::system("a \"b\"\n"), Message::user("Grüße \u{7}"), Message::assistant("")];
        let messages = Messages::from(list.clone());
        assert_eq!(serde_json::to_string(&messages).unwrap(), serde_json::to_string(&list).unwrap());
        assert_eq!(messages.list(), list);
        assert_eq!((messages.count(), messages.content_bytes()), (3, 6 + 9));
        assert_eq!(serde_json::from_str::<Messages>(&serde_json::to_string(&list).unwrap()).unwrap(), messages);
        assert!(Messages::from(Vec::new()).list().is_empty());
    }
}
