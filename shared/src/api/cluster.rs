//! EtcdCluster: what a user wants, and what the coordinator adds up from the members.

mod backup;
mod maintenance;
mod pod;
mod security;
mod service;
mod status;
mod storage;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, PodSecurityContext, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Amount;

pub use backup::{Backup, BackupSummary, Bootstrap, Restored, S3, Schedule, Store};
pub use maintenance::{Action, Chore, Defragmentation, Maintenance, Window};
pub use pod::{AgentUpdate, DisruptionBudget, PodUser, RawTemplate, TemplateMetadata};
pub use security::{Authority, ClientSecurity, Encrypted, PeerSecurity, Security, SecurityMode};
pub use service::{IpFamilyPolicy, TrafficPolicy};
pub use status::{End, Etcd, EtcdClusterStatus, Grown, Incarnation, MemberSummary, Moving, Phase, Roll};
pub use storage::{AutoGrow, Keep, Medium, Retention, Storage};

/// What is wanted of one etcd cluster.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[kube(
    group = "etcd.etcd.io",
    version = "v1alpha1",
    kind = "EtcdCluster",
    plural = "etcdclusters",
    shortname = "etcdc",
    category = "etcd",
    namespaced,
    status = "EtcdClusterStatus",
    derive = "PartialEq",
    doc = "A cluster of etcd members that looks after itself.",
    scale(
        spec_replicas_path = ".spec.size",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "What the cluster is doing, in one word"),
    printcolumn(name = "Members", type_ = "string", json_path = ".status.ready", description = "Members that serve, of those wanted"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", description = "Version that the members run"),
    printcolumn(name = "Leader", type_ = "string", json_path = ".status.leader", description = "Member that leads"),
    printcolumn(name = "DB size", type_ = "string", json_path = ".status.dbSize", description = "Largest database file of a member", priority = 1),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", description = "Why the cluster is or is not Ready", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("size(self.metadata.name) <= 52").message("metadata.name must have at most 52 characters, because the names of pods and Services are formed from it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')").message("metadata.name must begin with a letter and hold only lower case letters, digits and '-', because Services are named after it"),
    validation = Rule::new("(has(oldSelf.spec.storage.storageClassName) ? (has(self.spec.storage.storageClassName) ? (self.spec.storage.storageClassName != '' || oldSelf.spec.storage.storageClassName == '') : oldSelf.spec.storage.storageClassName == '') : (!has(self.spec.storage.storageClassName) || self.spec.storage.storageClassName != '')) || !has(oldSelf.status) || !has(oldSelf.status.incarnation)").message("storage.storageClassName may name another class once the cluster exists, to which its members then move, and not be taken away"),
    validation = Rule::new("(has(self.status) && has(self.status.incarnation)) || !has(self.spec.etcd.quotaBackend) || !isQuantity(string(self.spec.etcd.quotaBackend)) || !isQuantity(self.spec.storage.size) || quantity(string(self.spec.etcd.quotaBackend)).asApproximateFloat() * 4.0 <= quantity(self.spec.storage.size).asApproximateFloat() || quantity(string(self.spec.etcd.quotaBackend)).asApproximateFloat() * 2.2 + 469762048.0 <= quantity(self.spec.storage.size).asApproximateFloat()").message("etcd.quotaBackend is too much for storage.size, which must hold the log and a second copy of the database too: at most a quarter of it, or (storage.size - 448Mi) / 2.2; left out, it is chosen"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.incarnation) || (has(oldSelf.spec.etcd.quotaBackend) && has(self.spec.etcd.quotaBackend) && oldSelf.spec.etcd.quotaBackend == self.spec.etcd.quotaBackend) || !has(self.spec.etcd.quotaBackend) || !isQuantity(string(self.spec.etcd.quotaBackend)) || !isQuantity(self.spec.storage.size) || quantity(string(self.spec.etcd.quotaBackend)).asApproximateFloat() * 4.0 <= quantity(self.spec.storage.size).asApproximateFloat() || quantity(string(self.spec.etcd.quotaBackend)).asApproximateFloat() * 2.2 + 469762048.0 <= quantity(self.spec.storage.size).asApproximateFloat()").message("etcd.quotaBackend is too much for storage.size, which must hold the log and a second copy of the database too: at most a quarter of it, or (storage.size - 448Mi) / 2.2; left out, it is chosen"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.incarnation) || (has(self.status) && has(self.status.incarnation) && self.status.incarnation.number >= oldSelf.status.incarnation.number)").message("status.incarnation never vanishes, and its number never falls"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.incarnation) || !has(self.status) || !has(self.status.incarnation) || self.status.incarnation.number != oldSelf.status.incarnation.number || (self.status.incarnation.token == oldSelf.status.incarnation.token && self.status.incarnation.initialMembers == oldSelf.status.incarnation.initialMembers && (has(self.status.incarnation.encrypted) && self.status.incarnation.encrypted.peer) == (has(oldSelf.status.incarnation.encrypted) && oldSelf.status.incarnation.encrypted.peer) && (has(self.status.incarnation.encrypted) && self.status.incarnation.encrypted.client) == (has(oldSelf.status.incarnation.encrypted) && oldSelf.status.incarnation.encrypted.client) && (has(self.status.incarnation.restored) ? (has(oldSelf.status.incarnation.restored) && self.status.incarnation.restored == oldSelf.status.incarnation.restored) : !has(oldSelf.status.incarnation.restored)) && (!oldSelf.status.incarnation.membersCreated || self.status.incarnation.membersCreated) && (!has(oldSelf.status.incarnation.ended) || (has(self.status.incarnation.ended) && self.status.incarnation.ended == oldSelf.status.incarnation.ended)))").message("within an incarnation, status.incarnation keeps its token, initialMembers, encrypted and restored, and neither membersCreated nor ended is taken back"),
    // Of a life that is over, or is being given up, nothing is left to keep.
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.incarnation) || has(oldSelf.status.incarnation.ended) || !(has(self.spec.security) && has(self.spec.security.peer) && has(self.spec.security.peer.mode)) || (has(self.spec.recovery) && self.spec.recovery.abandonIncarnation == oldSelf.status.incarnation.number) || (self.spec.security.peer.mode == 'Auto') == (has(oldSelf.status.incarnation.encrypted) && oldSelf.status.incarnation.encrypted.peer) || (has(oldSelf.spec.security) && has(oldSelf.spec.security.peer) && has(oldSelf.spec.security.peer.mode) && oldSelf.spec.security.peer.mode == self.spec.security.peer.mode)").message("security.peer.mode cannot be changed once the cluster exists: leave it out, or as it was when the cluster began"),
    validation = Rule::new("!has(oldSelf.status) || !has(oldSelf.status.incarnation) || has(oldSelf.status.incarnation.ended) || !(has(self.spec.security) && has(self.spec.security.client) && has(self.spec.security.client.mode)) || (has(self.spec.recovery) && self.spec.recovery.abandonIncarnation == oldSelf.status.incarnation.number) || (self.spec.security.client.mode == 'Auto') == (has(oldSelf.status.incarnation.encrypted) && oldSelf.status.incarnation.encrypted.client) || (has(oldSelf.spec.security) && has(oldSelf.spec.security.client) && has(oldSelf.spec.security.client.mode) && oldSelf.spec.security.client.mode == self.spec.security.client.mode)").message("security.client.mode cannot be changed once the cluster exists: leave it out, or as it was when the cluster began")
)]
#[serde(rename_all = "camelCase")]
pub struct EtcdClusterSpec {
    /// Number of members: 1, 3, 5 or 7. 0 stops the cluster and keeps its membership and data.
    #[serde(default = "default_size")]
    #[x_kube(validation = Rule::new("self == 0 || (self % 2 == 1 && self <= 7)").message("size must be 1, 3, 5 or 7, or 0 to stop the cluster"))]
    pub size: i32,

