//! Makes etcd's users what they are to be, all at once and one at a time: looks, takes the steps, and looks again.

use std::time::Duration;

use etcd_operator_shared::api::member::{AuthStatus, Ungranted};
use tracing::{info, warn};

use super::{lane::Lane, upkeep::Door};
use crate::{
    crash,
    etcd::member::EtcdError,
    plan::auth::{Plan, Step, Wanted, plan},
};

/// Looks until nothing is left to do: two are enough, unless somebody else changes users meanwhile.
const LOOKS: usize = 4;
/// Words of a status are not longer.
const BRIEF: usize = 1024;
/// As many users are told of.
const TOLD: usize = 64;
/// All steps of one time: a user takes a handful, each some milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to be done.
pub(in crate::sidecar) struct Task {
    /// Digest of what is wanted.
    pub digest: String,
    pub wanted: Wanted,
    pub own: Door,
    pub others: Vec<Door>,
    /// Members on etcd's list.
    pub members: usize,
}

pub(in crate::sidecar) struct Users {
    lane: Lane<AuthStatus>,
}

impl Users {
    pub(in crate::sidecar) fn new() -> Self {
        Self { lane: Lane::new() }
    }

    pub(in crate::sidecar) fn is_free(&self) -> bool {
        !self.lane.is_busy()
    }

    pub(in crate::sidecar) fn begin(&mut self, task: Task) {
        self.lane.begin(perform(task));
    }

    /// What came of it; pends while there is nothing. Cancel-safe.
    pub(in crate::sidecar) async fn ended(&mut self) -> AuthStatus {
        self.lane.ended().await
    }
}

async fn perform(task: Task) -> AuthStatus {
    let mut status = AuthStatus { wanted: task.digest.clone(), ..AuthStatus::default() };
    let trouble = match tokio::time::timeout(PATIENCE, settle(&task, &mut status)).await {
        Ok(Ok(())) => return status,
        Ok(Err(trouble)) => trouble,
        Err(_) => format!("it is not done after {} s", PATIENCE.as_secs()),
    };
    warn!(trouble, "etcd's users are not what they are to be; it is tried again");
    status.trouble = Some(trouble.chars().take(BRIEF / 4).collect());
    status
}

async fn settle(task: &Task, status: &mut AuthStatus) -> Result<(), String> {
    let Task { wanted, own, .. } = task;
    let words = |error: EtcdError| error.to_string();
    // What is known if nothing else comes of it.
    status.enabled = own.etcd.asks().await.map_err(words)?;
    if !wanted.enabled {
        if status.enabled {
            take(own, &Step::Disable).await.map_err(words)?;
        }
        status.enabled = false;
        return Ok(());
    }
    for _ in 0..LOOKS {
        let present = own.etcd.users().await.map_err(words)?;
        let Plan { steps, ungranted } = plan(wanted, &present);
        status.ungranted = ungranted.into_iter().take(TOLD).map(told).collect();
        if steps == [Step::Enable] {
            if !status.enabled {
                prove(task).await?;
                take(own, &Step::Enable).await.map_err(words)?;
                status.enabled = true;
            }
            return Ok(());
        }
        for step in &steps {
            take(own, step).await.map_err(words)?;
        }
    }
    Err("somebody else changes etcd's users all the time".into())
}

async fn take(own: &Door, step: &Step) -> Result<(), EtcdError> {
    crash::point("before-auth-step");
    own.etcd.take(step).await?;
    crash::point("after-auth-step");
    info!(?step, "etcd's users");
    Ok(())
}

/// Whether every member lets in who has CN=root, by certificates that its agent has checked to be root's too: once etcd
/// asks, nobody else may do anything there.
async fn prove(Task { own, others, members, .. }: &Task) -> Result<(), String> {
    for door in std::iter::once(own).chain(others) {
        let said = door.etcd.status().await;
        let waits =
            |why: String| format!("etcd asks nobody before every member was heard as root, and {}: {why}", door.member);
        let said = said.map_err(|error| waits(error.to_string()))?;
        if said.member_id != door.id {
            return Err(waits(format!("its address is member {}'s now", said.member_id)));
        }
    }
    if others.len() + 1 < *members {
        return Err(
            "etcd asks nobody before every member was heard as root, and the address of one is not known".into()
        );
    }
    Ok(())
}

fn told((user, why): (String, String)) -> Ungranted {
    Ungranted { user, why }
}
