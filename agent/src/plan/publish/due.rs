//! Whether a status is worth a write.
//!
//! Compared is what was *sent* with what would be sent now, as long as the object still holds what the API server made
//! of it. An API server whose kinds are older than the agent drops what it does not know: compared with what stands in
//! the object, the two would differ for ever, and each turn of the loop would write.

use std::time::Duration;

use etcd_operator_shared::api::{EtcdMemberStatus, member::Notice};

/// Whether a status is worth a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Now,
    /// It is, but the last write was only just done.
    Soon,
    No,
}

/// The last status that the API server took, and what it made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub sent: EtcdMemberStatus,
    pub stood: Option<EtcdMemberStatus>,
}

/// What is known of the status that stands in the EtcdMember.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub status: Option<&'a EtcdMemberStatus>,
    /// This process's last write.
    pub told: Option<&'a Told>,
    /// Time since then.
    pub ago: Duration,
    /// Writes within the last [`WINDOW`].
    pub lately: usize,
    /// For how long the others have been asked, when that is all that the member does.
    pub asking: Option<Duration>,
}

/// Shortest time between two writes that only sizes and revisions ask for, and before something that the API server
/// dropped is told again: by then its kinds may be new.
pub const RARELY: Duration = Duration::from_secs(300);
/// Shortest time between two writes.
const AT_ONCE: Duration = Duration::from_millis(50);
/// Over which writes are counted.
pub const WINDOW: Duration = Duration::from_secs(60);
/// So many writes in that time are a member that is born, joins, fails and comes back; more are a quarrel or a mistake.
pub const MANY: usize = 30;
/// Shortest time between two writes after so many.
const CROWDED: Duration = Duration::from_secs(2);
/// A question that was only just asked is no news: a member that waits for its turn asks again and again.
const ASKED: Duration = Duration::from_secs(1);

/// Whether `next` should be written.
#[must_use]
pub fn due(standing: Standing<'_>, next: &EtcdMemberStatus) -> Due {
    let Standing { status, told, ago, lately, asking } = standing;
    let told = told.filter(|told| told.stood.as_ref() == status);
    let Some(last) = told.map(|told| &told.sent).or(status) else { return paced(ago, lately) };
    let dropped = told.is_some_and(|told| told.stood.as_ref().is_none_or(|stood| differs(stood, &told.sent)));
    let news = differs(last, next);
    if news && asking.is_some_and(|time| time < ASKED) && last.ready == next.ready {
        Due::Soon
    } else if news && last.left_pod_uid != next.left_pod_uid {
        // Pods wait for it, and it is said once.
        paced(ago, 0)
    } else if news {
        paced(ago, lately)
    } else if (dropped || drifted(last, next)) && ago >= RARELY {
        Due::Now
    } else {
        Due::No
    }
}

fn paced(ago: Duration, lately: usize) -> Due {
    let pause = if lately < MANY { AT_ONCE } else { CROWDED };
    if ago < pause { Due::Soon } else { Due::Now }
}

/// Whether two statuses differ in what a person or the coordinator acts on. Each field is named, so that whoever adds
/// one decides whether a change of it is worth a write of its own.
fn differs(a: &EtcdMemberStatus, b: &EtcdMemberStatus) -> bool {
    let EtcdMemberStatus {
        // Tells only that the agent has seen the spec: rides along.
        observed_generation: _,
        account,
        claim,
        counter,
        pod_uid,
        address,
        phase,
        ready,
        reason,
        message,
        member_id,
        cluster_id,
        left_pod_uid,
        membership,
        role,
        leader_id,
        term,
        settled,
        version,
        cluster_version,
        storage_version,
        downgrade,
        log_readable_by,
        // These change by themselves all the time.
        revision: _,
        db_size: _,
        db_size_in_use: _,
        db_quota,
        alarms,
        notices,
        certificates,
        auth,
        backups,
        chores,
        restarts,
        last_exit,
        agent_version,
        swappable,
        options,
        refused_options,
    } = a;
    // The first one rides along. Another one is the word that this agent is heard again.
    let account = account.is_none() || *account == b.account;
    let notebook = *claim == b.claim && *counter == b.counter && *left_pod_uid == b.left_pod_uid;
    let pod = *pod_uid == b.pod_uid && *address == b.address && *agent_version == b.agent_version;
    let pod = pod && *swappable == b.swappable && *options == b.options && *refused_options == b.refused_options;
    let room = *db_quota == b.db_quota && a.is_filled() == b.is_filled();
    let health = *phase == b.phase && *ready == b.ready && *settled == b.settled && *reason == b.reason;
    let cluster = *member_id == b.member_id && *cluster_id == b.cluster_id && *membership == b.membership;
    let raft = *role == b.role && *leader_id == b.leader_id && *term == b.term && *version == b.version;
    let versions = *cluster_version == b.cluster_version
        && *storage_version == b.storage_version
        && *downgrade == b.downgrade
        && *log_readable_by == b.log_readable_by;
    let past = *restarts == b.restarts && *last_exit == b.last_exit && *alarms == b.alarms;
    // Their sentences count bytes.
    let reasons = |notices: &[Notice]| notices.iter().map(|notice| notice.reason.clone()).collect::<Vec<_>>();
    let known = reasons(notices) == reasons(&b.notices);
    let done = *backups == b.backups && *chores == b.chores && *certificates == b.certificates && *auth == b.auth;
    !(account && notebook && pod && room && health && cluster && raft && versions && past && known && done)
        || shape(message) != shape(&b.message)
}

