//! A form accepts what the reader of its field accepts, and its examples are good.

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::problem::Problem;
use crate::source::{self, PolicyFile, Source};
use customs_engine::identity::Accepted;
use customs_engine::settings::Settings;

const EGRESS: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n";
const ISTIO: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n";
const ROOT: &str = "metadata: {name: a, namespace: istio-system}\n";

/// Each form, and a document with `VALUE` where a text of it belongs.
fn documents() -> Vec<(&'static TextForm, String)> {
    let egress = |form, spec: &str| (form, format!("{EGRESS}{ROOT}spec: {spec}\n"));
    let source = |form, field: &str| {
        let rule = format!("from: [{{source: {{{field}: [VALUE]}}}}]");
        (
            form,
            format!("{ISTIO}{ROOT}spec: {{rules: [{{{rule}}}]}}\n"),
        )
    };
    let operation = |form, field: &str| {
        let rule = format!("to: [{{operation: {{{field}: [VALUE]}}}}]");
        (
            form,
            format!("{ISTIO}{ROOT}spec: {{rules: [{{{rule}}}]}}\n"),
        )
    };
    let isolate = "spec: {isolate: true}\n";
    vec![
        egress(&HOST, "{deny: [{name: a, hosts: [VALUE]}]}"),
        egress(
            &METHOD,
            "{deny: [{name: a, hosts: [a.example], methods: [VALUE]}]}",
        ),
        egress(
            &PATH,
            "{deny: [{name: a, hosts: [a.example], paths: [VALUE]}]}",
        ),
        egress(&ENTRY_NAME, "{deny: [{name: VALUE, hosts: [a.example]}]}"),
        egress(
            &NAMESPACE_PATTERN,
            "{isolate: true, subjects: [{namespaces: [VALUE]}]}",
        ),
        egress(
            &ACCOUNT,
            "{isolate: true, subjects: [{serviceAccounts: [VALUE]}]}",
        ),
        egress(
            &TRUST_DOMAIN,
            "{isolate: true, subjects: [{trustDomains: [VALUE]}]}",
        ),
        egress(
            &TIME,
            "{allow: [{name: a, hosts: [a.example], expires: VALUE}]}",
        ),
        (
            &OBJECT_NAME,
            format!("{EGRESS}metadata: {{name: VALUE, namespace: a}}\n{isolate}"),
        ),
        (
            &NAMESPACE,
            format!("{EGRESS}metadata: {{name: a, namespace: VALUE}}\n{isolate}"),
        ),
        operation(&ISTIO_HOST, "hosts"),
        operation(&ISTIO_PORT, "ports"),
        operation(&ISTIO_PATH, "paths"),
        source(&IP_BLOCK, "ipBlocks"),
        source(&PRINCIPAL, "principals"),
        source(&ISTIO_ACCOUNT, "serviceAccounts"),
        source(&ISTIO_TRUST_DOMAIN, "trustDomains"),
        (
            &CONDITION_KEY,
            format!(
                "{ISTIO}{ROOT}spec: {{rules: [{{when: [{{key: VALUE, values: ['443']}}]}}]}}\n"
            ),
        ),
    ]
}

/// Returns whether the reader accepts a document with this text in it.
fn is_read(document: &str, text: &str) -> bool {
    let mut settings = Settings::default();
    settings.trust_domains.accepted = Accepted::Any;
    settings.trusted_hops = Some(1);
    let quoted = serde_json::Value::from(text).to_string();
    let document = document.replace("VALUE", &quoted);
    let files = vec![PolicyFile {
        name: "a.yaml".into(),
        bytes: document.as_bytes().into(),
    }];
    let source = Source {
        name: "p".into(),
        files,
        ..Source::default()
    };
    let found = source::load(&source, &settings);
    !found.problems().iter().any(Problem::is_error)
}

fn matches(form: &TextForm, text: &str) -> bool {
    let is = |pattern: &str| Regex::new(pattern).unwrap().is_match(text);
    let fits = form
        .longest
        .is_none_or(|longest| text.chars().count() <= longest as usize);
    fits && is(form.pattern) && !form.never.is_some_and(is)
}

#[test]
fn the_examples_are_of_their_form_and_the_reader_accepts_them() {
    for (form, document) in documents() {
        assert!(!form.examples.is_empty(), "{}", form.name);
        for example in form.examples {
            assert!(matches(form, example), "{}: {example}", form.name);
            let value = example.replace("source.ip", "destination.port");
            assert!(is_read(&document, &value), "{}: {example}", form.name);
        }
    }
}

#[test]
fn every_form_says_what_is_expected() {
    for form in ALL {
        assert!(
            form.expected.ends_with('.') && form.about.ends_with('.'),
            "{}",
            form.name
        );
    }
}

/// What texts are made of.
const PARTS: [&str; 60] = [
    "a",
    "A",
    "b.example",
    "shop",
    "0",
    "1",
    "09",
    "443",
    "65535",
    "65536",
    ".",
    "-",
    "_",
    "*",
    "**",
    ":",
    ":*",
    "/",
    "[",
    "]",
    "{*}",
    "{**}",
    "{",
    "}",
    "::",
    "2001:db8::",
    "2001:DB8::1",
    "192.0.2.1",
    "192.0.2.0",
    "/24",
    "/032",
    "/129",
    "xn--bcher-kva",
    "b\u{fc}cher",
    "@",
    "://",
    "http://",
    " ",
    "Z",
    "z",
    "T",
    "t",
    "2026-12-31",
    "20261231",
    "00:00:00",
    "23:59:60.5",
    "+01:00",
    "+01",
    "-0930",
    "[UTC]",
    "spiffe://",
    "cluster.local/ns/a/sa/b",
    ",",
    "\n",
    "%2f",
    "?",
    "#",
    "GET",
    "request.headers[",
    "source.ip",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_form_accepts_what_the_reader_accepts(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 1..6),
        at in any::<prop::sample::Index>(),
        long in prop_oneof![9 => Just(1_usize), 1 => 60..70_usize, 1 => 250..260_usize],
    ) {
        let drawn = parts.concat().repeat(long);
        for (form, document) in documents() {
            let example = form.examples[at.index(form.examples.len())];
            let cut = at.index(example.len() + 1);
            let edited = format!("{}{}{}", &example[..cut], parts[0], &example[cut..]);
            for text in [&drawn, &edited] {
                prop_assert!(
                    matches(form, text) || !is_read(&document, text),
                    "{} does not accept {text:?}",
                    form.name
                );
            }
        }
    }
}
