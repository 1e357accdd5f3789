//! A status in a form that the API server's kinds take.
//!
//! A field that older kinds do not have is dropped by the API server, a *value* that they do not know is refused with the whole
//! status: one new word would silence the member. So the field that was refused is left out for as long as it has that value.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fields by which a member is known again: without them a status says something else, and is not told at all.
const NOTEBOOK: [&str; 3] = ["claim", "counter", "leftPodUid"];

/// Fields of the status that were refused, each with the value that was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    fields: BTreeMap<String, Value>,
}

impl Refused {
    /// Takes the paths that a refusal names, such as `status.role`, of a status that was sent. Returns the fields that are left
    /// out from now on: none when leaving out cannot help.
    pub fn note(&mut self, paths: &[String], sent: &Value) -> Vec<String> {
        let mut news = Vec::new();
        for path in paths {
            let Some(field) = field_of(path).filter(|field| !NOTEBOOK.contains(field)) else { continue };
            let Some(value) = sent.get(field) else { continue };
            if self.fields.get(field) != Some(value) {
                self.fields.insert(field.to_owned(), value.clone());
                news.push(field.to_owned());
            }
        }
        news
    }

    /// The status without what was refused.
    #[must_use]
    pub fn without(&self, mut status: Value) -> Value {
        if let Some(fields) = status.as_object_mut() {
            fields.retain(|field, value| self.fields.get(field) != Some(value));
        }
        status
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// The field of the status that a path leads into: `membership` of `status.membership.members[0].id`.
fn field_of(path: &str) -> Option<&str> {
    path.strip_prefix("status.")?.split(['.', '[']).next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn paths(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn a_value_that_the_kinds_do_not_know_is_left_out_and_nothing_else() {
        let status = json!({"phase": "Restoring", "role": "Follower", "ready": true});
        let mut refused = Refused::default();
        assert_eq!(refused.note(&paths(&["status.phase"]), &status), ["phase"]);
        assert_eq!(refused.without(status), json!({"role": "Follower", "ready": true}));
        let later = json!({"phase": "Running", "role": "Follower", "ready": true});
        assert_eq!(refused.without(later.clone()), later, "another value of the field is told");
    }

    #[test]
    fn a_part_of_a_field_takes_the_whole_field_with_it() {
        let status = json!({"membership": {"members": [{"id": "a"}]}, "ready": true});
        let mut refused = Refused::default();
        assert_eq!(refused.note(&paths(&["status.membership.members[0].id"]), &status), ["membership"]);
        assert_eq!(refused.without(status), json!({"ready": true}));
    }

    #[test]
    fn leaving_out_comes_to_an_end() {
        let status = json!({"phase": "Restoring", "ready": true});
        let mut refused = Refused::default();
        refused.note(&paths(&["status.phase"]), &status);
        assert!(refused.note(&paths(&["status.phase", "status.unheard", "metadata.name", ""]), &status).is_empty());
    }

    #[test]
    fn what_a_member_is_known_by_is_never_left_out() {
        let status = json!({"claim": {"number": 1}, "counter": 4, "leftPodUid": "u"});
        let mut refused = Refused::default();
        assert!(
            refused.note(&paths(&["status.claim.number", "status.counter", "status.leftPodUid"]), &status).is_empty()
        );
        assert!(refused.is_empty());
    }
}
