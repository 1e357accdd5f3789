//! Boots the testbed. The order is what lets things overlap: containerd and images need no API server, kubelets need
//! both.

use crate::daemon::Daemon;
use crate::host::Host;
use crate::layout::{CONTROL_PLANE_IP, Layout, Node, UNCACHED_DNS_IP};
use crate::progress::Progress;
use crate::toolchain::{ETCD_VERSIONS, ETCDS, Toolchain};
use crate::{cgroups, control_plane, image, network, pki, storage, template, worker};
use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::api::core::v1::{Node as KubeNode, ServiceAccount};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

/// A boot takes seconds; a machine under load may need ten times that.
const PATIENCE: Duration = Duration::from_secs(90);

/// Boots `nodes` nodes, with the images of these `releases` of etcd, on a machine that holds no testbed.
///
/// # Errors
/// When a part does not come up; its last words are in the error, and everything is still there to be swept.
pub async fn boot(
    layout: &Layout,
    tools: &Toolchain,
    nodes: usize,
    releases: &[&str],
    progress: Progress,
) -> Result<()> {
    let releases = with_those_at_hand(releases)?;
    let images = spawn_blocking(move || {
        let etcds = releases.iter().map(|release| image::etcd(release, progress));
        let archives: Vec<PathBuf> = std::iter::once(image::pause()).chain(etcds).collect::<Result<_>>()?;
        Ok::<_, anyhow::Error>((template::ready(&archives)?, archives))
    });
    foundations(layout, tools, nodes)?;
    control_plane::store(layout, tools).start(layout)?;
    control_plane::api_server(layout, tools).start(layout)?;
    progress.say("keys, networks and cgroups made; store and API server start");

    let (template, archives) = images.await??;
    let mut kubelets = vec![];
    for node in Node::all(nodes) {
        let [containerd, kubelet, proxy] = worker::prepare(layout, tools, node)?;
        template::plant(&template, &layout.node(node).join("containerd"))?;
        image::note_loaded(layout, node, &archives)?;
        containerd.start(layout)?;
        kubelets.extend([kubelet, proxy]);
    }
    progress.say("every node has its images");

    let client = crate::admin(layout).await?;
    until("the API server is ready", layout, || async { Ok(client.request_text(http_get("/readyz")?).await? == "ok") })
        .await?;
    progress.say("API server ready");
    control_plane::controller_manager(layout, tools).start(layout)?;
    control_plane::scheduler(layout, tools).start(layout)?;
    Node::all(nodes).try_for_each(|node| worker::await_containerd(layout, node))?;
    for daemon in kubelets.into_iter().chain(control_plane::name_servers(layout, tools)?) {
        daemon.start(layout)?;
    }
    control_plane::provisioner(layout).start(layout)?;
    create_storage_classes(&client).await?;
    until("every node is Ready", layout, || async { Ok(ready_nodes(&client).await? == nodes) }).await?;
    progress.say(format!("{nodes} nodes Ready"));
    until("the default ServiceAccount exists", layout, || async {
        Ok(Api::<ServiceAccount>::default_namespaced(client.clone()).get_opt("default").await?.is_some())
    })
    .await?;
    progress.say("default ServiceAccount made");
    until("CoreDNS is ready", layout, || async {
        Ok(name_server_ready(CONTROL_PLANE_IP, 8181).await && name_server_ready(UNCACHED_DNS_IP, 8182).await)
    })
    .await?;
    progress.say("names resolve");
    Ok(())
}

/// The releases that are wanted and those that were built before: what the nodes have differs as rarely as can be, since
/// each set of images is unpacked anew.
fn with_those_at_hand(wanted: &[&str]) -> Result<Vec<&'static str>> {
    let mut releases = vec![];
    for (release, tool) in ETCD_VERSIONS.iter().zip(&ETCDS) {
        if wanted.contains(release) || tool.folder()?.exists() {
            releases.push(*release);
        }
    }
    Ok(releases)
}

/// All that needs no program of ours running.
fn foundations(layout: &Layout, tools: &Toolchain, nodes: usize) -> Result<()> {
    fs::create_dir_all(layout.volumes())?;
    Host::note(layout)?;
    programs(layout, tools)?;
    storage::driver::install(layout)?;
    pki::create(layout, nodes)?;
    Node::all(nodes).try_for_each(cgroups::create)?;
    network::create(nodes)
}

/// The programs that people and daemons call by a path that stays.
fn programs(layout: &Layout, tools: &Toolchain) -> Result<()> {
    let bin = layout.bin();
    fs::create_dir_all(&bin)?;
    // Not by its path: whoever built in the meantime has replaced the file.
    fs::copy("/proc/self/exe", bin.join("testbed")).context("copy this program")?;
    symlink(tools.kubernetes.join("kubectl"), bin.join("kubectl"))?;
    for program in ["etcdctl", "etcdutl", "etcd"] {
        symlink(tools.store().join(program), bin.join(program))?;
    }
    Ok(())
}

async fn create_storage_classes(client: &Client) -> Result<()> {
    let api: Api<StorageClass> = Api::all(client.clone());
    for class in storage::classes() {
        api.create(&PostParams::default(), &serde_json::from_value(class)?).await.context("create a StorageClass")?;
    }
    Ok(())
}

/// How many nodes say that they are Ready.
pub(crate) async fn ready_nodes(client: &Client) -> Result<usize> {
    let nodes = Api::<KubeNode>::all(client.clone()).list(&ListParams::default()).await?;
    let ready = |node: &&KubeNode| {
        let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
        conditions.is_some_and(|all| all.iter().any(|one| one.type_ == "Ready" && one.status == "True"))
    };
    Ok(nodes.items.iter().filter(ready).count())
}

/// CoreDNS answers 200 at `/ready` once it has read every Service.
async fn name_server_ready(host: Ipv4Addr, port: u16) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    timeout(Duration::from_secs(1), ask).await.is_ok_and(|answer| answer.is_ok_and(|text| text.contains(" 200 ")))
}

pub(crate) fn http_get(path: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(vec![])?)
}

/// Asks again and again until the answer is yes; an error is an answer of no, kept for the message. Gives up early
/// when a daemon has died.
async fn until<F>(what: &str, layout: &Layout, question: impl Fn() -> F) -> Result<()>
where
    F: Future<Output = Result<bool>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer =
            timeout(Duration::from_secs(5), question()).await.unwrap_or_else(|_| Err(anyhow!("no answer in 5 s")));
        match answer {
            Ok(true) => return Ok(()),
            Ok(false) if Instant::now() > deadline => bail!("waited {PATIENCE:?} until {what}"),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("waited {PATIENCE:?} until {what}")));
            }
            _ => {}
        }
        if let Some(dead) = Daemon::all(layout).into_iter().find(|daemon| !daemon.is_alive()) {
            bail!("{} died before {what}; its last words:\n{}", dead.name, dead.last_words(layout, 10));
        }
        if crate::interrupted() {
            bail!("interrupted");
        }
        sleep(Duration::from_millis(50)).await;
    }
}
