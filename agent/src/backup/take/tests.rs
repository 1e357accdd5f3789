use super::*;
use crate::backup::{content::tests::snapshot, store::tests::in_memory};

fn origin(member: &str) -> Origin {
    Origin {
        namespace: "ns".into(),
        cluster: "demo".into(),
        cluster_uid: "u".into(),
        incarnation: 2,
        cluster_id: "c".into(),
        member: member.into(),
    }
}

fn known() -> Known {
    Known { version: "v3.5.21".into(), at_least: 7, hashes: vec![], started: now() }
}

async fn put(place: &Place, member: &str, name: &str, content: &[u8]) -> Result<Taken, Failure> {
    let pieces: Vec<_> = content.chunks(1_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    store(place, &origin(member), name, known(), stream::iter(pieces), 1 << 16, &mut |_| {}).await
}

async fn keys(place: &Place) -> Vec<String> {
    let mut keys: Vec<_> = place.all("data").await.unwrap().into_iter().map(|found| found.key).collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn what_is_stored_says_all_that_a_proof_needs() {
    let (place, content) = (in_memory(), snapshot(400));
    let taken = put(&place, "demo-1", "hourly-20261126T2300Z", &content).await.unwrap();
    assert_eq!(taken.location, "etcd/ns/demo/u/snapshots/2/hourly-20261126T2300Z.json");
    let manifest = manifests::find(&place, 2, "hourly-20261126T2300Z").await.unwrap().unwrap();
    assert_eq!(manifest, taken.manifest);
    assert_eq!((manifest.schedule.as_deref(), manifest.slot.as_deref()), (Some("hourly"), Some("20261126T2300Z")));
    assert_eq!((manifest.bytes, manifest.at_least), (content.len() as i64, 7));
    let data = place.get(&manifest.data).await.unwrap().unwrap();
    assert_eq!(zstd::decode_all(&data[..]).unwrap(), content);
    let said = taken.said();
    assert!(said.stored && said.digest == Some(manifest.digest) && said.member.as_deref() == Some("demo-1"));
}

#[tokio::test]
async fn of_two_takers_one_counts_and_the_others_data_goes() {
    let place = in_memory();
    let first = put(&place, "demo-1", "once-a", &snapshot(3)).await.unwrap();
    let second = put(&place, "demo-2", "once-a", &snapshot(4)).await.unwrap();
    assert!(!first.found && second.found);
    assert_eq!(second.manifest, first.manifest, "whoever comes later tells of the one that is there");
    assert_eq!(keys(&place).await, [first.manifest.data]);
}

#[tokio::test]
async fn many_takers_at_once_leave_one_manifest_and_its_data() {
    let (place, content) = (in_memory(), snapshot(5));
    let names: Vec<String> = (0..8).map(|i| format!("demo-{i}")).collect();
    let all = futures::future::join_all(names.iter().map(|member| put(&place, member, "once-a", &content))).await;
    let all: Vec<Taken> = all.into_iter().map(Result::unwrap).collect();
    assert_eq!(all.iter().filter(|taken| !taken.found).count(), 1);
    assert!(all.iter().all(|taken| taken.manifest == all[0].manifest));
    assert_eq!(keys(&place).await, [all[0].manifest.data.clone()]);
}

#[tokio::test]
async fn a_snapshot_that_is_cut_off_or_changed_is_not_stored() {
    let place = in_memory();
    let whole = snapshot(300);
    let mut changed = whole.clone();
    changed[70_000] ^= 1;
    for bad in [&whole[..whole.len() - 1], &whole[..100], &changed, &[]] {
        assert_eq!(put(&place, "demo-1", "once-a", bad).await.unwrap_err().code(), 5);
    }
    let broken: Vec<Result<Bytes, Failure>> =
        vec![Ok(Bytes::copy_from_slice(&whole)), Err(Failure::failed("EtcdFailed", "the stream broke"))];
    let broken = store(&place, &origin("demo-1"), "once-a", known(), stream::iter(broken), 1 << 16, &mut |_| {}).await;
    assert_eq!(broken.unwrap_err().code(), 1);
    assert_eq!(manifests::find(&place, 2, "once-a").await.unwrap(), None);
    assert!(keys(&place).await.is_empty());
}

#[tokio::test]
async fn a_store_that_overwrites_is_found_out_before_anything_is_stored() {
    assert!(is_conditional(&in_memory()).await.is_ok());
    let place = Place::of(std::sync::Arc::new(overwriting::Overwriting::default()), "etcd/ns/demo/u");
    assert_eq!(is_conditional(&place).await.unwrap_err().reason(), "UnconditionalStore");
    assert!(place.all("probes").await.unwrap().is_empty(), "and nothing is left of it");
}

#[test]
fn a_name_by_hand_is_no_schedules() {
    let name = by_hand();
    assert!(is_name(&name) && of_schedule(&name).is_none(), "{name}");
}

/// A store that takes a condition and ignores it.
mod overwriting {
    use std::fmt;

    use futures::stream::BoxStream;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
        PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
    };

    #[derive(Debug, Default)]
    pub struct Overwriting(InMemory);

    impl fmt::Display for Overwriting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a store that overwrites")
        }
    }

    #[async_trait::async_trait]
    impl ObjectStore for Overwriting {
        async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
            self.0.put_opts(at, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await
        }

        async fn put_multipart_opts(&self, at: &Path, o: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(at, o).await
        }

        async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(at, options).await
        }

        fn delete_stream(&self, all: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(all)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }
}
