use super::*;
use crate::tls::check::tests::{answer, authority, revoking, whose};
use etcd_operator_shared::names::TLS_PEER;
use std::path::Path;

fn hand(volume: &Path, memory: &Path) -> Certificates {
    let name = Name { whose: whose(), cluster_uid: "u".into(), ordinal: 1 };
    Certificates::new(name, Store::new(volume.to_owned()), memory.to_owned())
}

#[tokio::test]
async fn what_is_issued_is_taken_kept_and_found_again_by_a_new_pod_and_by_a_new_container() {
    let (volume, memory, authority) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), authority());
    let mut first = hand(volume.path(), memory.path());
    first.turn(None, false, Etcd::default()).await;
    assert!(first.said(None).is_some_and(|said| said.request.is_none()), "not before the volume was looked at");
    first.turn(None, true, Etcd::default()).await;
    let request = first.said(None).and_then(|said| said.request).expect("it asks");
    let issued = answer(&authority, &request);
    first.turn(Some(&issued), true, Etcd::default()).await;
    let said = first.said(None).unwrap();
    assert_eq!((said.request, said.key.as_ref(), said.rejected), (None, Some(&issued.key), None));
    assert!(first.are_there() && first.pools().peer.is_some());
    let elsewhere = tempfile::tempdir().unwrap();
    for (mut next, ours) in
        [(hand(volume.path(), elsewhere.path()), true), (hand(elsewhere.path(), memory.path()), false)]
    {
        next.turn(None, ours, Etcd::default()).await;
        assert!(next.are_there(), "{ours}");
        assert_eq!(next.said(None).unwrap().request, None);
    }
}

#[tokio::test]
async fn what_an_agent_exposed_and_did_not_keep_its_successor_keeps() {
    let (volume, memory, authority) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), authority());
    let mut first = hand(volume.path(), memory.path());
    first.turn(None, true, Etcd::default()).await;
    let issued = answer(&authority, &first.said(None).and_then(|said| said.request).unwrap());
    first.turn(Some(&issued), true, Etcd::default()).await;
    std::fs::remove_file(volume.path().join(bundle::FILE)).unwrap();
    let mut next = hand(volume.path(), memory.path());
    next.turn(Some(&issued), true, Etcd::default()).await;
    assert!(volume.path().join(bundle::FILE).exists());
}

#[tokio::test]
async fn what_was_revoked_is_taken_without_asking_and_puts_no_renewal_off() {
    let (volume, memory, authority) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), authority());
    let mut hand = hand(volume.path(), memory.path());
    hand.turn(None, true, Etcd::default()).await;
    let mut issued = answer(&authority, &hand.said(None).and_then(|said| said.request).unwrap());
    hand.turn(Some(&issued), true, Etcd::default()).await;
    assert_eq!(hand.said(None).unwrap().revoked, None, "etcd was not told of any list yet");
    hand.note_order();
    assert_eq!(hand.said(None).unwrap().revoked, Some(1));
    let taken = hand.used.as_ref().unwrap().taken;
    issued.client.as_mut().unwrap().revoked = Some(revoking(&authority, 2, &[rcgen::SerialNumber::from(7)]));
    hand.turn(Some(&issued), true, Etcd::default()).await;
    assert_eq!((hand.said(None).unwrap().revoked, hand.used.as_ref().unwrap().taken), (Some(2), taken));
    assert_eq!(Bundle::read(volume.path()).unwrap().unwrap().list(), Some(2), "a pod that begins alone has it");
    issued.client.as_mut().unwrap().revoked = Some(revoking(&crate::tls::check::tests::authority(), 3, &[]));
    hand.turn(Some(&issued), true, Etcd::default()).await;
    assert_eq!(hand.said(None).unwrap().revoked, Some(2), "one that would let nobody in is not");
}

#[tokio::test]
async fn an_answer_that_is_no_good_changes_nothing_and_another_key_is_asked_for() {
    let (volume, memory) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut hand = hand(volume.path(), memory.path());
    hand.turn(None, true, Etcd::default()).await;
    let request = hand.said(None).and_then(|said| said.request).unwrap();
    let bad = Issued { client: None, ..answer(&authority(), &request) };
    hand.turn(Some(&bad), true, Etcd::default()).await;
    assert!(!hand.are_there() && hand.said(None).unwrap().rejected.is_some());
    hand.turn(Some(&bad), true, Etcd::default()).await;
    assert_eq!(hand.said(None).unwrap().request, None, "not at once");
    hand.not_before = Instant::now();
    hand.turn(Some(&bad), true, Etcd::default()).await;
    assert!(hand.said(None).unwrap().request.is_some_and(|next| next != request));
}

#[tokio::test]
async fn a_file_that_somebody_deletes_is_back_at_the_next_turn() {
    let (volume, memory, authority) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), authority());
    let mut hand = hand(volume.path(), memory.path());
    hand.turn(None, true, Etcd::default()).await;
    let issued = answer(&authority, &hand.said(None).and_then(|said| said.request).unwrap());
    hand.turn(Some(&issued), true, Etcd::default()).await;
    std::fs::remove_file(memory.path().join(TLS_PEER)).unwrap();
    hand.turn(Some(&issued), true, Etcd::default()).await;
    assert!(memory.path().join(TLS_PEER).exists());
}
