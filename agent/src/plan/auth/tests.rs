//! Claims about etcd's users, by example and against a small etcd that crashes anywhere.

use etcd_operator_shared::api::user::Permission;
use proptest::prelude::*;

use super::*;

fn permission(prefix: &str, access: Access) -> Permission {
    Permission { prefix: Some(prefix.into()), key: None, access }
}

fn user(name: &str, prefixes: &[&str]) -> User {
    let permissions = prefixes.iter().map(|prefix| permission(prefix, Access::ReadWrite)).collect();
    User { name: name.into(), permissions, roles: vec![], admin: false }
}

fn on(users: Vec<User>) -> Wanted {
    Wanted { enabled: true, users }
}

/// An etcd, as far as its users go. It refuses what the real one refuses: `server/auth/store.go`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Etcd {
    present: Present,
    enabled: bool,
}

impl Etcd {
    fn apply(&mut self, step: &Step) {
        let Present { users, roles } = &mut self.present;
        match step {
            Step::AddUser(user) => assert!(users.insert(user.clone(), BTreeSet::new()).is_none(), "{user} is there"),
            Step::DropUser(user) => {
                assert!(users.remove(user).is_some() && user != ROOT, "{user}");
            }
            Step::AddRole(role) => assert!(roles.insert(role.clone(), BTreeMap::new()).is_none(), "{role} is there"),
            Step::DropRole(role) => {
                assert!(roles.remove(role).is_some(), "{role}");
                users.values_mut().for_each(|roles| roles.retain(|given| given != role));
            }
            Step::GiveRole { user, role } => {
                assert!(role == ROOT || roles.contains_key(role), "{role}");
                users.get_mut(user).unwrap().insert(role.clone());
            }
            Step::TakeRole { user, role } => {
                assert!(!(self.enabled && user == ROOT && role == ROOT));
                assert!(users.get_mut(user).unwrap().remove(role), "{role} was not given");
            }
            Step::Permit { role, range, access } => {
                roles.get_mut(role).unwrap().insert(range.clone(), *access);
            }
            Step::Withdraw { role, range } => {
                assert!(roles.get_mut(role).unwrap().remove(range).is_some(), "it was not permitted");
            }
            Step::Enable => {
                assert!(users.get(ROOT).is_some_and(|roles| roles.contains(ROOT)), "nobody could act any more");
                self.enabled = true;
            }
            Step::Disable => self.enabled = false,
        }
    }

    /// Looks and acts until a look finds nothing but to enable.
    fn settle(&mut self, wanted: &Wanted) -> Vec<Step> {
        let mut all = vec![];
        loop {
            let Plan { steps, .. } = plan(wanted, &self.present);
            steps.iter().for_each(|step| self.apply(step));
            let done = matches!(steps.as_slice(), [Step::Enable | Step::Disable]);
            all.extend(steps);
            if done {
                return all;
            }
            assert!(all.len() < 500, "it has no end");
        }
    }
}

#[test]
fn root_comes_first_and_etcd_asks_last() {
    let mut etcd = Etcd::default();
    let steps = etcd.settle(&on(vec![user("app", &["/a/"])]));
    assert_eq!(steps[..2], [Step::AddUser(ROOT.into()), Step::GiveRole { user: ROOT.into(), role: ROOT.into() }]);
    assert_eq!(steps.last(), Some(&Step::Enable));
    assert!(etcd.enabled);
    assert_eq!(etcd.present.users["app"], [role("app")].into());
    let range = Range { key: b"/a/".to_vec(), end: b"/a0".to_vec() };
    assert_eq!(etcd.present.roles[&role("app")], [(range, Access::ReadWrite)].into());
    assert_eq!(etcd.settle(&on(vec![user("app", &["/a/"])])), [Step::Enable], "nothing is left to do");
}

#[test]
fn what_changes_is_changed_and_what_is_too_much_goes_before_anything_comes() {
    let mut etcd = Etcd::default();
    etcd.settle(&on(vec![user("app", &["/a/"]), user("old", &["/o/"])]));
    let steps = etcd.settle(&on(vec![User { admin: true, ..user("app", &["/b/"]) }]));
    let at = |found: &dyn Fn(&Step) -> bool| steps.iter().position(found).unwrap();
    let gone = at(&|step| matches!(step, Step::DropRole(_))).max(at(&|step| matches!(step, Step::Withdraw { .. })));
    assert!(gone < at(&|step| matches!(step, Step::Permit { .. })));
    assert!(at(&|step| *step == Step::DropUser("old".into())) < at(&|step| *step == Step::DropRole(role("old"))));
    assert_eq!(etcd.present.users["app"], [role("app"), ROOT.to_owned()].into());
    assert_eq!(etcd.present.users.len(), 2);
}

