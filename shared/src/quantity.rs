//! Kubernetes quantities of bytes, such as `8Gi`.

use thiserror::Error;

/// Why a text is no quantity of bytes.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{0:?} is not a quantity of bytes: write a number with one of Ki, Mi, Gi, Ti, k, M, G, T, such as 8Gi")]
pub struct QuantityError(pub(crate) String);

/// The suffixes that a quantity of bytes may carry, largest first within each base.
/// Source: <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>.
const SUFFIXES: [(&str, u64); 9] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
    ("", 1),
];

/// Parses a quantity into bytes. Only whole numbers are taken: `1.5Gi` is written `1536Mi`.
pub fn bytes(text: &str) -> Result<u64, QuantityError> {
    let wrong = || QuantityError(text.to_owned());
    let (digits, unit) = SUFFIXES
        .iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|digits| (digits, *unit)))
        .ok_or_else(wrong)?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).ok_or_else(wrong)
}

/// Bytes as people write them: with the largest binary suffix that leaves a whole number.
#[must_use]
pub fn text(bytes: u64) -> String {
    let binary = SUFFIXES.iter().filter(|(suffix, _)| suffix.ends_with('i'));
    let fits = binary.into_iter().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    fits.map_or_else(|| bytes.to_string(), |(suffix, unit)| format!("{}{suffix}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_people_do() {
        for written in ["1Gi", "512Mi", "1536Mi", "3Ki", "1000", "0"] {
            assert_eq!(text(bytes(written).unwrap()), written);
        }
    }

    #[test]
    fn binary_and_decimal_suffixes_differ() {
        assert_eq!(bytes("1Gi"), Ok(1 << 30));
        assert_eq!(bytes("1G"), Ok(1_000_000_000));
        assert_eq!(bytes("512"), Ok(512));
    }

    #[test]
    fn nonsense_is_refused_with_the_text_named() {
        for text in ["", "abc", "1.5Gi", "-1Gi", "8B", "Gi", "99999999999Ti", "1 Gi"] {
            let error = bytes(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
    }
}