/// Whether what changes by itself has changed much.
fn drifted(last: &EtcdMemberStatus, next: &EtcdMemberStatus) -> bool {
    let sizes = moved(last.db_size, next.db_size) || moved(last.db_size_in_use, next.db_size_in_use);
    sizes || last.message != next.message || last.notices != next.notices
}

/// A sentence without its numbers: one that counts seconds or entries would cause a write each time.
fn shape(message: &str) -> String {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let word = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        if is_number(bare) { word.replace(bare, "#") } else { word.to_owned() }
    };
    message.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A tenth more or less.
fn moved(last: Option<i64>, next: Option<i64>) -> bool {
    match (last, next) {
        (Some(last), Some(next)) => (next - last).abs() * 10 > last,
        (last, next) => last.is_some() != next.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> EtcdMemberStatus {
        EtcdMemberStatus { ready: true, db_size: Some(10 << 20), revision: Some(5), ..EtcdMemberStatus::default() }
    }

    fn unwell(message: &str) -> EtcdMemberStatus {
        EtcdMemberStatus { ready: false, message: message.into(), ..base() }
    }

    fn after(ago: Duration, status: &EtcdMemberStatus, next: &EtcdMemberStatus) -> Due {
        due(Standing { status: Some(status), told: None, ago, lately: 0, asking: None }, next)
    }

    #[test]
    fn readiness_is_written_at_once() {
        assert_eq!(after(Duration::from_millis(60), &base(), &unwell("")), Due::Now);
        assert_eq!(after(Duration::from_millis(20), &base(), &unwell("")), Due::Soon);
    }

    #[test]
    fn a_busy_store_causes_few_writes() {
        let next = EtcdMemberStatus { revision: Some(900), db_size: Some(30 << 20), ..base() };
        assert_eq!(after(Duration::from_secs(10), &base(), &next), Due::No);
        assert_eq!(after(RARELY, &base(), &next), Due::Now);
        assert_eq!(after(RARELY, &base(), &EtcdMemberStatus { revision: Some(900), ..base() }), Due::No);
    }

    #[test]
    fn a_quota_that_is_nearly_filled_is_written_at_once() {
        let uses =
            |in_use: i64| EtcdMemberStatus { db_size_in_use: Some(in_use << 20), db_quota: Some(100 << 20), ..base() };
        let soon = Duration::from_secs(1);
        assert_eq!(after(soon, &uses(60), &uses(79)), Due::No);
        assert_eq!(after(soon, &uses(79), &uses(80)), Due::Now);
        assert_eq!(after(soon, &uses(80), &uses(99)), Due::No);
        assert_eq!(after(soon, &uses(80), &uses(79)), Due::Now);
    }

    #[test]
    fn an_account_that_was_made_anew_is_answered_at_once_and_the_first_rides_along() {
        let speaks = |account: &str| EtcdMemberStatus { account: Some(account.into()), ..base() };
        assert_eq!(after(Duration::from_secs(1), &base(), &speaks("a")), Due::No);
        assert_eq!(after(Duration::from_secs(1), &speaks("a"), &speaks("a")), Due::No);
        assert_eq!(after(Duration::from_secs(1), &speaks("a"), &speaks("b")), Due::Now);
    }

    #[test]
    fn numbers_that_run_in_a_sentence_cause_few_writes() {
        let behind = |entries: u32| unwell(&format!("the member is {entries} entries behind (of 9)"));
        assert_eq!(after(Duration::from_secs(10), &behind(9_000), &behind(8_000)), Due::No);
        assert_eq!(after(RARELY, &behind(9_000), &behind(8_000)), Due::Now);
        let first = |member: &str| unwell(&format!("{member} joins first"));
        assert_eq!(after(Duration::from_secs(10), &first("demo-1"), &first("demo-2")), Due::Now, "a name is no number");
    }

    /// An API server that knows some fields and drops the others, asked again and again whether to write: returns how
    /// often it was written to.
    fn writes(drops: fn(&EtcdMemberStatus) -> EtcdMemberStatus, nexts: &[EtcdMemberStatus], every: Duration) -> usize {
        let (mut object, mut told, mut ago, mut written) = (None, None, Duration::MAX, 0);
        for next in nexts {
            let standing = Standing { status: object.as_ref(), told: told.as_ref(), ago, lately: 0, asking: None };
            if due(standing, next) == Due::Now {
                object = Some(drops(next));
                told = Some(Told { sent: next.clone(), stood: object.clone() });
                (ago, written) = (Duration::ZERO, written + 1);
            }
            ago = ago.saturating_add(every);
        }
        written
    }

    #[test]
    fn whatever_the_api_server_drops_a_change_is_written_once() {
        let nothing_of_settled = |next: &EtcdMemberStatus| EtcdMemberStatus { settled: false, ..next.clone() };
        let settled = EtcdMemberStatus { settled: true, ..base() };
        assert_eq!(writes(nothing_of_settled, &vec![settled.clone(); 100], Duration::from_secs(1)), 1);
        let both: Vec<_> = (0..100).map(|i| if i < 50 { settled.clone() } else { unwell("") }).collect();
        assert_eq!(writes(nothing_of_settled, &both, Duration::from_secs(1)), 2);
        assert_eq!(writes(|_| EtcdMemberStatus::default(), &vec![settled; 100], Duration::from_secs(1)), 1);
    }

    #[test]
    fn what_was_dropped_is_told_again_when_the_kinds_may_be_new() {
        let settled = EtcdMemberStatus { settled: true, ..base() };
        let dropping = |next: &EtcdMemberStatus| EtcdMemberStatus { settled: false, ..next.clone() };
        assert_eq!(writes(dropping, &vec![settled.clone(); 601], Duration::from_secs(1)), 3);
        assert_eq!(writes(Clone::clone, &vec![settled; 601], Duration::from_secs(1)), 1);
    }

    #[test]
    fn what_somebody_else_wrote_over_it_is_written_over_once() {
        let told = Told { sent: base(), stood: Some(base()) };
        let other = unwell("a twin's word");
        let ago = Duration::from_secs(1);
        let standing = Standing { status: Some(&other), told: Some(&told), ago, lately: 0, asking: None };
        assert_eq!(due(standing, &base()), Due::Now);
        assert_eq!(due(Standing { status: Some(&told.sent), ..standing }, &base()), Due::No);
    }

    #[test]
    fn whatever_flaps_is_written_every_two_seconds_at_most() {
        let ago = Duration::from_secs(1);
        let standing = Standing { status: Some(&base()), told: None, ago, lately: MANY, asking: None };
        assert_eq!(due(standing, &unwell("")), Due::Soon);
        assert_eq!(due(Standing { lately: MANY - 1, ..standing }, &unwell("")), Due::Now);
        assert_eq!(due(Standing { ago: CROWDED, ..standing }, &unwell("")), Due::Now);
        let left = EtcdMemberStatus { left_pod_uid: Some("p".into()), ..base() };
        assert_eq!(due(standing, &left), Due::Now, "its pod waits for that");
    }

    #[test]
    fn a_question_is_told_once_it_has_not_been_answered_for_a_second() {
        let joining = unwell("not enough started members");
        let asking = |asking| {
            let ago = Duration::from_secs(1);
            Standing { status: Some(&joining), told: None, ago, lately: 0, asking: Some(asking) }
        };
        assert_eq!(due(asking(Duration::from_millis(999)), &unwell("the others are asked")), Due::Soon);
        assert_eq!(due(asking(ASKED), &unwell("the others are asked")), Due::Now);
        assert_eq!(due(asking(Duration::ZERO), &joining), Due::No);
        let served = Standing { status: Some(&base()), ..asking(Duration::ZERO) };
        assert_eq!(due(served, &unwell("the others are asked")), Due::Now, "it does not serve any more");
    }
}
