//! A node's programs with their configuration: containerd, kubelet and kube-proxy, which share the node's network
//! namespace.

use crate::daemon::Daemon;
use crate::layout::{CONTROL_PLANE_IP, Layout, Node, POD_CIDR};
use crate::toolchain::Toolchain;
use anyhow::{Result, bail};
use serde_json::json;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// The image of every pod's first process.
pub const PAUSE_IMAGE: &str = "localhost/pause:1";

/// The daemons of a node in the order they start.
#[must_use]
pub fn daemon_names(node: Node) -> [String; 3] {
    [format!("containerd-{node}"), format!("kubelet-{node}"), format!("kube-proxy-{node}")]
}

/// Writes the configuration and returns the node's daemons in the order they start.
///
/// # Errors
/// When a file cannot be written.
pub fn prepare(layout: &Layout, tools: &Toolchain, node: Node) -> Result<[Daemon; 3]> {
    let folder = layout.node(node);
    fs::create_dir_all(folder.join("cni"))?;
    fs::write(folder.join("cni/10-etb.conflist"), network(&folder, node).to_string())?;
    fs::write(folder.join("resolv.conf"), format!("nameserver {CONTROL_PLANE_IP}\n"))?;
    fs::write(folder.join("containerd.toml"), containerd(layout, node))?;
    fs::write(folder.join("kubelet.yaml"), kubelet(layout, node).to_string())?;
    fs::write(folder.join("kube-proxy.yaml"), kube_proxy(layout, node).to_string())?;
    let [containerd, kubelet, proxy] = daemon_names(node);
    let file = |name: &str| folder.join(name).display().to_string();
    let program = |name: &str| tools.kubernetes.join(name).display().to_string();
    let kubelet_flags = [
        program("kubelet"),
        format!("--config={}", file("kubelet.yaml")),
        format!("--kubeconfig={}", layout.kubeconfig_of(&node.to_string()).display()),
        format!("--hostname-override={node}"),
        format!("--node-ip={}", node.ip()),
        format!("--root-dir={}", file("kubelet")),
        format!("--cert-dir={}", file("kubelet-pki")),
        format!("--node-labels=topology.kubernetes.io/region=testbed,topology.kubernetes.io/zone=z{}", node.0),
    ];
    Ok([
        Daemon::new(
            containerd,
            node.netns(),
            vec!["containerd".to_owned(), "--config".to_owned(), file("containerd.toml")],
        ),
        Daemon::new(kubelet, node.netns(), kubelet_flags.into()),
        Daemon::new(proxy, node.netns(), vec![program("kube-proxy"), format!("--config={}", file("kube-proxy.yaml"))]),
    ])
}

/// Waits until the node's containerd answers.
///
/// # Errors
/// When it does not within half a minute.
pub fn await_containerd(layout: &Layout, node: Node) -> Result<()> {
    let socket = layout.containerd_socket(node);
    let deadline = Instant::now() + Duration::from_secs(30);
    while UnixStream::connect(&socket).is_err() {
        if Instant::now() > deadline {
            bail!("containerd of {node} does not answer at {}", socket.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn network(folder: &Path, node: Node) -> serde_json::Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "etb",
        "plugins": [
            {
                "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
                "ipam": {
                    "type": "host-local", "dataDir": folder.join("ipam"),
                    "ranges": [[{"subnet": node.pod_cidr()}]], "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// `restrict_oom_score_adj`: without CAP_SYS_RESOURCE runc cannot lower it, and no sandbox starts. The two paths
/// below the state directory keep mounts and runc's state off the host's usual places, where the sweep would have to
/// guess whose they are.
fn containerd(layout: &Layout, node: Node) -> String {
    let folder = layout.node(node);
    let folder = folder.display();
    format!(
        r#"version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp",
]
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "{PAUSE_IMAGE}"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  Root = "{folder}/runc"
"#
    )
}

/// A stock kubelet, apart from what one machine forces: its own cgroup, no eviction by the shared disk, no image
/// collection.
fn kubelet(layout: &Layout, node: Node) -> serde_json::Value {
    let folder = layout.node(node);
    let pki = layout.pki();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false}, "webhook": {"enabled": true}, "x509": {"clientCAFile": pki.join("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": pki.join(format!("{node}.crt")),
        "tlsPrivateKeyFile": pki.join(format!("{node}.key")),
        "clusterDNS": [CONTROL_PLANE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": folder.join("resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{}", node.cgroup()),
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "containerRuntimeEndpoint": format!("unix://{}", layout.containerd_socket(node).display()),
        "serializeImagePulls": false,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "1%"},
        "podLogsDir": folder.join("pod-logs"),
        "volumePluginDir": layout.volume_plugins(),
    })
}

fn kube_proxy(layout: &Layout, node: Node) -> serde_json::Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clusterCIDR": POD_CIDR,
        "clientConnection": {"kubeconfig": layout.kubeconfig_of("proxy")},
        "hostnameOverride": node.to_string(),
        "oomScoreAdj": 0,
        // The machine's conntrack table is not one node's to size.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    })
}
