//! The file that is mounted over the etcd container's `/etc/hosts`.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use etcd_operator_shared::names::peer_host;

/// What the file shall say: what kubelet wrote into this container's own, and a line for each address.
#[must_use]
pub fn text(kubelets: &str, addresses: &[(String, String)], cluster: &str, namespace: &str) -> String {
    let mut text = kubelets.trim_end().to_owned();
    text.push_str("\n# members of the cluster, kept by etcd-agent\n");
    for (member, address) in addresses {
        text.push_str(&format!("{address}\t{}\n", peer_host(member, cluster, namespace)));
    }
    text
}

/// Writes in place, because the mount holds the inode: one write of less than a page, then the cut. A reader between the
/// two sees a longer tail of old lines, never a torn line in front.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_stays_the_same_inode() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hosts");
        write(&path, "127.0.0.1 localhost\n10.0.0.1 a-long-name\n").unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        write(&path, "127.0.0.1 localhost\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "127.0.0.1 localhost\n");
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    }

    #[test]
    fn each_member_has_the_name_that_its_peer_url_has() {
        let text = text("127.0.0.1 localhost\n", &[("demo-1".into(), "10.0.0.2".into())], "demo", "ns");
        assert!(text.ends_with("10.0.0.2\tdemo-1.demo-peer.ns.svc\n"), "{text}");
    }
}