    /// Version of etcd, such as `v3.5.21` or `3.5.21`: with its `v`, the tag of the image, unless `image` names one. Then it says
    /// which version that image holds.
    #[schemars(length(max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^v?3[.][567][.](0|[1-9][0-9]?)$')").message("version must be v3.5.x, v3.6.x or v3.7.x, such as v3.5.21"))]
    pub version: String,

    /// Repository of the etcd image, without a tag. The image is used unmodified: it must hold `etcd` on its PATH.
    #[serde(default = "default_repository")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(([[][0-9a-fA-F:]+[]]|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)+)(:[0-9]{1,5})?/|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?:[0-9]{1,5}/)?[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*$')").message("repository must be the name of an image without tag and digest, such as quay.io/coreos/etcd; a whole reference goes into image"))]
    pub repository: String,

    /// The etcd image as a whole reference, with a tag of any form or a digest, in place of `repository` and the version's tag:
    /// `docker.io/bitnami/etcd:3.5.21-debian-12-r0`, `quay.io/coreos/etcd@sha256:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^(([[][0-9a-fA-F:]+[]]|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)+)(:[0-9]{1,5})?/|[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?:[0-9]{1,5}/)?[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*)*(:[a-zA-Z0-9_][-a-zA-Z0-9_.]{0,127}|@sha256:[0-9a-f]{64}|:[a-zA-Z0-9_][-a-zA-Z0-9_.]{0,127}@sha256:[0-9a-f]{64})$')").message("image must be a whole reference with a tag or a digest, such as quay.io/coreos/etcd:v3.5.21"))]
    pub image: Option<String>,

