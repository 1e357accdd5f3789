//! etcd's users and roles: looked at, and changed one step at a time.
//!
//! Each question goes through the log, as each change does: whoever is answered was so by a quorum. So nobody asks
//! without a reason.

use std::collections::BTreeMap;

use etcd_client::{Permission, PermissionType, RoleRevokePermissionOptions, UserAddOptions};
use etcd_operator_shared::{
    api::user::Access,
    auth::{PREFIX, Range},
};

use super::{
    member::{EtcdError, Member, bounded},
    refusal::Refusal,
};
use crate::plan::auth::{Present, Step};

impl Member {
    /// etcd's users and roles. Of roles that are not ours only the names: there may be many.
    pub async fn users(&self) -> Result<Present, EtcdError> {
        let mut client = self.client().await?;
        let mut present = Present::default();
        for user in bounded(client.user_list()).await?.users() {
            let roles = match bounded(client.user_get(user.clone())).await {
                Err(error) if is_gone(&error) => continue,
                said => said?.roles().iter().cloned().collect(),
            };
            present.users.insert(user.clone(), roles);
        }
        for role in bounded(client.role_list()).await?.roles() {
            let permits = match role.starts_with(PREFIX) {
                false => BTreeMap::new(),
                true => match bounded(client.role_get(role.clone())).await {
                    Err(error) if is_gone(&error) => continue,
                    said => said?.permissions().iter().map(permits).collect(),
                },
            };
            present.roles.insert(role.clone(), permits);
        }
        Ok(present)
    }

    /// Whether etcd asks what a client may do: a password that cannot be right is refused for another reason. etcd
    /// writes that into its log.
    pub async fn asks(&self) -> Result<bool, EtcdError> {
        let mut client = self.client().await?.auth_client();
        match bounded(client.authenticate(String::new(), String::new())).await {
            Ok(_) => Ok(true),
            Err(EtcdError::Said(Refusal::AuthOff, _)) => Ok(false),
            Err(EtcdError::Said(Refusal::Auth, _)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Takes one step. One that somebody has taken meanwhile is as good as taken.
    pub async fn take(&self, step: &Step) -> Result<(), EtcdError> {
        let mut client = self.client().await?;
        let outcome = match step.clone() {
            Step::AddUser(user) => {
                bounded(client.user_add(user, "", Some(UserAddOptions::new().with_no_pwd()))).await.map(drop)
            }
            Step::DropUser(user) => bounded(client.user_delete(user)).await.map(drop),
            Step::AddRole(role) => bounded(client.role_add(role)).await.map(drop),
            Step::DropRole(role) => bounded(client.role_delete(role)).await.map(drop),
            Step::GiveRole { user, role } => bounded(client.user_grant_role(user, role)).await.map(drop),
            Step::TakeRole { user, role } => bounded(client.user_revoke_role(user, role)).await.map(drop),
            Step::Permit { role, range: Range { key, end }, access } => {
                let permission = Permission::new(kind(access), key).with_range_end(end);
                bounded(client.role_grant_permission(role, permission)).await.map(drop)
            }
            Step::Withdraw { role, range: Range { key, end } } => {
                let range = RoleRevokePermissionOptions::new().with_range_end(end);
                bounded(client.role_revoke_permission(role, key, Some(range))).await.map(drop)
            }
            Step::Enable => bounded(client.auth_enable()).await.map(drop),
            Step::Disable => bounded(client.auth_disable()).await.map(drop),
        };
        match outcome {
            Err(EtcdError::Said(Refusal::SoAlready, _)) => Ok(()),
            outcome => outcome,
        }
    }
}

/// Whether a user or a role went between two questions.
fn is_gone(error: &EtcdError) -> bool {
    matches!(error, EtcdError::Said(Refusal::SoAlready, _))
}

fn permits(permission: &Permission) -> (Range, Access) {
    let access = match PermissionType::try_from(permission.get_type()) {
        Ok(PermissionType::Read) => Access::Read,
        Ok(PermissionType::Write) => Access::Write,
        Ok(PermissionType::Readwrite) | Err(_) => Access::ReadWrite,
    };
    (Range { key: permission.key().to_vec(), end: permission.range_end().to_vec() }, access)
}

fn kind(access: Access) -> PermissionType {
    match access {
        Access::Read => PermissionType::Read,
        Access::Write => PermissionType::Write,
        Access::ReadWrite => PermissionType::Readwrite,
    }
}
