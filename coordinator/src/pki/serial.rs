//! The serial number of a certificate, by which it is revoked.

use std::{fmt, str::FromStr};

use rand::RngExt;
use rcgen::SerialNumber;
use serde::{Deserialize, Serialize, de};

use super::{PkiError, hex};

/// Positive and without a leading zero, so that everybody writes it in the same bytes. As text it is hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial([u8; 16]);

impl Serial {
    /// One that no other certificate has.
    #[must_use]
    pub fn draw() -> Self {
        let mut number: [u8; 16] = rand::rng().random();
        number[0] = number[0] & 0x7f | 0x40;
        Self(number)
    }

    /// One as it stands in a certificate or a list; `None` where it was not drawn here.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl From<Serial> for SerialNumber {
    fn from(Serial(number): Serial) -> Self {
        Self::from_slice(&number)
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl FromStr for Serial {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        let none = || PkiError::Broken(format!("{text} is no serial number"));
        let digits = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u128::from_str_radix(text, 16).ok().filter(|_| digits).ok_or_else(none)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl Serialize for Serial {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_was_written_and_nothing_else_is_one() {
        let serial = Serial::draw();
        assert_eq!(serial.to_string().parse(), Ok(serial));
        for text in ["", "12", "+0000000000000000000000000000000", &"g".repeat(32), &"0".repeat(33)] {
            assert!(text.parse::<Serial>().is_err(), "{text}");
        }
    }
}
