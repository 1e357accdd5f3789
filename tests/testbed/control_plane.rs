//! The control plane's programs with their arguments: etcd, API server, controller manager, scheduler, and CoreDNS
//! twice.
//!
//! Settings are those of a stock cluster, except where one machine forces another: the store does not fsync (it is
//! not what is tested), and there is no leader election among single programs.

use crate::daemon::Daemon;
use crate::layout::{CONTROL_PLANE_IP, CONTROL_PLANE_NETNS, Layout, SERVICE_CIDR, UNCACHED_DNS_IP};
use crate::toolchain::Toolchain;
use anyhow::Result;
use std::fs;
use std::path::Path;

/// The names of the control plane's daemons, for fault handles.
pub const STORE: &str = "etcd";
pub const API_SERVER: &str = "kube-apiserver";
pub const CONTROLLER_MANAGER: &str = "kube-controller-manager";
pub const SCHEDULER: &str = "kube-scheduler";

/// All but those that nothing here touches. The manager starts them at three requests each with 20 requests a second,
/// which its clients share: each costs 0.15 s of the boot. Its rates stay as they are, because they are part of what
/// is measured.
const NEEDED_CONTROLLERS: &str = "*,-certificatesigningrequest-cleaner-controller,-endpointslice-mirroring-controller,\
    -ephemeral-volume-controller,-horizontal-pod-autoscaler-controller,-legacy-serviceaccount-token-cleaner-controller,\
    -replicationcontroller-controller,-resourceclaim-controller,-service-cidr-controller,-ttl-controller,\
    -validatingadmissionpolicy-status-controller,-volumeattributesclass-protection-controller";

/// The API server's own etcd.
#[must_use]
pub fn store(layout: &Layout, tools: &Toolchain) -> Daemon {
    let data = layout.root().join("etcd");
    daemon(
        STORE,
        tools.store(),
        &format!(
            "--data-dir={} --listen-client-urls=http://127.0.0.1:2379 --advertise-client-urls=http://127.0.0.1:2379 \
             --listen-peer-urls=http://127.0.0.1:2380 --unsafe-no-fsync",
            data.display()
        ),
    )
}

#[must_use]
pub fn api_server(layout: &Layout, tools: &Toolchain) -> Daemon {
    let pki = layout.pki();
    let pki = pki.display();
    daemon(
        API_SERVER,
        &tools.kubernetes,
        &format!(
            "--etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --advertise-address={CONTROL_PLANE_IP} --secure-port=6443 \
             --tls-cert-file={pki}/apiserver.crt --tls-private-key-file={pki}/apiserver.key --client-ca-file={pki}/ca.crt \
             --service-account-key-file={pki}/sa.pub --service-account-signing-key-file={pki}/sa.key \
             --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-cluster-ip-range={SERVICE_CIDR} \
             --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
             --kubelet-client-certificate={pki}/admin.crt --kubelet-client-key={pki}/admin.key \
             --kubelet-certificate-authority={pki}/ca.crt --kubelet-preferred-address-types=InternalIP \
             --requestheader-client-ca-file={pki}/ca.crt --endpoint-reconciler-type=lease"
        ),
    )
}

#[must_use]
pub fn controller_manager(layout: &Layout, tools: &Toolchain) -> Daemon {
    let kubeconfig = layout.kubeconfig_of("controller-manager");
    let kubeconfig = kubeconfig.display();
    let pki = layout.pki();
    let pki = pki.display();
    daemon(
        CONTROLLER_MANAGER,
        &tools.kubernetes,
        &format!(
            "--kubeconfig={kubeconfig} --authentication-kubeconfig={kubeconfig} --authorization-kubeconfig={kubeconfig} \
             --service-account-private-key-file={pki}/sa.key --root-ca-file={pki}/ca.crt --use-service-account-credentials \
             --cluster-signing-cert-file={pki}/ca.crt --cluster-signing-key-file={pki}/ca.key \
             --leader-elect=false --flex-volume-plugin-dir={} --controllers={NEEDED_CONTROLLERS}",
            layout.volume_plugins().display()
        ),
    )
}

#[must_use]
pub fn scheduler(layout: &Layout, tools: &Toolchain) -> Daemon {
    let kubeconfig = layout.kubeconfig_of("scheduler");
    let kubeconfig = kubeconfig.display();
    daemon(
        SCHEDULER,
        &tools.kubernetes,
        &format!(
            "--kubeconfig={kubeconfig} --authentication-kubeconfig={kubeconfig} --authorization-kubeconfig={kubeconfig} --leader-elect=false"
        ),
    )
}

/// CoreDNS as kubeadm sets it up (a name asked for too early stays absent for 30 s), and one that forgets at once.
/// Nothing is asked of the world outside: any other name does not exist, as an upstream server would say.
///
/// # Errors
/// When a Corefile cannot be written.
pub fn name_servers(layout: &Layout, tools: &Toolchain) -> Result<[Daemon; 2]> {
    let kubeconfig = layout.kubeconfig();
    let corefile = |address: String, ttl: u32, plugins: &str| {
        format!(
            r"cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {{
  bind {address}
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {} testbed
    pods insecure
    ttl {ttl}
  }}
{plugins}}}
.:53 {{
  bind {address}
  template ANY ANY . {{
    rcode NXDOMAIN
  }}
}}
",
            kubeconfig.display()
        )
    };
    let stock = corefile(
        CONTROL_PLANE_IP.to_string(),
        30,
        "  health {\n    lameduck 5s\n  }\n  ready\n  cache 30\n  loadbalance\n",
    );
    let uncached = corefile(UNCACHED_DNS_IP.to_string(), 1, "  ready :8182\n");
    let server = |name: &str, text: String| -> Result<Daemon> {
        let file = layout.root().join(format!("{name}.Corefile"));
        fs::write(&file, text)?;
        let program = tools.coredns.join("coredns").display().to_string();
        let file = file.display().to_string();
        Ok(Daemon::new(name, CONTROL_PLANE_NETNS, vec![program, "-conf".to_owned(), file]))
    };
    Ok([server("coredns", stock)?, server("coredns-uncached", uncached)?])
}

/// Makes PersistentVolumes: this program itself, under a name that stays when the clone is built anew.
#[must_use]
pub fn provisioner(layout: &Layout) -> Daemon {
    let program = layout.bin().join("testbed").display().to_string();
    Daemon::new("provisioner", CONTROL_PLANE_NETNS, vec![program, "provisioner".to_owned()])
}

fn daemon(name: &str, folder: &Path, flags: &str) -> Daemon {
    let mut argv = vec![folder.join(name).display().to_string()];
    argv.extend(flags.split_whitespace().map(str::to_owned));
    Daemon::new(name, CONTROL_PLANE_NETNS, argv)
}
