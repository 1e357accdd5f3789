//! When the first lists of a scope are complete: before that nothing is triggered, and then everything once.
//!
//! ```text
//!   a watch lists ──▶ missing: {Pod, Service, …} ──▶ {} ──▶ one word: look at every cluster
//!   a list is made anew ──▶ a word again; several at about the same time are one
//! ```
//! A reconciliation on half of what is there would apply what stands already.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{Stream, StreamExt, channel::mpsc, stream};

/// When the API server comes back, all watches list anew: their words within this time are one.
const TOGETHER: Duration = Duration::from_millis(500);

/// Which first lists are still missing, of one scope.
#[derive(Debug, Clone, Default)]
pub struct Lists(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    missing: BTreeSet<String>,
    /// Told whenever a list is complete, from the last of the first ones on.
    words: Option<mpsc::UnboundedSender<()>>,
}

impl Lists {
    /// A word whenever every cluster is to be looked at. Of several that ask, the last one hears it.
    pub fn words(&self) -> impl Stream<Item = ()> + Send + use<> {
        let (sender, words) = mpsc::unbounded();
        self.lock().words = Some(sender);
        stream::unfold(words, |mut words| async {
            words.next().await?;
            tokio::time::sleep(TOGETHER).await;
            while let Ok(()) = words.try_recv() {}
            Some(((), words))
        })
    }

    /// A kind is listed from now on.
    pub fn begin(&self, kind: &str) {
        self.lock().missing.insert(kind.to_owned());
    }

    /// A list of a kind is complete.
    pub fn complete(&self, kind: &str) {
        let mut state = self.lock();
        state.missing.remove(kind);
        if state.missing.is_empty()
            && let Some(words) = &state.words
        {
            // Nobody listens any more: the controller ends.
            let _ = words.unbounded_send(());
        }
    }

    /// Whether all first lists are complete.
    #[must_use]
    pub fn are_complete(&self) -> bool {
        self.lock().missing.is_empty()
    }

    /// The kinds whose first list is missing.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.lock().missing.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn the_last_of_the_first_lists_gives_one_word_and_each_later_one_another() {
        let lists = Lists::default();
        let mut words = Box::pin(lists.words());
        ["Pod", "Service"].into_iter().for_each(|kind| lists.begin(kind));
        lists.complete("Pod");
        assert_eq!((lists.are_complete(), lists.missing()), (false, vec!["Service".to_owned()]));
        assert_eq!(words.next().now_or_never(), None);
        lists.complete("Service");
        assert!(lists.are_complete());
        assert_eq!(words.next().await, Some(()));
        lists.complete("Pod");
        assert_eq!(words.next().await, Some(()));
    }

    #[tokio::test]
    async fn lists_that_are_made_anew_together_are_one_word() {
        let lists = Lists::default();
        let mut words = Box::pin(lists.words());
        (0..11).for_each(|_| lists.complete("Pod"));
        assert_eq!(words.next().await, Some(()));
        assert_eq!(words.next().now_or_never(), None);
    }
}
