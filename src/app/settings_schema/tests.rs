//! Each form is in its place, and accepts what the settings accept.

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::app::durations;
use customs_audit::config::{SinkConfig, bytes};
use customs_engine::identity::{is_dns_label, is_trust_domain};
use customs_net::Address;
use customs_tls::client_ids::ClientIdPattern;

#[test]
fn each_form_is_in_its_place_and_every_key_has_a_description() {
    let schema = settings("urn:test");
    for (pointer, form) in FORMS {
        let property = schema.pointer(pointer).unwrap_or(&Value::Null);
        assert_eq!(property["pattern"], form.pattern, "{pointer}");
    }
    assert_eq!(schema["additionalProperties"], false);
    let keys = schema["properties"].as_object().unwrap();
    for (name, key) in keys {
        assert!(key["description"].is_string(), "{name}: {key}");
    }
}

/// Returns whether the settings accept a text of this form.
fn is_accepted(form: &TextForm, text: &str) -> bool {
    match form.name {
        "duration" => durations::parse(text).is_ok(),
        "size" => bytes(text).is_ok(),
        "address" => text == "off" || text.parse::<Address>().is_ok(),
        "sink" => text == "off" || text.parse::<SinkConfig>().is_ok(),
        "domain" => text.trim().is_empty() || is_trust_domain(text.trim()),
        "client id" => text.parse::<ClientIdPattern>().is_ok(),
        "namespace" => is_dns_label(text),
        other => panic!("no parser of {other}"),
    }
}

fn matches(form: &TextForm, text: &str) -> bool {
    Regex::new(form.pattern).unwrap().is_match(text)
}

#[test]
fn the_examples_are_accepted() {
    for (pointer, form) in FORMS {
        for example in form.examples {
            assert!(matches(form, example), "{pointer}: {example}");
            assert!(is_accepted(form, example), "{pointer}: {example}");
        }
    }
}

/// What texts are made of.
const PARTS: [&str; 36] = [
    "0",
    "5",
    "250",
    "s",
    "ms",
    "m",
    "1h",
    "PT5S",
    " ",
    "KiB",
    "MiB",
    "GiB",
    "+",
    ".",
    "-",
    ":",
    "/",
    "*",
    "?",
    "unix:",
    "off",
    "127.0.0.1",
    "[::1]",
    "9191",
    "a.example",
    "A",
    "stdout",
    "file:",
    "otlp:",
    "http://",
    "tail:",
    "filter=denies",
    "spiffe://",
    "cluster.local",
    "ns",
    "any",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_form_accepts_what_the_settings_accept(
        parts in prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..6),
    ) {
        let text = parts.concat();
        for (pointer, form) in FORMS {
            let is_fine = matches(form, &text) || !is_accepted(form, &text);
            // Only the address for operators may be off.
            let is_off = text == "off" && pointer.contains("listen");
            prop_assert!(is_fine || is_off, "{pointer} does not accept {text:?}");
        }
    }
}
