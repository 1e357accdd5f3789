//! What the e2e tests play (`tests/e2e/documentation.rs`): pages, in an order in which a reader could read them.

/// Pages that are played one after the other in one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Story {
    pub name: &'static str,
    /// Examples that are there, and Ready, before the first page: what the pages say that they begin with.
    pub begins_with: &'static [&'static str],
    pub pages: &'static [&'static str],
}

pub const FIRST_CLUSTER: Story =
    Story { name: "first_cluster", begins_with: &[], pages: &["tutorials/first-cluster.md"] };
pub const BACKUPS: Story = Story {
    name: "backups",
    begins_with: &[],
    pages: &["tutorials/backup-and-restore.md", "how-to/back-up.md", "how-to/restore.md"],
};
pub const ENCRYPTION: Story =
    Story { name: "encryption", begins_with: &[], pages: &["tutorials/encryption.md", "how-to/move-in.md"] };
pub const CHANGES: Story = Story {
    name: "changes",
    begins_with: &["three.yaml"],
    pages: &[
        "how-to/look.md",
        "how-to/change-options.md",
        "how-to/full-database.md",
        "how-to/rest.md",
        "how-to/upgrade-etcd.md",
        "how-to/grow-volumes.md",
        "how-to/scale.md",
    ],
};
pub const RECOVERY: Story = Story {
    name: "recovery",
    begins_with: &["three.yaml"],
    pages: &["how-to/recover.md", "how-to/delete-and-adopt.md"],
};

/// All of them.
pub const ALL: [Story; 5] = [FIRST_CLUSTER, BACKUPS, ENCRYPTION, CHANGES, RECOVERY];
