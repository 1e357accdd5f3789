//! Objects that cannot be read, so that one of them does not hide all others.
//!
//! A list is decoded whole: one object that does not fit our types (a number too large for its field, a word that only a
//! newer program knows) would make kube's watcher list again and again, for ever, and no cache would ever fill. Like
//! kube's own `DeserializeGuard`, but the object is kept: a part of it may be of use, and the field is named.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, runtime::watcher::Event};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::whole::Whole;

/// An object, or one that cannot be read.
#[derive(Debug, Clone)]
pub struct Guard<K>(pub Result<K, Unreadable>);

/// An object that does not fit its type.
#[derive(Debug, Clone)]
pub struct Unreadable {
    pub metadata: ObjectMeta,
    pub whole: Value,
    /// Which field, and why.
    pub words: String,
}

/// What is made of an object that cannot be read whole; `None` where no part of it is of use.
pub type Salvage<K> = fn(&Unreadable) -> Option<K>;

/// No part is of use.
pub fn nothing<K>(_: &Unreadable) -> Option<K> {
    None
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guard<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let whole = Value::deserialize(from)?;
        let read = serde_path_to_error::deserialize(&whole);
        Ok(Self(read.map_err(|error| Unreadable {
            metadata: whole.get("metadata").map(ObjectMeta::deserialize).and_then(Result::ok).unwrap_or_default(),
            words: error.to_string(),
            whole,
        })))
    }
}

impl<K: Resource> Resource for Guard<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &K::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &K::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &K::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &K::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

/// An event without what cannot be read: an object that can be read no more is gone from the cache. Each is `told`.
pub fn readable<K>(
    event: Event<Guard<K>>,
    cache: &Whole<K>,
    salvage: Salvage<K>,
    told: impl FnOnce(Unreadable),
) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + 'static,
{
    let known = |metadata: &ObjectMeta| {
        let at = |text: &Option<String>| text.clone().unwrap_or_default();
        cache.get(&at(&metadata.namespace), &at(&metadata.name)).map(|known| Event::Delete(K::clone(&known)))
    };
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(Guard(Ok(object))) => Some(Event::InitApply(object)),
        Event::Apply(Guard(Ok(object))) => Some(Event::Apply(object)),
        Event::Delete(Guard(Ok(object))) => Some(Event::Delete(object)),
        Event::InitApply(Guard(Err(unreadable))) => {
            let part = salvage(&unreadable).map(Event::InitApply);
            told(unreadable);
            part
        }
        Event::Apply(Guard(Err(unreadable))) => {
            let part = salvage(&unreadable).map(Event::Apply).or_else(|| known(&unreadable.metadata));
            told(unreadable);
            part
        }
        Event::Delete(Guard(Err(unreadable))) => known(&unreadable.metadata),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    fn read(data: &Value) -> Guard<ConfigMap> {
        let object = json!({"metadata": {"namespace": "ns", "name": "a", "uid": "u"}, "data": data});
        serde_json::from_value(object).unwrap()
    }

    fn unreadable() -> Guard<ConfigMap> {
        read(&json!({"a": {"b": 1}}))
    }

    #[test]
    fn an_object_that_cannot_be_read_hides_no_other_and_names_the_field() {
        let list = json!([{"metadata": {"name": "a"}, "data": {"key": 7}}, {"metadata": {"name": "b"}}]);
        let list: Vec<Guard<ConfigMap>> = serde_json::from_value(list).unwrap();
        let words = list[0].0.as_ref().unwrap_err().words.as_str();
        assert!(words.starts_with("data.key: ") && words.contains('7'), "{words}");
        assert_eq!(list.iter().map(|one| one.meta().name.clone().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(list[1].0.is_ok());
    }

    #[test]
    fn what_can_be_read_no_more_is_gone_from_the_cache() {
        let cache = Whole::<ConfigMap>::default();
        let mut writer = cache.writer().unwrap();
        let mut told = 0;
        let events = [Event::Init, Event::InitApply(read(&json!({}))), Event::InitDone, Event::Apply(unreadable())];
        for event in events {
            if let Some(event) = readable(event, &cache, nothing, |_| told += 1) {
                writer.apply_watcher_event(&event);
            }
        }
        assert_eq!((told, cache.get("ns", "a")), (1, None));
        assert!(readable(Event::Apply(unreadable()), &cache, nothing, |_| ()).is_none(), "it was gone already");
        let mended = readable(Event::Apply(read(&json!({}))), &cache, nothing, |_| ()).unwrap();
        writer.apply_watcher_event(&mended);
        assert!(cache.get("ns", "a").is_some());
    }

    #[test]
    fn a_first_list_is_complete_without_what_cannot_be_read() {
        let cache = Whole::<ConfigMap>::default();
        let mut writer = cache.writer().unwrap();
        for event in [Event::Init, Event::InitApply(unreadable()), Event::InitDone] {
            if let Some(event) = readable(event, &cache, nothing, |_| ()) {
                writer.apply_watcher_event(&event);
            }
        }
        assert!(cache.get("ns", "a").is_none());
    }
}
