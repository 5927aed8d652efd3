//! Tests of what is taken from PEM and what is refused, and that no message shows a key.

use rcgen::{
    CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    date_time_ymd,
};
use rustls::crypto::ring;

use super::*;

/// Not X.509, and not a key.
const EMPTY: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

fn path() -> &'static Path {
    Path::new("/etc/customs/tls.pem")
}

/// Returns a certificate, valid in these years, and its private key.
fn pair(from: i32, until: i32, key: &KeyPair) -> (String, String) {
    let mut params = CertificateParams::new(vec!["customs.example".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    (params.self_signed(key).unwrap().pem(), key.serialize_pem())
}

fn any_pair() -> (String, String) {
    pair(2030, 2031, &KeyPair::generate().unwrap())
}

/// Reads both in the middle of 2030.
fn identity(certificate: &str, key: &str) -> Result<Identity, CredentialsError> {
    Identity::of(
        (path(), certificate.as_bytes()),
        (Path::new("/etc/customs/tls.key"), key.as_bytes()),
        "2030-06-01T00:00:00Z".parse().unwrap(),
        &ring::default_provider(),
    )
}

fn refused(certificate: &str, key: &str) -> String {
    identity(certificate, key).unwrap_err().to_string()
}

#[test]
fn a_certificate_is_taken_with_its_key_of_every_kind() {
    for kind in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        let (certificate, key) = pair(2030, 2031, &KeyPair::generate_for(kind).unwrap());
        let identity = identity(&certificate, &key).unwrap();
        assert_eq!(identity.key.cert.len(), 1);
        assert_eq!(identity.not_before.to_string(), "2030-01-01T00:00:00Z");
        assert_eq!(identity.not_after.to_string(), "2031-01-01T00:00:00Z");
    }
}

#[test]
fn a_chain_is_taken_whole_and_text_around_it_is_skipped() {
    let (certificate, key) = any_pair();
    let chain = format!("subject: a\r\n{certificate}\nissuer: an authority\n{certificate}\n");
    assert_eq!(identity(&chain, &key).unwrap().key.cert.len(), 2);
}

#[test]
fn the_key_of_another_certificate_is_refused() {
    let (certificate, _) = any_pair();
    let (_, same_kind) = any_pair();
    let other_kind = KeyPair::generate_for(&PKCS_ED25519)
        .unwrap()
        .serialize_pem();
    let expected = "the private key in `/etc/customs/tls.key` does not belong to the certificate in \
        `/etc/customs/tls.pem`";
    for other in [same_kind, other_kind] {
        let why = refused(&certificate, &other);
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_certificate_is_refused_outside_of_its_time() {
    for (from, until, expected) in [
        (2028, 2030, "expired at 2030-01-01T00:00:00Z"),
        (2031, 2032, "is not valid before 2031-01-01T00:00:00Z"),
    ] {
        let (certificate, key) = pair(from, until, &KeyPair::generate().unwrap());
        let why = refused(&certificate, &key);
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn what_is_no_certificate_or_no_key_is_reported_with_its_file() {
    let (certificate, key) = any_pair();
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let not_a_key = EMPTY.replace("CERTIFICATE", "PRIVATE KEY");
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let older = key.replace("KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\n");
    let not_x509 = "certificate 1 in `/etc/customs/tls.pem` is invalid";
    for (certificate, key, expected) in [
        ("", &*key, "tls.pem` has no certificate"),
        (&key, &key, "tls.pem` has no certificate"),
        ("\0\u{fffd}", &key, "tls.pem` has no certificate"),
        (&half(&certificate), &key, "no line that ends it"),
        (EMPTY, &key, not_x509),
        (&certificate, "", "tls.key` has no private key"),
        (&certificate, &certificate, "tls.key` has no private key"),
        (&certificate, &half(&key), "no line that ends it"),
        (&certificate, &not_a_key, "tls.key` cannot be used"),
        (&certificate, &encrypted, "tls.key` is encrypted"),
        (&certificate, &older, "tls.key` is encrypted"),
    ] {
        let why = refused(certificate, key);
        assert!(why.contains(expected), "{expected}: {why}");
    }
}

#[test]
fn no_message_shows_a_part_of_a_key() {
    let (certificate, key) = any_pair();
    let body = key.lines().nth(1).unwrap();
    // Line feeds are lost where a key went through a variable.
    let on_one_line = key.replace('\n', "");
    let with_spaces = key.replace('\n', " ");
    let not_base64 = key.replace(body, &format!("{body}!"));
    let torn = key[..80].to_owned();
    for text in [on_one_line, with_spaces, not_base64, torn] {
        let error = identity(&certificate, &text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(&body[..12]), "{shown}");
        let numbers = format!("{:?}", &body.as_bytes()[..8]);
        assert!(!shown.contains(numbers.trim_matches(['[', ']'])), "{shown}");
    }
    let shown = format!("{:?}", identity(&certificate, &key).unwrap());
    assert!(!shown.contains(&body[..12]), "{shown}");
}

#[test]
fn authorities_are_taken_whole_or_not_at_all() {
    let (one, other) = (any_pair().0, any_pair().0);
    let both = format!("{one}{other}");
    assert_eq!(authorities(path(), both.as_bytes()).unwrap().len(), 2);
    for (text, expected) in [
        (String::new(), "has no certificate"),
        (
            one + EMPTY,
            "certificate 2 in `/etc/customs/tls.pem` is invalid",
        ),
    ] {
        let why = authorities(path(), text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(why.contains(expected), "{why}");
    }
}
