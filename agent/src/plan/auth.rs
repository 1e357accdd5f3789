//! What is done so that etcd's users are those that are wanted, and that etcd asks what they may do.
//!
//! ```text
//!   present (users, roles, permissions as etcd lists them)  ┐
//!   wanted  (what the EtcdMember says)                      ┴─▶ steps, in this order:
//!
//!   1  root, with the role root                  AddUser, GiveRole       CN=root may do all, before anybody is asked
//!   2  what is too much goes                     DropUser, DropRole, TakeRole, Withdraw
//!   3  what is missing comes                     AddRole, Permit, AddUser, GiveRole
//!   4  etcd asks, or does not ask any more       Enable, Disable
//! ```
//! Guarantees: each step does no harm alone, and after a crash the next look begins with what is left, so one may crash
//! between any two. Two agents that both think they are beside the leader go for the same end. `Enable` comes only from
//! a look that finds nothing else to do, root with its role included, while every member answers CN=root: nobody is
//! shut out who could let himself in again.
//!
//! Ours is a user with the role of its own ([`auth::role`]), and that role. The role is made first and goes last, so
//! that what a crash leaves is known as ours. Nothing else is touched but root, which gets what is missing.
//!
//! Caveat: etcd refuses a request that was under way while a user was changed (`revision of auth store is old`);
//! clients try again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use etcd_operator_shared::{
    api::user::Access,
    auth::{self, PREFIX, Range, User, role},
    certificates::ROOT,
};

/// etcd's users and roles, as a quorum knows them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    /// Roles by user.
    pub users: BTreeMap<String, BTreeSet<String>>,
    /// What roles permit. Of roles that are not ours only the names.
    pub roles: BTreeMap<String, BTreeMap<Range, Access>>,
}

/// What is wanted of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether etcd asks.
    pub enabled: bool,
    pub users: Vec<User>,
}

/// One call to etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    AddUser(String),
    DropUser(String),
    AddRole(String),
    DropRole(String),
    GiveRole { user: String, role: String },
    TakeRole { user: String, role: String },
    Permit { role: String, range: Range, access: Access },
    Withdraw { role: String, range: Range },
    Enable,
    Disable,
}

/// What is to be done, and for whom nothing can be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Users that may not do all that they are permitted, each with the reason in a sentence.
    pub ungranted: Vec<(String, String)>,
}

/// Decides it.
#[must_use]
pub fn plan(wanted: &Wanted, present: &Present) -> Plan {
    if !wanted.enabled {
        // Who may do what is kept: it is asked again when somebody switches it on.
        return Plan { steps: vec![Step::Disable], ungranted: vec![] };
    }
    let mut plan = Plan::default();
    let mut ours = BTreeMap::new();
    for user in &wanted.users {
        match foreign(user, present) {
            Some(why) => plan.ungranted.push((user.name.clone(), why)),
            None => drop(ours.insert(user.name.as_str(), user)),
        }
    }
    root(present, &mut plan.steps);
    surplus(&ours, present, &mut plan.steps);
    for user in ours.values() {
        narrow(user, present, &mut plan.steps);
    }
    for user in ours.values() {
        widen(user, present, &mut plan);
    }
    if plan.steps.is_empty() {
        plan.steps.push(Step::Enable);
    }
    plan
}

/// Why a user cannot be ours.
fn foreign(user: &User, present: &Present) -> Option<String> {
    let there = present.users.contains_key(&user.name) && !present.roles.contains_key(&role(&user.name));
    match user.name.as_str() {
        ROOT => Some("root is etcd's own".into()),
        name if there => Some(format!(
            "a user {name} was made in etcd by somebody else and is left alone: remove it there (etcdctl user delete {name}), or give \
             the EtcdUser another name"
        )),
        _ => None,
    }
}

fn root(present: &Present, steps: &mut Vec<Step>) {
    let has = present.users.get(ROOT);
    if has.is_none() {
        steps.push(Step::AddUser(ROOT.into()));
    }
    if has.is_none_or(|roles| !roles.contains(ROOT)) {
        steps.push(Step::GiveRole { user: ROOT.into(), role: ROOT.into() });
    }
}

