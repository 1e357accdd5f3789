//! Lists, read a page at a time; and what cannot be read, as a value beside what can.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde::de::DeserializeOwned;

use super::connection::{Connection, read};
use crate::failure::{Failure, line};

/// A thousand clusters are two requests.
const PAGE: u32 = 500;

/// What is known of something that the command could do without.
#[derive(Debug, Clone, PartialEq)]
pub enum Known<T> {
    Read(T),
    /// Why not, as a line for the reader.
    Unread(String),
}

impl<T> Known<T> {
    pub fn read(&self) -> Option<&T> {
        match self {
            Self::Read(value) => Some(value),
            Self::Unread(_) => None,
        }
    }

    pub fn caveat(&self) -> Option<&str> {
        match self {
            Self::Read(_) => None,
            Self::Unread(why) => Some(why),
        }
    }
}

impl<T> From<Result<T, Failure>> for Known<T> {
    fn from(answer: Result<T, Failure>) -> Self {
        match answer {
            Ok(value) => Self::Read(value),
            Err(failure) => Self::Unread(failure.to_string()),
        }
    }
}

/// Objects of one kind. One that cannot be read hides no other.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<K> {
    pub items: Vec<K>,
    /// A line for each that is none of its kind as this program knows it.
    pub unreadable: Vec<String>,
}

/// Whose objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Namespace,
    All,
}

/// All objects of one of our own kinds.
///
/// # Errors
/// With a sentence, when there is no list.
pub async fn own<K>(from: &Connection, scope: Scope, selector: Option<&str>) -> Result<Listed<K>, Failure>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
{
    let kind = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = match scope {
        Scope::Namespace => Api::namespaced_with(from.client.clone(), &from.namespace, &kind),
        Scope::All => Api::all_with(from.client.clone(), &kind),
    };
    let params = selector.map_or_else(ListParams::default, |selector| ListParams::default().labels(selector));
    let mut listed = Listed { items: vec![], unreadable: vec![] };
    for object in pages(&api, params, &format!("{}s", kind.kind)).await? {
        let name = format!("{} {} in {}", kind.kind, object.name_any(), object.namespace().unwrap_or_default());
        match object.try_parse() {
            Ok(item) => listed.items.push(item),
            Err(error) => listed.unreadable.push(format!("{name} cannot be read: {}", line(&error.to_string()))),
        }
    }
    Ok(listed)
}

/// All objects that are selected. `what` names them in the plural.
///
/// # Errors
/// With a sentence.
pub async fn pages<K>(api: &Api<K>, params: ListParams, what: &str) -> Result<Vec<K>, Failure>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut params = params.limit(PAGE);
    let mut all = vec![];
    loop {
        let page = read(what, api.list(&params)).await?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}
