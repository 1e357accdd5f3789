//! Checks what is said of backups.

use thiserror::Error;

use crate::{
    api::cluster::{self, S3, Store},
    schedule::{Rhythm, Wrong},
};

/// How many backups a schedule keeps that does not say.
const KEEP: u32 = 24;
/// How many verified ones are kept where nobody says.
const KEEP_VERIFIED: u32 = 3;

/// Backups as they are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub store: Store,
    /// Secret with the store's credentials, where one is named.
    pub secret: Option<String>,
    pub schedules: Vec<Schedule>,
    /// How many verified ones are kept at least.
    pub keep_verified: u32,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    pub name: String,
    pub rhythm: Rhythm,
    /// How many of its backups are kept.
    pub keep: u32,
    /// Whether it rests.
    pub suspended: bool,
}

/// The first broken rule, as a sentence.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum BackupError {
    #[error("spec.backup.secretName must be the name of a Secret: lower case letters, digits, '-' and '.', not {0:?}")]
    Secret(String),
    #[error(
        "spec.backup.store.s3.bucket must be the name of a bucket: lower case letters, digits, '-' and '.', not {0:?}"
    )]
    Bucket(String),
    #[error(
        "spec.backup.store.s3.prefix takes letters, digits, '_', '-' and '.', with '/' between its parts, not {0:?}"
    )]
    Prefix(String),
    #[error("spec.backup.store.s3.endpoint must be a URL without a path, such as https://s3.example.com, not {0:?}")]
    Endpoint(String),
    #[error(
        "spec.backup.schedules.name must begin with a letter and hold only lower case letters, digits and '-', not {0:?}"
    )]
    ScheduleName(String),
    #[error("spec.backup.schedules: {field} of {name} {wrong}")]
    Schedule { name: String, field: &'static str, wrong: Wrong },
}

/// What a cluster says of its backups.
///
/// # Errors
/// When a name, a place or a time is none.
pub fn backup(raw: &cluster::Backup) -> Result<Backup, BackupError> {
    let cluster::Backup { store, secret_name, schedules, keep_verified } = raw;
    let Store { s3 } = store;
    place(s3)?;
    if let Some(name) = secret_name.as_ref().filter(|name| !is_secret(name)) {
        return Err(BackupError::Secret(name.clone()));
    }
    Ok(Backup {
        store: store.clone(),
        secret: secret_name.clone(),
        schedules: schedules.iter().map(schedule).collect::<Result<_, _>>()?,
        keep_verified: keep_verified.map_or(KEEP_VERIFIED, i32::unsigned_abs),
    })
}

/// Checks a bucket and where in it.
///
/// # Errors
/// When it is none.
pub fn place(s3: &S3) -> Result<(), BackupError> {
    // A region is any word.
    let S3 { bucket, prefix, endpoint, region: _ } = s3;
    if !is_bucket(bucket) {
        return Err(BackupError::Bucket(bucket.clone()));
    }
    if let Some(prefix) = prefix.as_ref().filter(|prefix| !is_prefix(prefix)) {
        return Err(BackupError::Prefix(prefix.clone()));
    }
    match endpoint.as_ref().filter(|endpoint| !is_endpoint(endpoint)) {
        Some(endpoint) => Err(BackupError::Endpoint(endpoint.clone())),
        None => Ok(()),
    }
}

fn schedule(raw: &cluster::Schedule) -> Result<Schedule, BackupError> {
    let cluster::Schedule { name, cron, time_zone, keep, suspend } = raw;
    if !is_schedule_name(name) {
        return Err(BackupError::ScheduleName(name.clone()));
    }
    let rhythm = Rhythm::parse(cron, time_zone.as_deref()).map_err(|wrong| BackupError::Schedule {
        name: name.clone(),
        field: if wrong.is_time_zone() { "timeZone" } else { "cron" },
        wrong,
    })?;
    Ok(Schedule { name: name.clone(), rhythm, keep: keep.map_or(KEEP, i32::unsigned_abs), suspended: *suspend })
}

/// A label of a DNS name.
fn is_label(text: &str) -> bool {
    is_within(text, "-") && ends_well(text)
}

/// Lower case letters and digits, and these.
fn is_within(text: &str, further: &str) -> bool {
    text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || further.contains(c))
}

