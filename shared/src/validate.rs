//! The rules of an EtcdCluster, repeated for servers without CEL.
//!
//! A raw spec becomes a [`Wanted`] once, at the edge; everything behind it may trust its values. The first broken rule is
//! returned as one sentence that names the field.

pub mod backup;
pub mod flags;
pub mod maintenance;
mod security;
mod service;
pub mod storage;
mod template;
mod user;

use std::time::Duration;

use thiserror::Error;

use crate::{
    api::cluster::{AutoCompaction, CompactionMode, EtcdCluster, EtcdClusterSpec, EtcdOptions},
    duration::{self, DurationError},
    image,
    names::MAX_CLUSTER_NAME,
    quantity::{self, QuantityError},
    quota, schedule,
    version::{Version, VersionError},
};

pub use backup::{Backup, BackupError, Schedule, backup};
pub use maintenance::{Upkeep, maintenance};
pub use security::{Encryption, encryption};
pub use storage::{Limits, Volume};
pub use template::{Template, TemplateError};
pub use user::{LONGEST_NAME, UserError, user};

/// What is wanted, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// 0, 1, 3, 5 or 7.
    pub size: u32,
    pub version: Version,
    /// The whole reference of etcd's image.
    pub image: String,
    pub storage: Volume,
    pub etcd: Flags,
    pub template: Option<Box<Template>>,
    pub encryption: Encryption,
    /// Where backups go and when they are taken, where they are wanted.
    pub backup: Option<Backup>,
    pub upkeep: Upkeep,
}

/// Options of etcd as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    /// Bytes.
    pub quota_backend: u64,
    pub heartbeat_interval: Duration,
    pub election_timeout: Duration,
    pub compaction: Compaction,
    pub extra: Vec<(String, String)>,
}

/// How etcd forgets old revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compaction {
    Off,
    Periodic(Duration),
    Revisions(u64),
}

/// The first broken rule, as a sentence.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum Invalid {
    #[error("metadata.name must have at most {MAX_CLUSTER_NAME} characters")]
    LongName,
    #[error("metadata.name must begin with a letter and hold only lower case letters, digits and '-'")]
    NameSyntax,
    #[error("spec.size must be 1, 3, 5 or 7, or 0 to stop the cluster, not {0}")]
    Size(i32),
    #[error("spec.version: {0}")]
    Version(#[from] VersionError),
    #[error(
        "spec.repository must be the name of an image without tag and digest, such as quay.io/coreos/etcd, not {0:?}"
    )]
    Repository(String),
    #[error(
        "spec.image must be a whole reference with a tag or a digest, such as quay.io/coreos/etcd:v3.5.21, not {0:?}"
    )]
    Image(String),
    #[error("spec.{field}: {error}")]
    Quantity { field: &'static str, error: QuantityError },
    #[error("spec.{field} must be from {least} to {most}")]
    Range { field: &'static str, least: &'static str, most: &'static str },
    #[error(
        "spec.etcd.quotaBackend is too much for spec.storage.size, which must hold the log and a second copy of the database too: \
         at most a quarter of it, or (storage.size - 448Mi) / 2.2; left out, it is chosen"
    )]
    Quota,
    #[error("spec.storage.autoGrow.maxSize may not be less than spec.storage.size")]
    MaxSize,
    #[error("spec.{field}: {error}")]
    Duration { field: &'static str, error: DurationError },
    #[error("spec.etcd.heartbeatInterval must be between 5ms and 10s")]
    Heartbeat,
    #[error("spec.etcd.electionTimeout must be at least five times spec.etcd.heartbeatInterval, and at most 50s")]
    Election,
    #[error("spec.etcd.autoCompaction.retention must be a number of revisions, such as 10000, for mode Revision")]
    Revisions,
    #[error("spec.etcd.extraArgs: {0:?} is not the name of a flag without its leading dashes")]
    FlagName(String),
    #[error("spec.etcd.extraArgs: {0} is set by the agent itself or endangers data")]
    FlagDenied(String),
    #[error("spec.etcd.extraArgs: {0} does nothing here")]
    FlagIdle(String),
    #[error("spec.service.nodePort needs spec.service.type NodePort or LoadBalancer")]
    NodePort,
    #[error("spec.service.loadBalancerClass and loadBalancerSourceRanges need spec.service.type LoadBalancer")]
    LoadBalancer,
    #[error("spec.service.externalTrafficPolicy needs spec.service.type NodePort or LoadBalancer")]
    TrafficPolicy,
    #[error("spec.service.loadBalancerSourceRanges takes ranges of addresses such as 10.0.0.0/8, not {0:?}")]
    SourceRange(String),
    #[error(
        "spec.security.client.names takes DNS names in lower case, such as etcd.example.com or *.example.com, and IP addresses, \
         not {0:?}"
    )]
    CertificateName(String),
    #[error("spec.security.auth needs that traffic with clients is encrypted: spec.security.client.mode Auto")]
    AuthNeedsEncryption,
    #[error("spec.{field} must be at least {}", duration::text(*.least))]
    TooShort { field: &'static str, least: Duration },
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("spec.maintenance.defragmentation.wastePercent must be from 10 to 90, not {0}")]
    Waste(i32),
    #[error("spec.maintenance.defragmentation.window.{field} {wrong}")]
    Window { field: &'static str, wrong: schedule::Wrong },
}

