//! References of images, as container runtimes read them: `registry:port/path:tag@digest`.
//!
//! Source: <https://github.com/distribution/reference/blob/main/regexp.go>. The schema's rules say the same in one regular
//! expression each.

/// The longest tag.
const MAX_TAG: usize = 128;

/// Whether this can be a repository: an image's name without tag and digest.
#[must_use]
pub fn is_repository(text: &str) -> bool {
    let (first, rest) = text.split_once('/').map_or((text, None), |(first, rest)| (first, Some(rest)));
    let starts = is_component(first) || (rest.is_some() && is_registry(first));
    starts && rest.is_none_or(|rest| rest.split('/').all(is_component))
}

/// Whether this can be a whole reference: a repository with a tag, a digest or both.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
    // A colon before the last slash is a registry's port.
    let path = named.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match named[path..].find(':') {
        Some(colon) => (&named[..path + colon], Some(&named[path + colon + 1..])),
        None => (named, None),
    };
    let fits = tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    fits && (tag.is_some() || digest.is_some()) && is_repository(repository)
}

/// `host.domain`, `host:port`, an IPv6 address in brackets, with a port or without. A mere word is a part of a path.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let known = match v6 {
        Some(v6) => !v6.is_empty() && v6.bytes().all(|b| b.is_ascii_hexdigit() || b == b':'),
        None => host.split('.').all(is_label) && (host.contains('.') || port.is_some()),
    };
    known && port.is_none_or(is_port)
}

fn is_label(text: &str) -> bool {
    let dash = |c: char| c == '-';
    !text.is_empty()
        && !text.starts_with(dash)
        && !text.ends_with(dash)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Lower case letters and digits, in between one dot, one or two underscores, or dashes.
fn is_component(text: &str) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separates = |run: &str| matches!(run, "." | "_" | "__") || (!run.is_empty() && run.bytes().all(|b| b == b'-'));
    let inner = text.trim_matches(word);
    let ends = text.starts_with(word) && text.ends_with(word);
    ends && inner.split(word).filter(|run| !run.is_empty()).all(separates)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=MAX_TAG).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn is_digest(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix("sha256:").is_some_and(|rest| rest.len() == 64 && rest.bytes().all(hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_what_only_looks_like_one() {
        for text in [
            "etcd",
            "quay.io/coreos/etcd",
            "localhost:5000/etcd",
            "registry:5000/a/b__c/d--e.f",
            "[fd00::1]:5000/etcd",
            "Registry.Example/etcd",
            "0",
        ] {
            assert!(is_repository(text), "{text}");
        }
        for text in [
            "",
            "quay.io/coreos/etcd ",
            "HTTPS://quay.io/coreos/etcd",
            "https://quay.io/coreos/etcd",
            "quay.io/coreos/etcd:v3.5.21",
            "quay.io/coreos/etcd@sha256:0",
            "quay.io//etcd",
            "/etcd",
            "etcd/",
            "Etcd",
            "Foo/etcd",
            "a..b",
            "a___b",
            "a._b",
            "-a",
            "a-",
            "host:/etcd",
            "host:123456/etcd",
            "[]:5000/etcd",
            "registry:5000",
        ] {
            assert!(!is_repository(text), "{text}");
        }
    }

    #[test]
    fn a_reference_names_a_tag_or_a_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "docker.io/bitnami/etcd:3.5.21-debian-12-r0".to_owned(),
            format!("quay.io/coreos/etcd@{digest}"),
            format!("localhost:5000/etcd:v3.5.21@{digest}"),
            "etcd:_".to_owned(),
        ] {
            assert!(is_reference(&text), "{text}");
        }
        for text in [
            String::new(),
            "quay.io/coreos/etcd".to_owned(),
            "localhost:5000/etcd".to_owned(),
            "etcd:".to_owned(),
            "etcd:.a".to_owned(),
            "etcd:v1:v2".to_owned(),
            format!("etcd:{}", "a".repeat(129)),
            format!("etcd@{}", &digest[..70]),
            format!("etcd@{}", digest.to_uppercase()),
            "etcd@md5:0".to_owned(),
            format!("https://quay.io/etcd@{digest}"),
        ] {
            assert!(!is_reference(&text), "{text}");
        }
    }
}
