//! A row of a case file: reads it, asks the engine, and compares.

use std::sync::LazyLock;

use crate::decoded_check::DecodedCheck;
use customs_engine::decision::Decision;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::identity::{Accepted, TrustDomains};
use customs_engine::settings::{DefaultEffect, Settings};
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::source::{self, PolicyFile, Source};
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;

#[derive(Debug)]
pub struct Row {
    pub id: String,
    pub category: String,
    pub description: String,
    pub expected: String,
    pub policy_load: String,
    json: Value,
}

/// The result of a row.
#[derive(Debug)]
pub enum Said {
    Decided(Box<Answered>),
    /// The set is refused, with every problem for messages of failing tests.
    Refused(Vec<Problem>),
}

#[derive(Debug)]
pub struct Answered {
    pub effect: Effect,
    pub verdict: Effect,
    pub dry_run: Effect,
    pub reason: &'static str,
    pub rule: String,
}

pub fn rows(file: &str) -> Vec<Row> {
    let path = crate::repository().join("tests/cases").join(file);
    let text =
        std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    text.lines()
        .map(|line| Row::read(serde_json::from_str(line).unwrap()))
        .collect()
}

static CHECK_REQUEST: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(customs_extauthz::DESCRIPTORS).unwrap();
    pool.get_message_by_name("envoy.service.auth.v3.CheckRequest")
        .unwrap()
});

/// Reads a CheckRequest from its proto3 JSON, by the descriptors that reflection serves.
pub fn check_from_json(json: &Value) -> CheckRequest {
    let dynamic = DynamicMessage::deserialize(CHECK_REQUEST.clone(), json)
        .unwrap_or_else(|why| panic!("{why}: {json}"));
    CheckRequest::decode(dynamic.encode_to_vec().as_slice()).unwrap()
}

/// Returns the day on which the rows were written.
pub fn now() -> UnixNanos {
    UnixNanos(1_795_392_000 * 1_000_000_000)
}

impl Row {
    pub fn read(json: Value) -> Row {
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Row {
            id: text("id"),
            category: text("category"),
            description: text("description"),
            expected: text("expected"),
            policy_load: text("policy_load"),
            json,
        }
    }

    /// Returns the settings that the row has.
    pub fn settings(&self) -> Settings {
        let config = &self.json["config"];
        let list = |name: &str| -> Vec<String> {
            config[name]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect()
        };
        let accepted = list("accept_trust_domains");
        let enforcement = |name: &str| {
            if config[name] == "report" {
                Enforcement::Report
            } else {
                Enforcement::Enforce
            }
        };
        Settings {
            default_effect: if config["default"] == "deny" {
                DefaultEffect::Deny
            } else {
                DefaultEffect::Allow
            },
            enforcement: enforcement("enforcement"),
            request_validation: enforcement("hygiene"),
            trust_domains: TrustDomains {
                own: config["trust_domain"]
                    .as_str()
                    .unwrap_or("cluster.local")
                    .to_owned(),
                aliases: list("trust_domain_aliases"),
                accepted: if accepted.iter().any(|d| d == "any") {
                    Accepted::Any
                } else {
                    Accepted::Only(accepted.into_iter().collect())
                },
            },
            trusted_hops: Some(0),
            ..Settings::default()
        }
    }

    /// Returns the check, as Envoy sends it.
    pub fn check(&self) -> CheckRequest {
        check_from_json(&self.json["check_request"])
    }

    /// Returns the policies of the row as a snapshot, or what is wrong with them.
    pub fn snapshot(&self, settings: &Settings) -> Result<Snapshot, Vec<Problem>> {
        let policy = self.json["policy"].as_str().unwrap_or_default();
        let file = PolicyFile {
            name: "policy.yaml".into(),
            bytes: policy.as_bytes().into(),
        };
        let loaded = source::load(
            &Source {
                name: "case".into(),
                files: vec![file],
                ..Source::default()
            },
            settings,
        );
        // A row without a policy means that none is loaded. A row with nothing but other documents
        // is not a good set (rule R12).
        if !policy.is_empty() && loaded.is_empty() && !loaded.has_errors() {
            let what = "there is no policy document";
            return Err(vec![Problem::error(
                Code::NoPolicy,
                Place::whole("case"),
                what,
            )]);
        }
        compile::compile(&[loaded], settings).map(|compiled| compiled.snapshot)
    }

    pub fn ask(&self) -> Said {
        let settings = self.settings();
        let snapshot = match self.snapshot(&settings) {
            Ok(snapshot) => snapshot,
            Err(problems) => return Said::Refused(problems),
        };
        let check = self.check();
        let decoded = DecodedCheck::of(&check);
        let attributes = decoded.attributes();
        let request = attributes.normalise(&settings);
        let Decision {
            outcome,
            verdict,
            dry_run,
            ..
        } = snapshot.decide(&request, now());
        Said::Decided(Box::new(Answered {
            effect: outcome.effect(),
            verdict: verdict.effect(),
            dry_run: dry_run.effect(),
            reason: verdict.reason.as_str(),
            rule: verdict.rule.to_string(),
        }))
    }

    /// Returns how the answer differs from the row, if it does.
    pub fn difference(&self, said: &Said) -> Option<String> {
        let answer = match (said, self.policy_load.as_str()) {
            (Said::Refused(_), "reject") => return None,
            (Said::Decided(answer), "accept") => answer,
            (said, load) => return Some(format!("wanted {load}, got {said:?}")),
        };
        let wanted = |name: &str| self.json[name].as_str().map(str::to_owned);
        let pairs = [
            ("expected", answer.effect.as_str().to_uppercase()),
            ("verdict", answer.verdict.as_str().to_owned()),
            ("would", answer.dry_run.as_str().to_owned()),
            ("reason", answer.reason.to_owned()),
            ("rule", answer.rule.clone()),
        ];
        let differences: Vec<_> = pairs
            .into_iter()
            .filter(|(name, got)| wanted(name).is_some_and(|w| w != *got))
            .map(|(name, got)| {
                format!(
                    "{name} is {got}, wanted {}",
                    wanted(name).unwrap_or_default()
                )
            })
            .collect();
        (!differences.is_empty()).then(|| differences.join("; "))
    }
}