/// Users of ours that are not wanted any more.
fn surplus(ours: &BTreeMap<&str, &User>, present: &Present, steps: &mut Vec<Step>) {
    for own in present.roles.keys() {
        let Some(user) = own.strip_prefix(PREFIX).filter(|user| *user != ROOT && !ours.contains_key(user)) else {
            continue;
        };
        if present.users.contains_key(user) {
            steps.push(Step::DropUser(user.to_owned()));
        }
        steps.push(Step::DropRole(own.clone()));
    }
}

/// What a user of ours has and is not to have.
fn narrow(user: &User, present: &Present, steps: &mut Vec<Step>) {
    let own = role(&user.name);
    let roles = given(user, &own);
    for role in present.users.get(&user.name).into_iter().flatten().filter(|role| !roles.contains(role.as_str())) {
        steps.push(Step::TakeRole { user: user.name.clone(), role: role.clone() });
    }
    let permitted = permitted(user);
    for range in
        present.roles.get(&own).into_iter().flat_map(BTreeMap::keys).filter(|range| !permitted.contains_key(range))
    {
        steps.push(Step::Withdraw { role: own.clone(), range: range.clone() });
    }
}

/// What it is to have and has not.
fn widen(user: &User, present: &Present, plan: &mut Plan) {
    let own = role(&user.name);
    let (has, holds) = (present.users.get(&user.name), present.roles.get(&own));
    if holds.is_none() {
        plan.steps.push(Step::AddRole(own.clone()));
    }
    for (range, access) in permitted(user) {
        if holds.and_then(|holds| holds.get(&range)) != Some(&access) {
            plan.steps.push(Step::Permit { role: own.clone(), range, access });
        }
    }
    if has.is_none() {
        plan.steps.push(Step::AddUser(user.name.clone()));
    }
    let mut unknown = vec![];
    for role in given(user, &own) {
        if role != own && role != ROOT && !present.roles.contains_key(role) {
            unknown.push(role);
        } else if has.is_none_or(|has| !has.contains(role)) {
            plan.steps.push(Step::GiveRole { user: user.name.clone(), role: role.to_owned() });
        }
    }
    if !unknown.is_empty() {
        let why = format!("nobody has made a role {} in etcd: it is given when it is there", unknown.join(", "));
        plan.ungranted.push((user.name.clone(), why));
    }
}

/// The roles that a user is to have.
fn given<'a>(user: &'a User, own: &'a str) -> BTreeSet<&'a str> {
    let admin = user.admin.then_some(ROOT);
    user.roles.iter().map(String::as_str).chain(admin).chain([own]).collect()
}

/// What its own role is to permit.
fn permitted(user: &User) -> BTreeMap<Range, Access> {
    let mut all = BTreeMap::new();
    for permission in &user.permissions {
        let Some(range) = Range::of(permission) else { continue };
        all.entry(range)
            .and_modify(|access: &mut Access| *access = access.and(permission.access))
            .or_insert(permission.access);
    }
    all
}

/// What was done last while this member leads.
#[derive(Debug, Clone, Copy)]
pub struct Last<'a> {
    /// Digest of what was wanted.
    pub wanted: &'a str,
    /// Whether it could not be done.
    pub failed: bool,
    pub ago: Duration,
}

/// All that it depends on whether something is done now.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Whether this member leads the cluster that it is to be of.
    pub leads: bool,
    /// Whether nothing of it is under way.
    pub free: bool,
    /// Whether what is wanted is so now.
    pub current: bool,
    /// Digest of what is wanted.
    pub wanted: &'a str,
    pub last: Option<Last<'a>>,
}

/// After something that failed: a member that does not answer, or no quorum.
const AGAIN: Duration = Duration::from_secs(5);
/// Users are looked at so often where nothing else is wanted: people may have changed ours.
const LOOK: Duration = Duration::from_secs(600);

/// Whether etcd's users are to be looked at now.
#[must_use]
pub fn is_due(facts: Facts<'_>) -> bool {
    let Facts { leads, free, current, wanted, last } = facts;
    leads
        && free
        && current
        && last.is_none_or(|last| last.wanted != wanted || last.ago >= if last.failed { AGAIN } else { LOOK })
}

/// The users that are wanted, of what agents are told.
///
/// # Errors
/// With why it is not understood: nothing is done then.
pub fn wanted(enabled: bool, users: &str) -> Result<Wanted, String> {
    let users = if users.is_empty() { Ok(vec![]) } else { auth::users(users) };
    users.map(|users| Wanted { enabled, users }).map_err(|error| format!("who is wanted is not understood: {error}"))
}

#[cfg(test)]
mod tests;