    /// The volume of each member.
    #[serde(default)]
    #[x_kube(validation = Rule::new("!has(self.autoGrow) || !isQuantity(self.autoGrow.maxSize) || !isQuantity(self.size) || quantity(self.autoGrow.maxSize).compareTo(quantity(self.size)) >= 0").message("storage.autoGrow.maxSize may not be less than storage.size"))]
    pub storage: Storage,

    /// Options of etcd itself.
    #[serde(default)]
    #[x_kube(validation = Rule::new("!self.electionTimeout.matches('^[0-9]{1,6}(ms|s)$') || !self.heartbeatInterval.matches('^[0-9]{1,6}(ms|s)$') || duration(self.electionTimeout).getMilliseconds() >= 5 * duration(self.heartbeatInterval).getMilliseconds()").message("etcd.electionTimeout must be at least five times etcd.heartbeatInterval"))]
    pub etcd: EtcdOptions,

    /// The Service that applications use.
    #[serde(default)]
    #[x_kube(validation = Rule::new("!has(self.nodePort) || self.type != 'ClusterIP'").message("service.nodePort needs service.type NodePort or LoadBalancer"), validation = Rule::new("!has(self.externalTrafficPolicy) || self.type != 'ClusterIP'").message("service.externalTrafficPolicy needs service.type NodePort or LoadBalancer"), validation = Rule::new("(!has(self.loadBalancerClass) && (!has(self.loadBalancerSourceRanges) || size(self.loadBalancerSourceRanges) == 0)) || self.type == 'LoadBalancer'").message("service.loadBalancerClass and loadBalancerSourceRanges need service.type LoadBalancer"))]
    pub service: Service,

    /// What the members' pods carry beside etcd.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pod: PodTemplate,

    /// Encryption of the traffic between members and with clients. It cannot be changed once the cluster exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,

    /// Where backups go, and when they are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,

    /// How databases are kept small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,

    /// What the cluster begins with. Left out, it begins empty. Once the cluster exists it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Bootstrap>,

    /// Whether all is left as it is: no member joins, leaves or is replaced, nothing rolls, no volume is deleted, no other object
    /// is made or changed. Pods and processes that end come back with what they had, and the status goes on being told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,

    /// Names of members, such as `demo-1`, whose etcd is stopped while their pod stays, so that their volume can be looked at. One
    /// that is named and would cost the quorum goes on, unless every member is named. Taken off the list it starts again as the
    /// same member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub hold: Vec<String>,

    /// What a person decides when the data cannot be served any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// What a person decides when the data cannot be served any more: nothing here happens by itself.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Recovery {
    /// Number of the incarnation (`status.incarnation.number`) whose data is given up: all pods are stopped, and the cluster
    /// begins again, empty, as the next incarnation. Data that is left is set aside on its volume, never deleted. A number that
    /// is not the present one does nothing.
    #[schemars(range(min = 1))]
    pub abandon_incarnation: i64,
}