#[test]
fn users_and_roles_of_somebody_elses_are_left_alone() {
    let mut etcd = Etcd::default();
    etcd.present.users.insert("ops".into(), ["readers".to_owned()].into());
    etcd.present.users.insert("app".into(), BTreeSet::new());
    etcd.present.roles.insert("readers".into(), BTreeMap::new());
    let before = etcd.present.clone();
    let wanted =
        on(vec![user("app", &["/a/"]), User { roles: vec!["readers".into(), "none".into()], ..user("web", &[]) }]);
    etcd.settle(&wanted);
    for (name, roles) in &before.users {
        assert_eq!(etcd.present.users.get(name), Some(roles));
    }
    assert!(etcd.present.roles.contains_key("readers") && !etcd.present.roles.contains_key(&role("app")));
    assert_eq!(etcd.present.users["web"], [role("web"), "readers".to_owned()].into());
    let told = plan(&wanted, &etcd.present).ungranted;
    assert!(told.len() == 2 && told[0].1.contains("somebody else") && told[1].1.contains("role none"), "{told:?}");
}

#[test]
fn switched_off_nobody_is_asked_and_who_may_do_what_is_kept() {
    let mut etcd = Etcd::default();
    etcd.settle(&on(vec![user("app", &["/a/"])]));
    let before = etcd.present.clone();
    assert_eq!(etcd.settle(&Wanted { enabled: false, users: vec![] }), [Step::Disable]);
    assert_eq!((etcd.present, etcd.enabled), (before, false));
}

#[test]
fn the_same_keys_twice_are_permitted_both_ways() {
    let permissions =
        vec![permission("/a/", Access::Read), permission("/a/", Access::Write), permission("/b/", Access::Read)];
    let all = permitted(&User { permissions, ..user("app", &[]) });
    assert_eq!(all.into_values().collect::<Vec<_>>(), [Access::ReadWrite, Access::Read]);
}

#[test]
fn what_is_not_understood_is_nobodys_wish() {
    assert!(wanted(true, "nonsense").is_err());
    assert_eq!(wanted(true, ""), Ok(on(vec![])));
}

#[test]
fn users_are_looked_at_by_the_leader_when_something_else_is_wanted_and_now_and_then() {
    let last = |wanted, failed, seconds| Some(Last { wanted, failed, ago: Duration::from_secs(seconds) });
    let facts = |last| Facts { leads: true, free: true, current: true, wanted: "b", last };
    assert!(is_due(facts(None)) && is_due(facts(last("a", false, 0))));
    assert!(!is_due(facts(last("b", false, 599))) && is_due(facts(last("b", false, 600))));
    assert!(!is_due(facts(last("b", true, 4))) && is_due(facts(last("b", true, 5))));
    for not in [
        Facts { leads: false, ..facts(None) },
        Facts { free: false, ..facts(None) },
        Facts { current: false, ..facts(None) },
    ] {
        assert!(!is_due(not), "{not:?}");
    }
}

/// Any few users of four names, with any of three prefixes and two roles.
fn any_users() -> impl Strategy<Value = Vec<User>> {
    let one = (prop::sample::subsequence(vec!["/a/", "/b/", ""], 0..=3), any::<bool>(), any::<bool>());
    let all = prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c", "d"]), one, 0..4);
    all.prop_map(|all| {
        let user = |(name, (prefixes, admin, reads)): (&str, (Vec<&str>, bool, bool))| {
            let roles = if reads { vec!["readers".to_owned()] } else { vec![] };
            User { admin, roles, ..user(name, &prefixes) }
        };
        all.into_iter().map(user).collect()
    })
}

proptest! {
    #[test]
    fn whatever_was_wanted_before_and_wherever_it_crashed_the_end_is_what_is_wanted(
        wishes in prop::collection::vec((any_users(), 0usize..12), 1..5),
        last in any_users(),
        foreign in any::<bool>(),
    ) {
        let mut etcd = Etcd::default();
        etcd.present.roles.insert("readers".into(), BTreeMap::new());
        if foreign {
            etcd.present.users.insert("d".into(), BTreeSet::new());
        }
        for (users, steps) in wishes {
            // Two that act at once look at the same: the second goes on from what it saw, or from what the first left.
            let Plan { steps: all, .. } = plan(&on(users), &etcd.present);
            all.iter().take(steps).for_each(|step| etcd.apply(step));
        }
        etcd.settle(&on(last.clone()));
        let mut fresh = Etcd::default();
        fresh.present.roles.insert("readers".into(), BTreeMap::new());
        if foreign {
            fresh.present.users.insert("d".into(), BTreeSet::new());
        }
        fresh.settle(&on(last));
        prop_assert_eq!(etcd, fresh);
    }
}
