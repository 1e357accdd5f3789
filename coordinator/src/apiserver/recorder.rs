//! Writes Events: each sentence once, and the same one again as a count on the first.
//!
//! The recorder of kube-runtime 5.0 takes events of one reason for the same, whatever they say (`events.rs`,
//! `EventKey`): of two members that leave it would tell of one.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::ObjectReference,
        events::v1::{Event, EventSeries},
    },
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

/// A sentence that was last told longer ago is told anew. As client-go has it.
const AGAIN: Duration = Duration::from_secs(360);
/// How often what is older is forgotten.
const SWEEP: Duration = Duration::from_secs(10);
const CONTROLLER: &str = "etcd-coordinator";

/// Something that a person would want to have seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub warns: bool,
    pub reason: String,
    pub action: &'static str,
    pub text: String,
}

/// What was told lately.
pub struct Recorder {
    client: Client,
    instance: String,
    told: HashMap<Key, Told>,
    swept: Instant,
}

/// Whom it is about (by UID), the reason, and the sentence.
type Key = (String, String, String);

struct Told {
    event: String,
    count: i32,
    at: Instant,
}

impl Note {
    #[must_use]
    pub fn normal(reason: &str, action: &'static str, text: String) -> Self {
        Self { warns: false, reason: reason.to_owned(), action, text }
    }
}

impl Recorder {
    pub fn new(client: Client, instance: String) -> Self {
        Self { client, instance, told: HashMap::new(), swept: Instant::now() }
    }

    pub async fn publish(&mut self, note: Note, about: ObjectReference) -> kube::Result<()> {
        let (now, time) = (Instant::now(), MicroTime(Timestamp::now()));
        if now.duration_since(self.swept) >= SWEEP {
            self.told.retain(|_, told| now.duration_since(told.at) < AGAIN);
            self.told.shrink_to_fit();
            self.swept = now;
        }
        let key = (about.uid.clone().unwrap_or_default(), note.reason.clone(), note.text.clone());
        let events = Api::<Event>::namespaced(self.client.clone(), about.namespace.as_deref().unwrap_or("default"));
        if let Some(told) = self.told.get_mut(&key) {
            (told.count, told.at) = (told.count + 1, now);
            let series = EventSeries { count: told.count, last_observed_time: time };
            let patch = Patch::Merge(json!({ "series": series }));
            return events.patch(&told.event, &PatchParams::default(), &patch).await.map(|_| ());
        }
        let event = self.event(note, about, time);
        let name = event.metadata.name.clone().unwrap_or_default();
        events.create(&PostParams::default(), &event).await?;
        self.told.insert(key, Told { event: name, count: 1, at: now });
        Ok(())
    }

    fn event(&self, note: Note, about: ObjectReference, time: MicroTime) -> Event {
        let Note { warns, reason, action, text } = note;
        let name = format!("{}.{:x}", about.name.as_deref().unwrap_or(CONTROLLER), time.0.as_nanosecond());
        Event {
            metadata: ObjectMeta { namespace: about.namespace.clone(), name: Some(name), ..ObjectMeta::default() },
            type_: Some(if warns { "Warning" } else { "Normal" }.into()),
            reason: Some(reason),
            note: Some(text),
            action: Some(action.into()),
            event_time: Some(time),
            reporting_controller: Some(CONTROLLER.into()),
            reporting_instance: Some(self.instance.clone()),
            regarding: Some(about),
            ..Event::default()
        }
    }
}
