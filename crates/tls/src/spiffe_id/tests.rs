//! Which texts are ids, and which certificates have one.

use customs_test_support::tls_files::{Authority, GATEWAY, Leaf};

use super::*;

#[test]
fn an_id_is_a_trust_domain_and_a_path() {
    for text in [
        GATEWAY,
        "spiffe://a/b",
        "spiffe://prod_1.example-2/ns/Shop.EU/sa/a_b-c",
        "spiffe://a/...",
    ] {
        assert_eq!(SpiffeId::parse(text).unwrap().as_str(), text);
    }
    let long = format!("spiffe://a/{}", "b".repeat(2048));
    let trust_domain = format!("spiffe://{}/b", "a".repeat(256));
    for (text, expected) in [
        ("", SpiffeIdError::Scheme),
        ("https://a/b", SpiffeIdError::Scheme),
        ("SPIFFE://a/b", SpiffeIdError::Scheme),
        ("spiffe:/a/b", SpiffeIdError::Scheme),
        (&long, SpiffeIdError::TooLong),
        (&trust_domain, SpiffeIdError::TrustDomain),
        ("spiffe:///b", SpiffeIdError::TrustDomain),
        ("spiffe://A/b", SpiffeIdError::TrustDomain),
        ("spiffe://a:1/b", SpiffeIdError::TrustDomain),
        ("spiffe://u@a/b", SpiffeIdError::TrustDomain),
        ("spiffe://a", SpiffeIdError::Path),
        ("spiffe://a/", SpiffeIdError::Path),
        ("spiffe://a/b/", SpiffeIdError::Path),
        ("spiffe://a//b", SpiffeIdError::Path),
        ("spiffe://a/../b", SpiffeIdError::Path),
        ("spiffe://a/./b", SpiffeIdError::Path),
        ("spiffe://a/b?c", SpiffeIdError::Path),
        ("spiffe://a/b#c", SpiffeIdError::Path),
        ("spiffe://a/%62", SpiffeIdError::Path),
        ("spiffe://a/b\0", SpiffeIdError::Path),
        ("spiffe://a/bü", SpiffeIdError::Path),
    ] {
        assert_eq!(SpiffeId::parse(text), Err(expected), "{text}");
    }
}

/// Returns the id in a certificate with these names.
fn id(uris: &[&str], dns_names: &[&str]) -> Result<Option<String>, PeerIdentityError> {
    let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let leaf = Leaf {
        uris: own(uris),
        dns_names: own(dns_names),
        ..Leaf::server()
    };
    let certificate = Authority::new().issue(&leaf).der();
    SpiffeId::of(&certificate).map(|id| id.map(|id| id.to_string()))
}

#[test]
fn the_only_uri_of_a_certificate_is_its_id() {
    assert_eq!(id(&[GATEWAY], &[]), Ok(Some(GATEWAY.to_owned())));
    assert_eq!(
        id(&[GATEWAY], &["gateway.example"]),
        Ok(Some(GATEWAY.to_owned()))
    );
    for (uris, dns_names) in [
        (&[][..], &[][..]),
        (&[], &["gateway.example"]),
        // Of a DNS name, even one that looks like an id.
        (&[], &[GATEWAY]),
        (&["https://gateway.example/"], &[]),
        (&["https://a.example/", "https://b.example/"], &[]),
    ] {
        assert_eq!(id(uris, dns_names), Ok(None), "{uris:?} {dns_names:?}");
    }
}

#[test]
fn a_certificate_that_is_almost_one_of_spiffe_is_refused() {
    for uris in [
        &[GATEWAY, GATEWAY][..],
        &[GATEWAY, "https://gateway.example/"],
        &["https://gateway.example/", GATEWAY],
    ] {
        assert_eq!(
            id(uris, &[]),
            Err(PeerIdentityError::SeveralUris(2)),
            "{uris:?}"
        );
    }
    for (uri, expected) in [
        ("SPIFFE://cluster.local/ns/a/sa/b", SpiffeIdError::Scheme),
        ("spiffe://cluster.local", SpiffeIdError::Path),
        (
            "spiffe://cluster.local:443/ns/a",
            SpiffeIdError::TrustDomain,
        ),
    ] {
        let problem = match id(&[uri], &[]) {
            Err(PeerIdentityError::Invalid { problem, .. }) => problem,
            other => panic!("{uri}: {other:?}"),
        };
        assert_eq!(problem, expected, "{uri}");
    }
    let not_a_certificate = CertificateDer::from(vec![0x30, 0]);
    assert!(SpiffeId::of(&not_a_certificate).is_err());
}
