//! The application of the tests: it writes, reads and watches without end, and judges at its end whether etcd kept its promises.

use super::{Demo, pods, user};
use anyhow::{Context, Result, ensure};
use std::time::Duration;
use tokio::task::JoinHandle;

pub use testbed::client::Report;

/// A client of one cluster.
pub struct Client {
    inner: testbed::client::Client,
    /// Gives it its user's newest certificate, as an application reads it from its Secret.
    renewal: Option<JoinHandle<()>>,
}

impl Client {
    /// Starts it, and returns when a write was acknowledged.
    ///
    /// # Errors
    /// When no member serves.
    pub async fn start(demo: &Demo<'_>) -> Result<Self> {
        let user = demo.user().await?;
        let inner = testbed::client::Client::start(demo.stage.api(), &demo.selector(), user.as_ref()).await?;
        let renewal = inner.folder().map(|folder| tokio::spawn(user::renew(demo.stage, &demo.name, folder)));
        Ok(Self { inner, renewal })
    }

    /// Waits for a write that begins and is acknowledged after this call.
    ///
    /// # Errors
    /// When there is none within the time.
    pub async fn next(&self, within: Duration) -> Result<()> {
        self.inner.next(within).await
    }

    /// Lets it work for some time.
    ///
    /// # Errors
    /// When it ended by itself.
    pub async fn keeps_on(&self, during: Duration) -> Result<()> {
        tokio::time::sleep(during).await;
        self.mark("kept on").await
    }

    /// Begins an interval with a gap of its own.
    ///
    /// # Errors
    /// When it ended by itself.
    pub async fn mark(&self, name: &str) -> Result<()> {
        self.inner.mark(name).await
    }

    /// Connects all its writers and readers to one member, until that one fails them.
    ///
    /// # Errors
    /// When the member's pod has no address.
    pub async fn stay_with(&self, demo: &Demo<'_>, ordinal: u32) -> Result<()> {
        self.inner.prefer(Some(&demo.ip(ordinal).await?)).await
    }

    /// Stops it; fails when an acknowledged write is lost, a read was stale, a watcher missed a change, or another cluster answered.
    /// All pods must serve.
    ///
    /// # Errors
    /// With the operations that show what was broken.
    pub async fn finish(self, demo: &Demo<'_>) -> Result<Report> {
        let addresses: Vec<String> = demo.pods().await?.iter().filter_map(pods::ip).collect();
        ensure!(addresses.len() == demo.size as usize, "{} pods have an address", addresses.len());
        let report = self.inner.finish(&addresses).await?;
        self.renewal.inspect(JoinHandle::abort);
        let verdict = report.ensure_ok();
        demo.stage.say(format!(
            "client: {} operations, {} writes acknowledged, {} unknown; longest gap {:.0} ms; checked in {:.1} s: {}",
            report.ops, report.acknowledged, report.unknown, report.gap_ms, report.check_seconds, report.verdict
        ));
        verdict.with_context(|| format!("it met these errors: {:#?}", report.complaints))?;
        Ok(report)
    }
}