/// Options of etcd itself. A change rolls through the members, one at a time.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EtcdOptions {
    /// Size of the database file at which etcd refuses writes (`--quota-backend-bytes`), such as `2Gi`. Left out, it is a quarter
    /// of the volume, and at most 2Gi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("string(self).matches('^([1-9][0-9]{0,6}(Ki|Mi|Gi|Ti|k|M|G|T)|[1-9][0-9]{0,17})$') && quantity(string(self)).compareTo(quantity('16Mi')) >= 0 && quantity(string(self)).compareTo(quantity('100Gi')) <= 0").message("etcd.quotaBackend must be a whole number of bytes from 16Mi to 100Gi with one of Ki, Mi, Gi, Ti, k, M, G, T, such as 2Gi"))]
    pub quota_backend: Option<Amount>,

    /// How etcd forgets old revisions.
    #[serde(default)]
    #[x_kube(validation = Rule::new("string(self.retention) == '0' || (self.mode == 'Periodic' ? string(self.retention).matches('^([1-9][0-9]{0,5}(h|m|s))+$') : string(self.retention).matches('^[1-9][0-9]{0,9}$'))").message("etcd.autoCompaction.retention must be a duration such as 1h for mode Periodic, a number of revisions such as 10000 for mode Revision, or 0 to switch it off"))]
    pub auto_compaction: AutoCompaction,

    /// Time between the leader's heartbeats (`--heartbeat-interval`), 5ms to 10s.
    #[serde(default = "default_heartbeat")]
    #[schemars(length(max = 12))]
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,5}(ms|s)$') && duration(self) >= duration('5ms') && duration(self) <= duration('10s')").message("etcd.heartbeatInterval must be a duration between 5ms and 10s, such as 100ms"))]
    pub heartbeat_interval: String,

    /// Time without a heartbeat after which a follower stands for election (`--election-timeout`), at most 50s.
    #[serde(default = "default_election")]
    #[schemars(length(max = 12))]
    #[x_kube(validation = Rule::new("self.matches('^[1-9][0-9]{0,5}(ms|s)$') && duration(self) <= duration('50s')").message("etcd.electionTimeout must be a duration of at most 50s, such as 1s"))]
    pub election_timeout: String,

    /// Further flags of etcd by name, without the leading dashes. Flags that the agent sets itself are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 1024}))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[a-z][a-z0-9-]{0,99}$'))").message("etcd.extraArgs takes names of flags without the leading dashes, such as max-txn-ops"), validation = Rule::new("!self.exists(k, k.matches('^(experimental-)?(name|.*-dir|config-file|initial-cluster.*|initial-advertise-.*|listen-.*|advertise-.*|discovery.*|proxy.*|force-.*|unsafe-.*|strict-reconfig-check|pre-vote|max-learners|snapshot-count|.*hash-check.*|.*v2.*|quota-backend-bytes|auto-compaction-.*|heartbeat-interval|election-timeout|logger|log-outputs|socket-.*)$'))").message("etcd.extraArgs may not hold a flag that the agent sets itself or that endangers data"), validation = Rule::new("!self.exists(k, k.matches('^(experimental-)?(peer-.*|.*tls.*|.*cert.*|key-file|.*-key-file|.*ca-file|.*crl.*|cipher-suites|auth-token.*|log-format|log-rotation.*|debug)$'))").message("etcd.extraArgs may not hold a flag that does nothing here, such as those of TLS and of the log's form"))]
    pub extra_args: BTreeMap<String, String>,
}

/// How etcd forgets old revisions.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AutoCompaction {
    /// Whether `retention` is a time or a number of revisions.
    #[serde(default)]
    pub mode: CompactionMode,
    /// How much history is kept: a duration such as `1h`, or a number of revisions. 0 switches compaction off: history is kept until
    /// somebody compacts it.
    #[serde(default = "default_compaction")]
    pub retention: Amount,
}

