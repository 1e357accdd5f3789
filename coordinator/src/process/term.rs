//! One term of leadership: everything that acts, and how it ends.
//!
//! ```text
//!   begin ─▶ a controller a scope ─┬─ shutdown ─▶ reconciliations under way are finished ─▶ ended
//!                                  └─ lost ─▶ cut: nothing is finished, all are gone when it returns
//! ```
//! Whoever leads next may have begun already when a term is lost, so nothing of it may go on acting.

use std::sync::{Arc, Once};

use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    apiserver::{ApiServer, applied::Applied, events::Events, lists::Lists, watch::Scope},
    args::Run,
    authorities::Authorities,
    cluster::{
        caches::Caches, context::Context, controller, inquiries::Inquiries, installations::Installations,
        rehearsals::Rehearsals, sweep, timers::Timers, turns::Turns,
    },
    metrics::Metrics,
    process::senses::Senses,
    proofs::Proofs,
};

/// As many clusters may wait to be looked up for their users, backups and restores, or by these. More are lost: what
/// waits for one looks by itself.
const TOUCHED: usize = 1024;

/// What acts.
pub struct Term<'a> {
    controllers: JoinSet<()>,
    shutdown: CancellationToken,
    metrics: &'a Metrics,
    senses: &'a Senses,
}

impl<'a> Term<'a> {
    /// Begins to act as the installation of this name, if it has one; `own`: its namespace. Ends by itself at a
    /// shutdown of the process.
    pub fn begin(
        args: &Run,
        mine: Option<String>,
        own: &str,
        api: &Arc<ApiServer>,
        metrics: &'a Metrics,
        senses: &'a Senses,
        shutdown: &CancellationToken,
    ) -> Self {
        let shutdown = shutdown.child_token();
        let events = Events::start(api.client(), args.identity.clone(), shutdown.clone());
        let (applied, installations) = (Arc::new(Applied::default()), Arc::new(Installations::new(mine)));
        let authorities = Arc::new(Authorities::new(own.to_owned()));
        let proofs = Arc::<Proofs>::default();
        let turns = Turns::new(args.max_rolling, metrics.clone());
        let mut controllers = JoinSet::new();
        metrics.leads(true);
        for (number, scope) in scopes(&args.namespaces).into_iter().enumerate() {
            let (caches, lists) = (Caches::default(), Lists::default());
            metrics.follow(caches.clusters.store());
            senses.expect(lists.clone());
            let (to_users, of_users) = mpsc::channel(TOUCHED);
            let (to_backups, of_backups) = mpsc::channel(TOUCHED);
            let (to_restores, of_restores) = mpsc::channel(TOUCHED);
            let (to_clusters, of_archive) = mpsc::channel(TOUCHED);
            let ctx = Arc::new(Context {
                api: Arc::clone(api),
                caches,
                lists,
                applied: Arc::clone(&applied),
                events: events.clone(),
                metrics: metrics.clone(),
                agent_image: args.agent_image.clone(),
                pod_user: args.pod_user.into(),
                installations: Arc::clone(&installations),
                authorities: Arc::clone(&authorities),
                timers: Timers::default(),
                inquiries: Inquiries::default(),
                rehearsals: Rehearsals::default(),
                turns: turns.of(number),
                touched: vec![to_users, to_backups, to_restores],
                resumed: Once::new(),
            });
            let of_scope = Arc::new(crate::user::context::Context::new(Arc::clone(&ctx), to_clusters.clone()));
            controllers.spawn(crate::user::controller::run(scope.clone(), of_scope, of_users, shutdown.clone()));
            let archive = Arc::new(crate::backup::context::Context {
                clusters: Arc::clone(&ctx),
                proofs: Arc::clone(&proofs),
                touched: to_clusters,
            });
            let (backups, restores) = (Arc::clone(&archive), archive);
            controllers.spawn(crate::backup::controller::run(scope.clone(), backups, of_backups, shutdown.clone()));
            controllers.spawn(crate::restore::controller::run(scope.clone(), restores, of_restores, shutdown.clone()));
            controllers.spawn(sweep::run(scope.clone(), Arc::clone(&ctx), shutdown.clone()));
            controllers.spawn(controller::run(scope, ctx, of_archive, shutdown.clone()));
        }
        Self { controllers, shutdown, metrics, senses }
    }

    /// Returns when all that was under way at a shutdown is finished.
    pub async fn ended(&mut self) {
        while self.controllers.join_next().await.is_some() {}
    }

    /// Ends everything at once. Reconciliations are safe to be cut short anywhere.
    pub async fn cut(mut self) {
        self.shutdown.cancel();
        self.controllers.shutdown().await;
        self.metrics.leads(false);
        self.senses.rest();
    }
}

/// An empty name means all namespaces, as no name does: installers set `WATCH_NAMESPACE=""` for it.
fn scopes(namespaces: &[String]) -> Vec<Scope> {
    if namespaces.iter().all(String::is_empty) {
        return vec![Scope(None)];
    }
    namespaces.iter().filter(|name| !name.is_empty()).cloned().map(Some).map(Scope).collect()
}
