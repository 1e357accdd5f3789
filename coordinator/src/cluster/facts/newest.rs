//! Whether a pod is what the newest template says: made so, or come to it since.
//!
//! ```text
//!   the frame (fixed), the etcd (noted with its last change), the options (told to this pod, or said by its agent)
//!       all as the template has them ──▶ the newest shape           some of it not ──▶ another
//! ```

use std::collections::BTreeMap;

use etcd_operator_shared::{
    names::{ANNOTATION_ETCD_IMAGE, ANNOTATION_FRAME, ANNOTATION_SHAPE},
    options::digest,
};

use super::{Facts, Pod, Readiness, Set, Slot};

impl Facts {
    /// The same facts, with the shape that each pod has come to.
    #[must_use]
    pub fn compared(mut self) -> Self {
        let Some(set) = &self.set else { return self };
        let Some(newest) = set.newest.clone().filter(|_| set.frame.is_some()) else { return self };
        for slot in self.slots.values_mut() {
            let is_newest = slot.is_made_of(set);
            let Some(pod) = slot.pod.as_mut().filter(|pod| pod.frame.is_some()) else { continue };
            if is_newest {
                pod.shape.clone_from(&newest);
            } else if pod.shape == newest {
                pod.shape.clear();
            }
        }
        self
    }

    /// The member whose etcd has refused the options of the newest template.
    #[must_use]
    pub fn refusing(&self) -> Option<&Slot> {
        let options = digest(self.set.as_ref()?.options.as_ref()?);
        self.slots
            .values()
            .find(|slot| slot.report().is_some_and(|said| said.refused_options.as_ref() == Some(&options)))
    }
}

/// What is to be written on a pod that is of the newest shape and does not say so. One whose options are the same in
/// other words, as a release of long ago has said them, gets no frame: it would differ by them.
#[must_use]
pub fn marks(pod: &Pod, set: &Set) -> Option<BTreeMap<&'static str, String>> {
    let shape = set.newest.as_ref().filter(|newest| **newest == pod.shape)?;
    let mut marks = BTreeMap::new();
    if pod.unmarked {
        marks.insert(ANNOTATION_SHAPE, shape.clone());
    }
    let same = pod.options.is_some() && pod.options == set.options.as_deref().map(digest);
    if let (None, true, Some(frame), Some(etcd)) = (&pod.frame, same, &set.frame, &set.etcd) {
        marks.insert(ANNOTATION_FRAME, frame.clone());
        marks.insert(ANNOTATION_ETCD_IMAGE, etcd.image.clone());
    }
    (!marks.is_empty()).then_some(marks)
}

impl Slot {
    /// Whether its pod is what a template says.
    fn is_made_of(&self, set: &Set) -> bool {
        let Some(pod) = &self.pod else { return false };
        pod.frame == set.frame && pod.asked == set.etcd && self.has_options(set)
    }

    /// Whether its etcd has the options of a template, or was told to have them.
    #[must_use]
    pub fn has_options(&self, set: &Set) -> bool {
        let made_with = self.pod.as_ref().and_then(|pod| pod.options.clone());
        let said = || self.report().and_then(|said| said.options.clone());
        let told = self.told_options().filter(|told| !self.refuses(told));
        told.or_else(said).or(made_with) == set.options.as_deref().map(digest)
    }

    /// Digest of the options that were told to the very pod that is there.
    fn told_options(&self) -> Option<String> {
        let (pod, told) = (self.pod.as_ref()?, self.member.as_ref()?.spec.options.as_ref()?);
        (told.pod == pod.uid).then(|| digest(&told.said))
    }

    fn refuses(&self, options: &str) -> bool {
        self.report().is_some_and(|said| said.refused_options.as_deref() == Some(options))
    }

    /// Whether its etcd is being started once more with other options, and was not yet.
    #[must_use]
    pub fn is_turning(&self) -> bool {
        let Some(told) = self.told_options().filter(|told| !self.refuses(told)) else { return false };
        self.report().is_some_and(|said| said.options.as_ref() != Some(&told))
    }

    /// Whether its etcd is being started once more to believe other authorities, and was not yet. What was told of former ones says
    /// nothing any more.
    #[must_use]
    pub fn is_reloading(&self) -> bool {
        let Some((pod, member)) = self.pod.as_ref().zip(self.member.as_ref()) else { return false };
        let told = member.spec.reload.as_ref().filter(|told| told.pod == pod.uid);
        let answered = member.certificates.as_ref().and_then(|all| all.answered.as_ref());
        let Some(told) = told.filter(|told| answered.is_some_and(|answered| *answered.pools == *told.pools)) else {
            return false;
        };
        let said = self.report().and_then(|said| said.certificates.as_ref());
        said.is_some_and(|said| said.loaded.as_ref() != Some(&told.pools))
    }

    /// Whether its etcd was changed in its pod, and what serves there is not what it was changed to.
    #[must_use]
    pub fn is_swapping(&self) -> bool {
        let serves = match self.readiness() {
            Readiness::Ready(said) => said.version.as_deref(),
            Readiness::Absent | Readiness::Down | Readiness::Unknown | Readiness::NotReady(_) => None,
        };
        self.pod.as_ref().is_some_and(|pod| pod.etcd.is_due(serves))
    }

