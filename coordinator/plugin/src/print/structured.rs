//! JSON and YAML, for other programs.

use serde::Serialize;

use crate::failure::Failure;

/// # Errors
/// When the value is none that JSON can say.
pub fn json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| Failure::Failed(format!("cannot print JSON: {error}")))
}

/// # Errors
/// When the value is none that YAML can say.
pub fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_yaml::to_string(value).map_err(|error| Failure::Failed(format!("cannot print YAML: {error}")))
}
