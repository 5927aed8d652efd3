//! The rows of a recorded file, and how customs answers them.
//!
//! A row with `yaml` begins a policy set; the following rows with the same `policy_file` are
//! checks, each with the answer of Envoy's RBAC filter.

use std::io::Read;
use std::path::{Path, PathBuf};

use customs_engine::decision::Decision;
use customs_engine::effect::Effect;
use customs_engine::host::{self, Authority};
use customs_engine::identity::{Accepted, Principal, TrustDomains};
use customs_engine::path::Readings;
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;
use customs_policy::compile::{self, Compiled};
use customs_policy::problem::Problem;
use customs_policy::source::{self, PolicyFile, Source};
use customs_test_support::decoded_check::DecodedCheck;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use serde_json::Value;

use customs_test_support::case_rows::check_from_json;

/// A policy set with the checks that were made against it.
#[derive(Debug)]
pub(crate) struct Set {
    pub name: String,
    pub yaml: String,
    pub settings: Settings,
    pub checks: Vec<Check>,
}

/// One request and Envoy's answer.
#[derive(Debug)]
pub(crate) struct Check {
    pub id: String,
    pub expected: Effect,
    pub tags: Vec<String>,
    pub request: CheckRequest,
    /// The row as it is in the file, to be shown.
    pub json: Value,
}

/// The outcome of loading a policy set.
pub(crate) enum Loading {
    Loaded(Box<Compiled>),
    /// Refused, and only for things that are not built yet.
    NotSupportedYet(Vec<Problem>),
    Refused(Vec<Problem>),
}

/// Answer, reason and rule.
#[derive(Debug)]
#[allow(dead_code, reason = "shown where a row is wrong")]
pub(crate) struct Answer {
    pub effect: Effect,
    pub reason: &'static str,
    pub rule: String,
}

/// Tags that do not make a row odd.
const HARMLESS: [&str; 4] = ["id-foreign-td", "path-query", "host-case", "xff-two"];

/// Returns the folder with the data of the Istio project's tests: the one that
/// `CUSTOMS_ISTIO_CASES` names, or the default next to the checkout.
pub(crate) fn istio_folder() -> PathBuf {
    let beside = || {
        [env!("CARGO_MANIFEST_DIR"), "..", "shared", "cases"]
            .iter()
            .collect()
    };
    std::env::var_os("CUSTOMS_ISTIO_CASES").map_or_else(beside, PathBuf::from)
}

/// Returns the recorded file of the Istio project's policies, if it is on this machine.
pub(crate) fn istio_file() -> Option<PathBuf> {
    Some(istio_folder().join("istio-conformance.jsonl.gz")).filter(|file| file.is_file())
}

