//! Checks what holds the members' data: how large it is, and how far it grows by itself.

use super::{Invalid, bytes, range};
use crate::{
    api::{EtcdCluster, cluster::AutoGrow},
    quota,
};

/// The most that etcd recommends. Source: <https://etcd.io/docs/v3.6/dev-guide/limit/>.
const MOST: u64 = 8 << 30;

/// The volume of each member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// As it is written, such as `8Gi`.
    pub size: String,
    /// The same in bytes.
    pub bytes: u64,
    /// Name of the class; `None`: whichever it is, empty: none.
    pub class: Option<String>,
    /// How far it grows by itself, where it may.
    pub limits: Option<Limits>,
}

/// How far volumes and quota grow by themselves, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub volume: u64,
    pub quota: u64,
}

/// What a cluster wants of its volumes: what its spec says, or more, where they have grown by themselves.
///
/// # Errors
/// When a size is none.
pub fn volume(object: &EtcdCluster) -> Result<Volume, Invalid> {
    let storage = &object.spec.storage;
    let named = bytes("storage.size", &storage.size)?;
    let limits = storage.auto_grow.as_ref().map(limits).transpose()?;
    if limits.is_some_and(|limits| limits.volume < named) {
        return Err(Invalid::MaxSize);
    }
    let grown = object.status.as_ref().and_then(|status| status.grown.as_ref()?.volume_size.clone());
    let size = grown.filter(|grown| quota::is_more(grown, &storage.size)).unwrap_or_else(|| storage.size.clone());
    let class = storage.storage_class_name.clone();
    Ok(Volume { bytes: bytes("storage.size", &size).unwrap_or(named), size, class, limits })
}

fn limits(raw: &AutoGrow) -> Result<Limits, Invalid> {
    let AutoGrow { max_size, max_quota } = raw;
    let volume = bytes("storage.autoGrow.maxSize", max_size)?;
    range("storage.autoGrow.maxSize", volume, (64 << 20, "64Mi"), (64 << 40, "64Ti"))?;
    let quota = match max_quota {
        None => MOST,
        Some(amount) => {
            let quota = bytes("storage.autoGrow.maxQuota", &amount.0)?;
            range("storage.autoGrow.maxQuota", quota, (16 << 20, "16Mi"), (100 << 30, "100Gi"))?;
            quota
        }
    };
    Ok(Limits { volume, quota })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(storage: serde_json::Value, grown: &str) -> Result<Volume, Invalid> {
        let spec = json!({"version": "v3.5.21", "storage": storage});
        let mut cluster = EtcdCluster::new("demo", serde_json::from_value(spec).unwrap());
        cluster.status = Some(serde_json::from_value(json!({"grown": {"volumeSize": grown}})).unwrap());
        volume(&cluster)
    }

    #[test]
    fn what_has_grown_stays_whoever_wanted_it() {
        for (named, grown, expected) in [("1Gi", "4Gi", "4Gi"), ("8Gi", "4Gi", "8Gi"), ("1Gi", "nothing", "1Gi")] {
            let volume = read(json!({"size": named}), grown).unwrap();
            assert_eq!((volume.size.as_str(), volume.limits), (expected, None));
        }
    }

    #[test]
    fn the_quota_ends_where_etcd_recommends_it_unless_somebody_says_otherwise() {
        let limits = |raw: serde_json::Value| read(json!({"size": "1Gi", "autoGrow": raw}), "").map(|one| one.limits);
        assert_eq!(limits(json!({"maxSize": "4Gi"})), Ok(Some(Limits { volume: 4 << 30, quota: 8 << 30 })));
        let more = json!({"maxSize": "64Gi", "maxQuota": "16Gi"});
        assert_eq!(limits(more), Ok(Some(Limits { volume: 64 << 30, quota: 16 << 30 })));
    }

    #[test]
    fn each_mistake_is_named_by_its_field() {
        for (field, raw) in [
            ("autoGrow.maxSize", json!({"maxSize": "512Mi"})),
            ("autoGrow.maxSize", json!({"maxSize": "much"})),
            ("autoGrow.maxSize", json!({"maxSize": "65Ti"})),
            ("autoGrow.maxQuota", json!({"maxSize": "4Gi", "maxQuota": "1Mi"})),
            ("autoGrow.maxQuota", json!({"maxSize": "4Gi", "maxQuota": 0})),
        ] {
            let sentence = read(json!({"size": "1Gi", "autoGrow": raw}), "").unwrap_err().to_string();
            assert!(sentence.contains(field), "{sentence}");
        }
    }
}
