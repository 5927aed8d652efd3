//! The checks of the mixed load, and what the naive evaluator answers to each under each of the
//! policies.
//!
//! The evaluator runs in the test, with a set that the test compiles; the server is asked only which
//! revision it gives to each policy.

use std::collections::HashMap;

use customs_engine::decision::Answer;
use customs_engine::effect::Effect;
use customs_engine::reference;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_extauthz::attributes::borrowed;
use customs_policy::compile::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_record::clock::now;
use customs_test_support::audited_server::Server;
use customs_test_support::check_client::http;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer;
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use envoy_types::pb::google::protobuf::value::Kind;
use prost::Message;

/// The policies that take turns. They differ in what they answer to most checks.
pub(super) const POLICIES: [&str; 4] = [
    "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: first, namespace: istio-system}
spec:
  subjects: [{namespaces: [\"**\"]}]
  deny: [{name: bank, hosts: [bank.example]}, {name: wild, hosts: [\"*.denied.example\"]}]
",
    "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: second, namespace: shop}
spec:
  isolate: true
  allow: [{name: own, hosts: [bank.example, \"*.shop.example\"]}]
",
    "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: third, namespace: istio-system}
spec:
  action: DENY
  rules:
  - from: [{source: {namespaces: [shop]}}]
    to: [{operation: {hosts: [bank.example, \"bank.example:*\"]}}]
  - from: [{source: {notNamespaces: [shop]}}]
    to: [{operation: {hosts: [\"*.denied.example\"], methods: [GET]}}]
",
    "apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: fourth, namespace: istio-system}
spec:
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/web]}}]
  - to: [{operation: {hosts: [www.example, bank.example]}}]
",
];

const CALLERS: [&str; 6] = [
    "spiffe://cluster.local/ns/shop/sa/web",
    "spiffe://cluster.local/ns/shop/sa/cart",
    "spiffe://cluster.local/ns/other/sa/sleep",
    "spiffe://foreign.example/ns/shop/sa/web",
    "spiffe://cluster.local/ns/shop",
    "",
];

const HOSTS: [&str; 8] = [
    "bank.example",
    "BANK.example.:443",
    "www.example",
    "api.shop.example",
    "a.denied.example:8443",
    "10.0.0.1",
    "under_score.example",
    "not a host",
];

/// One in so many checks is for a host that nobody asks for again, so that nothing can remember them
/// all.
const ONCE: u64 = 8;

/// The checks that are answered alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Class {
    Http(usize, usize),
    Tcp(usize, usize),
    /// A host that was never asked for.
    Once(usize),
}

pub(super) struct Expected {
    /// By revision and class: the effect, the reason and the rule.
    answers: HashMap<String, HashMap<Class, (Effect, &'static str, String)>>,
}

impl Expected {
    /// Puts each policy in force, to learn its revision, and evaluates every check by it.
    pub(super) fn learn(server: &Server, put: impl Fn(&str)) -> Expected {
        let mut answers = HashMap::new();
        for policy in POLICIES {
            let before = revision(server);
            put(policy);
            server.until("the policy is in force", || revision(server) != before);
            answers.insert(revision(server), evaluate(policy));
        }
        assert_eq!(answers.len(), POLICIES.len());
        Expected { answers }
    }

    /// Returns the check of this number, and its class.
    pub(super) fn check(&self, number: u64) -> (CheckRequest, Class) {
        let at = usize::try_from(number).unwrap();
        let caller = at % CALLERS.len();
        if number.is_multiple_of(ONCE) {
            let host = format!("h{number}.once.example");
            return (http(CALLERS[caller], &host), Class::Once(caller));
        }
        let host = at / CALLERS.len() % HOSTS.len();
        let class = match at / 48 % 4 {
            0 => Class::Tcp(caller, host),
            _ => Class::Http(caller, host),
        };
        (check_of(class), class)
    }

    /// Compares an answer with the evaluator's for the revision that it names.
    ///
    /// # Errors
    /// How they differ.
    pub(super) fn compare(&self, class: Class, response: &CheckResponse) -> Result<(), String> {
        let fields = &response
            .dynamic_metadata
            .as_ref()
            .ok_or("no metadata")?
            .fields;
        let text = |name: &str| match fields.get(name).and_then(|value| value.kind.as_ref()) {
            Some(Kind::StringValue(text)) => text.as_str(),
            _ => "",
        };
        let by_class = self.answers.get(text("revision"));
        let (effect, reason, rule) = by_class
            .ok_or_else(|| format!("an unknown revision: {response:?}"))?
            .get(&class)
            .ok_or("a check of the load")?;
        let code = response.status.as_ref().map(|status| status.code);
        let expected = if *effect == Effect::Allow { 0 } else { 7 };
        let is_right =
            code == Some(expected) && (text("reason"), text("rule")) == (*reason, rule.as_str());
        let why = || format!("{class:?} is {effect:?}, {reason} by {rule}, and got {response:?}");
        is_right.then_some(()).ok_or_else(why)
    }
}

fn revision(server: &Server) -> String {
    let status = server.get("/status").expect("the admin address answers").1;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status["revision"].as_str().unwrap().to_owned()
}

fn check_of(class: Class) -> CheckRequest {
    match class {
        Class::Http(caller, host) => http(CALLERS[caller], HOSTS[host]),
        Class::Once(caller) => http(CALLERS[caller], "h0.once.example"),
        Class::Tcp(caller, host) => {
            let mut check = http(CALLERS[caller], "");
            let attributes = check.attributes.as_mut().unwrap();
            attributes.request = None;
            let destination = attributes.destination.take().unwrap_or_default();
            attributes.destination = Some(Peer {
                service: HOSTS[host].into(),
                ..destination
            });
            check
        }
    }
}

/// Returns what the naive evaluator answers to every class.
fn evaluate(policy: &str) -> HashMap<Class, (Effect, &'static str, String)> {
    let settings = Settings::default();
    let snapshot = snapshot(policy, &settings);
    let callers = 0..CALLERS.len();
    let both = callers.clone().flat_map(|caller| {
        (0..HOSTS.len()).flat_map(move |host| [Class::Http(caller, host), Class::Tcp(caller, host)])
    });
    both.chain(callers.map(Class::Once))
        .map(|class| {
            let answer = answer(&snapshot, &settings, &check_of(class));
            (
                class,
                (
                    answer.effect(),
                    answer.reason.as_str(),
                    answer.rule.to_string(),
                ),
            )
        })
        .collect()
}

fn snapshot(policy: &str, settings: &Settings) -> Snapshot {
    let file = PolicyFile {
        name: "a.yaml".into(),
        bytes: policy.as_bytes().into(),
    };
    let source = Source {
        name: "policies".into(),
        files: vec![file],
        ..Source::default()
    };
    let loaded = source::load(&source, settings);
    assert!(!loaded.has_errors(), "{:?}", loaded.problems());
    compile(&[loaded], settings).unwrap().snapshot
}

fn answer(snapshot: &Snapshot, settings: &Settings, check: &CheckRequest) -> Answer {
    let bytes = check.encode_to_vec();
    let check = borrowed::read(&bytes).unwrap();
    let attributes = check.attributes();
    let request = attributes.normalise(settings);
    reference::verdict(snapshot.rules(), settings, &request, now())
}
