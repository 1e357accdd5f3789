//! Certificates, keys and kubeconfigs: one CA signs for everybody, as in a cluster made by kubeadm (which has three).

use crate::layout::{CONTROL_PLANE_IP, Layout, Node};
use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};

/// The control plane's users besides the nodes: file name and the name RBAC knows.
const USERS: [(&str, &str); 3] = [
    ("controller-manager", "system:kube-controller-manager"),
    ("scheduler", "system:kube-scheduler"),
    ("proxy", "system:kube-proxy"),
];

/// Writes every file of the cluster's trust below `layout.pki()`.
///
/// # Errors
/// When a file cannot be written.
pub fn create(layout: &Layout, nodes: usize) -> Result<()> {
    let authority = Authority::create(layout.pki())?;
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ];
    let mut names: Vec<String> = names.map(str::to_owned).into();
    names.extend([CONTROL_PLANE_IP.to_string(), "10.96.0.1".to_owned(), "127.0.0.1".to_owned()]);
    authority.sign("apiserver", "kube-apiserver", None, names)?;
    authority.sign("admin", "admin", Some("system:masters"), vec![])?;
    authority.kubeconfig(layout, "admin")?;
    for (file, user) in USERS {
        authority.sign(file, user, None, vec![])?;
        authority.kubeconfig(layout, file)?;
    }
    for node in Node::all(nodes) {
        let name = node.to_string();
        let names = vec![name.clone(), node.ip().to_string()];
        authority.sign(&name, &format!("system:node:{node}"), Some("system:nodes"), names)?;
        authority.kubeconfig(layout, &name)?;
    }
    authority.service_account_key()
}

struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn create(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "etcd-testbed");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.not_after = date_time_ymd(2100, 1, 1);
        let key = KeyPair::generate()?;
        write(&folder.join("ca.crt"), &params.self_signed(&key)?.pem())?;
        write(&folder.join("ca.key"), &key.serialize_pem())?;
        Ok(Self { folder, issuer: Issuer::new(params, key) })
    }

    /// Writes `<file>.crt` and `<file>.key`, good as a server under `names` and as the client `user` of `group`.
    fn sign(&self, file: &str, user: &str, group: Option<&str>, names: Vec<String>) -> Result<()> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_after = date_time_ymd(2100, 1, 1);
        let key = KeyPair::generate()?;
        write(&self.folder.join(format!("{file}.crt")), &params.signed_by(&key, &self.issuer)?.pem())?;
        write(&self.folder.join(format!("{file}.key")), &key.serialize_pem())
    }

    /// The key that signs ServiceAccount tokens, and its public half that proves them.
    fn service_account_key(&self) -> Result<()> {
        let key = KeyPair::generate()?;
        write(&self.folder.join("sa.key"), &key.serialize_pem())?;
        write(&self.folder.join("sa.pub"), &key.public_key_pem())
    }

    fn kubeconfig(&self, layout: &Layout, who: &str) -> Result<()> {
        let file = |name: String| self.folder.join(name);
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {
                "server": format!("https://{CONTROL_PLANE_IP}:6443"),
                "certificate-authority": file("ca.crt".to_owned()),
            }}],
            "users": [{"name": who, "user": {
                "client-certificate": file(format!("{who}.crt")),
                "client-key": file(format!("{who}.key")),
            }}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": who}}],
            "current-context": "testbed",
        });
        write(&layout.kubeconfig_of(who), &serde_json::to_string_pretty(&config)?)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {}", path.display()))
}