    /// Whether what its agent says speaks of an etcd that is on its way out.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.is_swapping() || self.is_turning() || self.is_reloading()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use etcd_operator_shared::api::member::ToldOptions;

    use super::*;
    use crate::cluster::facts::{
        Etcd,
        tests::{healthy, set},
    };

    fn etcd(version: &str) -> Option<Etcd> {
        Some(Etcd { version: version.parse().unwrap(), image: format!("etcd:{version}") })
    }

    /// A cluster of one whose pod was made from template `a`, where the newest is `b` with this etcd and these options.
    /// `told`: to its pod.
    fn facts(version: &str, options: &str, told: Option<&str>, said: Option<&str>) -> Facts {
        let mut facts = healthy(1);
        let newest = Set { frame: Some("f".into()), etcd: etcd(version), options: Some(options.into()), ..set(1, "b") };
        facts.set = Some(newest);
        let slot = facts.slots.get_mut(&0).unwrap();
        let pod = slot.pod.as_mut().unwrap();
        (pod.frame, pod.asked, pod.options) = (Some("f".into()), etcd("v3.5.21"), Some(digest("x")));
        let member = Arc::make_mut(slot.member.as_mut().unwrap());
        let told = told.map(|told| ToldOptions { pod: pod.uid.clone(), said: told.into() });
        Arc::make_mut(&mut member.spec).options = told;
        member.status.as_mut().unwrap().options = said.map(digest);
        facts
    }

    fn shape(facts: Facts) -> String {
        facts.compared().slots[&0].pod.as_ref().unwrap().shape.clone()
    }

    #[test]
    fn a_pod_is_new_when_its_etcd_and_its_options_are() {
        assert_eq!(shape(facts("v3.5.21", "x", None, None)), "b");
        assert_eq!(shape(facts("v3.5.35", "x", None, None)), "a");
        assert_eq!(shape(facts("v3.5.21", "y", None, None)), "a");
        assert_eq!(shape(facts("v3.5.21", "y", Some("y"), Some("x"))), "b", "it is told, and waited for");
        assert_eq!(shape(facts("v3.5.21", "y", None, Some("y"))), "b");
        assert_eq!(shape(facts("v3.5.21", "x", None, Some("y"))), "a", "it runs with others than it was made with");
        let other = |change: fn(&mut Pod)| {
            let mut facts = facts("v3.5.21", "x", None, None);
            change(facts.slots.get_mut(&0).unwrap().pod.as_mut().unwrap());
            shape(facts)
        };
        assert_eq!(other(|pod| pod.frame = Some("g".into())), "a");
        assert_eq!(other(|pod| pod.frame = None), "a", "only its shape counts");
        assert_eq!(other(|pod| (pod.frame, pod.shape) = (None, "b".into())), "b");
    }

    #[test]
    fn a_pod_of_before_frames_gets_one_where_it_is_the_newest_in_the_same_words() {
        let facts = facts("v3.5.21", "x", None, None);
        let (set, pod) = (facts.set.as_ref().unwrap(), facts.slots[&0].pod.clone().unwrap());
        let keys = |pod: &Pod| marks(pod, set).map(|marks| marks.into_keys().collect::<Vec<_>>());
        let newest = Pod { shape: "b".into(), ..pod.clone() };
        assert_eq!(keys(&newest), None, "it has one");
        let plain = Pod { frame: None, ..newest };
        assert_eq!(keys(&plain), Some(vec![ANNOTATION_ETCD_IMAGE, ANNOTATION_FRAME]));
        assert_eq!(keys(&Pod { frame: None, ..pod }), None, "it is old");
        let full = Pod { options: Some(digest("the same in full")), ..plain.clone() };
        assert_eq!(keys(&full), None);
        assert_eq!(keys(&Pod { unmarked: true, ..full }), Some(vec![ANNOTATION_SHAPE]));
    }

    #[test]
    fn one_that_has_come_away_from_the_newest_template_is_old() {
        let mut facts = facts("v3.5.21", "x", Some("y"), Some("y"));
        facts.slots.get_mut(&0).unwrap().pod.as_mut().unwrap().shape = "b".into();
        assert_eq!(shape(facts), "");
    }

    #[test]
    fn a_turn_is_under_way_until_etcd_runs_with_what_was_told_or_has_refused_it() {
        let turning = |told, said| facts("v3.5.21", "y", told, said).slots[&0].is_turning();
        assert!(turning(Some("y"), Some("x")) && turning(Some("y"), None));
        assert!(!turning(Some("y"), Some("y")) && !turning(None, Some("x")));
        let mut refused = facts("v3.5.21", "y", Some("y"), Some("x"));
        let member = refused.slots.get_mut(&0).unwrap().member.as_mut().unwrap();
        Arc::make_mut(member).status.as_mut().unwrap().refused_options = Some(digest("y"));
        assert!(!refused.slots[&0].is_turning() && refused.refusing().is_some());
        assert_eq!(shape(refused), "a", "it is what it runs with");
        let mut former = facts("v3.5.21", "y", Some("y"), Some("x"));
        let slot = former.slots.get_mut(&0).unwrap();
        Arc::make_mut(&mut Arc::make_mut(slot.member.as_mut().unwrap()).spec).options.as_mut().unwrap().pod =
            "o".into();
        assert!(!slot.is_turning(), "that was told to another pod");
    }
}
