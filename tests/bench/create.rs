//! From the creation of one object to all members ready, turn by turn with a bare StatefulSet.

use anyhow::Result;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{PersistentVolumeClaim, Service},
};
use kube::{Api, api::DeleteParams};
use testbed::bare_etcd::BareEtcd;

use crate::{
    figure::Figure,
    operator::{Operator, gone},
};

/// Creates `size` members `runs` times.
pub async fn measure(operator: &Operator, name: &'static str, size: usize, runs: usize) -> Result<Figure> {
    let mut figure = Figure::of(name, "s", vec![]);
    for run in 0..runs {
        figure.floor.push(floor(operator, size, run).await?);
        let cluster = format!("ours-{run}");
        figure.values.push(operator.create(&cluster, size).await?.as_secs_f64());
        operator.delete(&cluster).await?;
    }
    Ok(figure)
}

/// The same with encrypted traffic; the floor is the same cluster with plain traffic.
pub async fn measure_encrypted(operator: &Operator, name: &'static str, size: usize, runs: usize) -> Result<Figure> {
    let mut figure = Figure::of(name, "s", vec![]);
    for run in 0..runs {
        let (plain, encrypted) = (format!("plain-{run}"), format!("encrypted-{run}"));
        figure.floor.push(operator.create(&plain, size).await?.as_secs_f64());
        operator.delete(&plain).await?;
        figure.values.push(operator.create_encrypted(&encrypted, size).await?.as_secs_f64());
        operator.delete(&encrypted).await?;
    }
    Ok(figure)
}

async fn floor(operator: &Operator, members: usize, run: usize) -> Result<f64> {
    let bare = BareEtcd { name: format!("bare-{run}"), members, version: "v3.5.21".into(), class: "local".into() };
    let took = bare.create(&operator.client(), &operator.namespace).await?;
    remove(operator, &bare).await?;
    gone(operator.client(), &operator.namespace).await?;
    Ok(took.as_secs_f64())
}

/// Deletes a bare StatefulSet with its Service and its claims, and does not wait.
pub async fn remove(operator: &Operator, bare: &BareEtcd) -> Result<()> {
    let now = DeleteParams::background();
    let (client, namespace) = (operator.client(), operator.namespace.as_str());
    Api::<StatefulSet>::namespaced(client.clone(), namespace).delete(&bare.name, &now).await?;
    Api::<Service>::namespaced(client.clone(), namespace).delete(&bare.name, &now).await?;
    for ordinal in 0..bare.members {
        Api::<PersistentVolumeClaim>::namespaced(client.clone(), namespace).delete(&bare.claim(ordinal), &now).await?;
    }
    Ok(())
}
