//! Which options etcd is started with, when it is to be started once more for others, and when the last good ones come
//! back.
//!
//! ```text
//!   told to this very pod (EtcdMember, or the mark while it is not heard) ─┬─▶ wanted ──▶ etcd runs with others: a turn
//!   else what the pod was made with                                        ┘     └─▶ etcd refuses them ─▶ the last good ones
//! ```
//! Options that were told to a former pod of this name say nothing of this one, which may have been made with newer
//! ones.

use etcd_operator_shared::{api::member::ToldOptions, options::digest, version::Version};

use crate::volume::mark::{Options, RefusedOptions};

/// What there is to choose from. All are texts as the coordinator says them.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub pod_uid: &'a str,
    /// What the pod was made with.
    pub born: &'a str,
    /// What the EtcdMember tells, and whom; `None` while it is not heard. `Some(None)`: it tells nobody anything.
    pub told: Option<Option<&'a ToldOptions>>,
    /// What the mark keeps.
    pub kept: &'a Options,
    /// Version of the etcd that is here.
    pub binary: Version,
}

/// What is wanted of this pod's etcd, whatever came of it.
#[must_use]
pub fn wanted<'a>(facts: Facts<'a>) -> &'a str {
    let told = facts.told.unwrap_or(facts.kept.told.as_ref());
    told.filter(|told| told.pod == facts.pod_uid).map_or(facts.born, |told| &told.said)
}

/// What etcd is started with: what is wanted, or the last that it has served with where it refuses that.
#[must_use]
pub fn chosen<'a>(facts: Facts<'a>) -> &'a str {
    let wanted = wanted(facts);
    match (refusal(facts), &facts.kept.good) {
        (Some(_), Some(good)) => good,
        (Some(_), None) | (None, _) => wanted,
    }
}

/// Why what is wanted does not come into force. Another version may well take it.
#[must_use]
pub fn refusal<'a>(facts: Facts<'a>) -> Option<&'a RefusedOptions> {
    let (wanted, version) = (digest(wanted(facts)), facts.binary.to_string());
    facts.kept.refused.as_ref().filter(|refused| refused.digest == wanted && refused.version == version)
}

/// Whether etcd is to be started once more, since it runs with other options. `running`: the digest of those, where it
/// is known.
#[must_use]
pub fn is_due(facts: Facts<'_>, running: Option<&str>) -> bool {
    running.is_some_and(|running| running != digest(chosen(facts)))
}

/// What the mark is to keep of what etcd serves with, and of what was told, where that is news.
#[must_use]
pub fn news(facts: Facts<'_>, serving: Option<&str>) -> Option<Options> {
    let mut options = facts.kept.clone();
    if let Some(told) = facts.told {
        options.told = told.cloned();
    }
    let known = [wanted(facts), chosen(facts), facts.born];
    if let Some(said) = known.into_iter().find(|said| serving.is_some_and(|serving| digest(said) == serving)) {
        options.good = Some(said.to_owned());
        // They come into force all the same: by another version, or another's hand.
        options.refused = options.refused.filter(|refused| Some(refused.digest.as_str()) != serving);
    }
    (options != *facts.kept).then_some(options)
}

/// What the mark is to keep once etcd has refused the options that it was started with, in these words. Nothing where
/// there are no others: then they are tried again.
#[must_use]
pub fn refused(facts: Facts<'_>, started_with: Option<&str>, words: &str) -> Option<Options> {
    let good = facts.kept.good.as_ref().map(|good| digest(good))?;
    let wanted = digest(wanted(facts));
    let news = started_with == Some(wanted.as_str()) && good != wanted && refusal(facts).is_none();
    let refused = RefusedOptions { digest: wanted, version: facts.binary.to_string(), words: words.to_owned() };
    news.then(|| Options { refused: Some(refused), ..facts.kept.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pod: &str, said: &str) -> ToldOptions {
        ToldOptions { pod: pod.into(), said: said.into() }
    }

    fn facts<'a>(told: Option<Option<&'a ToldOptions>>, kept: &'a Options) -> Facts<'a> {
        Facts { pod_uid: "p", born: "born", told, kept, binary: "v3.5.21".parse().unwrap() }
    }

    #[test]
    fn what_was_told_to_this_very_pod_is_wanted_and_else_what_it_was_made_with() {
        let (own, former) = (told("p", "told"), told("o", "old"));
        let kept = Options { told: Some(told("p", "kept")), ..Options::default() };
        let none = Options::default();
        for (said, mark, expected) in [
            (Some(Some(&own)), &none, "told"),
            (Some(Some(&former)), &kept, "born"),
            (Some(None), &kept, "born"),
            (None, &kept, "kept"),
            (None, &none, "born"),
        ] {
            assert_eq!(wanted(facts(said, mark)), expected);
        }
    }

    #[test]
    fn etcd_is_started_once_more_only_where_it_is_known_to_run_with_others() {
        let (own, none) = (told("p", "told"), Options::default());
        let facts = facts(Some(Some(&own)), &none);
        assert!(is_due(facts, Some(&digest("born"))));
        assert!(!is_due(facts, Some(&digest("told"))));
        assert!(!is_due(facts, None), "a launcher of before does not say");
    }

    #[test]
    fn options_that_etcd_refuses_give_way_to_the_last_it_has_served_with() {
        let own = told("p", "bad");
        let kept = news(facts(Some(None), &Options::default()), Some(&digest("born"))).unwrap();
        assert_eq!(kept.good.as_deref(), Some("born"));
        let at = |kept: &Options| chosen(facts(Some(Some(&own)), kept)).to_owned();
        assert_eq!(at(&kept), "bad");
        let kept = refused(facts(Some(Some(&own)), &kept), Some(&digest("bad")), "no such flag").unwrap();
        assert_eq!(at(&kept), "born");
        assert_eq!(refused(facts(Some(Some(&own)), &kept), Some(&digest("bad")), "x"), None, "it is known");
        assert!(!is_due(facts(Some(Some(&own)), &kept), Some(&digest("born"))), "they are not tried again");
        let other = told("p", "mended");
        assert_eq!(chosen(facts(Some(Some(&other)), &kept)), "mended");
        let newer = Facts { binary: "v3.6.16".parse().unwrap(), ..facts(Some(Some(&own)), &kept) };
        assert_eq!(chosen(newer), "bad", "another version may take them");
    }

    #[test]
    fn where_nothing_else_is_known_to_work_nothing_is_refused() {
        let none = Options::default();
        assert_eq!(refused(facts(Some(None), &none), Some(&digest("born")), "x"), None);
        let same = Options { good: Some("born".into()), ..none };
        assert_eq!(refused(facts(Some(None), &same), Some(&digest("born")), "x"), None, "it has served with these");
        assert_eq!(refused(facts(Some(None), &same), Some(&digest("other")), "x"), None, "that was another order");
    }

    #[test]
    fn the_mark_is_written_only_when_it_says_something_else() {
        let (own, none) = (told("p", "told"), Options::default());
        let kept = news(facts(Some(Some(&own)), &none), None).unwrap();
        assert_eq!((kept.told.as_ref(), &kept.good), (Some(&own), &None));
        let kept = news(facts(Some(Some(&own)), &kept), Some(&digest("told"))).unwrap();
        assert_eq!(kept.good.as_deref(), Some("told"));
        assert_eq!(news(facts(Some(Some(&own)), &kept), Some(&digest("told"))), None);
        assert_eq!(news(facts(None, &kept), Some(&digest("foreign"))), None, "what nobody has said is not kept");
    }
}
