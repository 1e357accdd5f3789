//! `etcd-agent volume`: what is on this member's volume, and the way to room on a full one. Needs neither etcd nor the
//! agent beside it, and no room.

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};

use crate::{
    args::{Output, VolumeVerb},
    volume::{
        Store,
        content::{Item, Kind},
    },
};

/// Performs one verb.
pub fn run(volume: &Path, verb: VolumeVerb) -> anyhow::Result<()> {
    let store = Store::new(volume.to_owned());
    match verb {
        VolumeVerb::List { output: Output::Human } => print!("{}", human(&store)?),
        VolumeVerb::List { output: Output::Json } => println!("{:#}", machine(&store)?),
        VolumeVerb::Discard { name } => {
            let freed = mebibytes(store.discard(&name)?);
            println!("{name} is deleted, which freed {freed}; {} are free now", mebibytes(store.room()?.free));
        }
    }
    Ok(())
}

fn human(store: &Store) -> anyhow::Result<String> {
    let room = store.room()?;
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(
        out,
        "Volume       {}, {} free, {} held in reserve",
        mebibytes(room.total),
        mebibytes(room.free),
        mebibytes(store.reserve()?)
    );
    let _ = writeln!(out, "Mark         {}", mark(store));
    for Item { name, kind, bytes } in store.items()?.into_iter().filter(|item| item.kind != Kind::Own) {
        let bytes = bytes.map_or("-".into(), mebibytes);
        let _ = writeln!(out, "  {name:<12} {bytes:>12}  {}", meaning(kind));
    }
    Ok(out)
}

fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Data => "etcd's data",
        Kind::Aside => "set aside, not used any more; `volume discard` deletes it for good",
        Kind::Restore => "fetched for the cluster to begin with; gone when etcd runs",
        Kind::Own => "the agent's",
        Kind::Other => "not made by an agent",
    }
}

fn mark(store: &Store) -> String {
    match store.read_mark() {
        Ok(None) => "none".into(),
        Err(error) => format!("cannot be read: {error}"),
        Ok(Some(mark)) => {
            let id = mark.member_id.as_deref().unwrap_or("none yet");
            format!("{}, incarnation {}, member ID {id}, counter {}", mark.member, mark.incarnation, mark.counter)
        }
    }
}

fn machine(store: &Store) -> anyhow::Result<Value> {
    let room = store.room()?;
    let (mark, trouble) = match store.read_mark() {
        Ok(mark) => (mark, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let kind = |kind| match kind {
        Kind::Data => "Data",
        Kind::Aside => "Aside",
        Kind::Restore => "Restore",
        Kind::Own => "Own",
        Kind::Other => "Other",
    };
    let item = |item: Item| json!({"name": item.name, "kind": kind(item.kind), "bytes": item.bytes});
    Ok(json!({
        "totalBytes": room.total,
        "freeBytes": room.free,
        "reserveBytes": store.reserve()?,
        "mark": mark,
        "markTrouble": trouble,
        "items": store.items()?.into_iter().map(item).collect::<Vec<_>>(),
    }))
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_volume_whose_mark_is_torn_is_listed_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("data")).unwrap();
        fs::create_dir_all(dir.path().join("aside-1-1")).unwrap();
        fs::write(dir.path().join("mark.json"), "{").unwrap();
        let store = Store::new(dir.path().to_owned());
        let said = human(&store).unwrap();
        assert!(said.contains("Mark         cannot be read: cannot understand mark.json"), "{said}");
        assert!(said.contains("aside-1-1") && said.contains("etcd's data") && !said.contains("the agent's"), "{said}");
        let value = machine(&store).unwrap();
        assert_eq!((&value["items"][1]["kind"], &value["mark"]), (&"Aside".into(), &Value::Null));
        assert!(value["markTrouble"].is_string() && value["totalBytes"].as_u64() > Some(0));
    }
}