/// Whether compaction counts time or revisions.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CompactionMode {
    #[default]
    Periodic,
    Revision,
}

/// The Service that applications use.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// How the Service is reached.
    #[serde(default)]
    pub r#type: ServiceType,
    /// Port on every node, with type NodePort or LoadBalancer; chosen by Kubernetes when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,
    /// Kind of load balancer, with type LoadBalancer. It cannot be changed while the Service exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 317))]
    pub load_balancer_class: Option<String>,
    /// Addresses that a load balancer lets in, such as `10.0.0.0/8`; all when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(validation = Rule::new("self.all(r, r.matches('^[0-9a-fA-F.:]+/[0-9]{1,3}$'))").message("service.loadBalancerSourceRanges takes ranges of addresses such as 10.0.0.0/8"))]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    /// Whether a node passes traffic from outside to members on any node (Cluster) or to its own only (Local), which keeps the
    /// client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
    /// IPv4, IPv6 or both. Left out: the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// Further labels of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub labels: Option<BTreeMap<String, String>>,
    /// Annotations of the Service, as load balancers read them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 128, "additionalProperties" = {"type": "string", "maxLength": 262144}))]
    pub annotations: BTreeMap<String, String>,
}

/// How the client Service is reached.
#[derive(JsonSchema, Serialize, Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServiceType {
    #[default]
    ClusterIP,
    NodePort,
    LoadBalancer,
}

/// What the members' pods carry beside etcd. A change rolls through the members, one at a time.
#[derive(KubeSchema, Serialize, Deserialize, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PodTemplate {
    /// Resources of the etcd container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Resources of the agent's container, beside etcd. A resource that is named here, as a request or a limit, replaces what the
    /// operator says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_resources: Option<ResourceRequirements>,
    /// As whom the pods run. Left out: as the operator's `--pod-user` says, which is Fixed unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<PodUser>,
    /// Users, groups and the like of the pods, over what the operator sets: user, group and fsGroup 65532 (unless `user` is
    /// Platform), runAsNonRoot, and the runtime's default seccomp profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<PodSecurityContext>,
    /// Affinity of the pods. Where it has no podAntiAffinity, members prefer different nodes and zones; an empty one means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Spread of the pods over zones and nodes. One without a labelSelector counts the members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub tolerations: Vec<Toleration>,
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub node_selector: BTreeMap<String, String>,
    /// PriorityClass of the pods.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub priority_class_name: String,
    /// Secrets for a private registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Further labels of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64, "additionalProperties" = {"type": "string", "maxLength": 63}))]
    pub labels: BTreeMap<String, String>,
    /// Further annotations of the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 128, "additionalProperties" = {"type": "string", "maxLength": 262144}))]
    pub annotations: BTreeMap<String, String>,
    /// Annotations of the ServiceAccount that the pods run under, as clouds read them to give pods an identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 128, "additionalProperties" = {"type": "string", "maxLength": 262144}))]
    pub service_account_annotations: Option<BTreeMap<String, String>>,
    /// When a pod that runs gets the agent of a new release of the operator. etcd runs on meanwhile. Left out: Rolling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_update: Option<AgentUpdate>,
    /// What a drain may take. Left out: Quorum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disruption_budget: Option<DisruptionBudget>,
    /// All else of the pods: sidecars, init containers, volumes, scheduling. It is laid under what the operator and the fields
    /// above say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<RawTemplate>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
fn default_size() -> i32 {
    3
}
fn default_repository() -> String {
    "quay.io/coreos/etcd".into()
}
fn default_heartbeat() -> String {
    "100ms".into()
}
fn default_election() -> String {
    "1s".into()
}
fn default_compaction() -> Amount {
    "1h".into()
}

impl Default for EtcdOptions {
    fn default() -> Self {
        Self {
            quota_backend: None,
            auto_compaction: AutoCompaction::default(),
            heartbeat_interval: default_heartbeat(),
            election_timeout: default_election(),
            extra_args: BTreeMap::new(),
        }
    }
}

impl Default for AutoCompaction {
    fn default() -> Self {
        Self { mode: CompactionMode::default(), retention: default_compaction() }
    }
}
