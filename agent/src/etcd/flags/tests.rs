//! What etcd's command line says, and must not say.

use super::*;
use etcd_operator_shared::{api::EtcdOptions, validate};

fn whose(version: &str) -> Whose<'static> {
    Whose {
        namespace: "ns",
        cluster: "demo",
        member: "demo-1",
        version: version.parse().unwrap(),
        data_dir: Path::new("/var/lib/etcd/data"),
        listen: "[::]",
        tls: Tls::default(),
    }
}

fn flags(version: &str, entry: &Entry<'_>) -> Vec<String> {
    arguments(&whose(version), &validate::options(&EtcdOptions::default()).unwrap(), entry)
}

#[test]
fn a_forming_cluster_names_its_members_and_its_token() {
    let members = ["demo-0".to_owned(), "demo-1".to_owned()];
    let flags = flags("v3.5.21", &Entry::New { members: &members, token: "ns/demo/u/1" });
    assert!(flags.contains(&"--initial-cluster-state=new".into()));
    assert!(
        flags.contains(
            &"--initial-cluster=demo-0=http://demo-0.demo-peer.ns.svc:2380,demo-1=http://demo-1.demo-peer.ns.svc:2380"
                .into()
        )
    );
    assert!(flags.contains(&"--initial-cluster-token=ns/demo/u/1".into()));
}

#[test]
fn a_learner_names_every_member_and_joins_what_exists() {
    let members = ["demo-0".to_owned(), "http://10.0.0.9:2380".to_owned(), "demo-1".to_owned()];
    let flags = flags("v3.5.21", &Entry::Added { members: &members });
    assert!(flags.contains(&"--initial-cluster-state=existing".into()));
    let list = flags.iter().find(|f| f.starts_with("--initial-cluster=")).unwrap();
    assert!(list.contains("stranger=http://10.0.0.9:2380,demo-1=http://demo-1."), "{list}");
}

#[test]
fn a_member_with_data_is_never_started_as_new() {
    assert!(!flags("v3.5.21", &Entry::OnDisk).iter().any(|f| f.contains("=new")));
}

#[test]
fn the_line_for_later_starts_is_the_same_however_the_member_came_to_its_cluster() {
    let members = ["demo-0".to_owned(), "demo-1".to_owned()];
    for entry in [Entry::New { members: &members, token: "t" }, Entry::Added { members: &members }, Entry::OnDisk] {
        let lines = lines(&whose("v3.5.21"), &validate::options(&EtcdOptions::default()).unwrap(), &entry);
        assert_eq!(lines.now, flags("v3.5.21", &entry));
        assert_eq!(lines.again, flags("v3.5.21", &Entry::OnDisk));
    }
}

#[test]
fn it_listens_on_every_address_that_the_machine_has() {
    for listen in ["[::]", "0.0.0.0"] {
        let whose = Whose { listen, ..whose("v3.5.21") };
        let flags = arguments(&whose, &validate::options(&EtcdOptions::default()).unwrap(), &Entry::OnDisk);
        let urls: Vec<_> = flags.iter().filter(|flag| flag.starts_with("--listen-")).collect();
        assert!(urls.len() == 3 && urls.iter().all(|url| url.contains(&format!("=http://{listen}:"))), "{urls:?}");
    }
}

#[test]
fn no_experimental_flag_reaches_3_7() {
    let tls = encrypted();
    let options = validate::options(&EtcdOptions::default()).unwrap();
    let flags = arguments(&Whose { tls, ..whose("v3.7.3") }, &options, &Entry::OnDisk);
    assert!(!flags.iter().any(|f| f.contains("experimental")), "{flags:?}");
}

fn encrypted() -> Tls<'static> {
    let (peer, client) = (Some(Path::new("/tls/peer-ca-1.pem")), Some(Path::new("/tls/client-ca-1.pem")));
    Tls { folder: Some(Path::new("/tls")), peer, client, revoked: Some(Path::new("/tls/client-revoked.crl")) }
}

#[test]
fn whose_traffic_is_encrypted_lets_nobody_in_without_a_certificate_and_only_metrics_are_plain() {
    let options = validate::options(&EtcdOptions::default()).unwrap();
    for version in ["v3.5.21", "v3.6.16", "v3.7.3"] {
        let whose = Whose { tls: encrypted(), ..whose(version) };
        let flags = arguments(&whose, &options, &Entry::OnDisk);
        let list = "--client-crl-file=/tls/client-revoked.crl";
        for needed in ["--client-cert-auth=true", "--peer-client-cert-auth=true", list] {
            assert!(flags.iter().any(|flag| flag == needed), "{needed}: {flags:?}");
        }
        let plain: Vec<_> = flags.iter().filter(|flag| flag.contains("http://")).collect();
        assert_eq!(plain, ["--listen-metrics-urls=http://[::]:2381"]);
    }
}
