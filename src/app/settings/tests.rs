//! The defaults resolve, and everything that is wrong is told at once.

use super::*;

#[test]
fn the_defaults_resolve() {
    let resolved = Settings::default().resolve().unwrap();
    assert_eq!(resolved.engine, engine::Settings::default());
    assert_eq!(resolved.reload_settle, Duration::from_millis(250));
    assert_eq!(resolved.drain_delay, Duration::from_secs(2));
    assert_eq!(resolved.connections, ConnectionLimits::default());
}

#[test]
fn everything_wrong_is_told_at_once() {
    let settings = Settings {
        listen: vec!["9191".into()],
        admin: "unix:/x".into(),
        audit: vec!["off".into(), "stdout".into()],
        trust_domains: vec!["spiffe://X".into()],
        root_namespace: "Root".into(),
        reload_settle: "5".into(),
        reload_rescan: "0".into(),
        policies: vec![PolicyPath::Plain("a".into()), PolicyPath::Plain("a".into())],
        cluster_domains: vec!["Cluster.local".into()],
        gateway: Gateway {
            hosts: vec!["gw.example:443".into()],
            listeners: vec![GatewayListener {
                port: 1,
                host: "a b".into(),
                target_port: None,
            }],
            ..Gateway::default()
        },
        ..Settings::default()
    };
    let wrong = settings.resolve().unwrap_err();
    for knob in [
        "listen",
        "admin",
        "audit",
        "trust-domains",
        "root-namespace",
        "reload-settle",
        "reload-rescan",
        "policies",
        "gateway.listeners",
        "gateway.hosts",
        "cluster-domains",
    ] {
        assert!(
            wrong.iter().any(|w| w.starts_with(knob)),
            "{knob} is not among {wrong:#?}"
        );
    }
}

#[test]
fn an_empty_trust_domain_means_the_default() {
    let settings = Settings {
        trust_domains: vec![String::new()],
        ..Settings::default()
    };
    assert_eq!(
        settings.resolve().unwrap().engine.trust_domains,
        TrustDomains::default()
    );
}
