//! What is done with snapshots, outside the member itself.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use etcd_operator_shared::{
    backup,
    names::{self, env},
};

#[derive(Debug, Subcommand)]
pub enum SnapshotVerb {
    /// Save a snapshot into a file, to standard output, or into the cluster's store
    Save(Save),
    /// List the backups in the cluster's store, the newest first
    List {
        /// Print all that is known of them, as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Say whether a backup was opened by another etcd and found equal to the original
    Verify {
        /// Its name, as `snapshot list` shows it
        name: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Open a backup with this image's etcd, and compare it with the original (a throw-away pod)
    #[command(hide = true)]
    Prove(Prove),
    /// Salvage what the volume of a stopped member holds (a throw-away pod)
    #[command(hide = true)]
    Salvage(Salvage),
    /// Serve one file to the members that begin with it (a throw-away pod)
    #[command(hide = true)]
    Serve(Serve),
}

/// What a snapshot is saved of, and where it goes.
#[derive(Debug, Clone, Parser)]
pub struct Save {
    /// File that it goes to, or - for standard output
    #[arg(conflicts_with = "store")]
    pub file: Option<String>,
    /// Take a backup into the cluster's store, by its spec.backup
    #[arg(long)]
    pub store: bool,
    /// Name of the backup in the store; it is taken only if there is none of this name
    #[arg(long, requires = "store")]
    pub name: Option<String>,
    /// Say what became of it in one line of JSON
    #[arg(long, requires = "store")]
    pub json: bool,
    /// What the member is told of backups, where it is not what stands on the volume
    #[arg(long, requires = "store", hide = true)]
    pub told: Option<String>,
    /// Where another member's etcd may be asked
    #[arg(long, requires = "store", hide = true)]
    pub endpoint: Vec<String>,
    #[command(flatten)]
    pub whose: Whose,
}

/// Whose etcd and whose backups: what the coordinator's pod template says to the agent's container.
#[derive(Debug, Clone, Parser)]
pub struct Whose {
    #[arg(long, env = env::POD_NAME, hide = true)]
    pub member: String,
    #[arg(long, env = env::POD_NAMESPACE, hide = true)]
    pub namespace: String,
    #[arg(long, env = env::CLUSTER_NAME, hide = true)]
    pub cluster: String,
    #[arg(long, env = env::CLUSTER_UID, hide = true)]
    pub cluster_uid: String,
    #[arg(long, env = env::INCARNATION, hide = true)]
    pub incarnation: i64,
    #[arg(long, env = env::CLUSTER_ID, hide = true)]
    pub cluster_id: String,
    /// Whether traffic with clients is encrypted
    #[arg(long, env = env::CLIENT_TLS, hide = true)]
    pub client_tls: bool,
    #[arg(long, default_value = names::VOLUME_DIR, hide = true)]
    pub volume: PathBuf,
    /// Where what etcd serves with is exposed
    #[arg(long, default_value = names::TLS_DIR, hide = true)]
    pub tls: PathBuf,
    /// Where the Secret with the store's credentials is mounted
    #[arg(long, default_value = backup::CREDENTIALS_DIR, hide = true)]
    pub credentials: PathBuf,
}

/// What the coordinator's throw-away pod says to a proof.
#[derive(Debug, Clone, Parser)]
pub struct Prove {
    /// What is asked, as JSON
    #[arg(long, env = backup::QUESTION)]
    pub question: String,
    #[arg(long, default_value = names::VOLUME_DIR)]
    pub volume: PathBuf,
    #[arg(long, default_value = backup::CREDENTIALS_DIR)]
    pub credentials: PathBuf,
}

/// Whose volume is read.
#[derive(Debug, Clone, Parser)]
pub struct Salvage {
    #[arg(long, env = env::POD_NAME)]
    pub member: String,
    #[arg(long, env = env::POD_NAMESPACE)]
    pub namespace: String,
    #[arg(long, env = env::CLUSTER_NAME)]
    pub cluster: String,
    #[arg(long, env = env::CLUSTER_UID)]
    pub cluster_uid: String,
    #[arg(long, env = env::INCARNATION)]
    pub incarnation: i64,
    /// Where the volume is
    #[arg(long, default_value = backup::SALVAGED_DIR)]
    pub volume: PathBuf,
    /// Where there is room for a copy
    #[arg(long, default_value = names::VOLUME_DIR)]
    pub scratch: PathBuf,
}

/// What the coordinator's pod says to a server of bytes.
#[derive(Debug, Clone, Parser)]
pub struct Serve {
    /// The file
    #[arg(long, default_value_os_t = PathBuf::from(names::VOLUME_DIR).join("snapshot.db"))]
    pub file: PathBuf,
    /// Its digest, where only that is right: SHA-256 in hexadecimal
    #[arg(long, env = "SNAPSHOT_DIGEST")]
    pub digest: Option<String>,
    /// Whether traffic between members is encrypted
    #[arg(long, env = env::PEER_TLS)]
    pub peer_tls: bool,
    /// Certificates of the authorities of members, PEM: who shows one of theirs is a member
    #[arg(long, env = env::PEER_AUTHORITY, default_value = "", hide_env_values = true)]
    pub peer_authority: String,
    /// What is logged, in the syntax of RUST_LOG
    #[arg(long, env = "ETCD_AGENT_LOG", default_value = "info")]
    pub log: String,
}