fn ends_well(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(plain) && text.ends_with(plain)
}

fn is_secret(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_bucket(name: &str) -> bool {
    name.len() > 1 && is_within(name, "-.") && ends_well(name)
}

fn is_prefix(prefix: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    prefix.split('/').all(|part| !part.is_empty() && part != "." && part != ".." && part.chars().all(letter))
}

fn is_schedule_name(name: &str) -> bool {
    is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// A URL of a host, or of an IPv6 address in brackets, with or without a port and one `/` behind.
fn is_endpoint(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else { return false };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) => (is_ipv6(address), port),
            None => return false,
        },
        None => {
            let end = rest.find(':').unwrap_or(rest.len());
            (is_host(&rest[..end]), &rest[end..])
        }
    };
    host && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_host(host: &str) -> bool {
    !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
}

fn is_ipv6(address: &str) -> bool {
    !address.is_empty() && address.chars().all(|c| c.is_ascii_hexdigit() || c == ':')
}

fn is_port(port: &str) -> bool {
    (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn judged(change: &Value) -> Result<Backup, BackupError> {
        let mut raw = json!({"store": {"s3": {"bucket": "backups"}}});
        let (into, from) = (raw.as_object_mut().unwrap(), change.as_object().unwrap().clone());
        into.extend(from);
        backup(&serde_json::from_value(raw).unwrap())
    }

    fn bucket(change: &Value) -> Result<Backup, BackupError> {
        let mut s3 = json!({"bucket": "backups"});
        s3.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        judged(&json!({"store": {"s3": s3}}))
    }

    #[test]
    fn what_is_left_out_is_chosen() {
        let wanted = judged(&json!({"schedules": [{"name": "hourly", "cron": "0 * * * *"}]})).unwrap();
        assert_eq!((wanted.keep_verified, wanted.schedules[0].keep, wanted.secret), (3, 24, None));
        assert!(!wanted.schedules[0].suspended);
    }

    #[test]
    fn each_mistake_is_named_by_its_field() {
        let scheduled = |schedule: Value| judged(&json!({"schedules": [schedule]}));
        for (field, judged) in [
            ("spec.backup.secretName", judged(&json!({"secretName": "A"}))),
            ("spec.backup.secretName", judged(&json!({"secretName": "a..b"}))),
            ("spec.backup.store.s3.bucket", bucket(&json!({"bucket": "-b"}))),
            ("spec.backup.store.s3.bucket", bucket(&json!({"bucket": "a/b"}))),
            ("spec.backup.store.s3.prefix", bucket(&json!({"prefix": "a/../b"}))),
            ("spec.backup.store.s3.prefix", bucket(&json!({"prefix": "/a"}))),
            ("spec.backup.store.s3.endpoint", bucket(&json!({"endpoint": "s3.example.com"}))),
            ("spec.backup.store.s3.endpoint", bucket(&json!({"endpoint": "https://s3.example.com/path"}))),
            ("spec.backup.store.s3.endpoint", bucket(&json!({"endpoint": "https://fd00::1"}))),
            ("spec.backup.store.s3.endpoint", bucket(&json!({"endpoint": "https://h:123456"}))),
            ("spec.backup.schedules.name", scheduled(json!({"name": "1st", "cron": "0 * * * *"}))),
            ("cron of hourly must be", scheduled(json!({"name": "hourly", "cron": "0 * * *"}))),
            ("timeZone of a must be", scheduled(json!({"name": "a", "cron": "0 * * * *", "timeZone": "Mars"}))),
        ] {
            let said = judged.unwrap_err().to_string();
            assert!(said.contains(field), "{field}: {said}");
        }
    }

    #[test]
    fn places_that_stores_have_are_taken() {
        for endpoint in ["https://s3.example.com", "http://10.0.0.1:9000/", "https://[fd00::1]:443", "https://[::1]"] {
            assert!(bucket(&json!({"endpoint": endpoint})).is_ok(), "{endpoint}");
        }
        for prefix in ["etcd", "a/b.c/_d", "...", "A-1"] {
            assert!(bucket(&json!({"prefix": prefix})).is_ok(), "{prefix}");
        }
        assert!(bucket(&json!({"region": "eu-central-1"})).is_ok() && judged(&json!({"secretName": "a.b-1"})).is_ok());
    }
}