/// Checks a whole object.
pub fn cluster(object: &EtcdCluster) -> Result<Wanted, Invalid> {
    name(object.metadata.name.as_deref().unwrap_or_default())?;
    let spec = &object.spec;
    if !matches!(spec.size, 0 | 1 | 3 | 5 | 7) {
        return Err(Invalid::Size(spec.size));
    }
    service::check(&spec.service)?;
    let encryption = encryption(spec.security.as_ref())?;
    let backup = spec.backup.as_ref().map(backup).transpose()?;
    let upkeep = maintenance(spec.maintenance.as_ref())?;
    let version = spec.version.parse()?;
    let template = spec.pod.template.as_ref().map(template::template).transpose()?;
    let image = reference(&spec.repository, spec.image.as_deref(), version)?;
    let storage = storage::volume(object)?;
    let mut etcd = options(&spec.etcd)?;
    let incarnation = object.status.as_ref().and_then(|status| status.incarnation.as_ref());
    etcd.quota_backend = quantity::bytes(&quota::in_force(object, incarnation)).unwrap_or(etcd.quota_backend);
    if incarnation.is_none() {
        first(spec, storage.bytes, &etcd)?;
    }
    let (size, template) = (spec.size.unsigned_abs(), template.map(Box::new));
    Ok(Wanted { size, version, image, storage, etcd, template, encryption, backup, upkeep })
}

/// What is asked of a cluster that has not begun yet: one that is there is not given up for a rule that came later.
fn first(spec: &EtcdClusterSpec, storage: u64, etcd: &Flags) -> Result<(), Invalid> {
    range("storage.size", storage, (64 << 20, "64Mi"), (64 << 40, "64Ti"))?;
    if spec.etcd.quota_backend.is_some() {
        range("etcd.quotaBackend", etcd.quota_backend, (16 << 20, "16Mi"), (100 << 30, "100Gi"))?;
        if !quota::fits(etcd.quota_backend, storage) {
            return Err(Invalid::Quota);
        }
    }
    for flag in spec.etcd.extra_args.keys() {
        if flags::is_among(&flags::DENIED_SINCE, flag) {
            return Err(Invalid::FlagDenied(flag.clone()));
        }
        if flags::is_among(&flags::IDLE, flag) {
            return Err(Invalid::FlagIdle(flag.clone()));
        }
    }
    Ok(())
}

