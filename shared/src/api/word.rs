//! Words of a vocabulary that grows: what a newer program wrote must not make an object unreadable for an older one.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

/// A word, or one that only a newer program knows: it is carried and written back as it is. The schema takes known words only.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(untagged)]
pub enum Word<T> {
    Known(T),
    Unknown(String),
}

impl<T: JsonSchema> JsonSchema for Word<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Reads a word that the reader may do without: one that it does not know is none.
pub fn known<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(serde_json::from_value(serde_json::Value::deserialize(from)?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cluster::End;

    #[test]
    fn a_word_of_a_newer_program_is_written_back_as_it_was() {
        for (text, word) in
            [("\"Stopped\"", Word::Known(End::Stopped)), ("\"Restored\"", Word::Unknown("Restored".to_owned()))]
        {
            let read: Word<End> = serde_json::from_str(text).expect("any word can be read");
            assert_eq!((&read, serde_json::to_string(&read).expect("a word")), (&word, text.to_owned()));
        }
    }
}