/// Reads the rows of a file, which may be compressed.
pub(crate) fn read(file: &Path) -> Vec<Set> {
    let bytes = std::fs::read(file).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
    let mut text = String::new();
    if file.extension().is_some_and(|e| e == "gz") {
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_string(&mut text)
            .unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    let mut sets: Vec<Set> = Vec::new();
    for row in text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
    {
        if row.get("yaml").is_some() {
            sets.push(Set::read(&row));
            continue;
        }
        let set = sets.last_mut().expect("a file begins with a policy set");
        assert_eq!(
            row["policy_file"],
            set.name.as_str(),
            "a check follows its policy set"
        );
        set.checks.push(Check::read(row));
    }
    sets
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}

impl Set {
    fn read(row: &Value) -> Set {
        let mut domains = texts(&row["trust_domains"]).into_iter();
        let own = domains.next().unwrap_or_else(|| "cluster.local".into());
        let trust_domains = TrustDomains {
            own,
            aliases: domains.collect(),
            accepted: Accepted::Any,
        };
        let trusted_hops = row["xff_hops"]
            .as_u64()
            .map(|hops| u32::try_from(hops).unwrap());
        Set {
            name: row["policy_file"].as_str().unwrap().to_owned(),
            yaml: row["yaml"].as_str().unwrap().to_owned(),
            settings: Settings {
                trust_domains,
                trusted_hops,
                ..Settings::default()
            },
            checks: Vec::new(),
        }
    }

    pub(crate) fn load(&self) -> Loading {
        let file = PolicyFile {
            name: self.name.clone(),
            bytes: self.yaml.as_bytes().into(),
        };
        let source = Source {
            name: "conformance".into(),
            files: vec![file],
            ..Source::default()
        };
        match compile::compile(&[source::load(&source, &self.settings)], &self.settings) {
            Ok(compiled) => Loading::Loaded(Box::new(compiled)),
            Err(problems)
                if problems
                    .iter()
                    .all(|p| p.code.as_str() == "not-supported-yet") =>
            {
                Loading::NotSupportedYet(problems)
            }
            Err(problems) => Loading::Refused(problems),
        }
    }

    pub(crate) fn ask(&self, compiled: &Compiled, check: &CheckRequest) -> Answer {
        let decoded = DecodedCheck::of(check);
        let attributes = decoded.attributes();
        let request = attributes.normalise(&self.settings);
        let Decision {
            outcome, verdict, ..
        } = compiled.snapshot.decide(&request, UnixNanos(0));
        Answer {
            effect: outcome.effect(),
            reason: verdict.reason.as_str(),
            rule: verdict.rule.to_string(),
        }
    }
}

impl Check {
    fn read(row: Value) -> Check {
        let expected = match row["expected"].as_str().unwrap() {
            "allow" => Effect::Allow,
            "deny" => Effect::Deny,
            other => panic!("{other} is not an answer"),
        };
        let id = row["id"]
            .as_str()
            .map_or_else(|| row["id"].to_string(), str::to_owned);
        let (tags, request) = (texts(&row["tags"]), check_from_json(&row["request"]));
        Check {
            id,
            expected,
            tags,
            request,
            json: row,
        }
    }

    /// Returns the tags that make the row odd.
    pub(crate) fn odd_tags(&self) -> impl Iterator<Item = &str> {
        self.tags
            .iter()
            .map(String::as_str)
            .filter(|tag| !HARMLESS.contains(tag))
    }

    pub(crate) fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|t| t == tag)
    }

    /// Returns what else keeps the row from being ordinary.
    pub(crate) fn oddities(&self) -> Vec<&'static str> {
        let decoded = DecodedCheck::of(&self.request);
        let attributes = decoded.attributes();
        let mut odd = Vec::new();
        if !matches!(
            Principal::parse(attributes.source_principal),
            Principal::Workload(_)
        ) {
            odd.push("identity");
        }
        match &attributes.http {
            Some(http) => {
                if Authority::parse(http.host).is_err() {
                    odd.push("malformed-host");
                }
                match Readings::of(http.path) {
                    Readings::One(_) => {}
                    Readings::Many(_) => odd.push("path-readings"),
                    Readings::Unknown => odd.push("path-unknown"),
                }
            }
            None if attributes.service.is_empty() => odd.push("no-sni"),
            None if host::parse_server_name(attributes.service).is_err() => {
                odd.push("malformed-sni")
            }
            None => {}
        }
        odd
    }

    /// Returns whether customs must answer as Envoy did.
    pub(crate) fn is_ordinary(&self) -> bool {
        self.odd_tags().next().is_none() && self.oddities().is_empty()
    }

    pub(crate) fn method(&self) -> &str {
        let request = self
            .request
            .attributes
            .as_ref()
            .and_then(|attributes| attributes.request.as_ref());
        request
            .and_then(|request| request.http.as_ref())
            .map_or("", |http| &http.method)
    }

    /// Returns the check with another method, to find out whether the method's case made a
    /// difference.
    pub(crate) fn with_method(&self, method: &str) -> CheckRequest {
        let mut request = self.request.clone();
        let http = request
            .attributes
            .as_mut()
            .and_then(|a| a.request.as_mut())
            .and_then(|r| r.http.as_mut());
        if let Some(http) = http {
            http.method = method.to_owned();
        }
        request
    }
}