fn range(
    field: &'static str,
    value: u64,
    (lowest, least): (u64, &'static str),
    (highest, most): (u64, &'static str),
) -> Result<(), Invalid> {
    if (lowest..=highest).contains(&value) { Ok(()) } else { Err(Invalid::Range { field, least, most }) }
}

/// The image: as it was named, or the version's tag in the repository.
fn reference(repository: &str, named: Option<&str>, version: Version) -> Result<String, Invalid> {
    if !image::is_repository(repository) {
        return Err(Invalid::Repository(repository.to_owned()));
    }
    match named {
        Some(named) if !image::is_reference(named) => Err(Invalid::Image(named.to_owned())),
        Some(named) => Ok(named.to_owned()),
        None => Ok(format!("{repository}:{version}")),
    }
}

/// Checks the options of etcd alone, as the agent reads them.
pub fn options(options: &EtcdOptions) -> Result<Flags, Invalid> {
    let EtcdOptions { quota_backend, auto_compaction, heartbeat_interval, election_timeout, extra_args } = options;
    let heartbeat = time("etcd.heartbeatInterval", heartbeat_interval, &["ms", "s"])?;
    let election = time("etcd.electionTimeout", election_timeout, &["ms", "s"])?;
    if heartbeat < Duration::from_millis(5) || heartbeat > Duration::from_secs(10) {
        return Err(Invalid::Heartbeat);
    }
    if election < heartbeat * 5 || election > Duration::from_secs(50) {
        return Err(Invalid::Election);
    }
    let AutoCompaction { mode, retention } = auto_compaction;
    let compaction = match mode {
        CompactionMode::Periodic | CompactionMode::Revision if retention.0 == "0" => Compaction::Off,
        CompactionMode::Periodic => {
            Compaction::Periodic(time("etcd.autoCompaction.retention", &retention.0, &["h", "m", "s"])?)
        }
        CompactionMode::Revision if is_natural(&retention.0, 10) => {
            Compaction::Revisions(retention.0.parse().map_err(|_| Invalid::Revisions)?)
        }
        CompactionMode::Revision => return Err(Invalid::Revisions),
    };
    for flag in extra_args.keys() {
        let syntax = flag.len() <= 100
            && flag.starts_with(|c: char| c.is_ascii_lowercase())
            && flag.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !syntax {
            return Err(Invalid::FlagName(flag.clone()));
        }
        if flags::is_among(&flags::DENIED, flag) && !flags::is_among(&flags::DENIED_SINCE, flag) {
            return Err(Invalid::FlagDenied(flag.clone()));
        }
    }
    Ok(Flags {
        // The coordinator tells the agents what it has chosen.
        quota_backend: match quota_backend {
            Some(quota) => bytes("etcd.quotaBackend", &quota.0)?,
            None => quota::of(u64::MAX),
        },
        heartbeat_interval: heartbeat,
        election_timeout: election,
        compaction,
        extra: extra_args.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
    })
}

fn name(name: &str) -> Result<(), Invalid> {
    if name.len() > MAX_CLUSTER_NAME {
        return Err(Invalid::LongName);
    }
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let syntax = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(inner) && !name.ends_with('-');
    if syntax { Ok(()) } else { Err(Invalid::NameSyntax) }
}

/// A quantity as the schema takes it: no leading zero, and few enough digits to fit 64 bits.
fn bytes(field: &'static str, text: &str) -> Result<u64, Invalid> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let longest = if number == text { 18 } else { 7 };
    match quantity::bytes(text) {
        Ok(bytes) if is_natural(number, longest) => Ok(bytes),
        Ok(_) => Err(Invalid::Quantity { field, error: QuantityError(text.to_owned()) }),
        Err(error) => Err(Invalid::Quantity { field, error }),
    }
}

/// A duration as the schema takes it: numbers without leading zeros, each with one of `units`. Only where minutes and
/// hours are among these may there be several.
fn time(field: &'static str, text: &str, units: &[&str]) -> Result<Duration, Invalid> {
    let wrong = || Invalid::Duration { field, error: DurationError(text.to_owned()) };
    let parts: Vec<&str> = text.split_inclusive(|c: char| c.is_ascii_alphabetic()).collect();
    let number = |part: &str| is_natural(part.trim_end_matches(|c: char| c.is_ascii_alphabetic()), 6);
    let unit = |text: &str| units.contains(&text.trim_start_matches(|c: char| c.is_ascii_digit()));
    let plain =
        if units.contains(&"ms") { number(text) && unit(text) } else { parts.iter().all(|p| number(p) && unit(p)) };
    match duration::parse(text) {
        Ok(time) if plain => Ok(time),
        Ok(_) => Err(wrong()),
        Err(error) => Err(Invalid::Duration { field, error }),
    }
}

/// Whether a text is a positive number of at most `digits` digits, written without a leading zero.
fn is_natural(text: &str, digits: usize) -> bool {
    (1..=digits).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::EtcdClusterSpec;
    use serde_json::json;

    fn object(spec: serde_json::Value) -> EtcdCluster {
        let spec: EtcdClusterSpec = serde_json::from_value(spec).unwrap();
        EtcdCluster::new("demo", spec)
    }

    fn sentence(spec: serde_json::Value) -> String {
        cluster(&object(spec)).unwrap_err().to_string()
    }

    #[test]
    fn the_smallest_object_is_valid() {
        let wanted = cluster(&object(json!({"version": "v3.5.21"}))).unwrap();
        assert_eq!((wanted.size, wanted.storage.bytes), (3, 8 << 30));
    }

    #[test]
    fn each_mistake_is_named_by_its_field() {
        for (field, spec) in [
            ("spec.size", json!({"version": "v3.5.21", "size": 4})),
            ("spec.size", json!({"version": "v3.5.21", "size": 9})),
            ("spec.size", json!({"version": "v3.5.21", "size": -1})),
            ("spec.version", json!({"version": "3.5"})),
            ("spec.storage.size", json!({"version": "v3.5.21", "storage": {"size": "abc"}})),
            ("spec.etcd.electionTimeout", json!({"version": "v3.5.21", "etcd": {"electionTimeout": "200ms"}})),
            (
                "spec.etcd.extraArgs",
                json!({"version": "v3.5.21", "etcd": {"extraArgs": {"force-new-cluster": "true"}}}),
            ),
            ("spec.etcd.extraArgs", json!({"version": "v3.5.21", "etcd": {"extraArgs": {"--name": "x"}}})),
            ("spec.service.nodePort", json!({"version": "v3.5.21", "service": {"nodePort": 30000}})),
        ] {
            let said = sentence(spec);
            assert!(said.contains(field), "{said}");
        }
    }

    #[test]
    fn a_quota_that_is_left_out_follows_the_volume_and_one_that_does_not_fit_is_refused_at_first_only() {
        let spec = |quota: serde_json::Value| json!({"version": "3.5.21", "storage": {"size": "1Gi"}, "etcd": {"quotaBackend": quota}});
        let quota = |object: &EtcdCluster| cluster(object).map(|wanted| wanted.etcd.quota_backend >> 20);
        assert_eq!(quota(&object(json!({"version": "v3.5.21", "storage": {"size": "1Gi"}}))), Ok(256));
        assert_eq!(quota(&object(spec(json!(268_435_456)))), Ok(256), "a number is taken");
        let mut large = object(spec(json!("2Gi")));
        assert_eq!(quota(&large), Err(Invalid::Quota));
        large.status = serde_json::from_value(json!({
            "incarnation": {"number": 1, "token": "t", "initialMembers": []}
        }))
        .unwrap();
        assert_eq!(quota(&large), Ok(2048), "a cluster of before goes on");
    }

    #[test]
    fn a_flag_that_was_not_always_denied_is_refused_at_first_only() {
        let mut asked = object(json!({"version": "v3.5.21", "etcd": {"extraArgs": {"snapshot-count": "5000"}}}));
        assert_eq!(cluster(&asked), Err(Invalid::FlagDenied("snapshot-count".into())));
        let founded = json!({"incarnation": {"number": 1, "token": "t", "initialMembers": []}});
        asked.status = serde_json::from_value(founded).unwrap();
        assert!(cluster(&asked).is_ok(), "a cluster of before goes on");
        asked.spec.etcd.extra_args = [("force-new-cluster".to_owned(), "true".to_owned())].into();
        assert_eq!(cluster(&asked), Err(Invalid::FlagDenied("force-new-cluster".into())));
    }

    #[test]
    fn compaction_is_switched_off_by_a_zero() {
        for zero in [json!(0), json!("0")] {
            let spec = json!({"version": "v3.5.21", "etcd": {"autoCompaction": {"retention": zero}}});
            assert_eq!(cluster(&object(spec)).unwrap().etcd.compaction, Compaction::Off);
        }
    }

    #[test]
    fn backups_are_checked_where_they_are_wanted() {
        let spec = |cron: &str| {
            json!({"version": "v3.5.21", "backup": {
                "store": {"s3": {"bucket": "backups"}}, "schedules": [{"name": "hourly", "cron": cron}],
            }})
        };
        let wanted = cluster(&object(spec("0 * * * *"))).unwrap();
        assert_eq!(wanted.backup.map(|backup| backup.schedules.len()), Some(1));
        assert!(sentence(spec("0 * * *")).starts_with("spec.backup.schedules: cron of hourly"));
        assert_eq!(cluster(&object(json!({"version": "v3.5.21"}))).unwrap().backup, None);
    }

    #[test]
    fn numbers_are_written_in_one_way_only() {
        let etcd = |field: &str, text: &str| json!({"version": "v3.5.21", "etcd": {field: text}});
        for (field, text) in [
            ("quotaBackend", "08Gi"),
            ("quotaBackend", "0"),
            ("quotaBackend", "12345678Ti"),
            ("heartbeatInterval", "0100ms"),
            ("heartbeatInterval", "1s100ms"),
            ("electionTimeout", "1m"),
        ] {
            assert!(sentence(etcd(field, text)).contains(field), "{field} {text}");
        }
        let kept = |text: &str| json!({"version": "v3.5.21", "etcd": {"autoCompaction": {"retention": text}}});
        assert!(cluster(&object(kept("1h30m"))).is_ok());
        assert!(cluster(&object(kept("500ms"))).is_err());
    }
}
