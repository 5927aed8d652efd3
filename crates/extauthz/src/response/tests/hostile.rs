//! Whatever a policy, a request or a setting holds, an answer is one that Envoy understands as it
//! was meant: an allow if and only if the engine allowed, and otherwise a denial that Envoy accepts.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use customs_engine::decision::Answer;
use customs_engine::effect::Effect;
use customs_record::examples::full_decision;

/// The most bytes of a body: eleven texts of [`MAX_TEXT`] characters, each escaped in twelve bytes
/// at most, and the fixed parts.
const MAX_BODY: usize = 11 * MAX_TEXT * 12 + 1024;
/// The most bytes of the dynamic metadata: each field with a text of characters of four bytes.
const MAX_METADATA: usize = metadata::NAMES.len() * (MAX_TEXT * 4 + 64);

/// The members of a body that a caller without a valid identity may see.
const FOR_ANYBODY: [&str; 6] = ["type", "title", "status", "reason", "decisionId", "host"];
/// The members that only a caller with a valid identity sees.
const FOR_CALLERS: [&str; 9] = [
    "detail", "gate", "rule", "owner", "ticket", "caller", "revision", "port", "help",
];

/// Returns every reason of a denial.
fn denials() -> Vec<Reason> {
    let is_denial = |reason: &Reason| reason.effect() == Effect::Deny;
    Reason::ALL.into_iter().filter(is_denial).collect()
}

/// Texts as an attacker writes them: line ends, quotes, controls, directions, and very long ones.
fn hostile_text() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "\r\nx-injected: yes\r\n\r\n",
        "\0",
        "\"}],\"status\":200",
        "\\u0000",
        "\u{202e}",
        "\u{2028}",
        "\u{feff}",
        "\u{1b}[31m",
        "%0d%0a",
        "\u{10ffff}",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
        "www.aliyun.com",
        "",
    ]);
    let part = prop_oneof![parts.prop_map(str::to_owned), any::<String>()];
    prop_oneof![
        4 => prop::collection::vec(part, 0..6).prop_map(|parts| parts.concat()),
        1 => ("\\PC", 1_usize..20_000).prop_map(|(text, times)| text.repeat(times)),
        1 => (any::<char>(), 500_usize..520).prop_map(|(one, times)| one.to_string().repeat(times)),
    ]
}

prop_compose! {
    /// A record with hostile texts in every field that somebody else chooses.
    fn hostile_record()(
        texts in prop::collection::vec(hostile_text(), 12),
        identity in prop::sample::select(IdentityState::ALL.to_vec()),
        port in any::<Option<u16>>(),
    ) -> DecisionRecord {
        // customs makes the id, and nobody else.
        let id = full_decision().decision_id;
        let mut texts = texts.into_iter().cycle();
        let mut entry = full_decision().map_texts(&mut |_| texts.next().unwrap());
        entry.decision_id = id;
        entry.identity = identity;
        entry.port = port;
        (&entry).into()
    }
}

