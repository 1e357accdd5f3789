//! Etcd without an operator: a StatefulSet with static flags. The floor that any operator is measured against, and
//! the testbed's own guinea pig.

use crate::image::etcd_image;
use crate::layout::UNCACHED_DNS_IP;
use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A cluster of `members` named `name`, with its volumes on StorageClass `class`. Its pods ask the name server that
/// forgets at once, since a name asked for too early would otherwise stay absent for half a minute.
#[derive(Clone, Debug)]
pub struct BareEtcd {
    pub name: String,
    pub members: usize,
    pub version: String,
    pub class: String,
}

impl BareEtcd {
    /// Creates it and waits until every member is ready; returns how long that took.
    ///
    /// # Errors
    /// When the API server refuses it or it is not ready within a minute.
    pub async fn create(&self, client: &Client, namespace: &str) -> Result<Duration> {
        let services = Api::<Service>::namespaced(client.clone(), namespace);
        let sets = Api::<StatefulSet>::namespaced(client.clone(), namespace);
        let started = Instant::now();
        services.create(&PostParams::default(), &serde_json::from_value(self.service())?).await?;
        sets.create(&PostParams::default(), &serde_json::from_value(self.stateful_set(namespace))?).await?;
        let wanted = i32::try_from(self.members)?;
        let ready = await_condition(sets, &self.name, move |set: Option<&StatefulSet>| {
            set.and_then(|set| set.status.as_ref()).is_some_and(|status| status.ready_replicas == Some(wanted))
        });
        tokio::time::timeout(Duration::from_secs(60), ready)
            .await
            .with_context(|| format!("{} is not ready after a minute", self.name))??;
        Ok(started.elapsed())
    }

    /// The pods, by ordinal.
    #[must_use]
    pub fn pod(&self, ordinal: usize) -> String {
        format!("{}-{ordinal}", self.name)
    }

    /// The claim of a pod.
    #[must_use]
    pub fn claim(&self, ordinal: usize) -> String {
        format!("data-{}-{ordinal}", self.name)
    }

    #[must_use]
    pub fn service(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name},
            "spec": {
                "clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": self.name},
                "ports": [{"name": "client", "port": 2379}, {"name": "peer", "port": 2380}],
            },
        })
    }

    #[must_use]
    pub fn stateful_set(&self, namespace: &str) -> Value {
        let name = &self.name;
        let peers: Vec<String> =
            (0..self.members).map(|n| format!("{name}-{n}=http://{name}-{n}.{name}:2380")).collect();
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": name},
            "spec": {
                "replicas": self.members, "serviceName": name, "podManagementPolicy": "Parallel",
                "selector": {"matchLabels": {"app": name}},
                "template": {
                    "metadata": {"labels": {"app": name}},
                    "spec": {
                        "terminationGracePeriodSeconds": 5,
                        "securityContext": {"runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "fsGroup": 1000},
                        "dnsPolicy": "None",
                        "dnsConfig": {
                            "nameservers": [UNCACHED_DNS_IP],
                            "searches": [format!("{namespace}.svc.cluster.local"), "svc.cluster.local", "cluster.local"],
                            "options": [{"name": "ndots", "value": "5"}],
                        },
                        "topologySpreadConstraints": [{
                            "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
                            "labelSelector": {"matchLabels": {"app": name}},
                        }],
                        "containers": [{
                            "name": "etcd", "image": etcd_image(&self.version),
                            "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                            "args": [
                                "--name=$(POD)", "--data-dir=/data/etcd",
                                "--listen-client-urls=http://0.0.0.0:2379", format!("--advertise-client-urls=http://$(POD).{name}:2379"),
                                "--listen-peer-urls=http://0.0.0.0:2380", format!("--initial-advertise-peer-urls=http://$(POD).{name}:2380"),
                                "--listen-metrics-urls=http://0.0.0.0:2381", format!("--initial-cluster={}", peers.join(",")),
                            ],
                            "readinessProbe": {"httpGet": {"path": "/health", "port": 2381}, "periodSeconds": 1, "timeoutSeconds": 2},
                            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                        }],
                    },
                },
                "volumeClaimTemplates": [{
                    "metadata": {"name": "data"},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"], "storageClassName": self.class,
                        "resources": {"requests": {"storage": "512Mi"}},
                    },
                }],
            },
        })
    }
}
