//! The way to the API server, as kubectl finds it.

use std::{future::Future, path::Path, time::Duration};

use kube::{
    Api, Client, Config, Resource,
    config::{KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};

use crate::{
    args::Global,
    failure::{Failure, line},
};

/// A call that takes longer is given up: somebody sits before it.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Connecting takes milliseconds, or does not succeed.
const CONNECT: Duration = Duration::from_secs(10);

/// A client, and the namespace that is meant where none is named.
#[derive(Clone)]
pub struct Connection {
    pub client: Client,
    pub namespace: String,
}

impl Connection {
    /// # Errors
    /// When no kubeconfig can be found or read.
    pub async fn open(global: &Global) -> Result<Self, Failure> {
        let mut config = config(global.kubeconfig.as_deref(), global.context.as_deref()).await?;
        config.connect_timeout = Some(CONNECT);
        // The client's own retries would go on unseen for as long as somebody looks at an empty screen.
        config.default_retry = false;
        let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client =
            Client::try_from(config).map_err(|error| Failure::Failed(format!("cannot make a client: {error}")))?;
        Ok(Self { client, namespace })
    }

    /// Objects of one kind in the namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}

async fn config(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: context.map(ToOwned::to_owned), ..KubeConfigOptions::default() };
    let unusable = |error: &dyn std::error::Error| {
        Failure::Failed(format!("cannot use the kubeconfig: {}", line(&error.to_string())))
    };
    match (kubeconfig, context) {
        (Some(path), _) => {
            let file = Kubeconfig::read_from(path).map_err(|error| {
                Failure::Failed(format!("cannot read {}: {}", path.display(), line(&error.to_string())))
            })?;
            Config::from_custom_kubeconfig(file, &options).await.map_err(|error| unusable(&error))
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| unusable(&error)),
        (None, None) => Config::infer().await.map_err(|error| unusable(&error)),
    }
}

/// A read that ends in time. `what` completes "cannot read …".
///
/// # Errors
/// With a sentence.
pub async fn read<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(|error| Failure::reading(what, &error)),
        Err(_) => Err(slow(&format!("read {what}"))),
    }
}

/// A write that ends in time. `what` completes "cannot …".
///
/// # Errors
/// With a sentence.
pub async fn write<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(|error| Failure::writing(what, &error)),
        Err(_) => Err(slow(what)),
    }
}

fn slow(what: &str) -> Failure {
    Failure::Failed(format!("cannot {what}: the API server did not answer within {} s", PATIENCE.as_secs()))
}
