//! Checks what is said of encryption.

use std::{net::IpAddr, time::Duration};

use super::{Invalid, time};
use crate::api::cluster::{Authority, ClientSecurity, Retire, Security, SecurityMode};

/// Ten years: an authority outlives many a cluster.
const AUTHORITY: Duration = Duration::from_secs(87_600 * 3600);
const LEAST_AUTHORITY: Duration = Duration::from_secs(3600);
/// Ninety days, renewed after sixty.
const LEAF: Duration = Duration::from_secs(2160 * 3600);
const LEAST_LEAF: Duration = Duration::from_secs(10);

/// Encryption as it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// Whether traffic between members is to be encrypted; `None`: as the cluster began, and yes in one that begins.
    pub peer: Option<bool>,
    /// Whether traffic with clients is.
    pub client: Option<bool>,
    /// Further names and addresses in the certificates that clients are served with.
    pub names: Vec<String>,
    /// Other authorities are wanted where this is higher than what the present ones were made for; 1 and up.
    pub generation: i64,
    /// When former ones are believed no more.
    pub retire: Retire,
    /// For how long an authority is valid that is made now.
    pub authority: Duration,
    /// For how long a certificate is.
    pub leaf: Duration,
    /// Whether etcd is to ask what a client may do; `None`: as people have it there.
    pub auth: Option<bool>,
}

/// What a cluster says of its encryption.
///
/// # Errors
/// When a name is none, or a time.
pub fn encryption(security: Option<&Security>) -> Result<Encryption, Invalid> {
    let Security { peer, client, ca, auth } = security.cloned().unwrap_or_default();
    let ClientSecurity { mode: client, names } = client.unwrap_or_default();
    let Authority { generation, retire, duration, leaf_duration } = ca.unwrap_or_default();
    if let Some(name) = names.iter().find(|name| !is_name(name) && !is_address(name)) {
        return Err(Invalid::CertificateName(name.clone()));
    }
    let lasts = |field, text: Option<String>, default, least| {
        let lasts = text.map_or(Ok(default), |text| one_number(field, &text))?;
        if lasts < least { Err(Invalid::TooShort { field, least }) } else { Ok(lasts) }
    };
    let says = |mode: Option<SecurityMode>| mode.map(|mode| mode == SecurityMode::Auto);
    if auth == Some(true) && client == Some(SecurityMode::Plain) {
        return Err(Invalid::AuthNeedsEncryption);
    }
    Ok(Encryption {
        auth,
        peer: says(peer.and_then(|peer| peer.mode)),
        client: says(client),
        names,
        generation: generation.unwrap_or(1).max(1),
        retire: retire.unwrap_or_default(),
        authority: lasts("security.ca.duration", duration, AUTHORITY, LEAST_AUTHORITY)?,
        leaf: lasts("security.ca.leafDuration", leaf_duration, LEAF, LEAST_LEAF)?,
    })
}

/// A duration of one number and one unit.
fn one_number(field: &'static str, text: &str) -> Result<Duration, Invalid> {
    let parts = text.matches(|c: char| c.is_ascii_alphabetic()).count();
    let error = || crate::duration::DurationError(text.to_owned());
    if parts == 1 { time(field, text, &["h", "m", "s"]) } else { Err(Invalid::Duration { field, error: error() }) }
}

/// A DNS name as certificates carry them: the last label is no number, or it would look like an address.
fn is_name(text: &str) -> bool {
    let text = text.strip_prefix("*.").unwrap_or(text);
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    text.len() <= 253 && text.split('.').all(label) && last.starts_with(|c: char| c.is_ascii_lowercase())
}

/// An address. Of IPv6 neither the longest forms of `::` nor those with an IPv4 address at their end, which a rule of the schema could
/// not tell from nonsense.
fn is_address(text: &str) -> bool {
    let short = text.split(':').count() <= 8 && !(text.contains(':') && text.contains('.'));
    short && text.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn judge(security: Value) -> Result<Encryption, Invalid> {
        encryption(Some(&serde_json::from_value(security).expect("a wish")))
    }

    #[test]
    fn what_is_left_out_is_as_the_cluster_began_and_lasts_for_ten_years_and_ninety_days() {
        let said = encryption(None).expect("nothing is said");
        assert_eq!((said.peer, said.client, said.names.len()), (None, None, 0));
        assert_eq!((said.generation, said.retire), (1, Retire::Later));
        assert_eq!((said.authority.as_secs() / 86_400, said.leaf.as_secs() / 86_400), (3650, 90));
        let said = judge(json!({"peer": {"mode": "Auto"}, "client": {"mode": "Plain"}})).expect("modes");
        assert_eq!((said.peer, said.client), (Some(true), Some(false)));
    }

    #[test]
    fn nobody_is_asked_who_has_no_certificate() {
        let auth = |mode: &str, auth: bool| judge(json!({"client": {"mode": mode}, "auth": auth}));
        assert_eq!(auth("Plain", true), Err(Invalid::AuthNeedsEncryption));
        assert_eq!(auth("Plain", false).map(|said| said.auth), Ok(Some(false)));
        assert_eq!(auth("Auto", true).map(|said| said.auth), Ok(Some(true)));
        assert_eq!(judge(json!({"auth": true})).map(|said| said.auth), Ok(Some(true)), "as the cluster began");
    }

    #[test]
    fn names_are_those_of_dns_and_addresses() {
        for name in ["etcd.example.com", "*.example.com", "a", "10.0.0.1", "fd00::1", "::1", "1:2:3:4:5:6:7:8"] {
            assert!(judge(json!({"client": {"names": [name]}})).is_ok(), "{name}");
        }
        for name in [
            "",
            "A.example.com",
            "a..b",
            "-a",
            "a-",
            "*",
            "*.*.a",
            "a.*.b",
            "10.0.0.256",
            "1.2.3",
            "1.2.3.4.5",
            ":::",
            "fd00::1::2",
            "::ffff:10.0.0.1",
            "fe80::1%eth0",
            "a_b",
            "a b",
            "https://a",
            "a:2379",
            "::1:2:3:4:5:6:7",
        ] {
            assert_eq!(
                judge(json!({"client": {"names": [name]}})),
                Err(Invalid::CertificateName(name.to_owned())),
                "{name}"
            );
        }
        assert!(judge(json!({"client": {"names": ["a".repeat(64)]}})).is_err());
    }

    #[test]
    fn a_time_that_is_none_or_too_short_is_named_by_its_field() {
        for (ca, field) in [
            (json!({"duration": "59m"}), "spec.security.ca.duration must be at least 1h"),
            (json!({"leafDuration": "9s"}), "spec.security.ca.leafDuration must be at least 10s"),
            (json!({"leafDuration": "90d"}), "spec.security.ca.leafDuration: "),
            (json!({"leafDuration": "1h30m"}), "spec.security.ca.leafDuration: "),
            (json!({"duration": "0h"}), "spec.security.ca.duration: "),
            (json!({"duration": "100ms"}), "spec.security.ca.duration: "),
        ] {
            let said = judge(json!({ "ca": ca })).expect_err("wrong").to_string();
            assert!(said.starts_with(field), "{said}");
        }
    }
}
