//! etcdutl's command line to make a data directory of a snapshot: under the IDs that etcd would give the same founders.
//!
//! Source: etcd `etcdutl/etcdutl/snapshot_command.go` of 3.5, 3.6 and 3.7, which have these flags alike.

use std::path::Path;

use super::{Whose, advertised, flag, founding};

/// All of etcdutl's arguments: `whose` data directory is made of `file`, for a cluster of these founders. There must
/// be none yet. `bump`: by how much its revision is raised; all before is compacted then, so that who watches is told.
#[must_use]
pub fn restore(whose: &Whose<'_>, file: &Path, members: &[String], token: &str, bump: u64) -> Vec<String> {
    let head = ["snapshot".to_owned(), "restore".to_owned(), file.display().to_string()];
    let own = [
        flag("name", whose.member),
        flag("initial-advertise-peer-urls", advertised(whose, whose.member)),
        flag("data-dir", whose.data_dir.display()),
    ];
    let raised = (bump > 0).then(|| [flag("bump-revision", bump), flag("mark-compacted", true)]);
    let raised = raised.into_iter().flatten();
    head.into_iter().chain(own).chain(founding(whose, members, token)).chain(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::flags::{Entry, Tls, arguments};
    use etcd_operator_shared::{api::EtcdOptions, validate};

    #[test]
    fn the_ids_that_result_are_those_of_the_same_founders_who_begin_empty() {
        let members = ["demo-0".to_owned(), "demo-1".to_owned()];
        let pool = Path::new("/tls/peer-ca-1.pem");
        for peer in [None, Some(pool)] {
            let tls = Tls { peer, ..Tls::default() };
            let whose = |data_dir| Whose {
                namespace: "ns",
                cluster: "demo",
                member: "demo-1",
                version: "v3.6.16".parse().unwrap(),
                data_dir,
                listen: "[::]",
                tls,
            };
            let restored =
                restore(&whose(Path::new("/v/restore/data")), Path::new("/v/s.db"), &members, "ns/demo/u/1", 0);
            assert_eq!(restored[..3], ["snapshot", "restore", "/v/s.db"]);
            let options = validate::options(&EtcdOptions::default()).unwrap();
            let entry = Entry::New { members: &members, token: "ns/demo/u/1" };
            let begun = arguments(&whose(Path::new("/v/data")), &options, &entry);
            let ids = ["--name=", "--initial-cluster=", "--initial-cluster-token=", "--initial-advertise-peer-urls="];
            for id in ids {
                let of = |args: &[String]| args.iter().find(|arg| arg.starts_with(id)).cloned().unwrap();
                assert_eq!(of(&restored), of(&begun));
            }
            assert!(restored.contains(&"--data-dir=/v/restore/data".into()));
            assert!(!restored.iter().any(|arg| arg.starts_with("--bump-revision")), "revisions go on as they were");
        }
    }
}
