//! Everything that a member's traffic is encrypted with, as one value: kept in one file, exposed in several.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use etcd_operator_shared::{
    api::member::Issued,
    names::{TLS_CLIENT_CA, TLS_PEER, TLS_REVOKED, TLS_ROOT, TLS_SERVER},
};
use jiff::Timestamp;
use rustls::pki_types::{CertificateRevocationListDer, pem::PemObject};
use serde::{Deserialize, Serialize};

use super::key::hex;

/// The file that holds one, on the volume and in memory.
pub const FILE: &str = "certificates.json";

/// A key, and the certificates for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// UID of the cluster and name of the member that it was issued for.
    pub cluster_uid: String,
    pub member: String,
    /// The private key, PEM.
    pub key: String,
    pub issued: Issued,
    /// Whom the member was to believe before, if others: an etcd that was not started since goes on believing them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Trust>,
    /// When the certificates were taken into use.
    pub taken: Timestamp,
    /// When the first of them ends.
    pub not_after: Timestamp,
}

/// Authorities, PEM; none where that traffic is plain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trust {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

impl Trust {
    /// What was issued says to believe these.
    #[must_use]
    pub fn of(issued: &Issued) -> Self {
        let (peer, client) = (issued.peer.as_ref(), issued.client.as_ref());
        Self { peer: peer.map(|one| one.trust.clone()), client: client.map(|one| one.trust.clone()) }
    }
}

/// Without the key: it belongs in no log.
impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cluster_uid: _, member, key: _, issued, before: _, taken, not_after } = self;
        let shown = (member, &issued.key, taken, not_after);
        f.debug_tuple("Bundle").field(&shown).finish()
    }
}

/// The files of authorities that etcd is told to believe. They are named by what they hold: etcd reads them once, when it starts, so
/// its arguments say whom a process believes. What is revoked it reads at each handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pools {
    pub peer: Option<PathBuf>,
    pub client: Option<PathBuf>,
    /// Certificates of clients that are not let in any more.
    pub revoked: Option<PathBuf>,
}

/// That etcd was told where the list of revoked certificates is, in the folder that goes with the pod: one that was
/// started by an agent, or an order, of before does not look at any list.
const ORDERED: &str = "client-revoked.ordered";