fn decisions() -> impl Strategy<Value = Decision> {
    let by_default = |effect| move || decided(effect, "a.example").0;
    let (allow, deny) = (
        by_default(DefaultEffect::Allow),
        by_default(DefaultEffect::Deny),
    );
    prop_oneof![
        2 => Just(()).prop_map(move |()| allow()),
        4 => prop::sample::select(denials()).prop_map(move |reason| {
            let mut decision = deny();
            decision.verdict = Answer::built_in(reason);
            decision
        }),
        // Every way in which an allow becomes a denial afterwards.
        1 => any::<bool>().prop_map(move |fails| {
            let mut decision = decided(DefaultEffect::Allow, "a.example").0;
            if fails { decision.fail() } else { decision.withhold() }
            decision
        }),
        1 => Just(()).prop_map(|()| Decision::internal_error()),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let names = prop::sample::subsequence(metadata::NAMES.to_vec(), 0..=metadata::NAMES.len());
    (prop::option::of(hostile_text()), names).prop_map(|(help, names)| {
        let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        Options {
            help,
            metadata: metadata::Fields::of(&names).unwrap(),
        }
    })
}

/// Checks everything that must hold for any answer, and returns whether Envoy takes it for an
/// allow.
fn is_allow(framed: &Bytes) -> bool {
    assert_eq!(framed[0], 0, "it is not compressed");
    let message = unary::message(framed);
    let length = u32::from_be_bytes(framed[1..5].try_into().unwrap());
    assert_eq!(length as usize, message.len());
    let response = CheckResponse::decode(message).expect("prost reads it");
    // Nothing unknown and nothing twice. Another writer would leave out only the status of an allow,
    // whose number and text are written although they are empty.
    let explicit = match &response.http_response {
        Some(HttpResponse::OkResponse(_)) => 4,
        _ => 0,
    };
    assert_eq!(response.encoded_len() + explicit, message.len());
    let again = CheckResponse::decode(response.encode_to_vec().as_slice()).unwrap();
    assert_eq!(again, response);
    let status = response.status.as_ref().expect("a status is always there");
    assert!(status.details.is_empty());
    match (status.code, response.http_response.as_ref()) {
        (0, Some(HttpResponse::OkResponse(ok))) => {
            assert_eq!(ok.encoded_len(), 0, "an allow changes nothing");
            true
        }
        (7, Some(HttpResponse::DeniedResponse(denied))) => {
            let code = denied.status.as_ref().expect("an HTTP status").code;
            assert!((400..=599).contains(&code) && [403, 503].contains(&code));
            let reasons = denials().into_iter().map(Reason::as_str);
            assert!(reasons.into_iter().any(|reason| reason == status.message));
            let mut names = BTreeSet::new();
            for option in &denied.headers {
                let header = option.header.as_ref().unwrap();
                assert!(header.raw_value.is_empty());
                assert!(names.insert(header.key.as_str()), "{} twice", header.key);
                let is_visible = |byte| (0x21..=0x7e).contains(&byte);
                assert!(header.value.bytes().all(is_visible), "{header:?}");
                assert!((1..=64).contains(&header.value.len()), "{header:?}");
            }
            let known = ["content-type", "x-customs-decision-id", "x-customs-reason"];
            assert!(names.contains("x-customs-reason"));
            assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
            assert!(denied.body.len() <= MAX_BODY, "{}", denied.body.len());
            false
        }
        other => panic!("Envoy may take this for an allow: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_answer_is_an_allow_only_if_the_decision_is(
        decision in decisions(), record in hostile_record(), options in options()
    ) {
        let framed = build(&decision, &record, &options);
        let allowed = matches!(decision.outcome, Outcome::Allow(_));
        prop_assert_eq!(is_allow(&framed), allowed);
    }

    #[test]
    fn what_others_wrote_stays_text_and_short(
        decision in decisions(), record in hostile_record(), options in options()
    ) {
        let response = read(&build(&decision, &record, &options)).unwrap();
        let entry = record.to_entry();
        if let Some(HttpResponse::DeniedResponse(denied)) = &response.http_response {
            let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
            let members = body.as_object().unwrap();
            let host = members.get("host").and_then(|host| host.as_str());
            let expected: String = entry.host.chars().take(MAX_TEXT).collect();
            prop_assert_eq!(host.unwrap_or_default(), expected);
            prop_assert_eq!(&body["status"], denied.status.as_ref().unwrap().code);
            prop_assert_eq!(&body["reason"], decision.verdict.reason.as_str());
            prop_assert!(!denied.body.chars().any(char::is_control), "{}", denied.body);
            for (name, value) in members {
                let length = value.as_str().map_or(0, |text| text.chars().count());
                prop_assert!(length <= MAX_TEXT, "{} is long", name);
                let is_known = FOR_ANYBODY.contains(&name.as_str())
                    || entry.identity == IdentityState::Valid && FOR_CALLERS.contains(&name.as_str());
                prop_assert!(is_known, "{} in an answer to {:?}", name, entry.identity);
            }
        }
        let metadata = response.dynamic_metadata.unwrap_or_default();
        prop_assert!(metadata.encoded_len() <= MAX_METADATA, "{}", metadata.encoded_len());
        prop_assert_eq!(metadata.fields.is_empty(), options.metadata.is_empty());
        for (name, value) in &metadata.fields {
            prop_assert!(metadata::NAMES.contains(&name.as_str()), "{}", name);
            let Some(Kind::StringValue(text)) = &value.kind else {
                panic!("{name} is not a text")
            };
            prop_assert!(text.chars().count() <= MAX_TEXT, "{} is long", name);
        }
    }
}

#[test]
fn the_answer_that_needs_no_decision_is_a_denial() {
    assert!(!is_allow(&build_internal_error()));
}

#[test]
fn long_texts_are_cut_between_characters() {
    for one in ["a", "ä", "\u{10ffff}"] {
        for count in [0, 1, MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1, 10 * MAX_TEXT] {
            let expected = one.repeat(count.min(MAX_TEXT));
            assert_eq!(shortened(&one.repeat(count)), expected, "{one} {count}");
        }
    }
}
