//! Checks what is said of the client Service.

use super::Invalid;
use crate::api::cluster::{Service, ServiceType};

/// What a type of Service cannot have is refused, and what is no range of addresses.
pub fn check(service: &Service) -> Result<(), Invalid> {
    let Service {
        r#type,
        node_port,
        load_balancer_class,
        load_balancer_source_ranges,
        external_traffic_policy,
        ip_family_policy: _,
        labels: _,
        annotations: _,
    } = service;
    let (inside, balanced) = match r#type {
        ServiceType::ClusterIP => (true, false),
        ServiceType::NodePort => (false, false),
        ServiceType::LoadBalancer => (false, true),
    };
    let ranges = load_balancer_source_ranges.as_deref().unwrap_or_default();
    match ranges.iter().find(|range| !is_range(range)) {
        _ if inside && node_port.is_some() => Err(Invalid::NodePort),
        _ if inside && external_traffic_policy.is_some() => Err(Invalid::TrafficPolicy),
        _ if !balanced && (load_balancer_class.is_some() || !ranges.is_empty()) => Err(Invalid::LoadBalancer),
        Some(range) => Err(Invalid::SourceRange(range.clone())),
        None => Ok(()),
    }
}

/// Letters and digits of an address, and a length: the API server looks closer.
fn is_range(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let part = |b: u8| b.is_ascii_hexdigit() || b == b'.' || b == b':';
    let short = (1..=3).contains(&length.len()) && length.bytes().all(|b| b.is_ascii_digit());
    !address.is_empty() && address.bytes().all(part) && short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn judge(service: Value) -> Result<(), Invalid> {
        check(&serde_json::from_value(service).unwrap())
    }

    #[test]
    fn what_a_load_balancer_needs_is_refused_without_one() {
        let class = json!({"type": "LoadBalancer", "loadBalancerClass": "internal", "loadBalancerSourceRanges": ["10.0.0.0/8"]});
        assert_eq!(judge(class), Ok(()));
        for kind in ["ClusterIP", "NodePort"] {
            assert_eq!(judge(json!({"type": kind, "loadBalancerClass": "internal"})), Err(Invalid::LoadBalancer));
            let ranges = json!({"type": kind, "loadBalancerSourceRanges": ["10.0.0.0/8"]});
            assert_eq!(judge(ranges), Err(Invalid::LoadBalancer));
        }
    }

    #[test]
    fn traffic_from_outside_needs_a_port_outside() {
        assert_eq!(judge(json!({"type": "NodePort", "externalTrafficPolicy": "Local"})), Ok(()));
        assert_eq!(judge(json!({"externalTrafficPolicy": "Local"})), Err(Invalid::TrafficPolicy));
    }

    #[test]
    fn ranges_of_addresses_look_like_it() {
        let judge = |range: &str| judge(json!({"type": "LoadBalancer", "loadBalancerSourceRanges": [range]}));
        assert!(["10.0.0.0/8", "fd00::/64", "0.0.0.0/0"].iter().all(|range| judge(range).is_ok()));
        assert!(
            ["10.0.0.0", "anywhere/8", "10.0.0.0/", "10.0.0.0/8888", "/8"].iter().all(|range| judge(range).is_err())
        );
    }
}