/// Notes whether etcd is about to be told of a list.
///
/// # Errors
/// When the folder does not take it.
pub fn note_order(folder: &Path, told: bool) -> io::Result<()> {
    match (told, fs::remove_file(folder.join(ORDERED))) {
        (true, _) => replace(folder, ORDERED, b""),
        (false, Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        (false, _) => Ok(()),
    }
}

/// Whether the etcd of this pod goes by a list.
#[must_use]
pub fn is_ordered(folder: &Path) -> bool {
    folder.join(ORDERED).exists()
}

impl Bundle {
    /// The one in this folder, or `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn read(folder: &Path) -> io::Result<Option<Self>> {
        match fs::read(folder.join(FILE)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As it is kept.
    ///
    /// # Errors
    /// Never: all of it is text.
    pub fn text(&self) -> io::Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Writes what etcd reads, and the bundle itself, into this folder. Each file is replaced whole.
    ///
    /// # Errors
    /// When the folder does not take it.
    pub fn expose(&self, folder: &Path) -> io::Result<()> {
        for (name, content) in self.files()? {
            replace(folder, &name, &content)?;
        }
        Ok(())
    }

    /// Whether all of it is in this folder.
    #[must_use]
    pub fn is_exposed(&self, folder: &Path) -> bool {
        self.files().is_ok_and(|files| files.iter().all(|(name, _)| folder.join(name).exists()))
    }

    /// The pools, before the pairs that are judged by them.
    fn files(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let Issued { key: _, names: _, peer, client } = &self.issued;
        let pair = |chain: &str| format!("{}{chain}", self.key).into_bytes();
        let mut files = Vec::new();
        if let Some(peer) = peer {
            files.push((pool("peer", &peer.trust), peer.trust.clone().into_bytes()));
            files.push((TLS_PEER.to_owned(), pair(&peer.chain)));
        }
        if let Some(client) = client {
            files.push((pool("client", &client.trust), client.trust.clone().into_bytes()));
            files.push((TLS_CLIENT_CA.to_owned(), client.trust.clone().into_bytes()));
            files.push((TLS_SERVER.to_owned(), pair(&client.server)));
            files.push((TLS_ROOT.to_owned(), pair(&client.root)));
            if let Some(revoked) = &client.revoked {
                // etcd 3.6 takes no PEM here. Source: `client/pkg/transport/listener_tls.go`, `checkCRL`.
                let list = CertificateRevocationListDer::from_pem_slice(revoked.list.as_bytes());
                let list = list.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                files.push((TLS_REVOKED.to_owned(), list.to_vec()));
            }
        }
        // An etcd that was not started since is started by its launcher with these.
        let Trust { peer, client } = self.before.clone().unwrap_or_default();
        let former =
            [("peer", peer), ("client", client)].into_iter().filter_map(|(whose, trust)| Some((whose, trust?)));
        files.extend(former.map(|(whose, trust)| (pool(whose, &trust), trust.into_bytes())));
        files.push((FILE.to_owned(), self.text()?));
        Ok(files)
    }

    /// Where the authorities are that etcd is to believe.
    #[must_use]
    pub fn pools(&self, folder: &Path) -> Pools {
        let Issued { key: _, names: _, peer, client } = &self.issued;
        Pools {
            peer: peer.as_ref().map(|peer| folder.join(pool("peer", &peer.trust))),
            client: client.as_ref().map(|client| folder.join(pool("client", &client.trust))),
            revoked: client.as_ref().and_then(|client| client.revoked.as_ref()).map(|_| folder.join(TLS_REVOKED)),
        }
    }

    /// Number of the list of revoked certificates, where there is one.
    #[must_use]
    pub fn list(&self) -> Option<i64> {
        Some(self.issued.client.as_ref()?.revoked.as_ref()?.number)
    }
}

fn pool(whose: &str, trust: &str) -> String {
    format!("{whose}-ca-{}.pem", &hex(trust.as_bytes())[..16])
}

/// Beside, and renamed: who reads finds the old or the new file, whole. Only its owner may read it, since it may hold a key.
fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let beside = folder.join(format!("{name}.new"));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    fs::rename(beside, folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::check::tests::{authority, bundle, revoking};
    use rcgen::SerialNumber;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_exposed_is_read_back_and_only_its_owner_may_read_it() {
        let (folder, bundle) = (tempfile::tempdir().unwrap(), bundle(&authority(), 60));
        assert!(Bundle::read(folder.path()).unwrap().is_none() && !bundle.is_exposed(folder.path()));
        bundle.expose(folder.path()).unwrap();
        assert_eq!(Bundle::read(folder.path()).unwrap().as_ref(), Some(&bundle));
        assert!(bundle.is_exposed(folder.path()));
        for file in fs::read_dir(folder.path()).unwrap() {
            assert_eq!(file.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::remove_file(folder.path().join(TLS_PEER)).unwrap();
        assert!(!bundle.is_exposed(folder.path()), "one that is missing is noticed");
    }

    #[test]
    fn pools_of_other_authorities_have_other_names() {
        let folder = Path::new("/tls");
        let (one, other) = (bundle(&authority(), 60).pools(folder), bundle(&authority(), 60).pools(folder));
        assert!(one.peer != other.peer && one.client != other.client && one.peer.is_some() && one.client.is_some());
    }

    #[test]
    fn etcd_is_told_of_a_list_that_is_there_and_finds_the_next_one_in_the_same_place() {
        let (folder, authority) = (tempfile::tempdir().unwrap(), authority());
        let mut bundle = bundle(&authority, 60);
        bundle.expose(folder.path()).unwrap();
        let (place, revoked) = (bundle.pools(folder.path()).revoked.unwrap(), [SerialNumber::from(7)]);
        let before = fs::read(&place).unwrap();
        assert!(before.starts_with(&[0x30]), "DER");
        bundle.issued.client.as_mut().unwrap().revoked = Some(revoking(&authority, 2, &revoked));
        bundle.expose(folder.path()).unwrap();
        assert_eq!((bundle.pools(folder.path()).revoked.as_ref(), bundle.list()), (Some(&place), Some(2)));
        assert_ne!(fs::read(&place).unwrap(), before);
        fs::remove_file(place).unwrap();
        assert!(!bundle.is_exposed(folder.path()), "one that is missing is noticed");
        bundle.issued.client.as_mut().unwrap().revoked = None;
        assert_eq!((bundle.pools(folder.path()).revoked, bundle.list()), (None, None));
    }

    #[test]
    fn whether_etcd_goes_by_a_list_is_known_to_the_next_agent() {
        let folder = tempfile::tempdir().unwrap();
        let ordered = |told| {
            note_order(folder.path(), told).unwrap();
            is_ordered(folder.path())
        };
        assert_eq!(
            (is_ordered(folder.path()), ordered(false), ordered(true), ordered(false)),
            (false, false, true, false)
        );
    }

    #[test]
    fn a_key_stands_in_no_log() {
        let bundle = bundle(&authority(), 60);
        let secret = bundle.key.lines().nth(1).unwrap();
        assert!(!format!("{bundle:?}").contains(secret));
    }
}
