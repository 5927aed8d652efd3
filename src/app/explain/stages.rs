//! Why a question was answered as it was: the stages of the decision, one after the other, in plain words.
//!
//! Nothing here decides. What a stage did is read off the answer; the rules are asked again only for what the answer
//! does not name: which entry opened a gate, who isolates the caller, and which entry comes nearest to a host that none
//! allows ([`near`]). The stages explain one answer by its pass: for the verdict, rules on trial are left out, save where they
//! come nearest; for `dry_run` they are in force.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::near::{self, Nearest};
use customs_engine::decision::{Answer, Gate};
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::eval_context::EvalContext;
use customs_engine::header_table::HeaderTables;
use customs_engine::host::{Authority, HostParseError, parse_server_name};
use customs_engine::identity::{Accepted, Caller};
use customs_engine::reason::Reason;
use customs_engine::request::{self, Attributes, DestinationHost, Request};
use customs_engine::rule::{DenyMatch, Rule};
use customs_engine::rule_info::RuleInfo;
use customs_engine::rules::Rules;
use customs_engine::settings::{DefaultEffect, Settings};
use customs_engine::snapshot::{Pass, Snapshot};
use customs_engine::subject::UnknownCallers;
use customs_engine::time::UnixNanos;

/// What one stage did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// `validation`, `deny`, `istio`, `isolation` or `default`.
    pub stage: Cow<'static, str>,
    /// `passed`, `denied`, `notAsked`, `open`, `closed` or `allowed`.
    pub state: Cow<'static, str>,
    /// The same in words, with the rules that matter.
    pub text: String,
    /// The rules that are told of, in the order of the words.
    pub rules: Vec<RuleFacts>,
    /// The entry that comes nearest, where an allow entry was missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
}

/// Where a rule stands and whom to ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleFacts {
    pub(super) id: String,
    /// Where it stands: `file:line`.
    pub origin: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl RuleFacts {
    /// What is told of a rule.
    pub fn of(info: &RuleInfo) -> RuleFacts {
        let moment = |at: UnixNanos| {
            Timestamp::from_nanosecond(at.0)
                .ok()
                .map(|moment| moment.to_string())
        };
        RuleFacts {
            id: info.id.to_string(),
            origin: info.origin(),
            owner: info.owner().map(str::to_owned),
            ticket: info.ticket().map(str::to_owned),
            reason: info.reason().map(str::to_owned),
            expires: info.expires().and_then(moment),
        }
    }
}

impl fmt::Display for RuleFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.origin)?;
        for (name, value) in [
            ("owner", &self.owner),
            ("ticket", &self.ticket),
            ("until", &self.expires),
        ] {
            if let Some(value) = value {
                write!(f, ", {name} {value}")?;
            }
        }
        match &self.reason {
            Some(reason) => write!(
                f,
                ": {}",
                reason.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
            None => Ok(()),
        }
    }
}

/// Explains the answer of a pass.
/// `problem` is what request validation found, in detail.
pub fn stages(
    snapshot: &Snapshot,
    request: &Request<'_>,
    problem: Option<&str>,
    answer: &Answer,
    pass: Pass,
    now: UnixNanos,
) -> Vec<Stage> {
    if !snapshot.is_loaded() {
        let unloaded = |name| {
            stage(
                name,
                "notAsked",
                "not asked: no policy set was loaded yet, so everything is denied",
            )
        };
        return ["validation", "deny", "istio", "isolation", "default"]
            .map(unloaded)
            .into();
    }
    let (rules, settings) = (snapshot.rules(), snapshot.settings());
    let caller = judged(rules, settings, pass, request);
    let named = rules
        .egress_policies
        .iter()
        .any(|p| pass.includes(p.mode) && p.subjects.name_unauthenticated());
    let unknown = if named {
        UnknownCallers::Named
    } else {
        UnknownCallers::Unnamed
    };
    let tables = snapshot.header_tables();
    let context = EvalContext::of_set(request, tables);
    let seen = Seen {
        rules,
        settings,
        tables,
        pass,
        context,
        problem,
        caller,
        unknown,
        now,
        answer,
    };
    vec![
        seen.validation(),
        seen.deny(),
        seen.istio(),
        seen.isolation(),
        seen.default(),
    ]
}

/// The caller, by the trust domains that the settings and the rules in force accept.
fn judged<'r>(rules: &Rules, settings: &Settings, pass: Pass, request: &Request<'r>) -> Caller<'r> {
    let mut trust = settings.trust_domains.clone();
    if let Accepted::Only(domains) = &mut trust.accepted {
        let named = rules
            .accepted_trust_domains
            .iter()
            .filter(|(_, mode)| pass.includes(*mode));
        domains.extend(named.map(|(domain, _)| domain.clone()));
    }
    trust.judge(request.principal)
}

fn stage(stage: &'static str, state: &'static str, text: impl Into<String>) -> Stage {
    Stage {
        stage: stage.into(),
        state: state.into(),
        text: text.into(),
        rules: Vec::new(),
        nearest: None,
    }
}

/// What is looked at to explain an answer.
struct Seen<'s> {
    rules: &'s Rules,
    settings: &'s Settings,
    tables: &'s Arc<HeaderTables>,
    pass: Pass,
    context: EvalContext<'s>,
    problem: Option<&'s str>,
    caller: Caller<'s>,
    unknown: UnknownCallers,
    now: UnixNanos,
    answer: &'s Answer,
}

impl Seen<'_> {
    fn denied_by_validation(&self) -> bool {
        let enforced =
            self.pass == Pass::DryRun || self.settings.request_validation == Enforcement::Enforce;
        enforced && self.context.request.finding.is_some()
    }

    /// Whether one of the first two stages spoke.
    fn is_over(&self) -> bool {
        self.denied_by_validation() || self.answer.reason == Reason::DeniedByRule
    }

    fn validation(&self) -> Stage {
        let detail = self
            .problem
            .map(|problem| format!(": {problem}"))
            .unwrap_or_default();
        let found =
            |finding: Reason| format!("{}: {}{detail}", finding.as_str(), in_words(finding));
        match self.context.request.finding {
            None if self.context.request.destination.host == DestinationHost::MeshWrapper => stage(
                "validation",
                "passed",
                "nothing found; the SNI is the mesh's wrapper of one of its own names, so where the connection goes is not \
                 known: set `sni` in the DestinationRule's `tls`",
            ),
            None => stage(
                "validation",
                "passed",
                format!("nothing found{}", self.unknown_headers()),
            ),
            Some(finding) if self.denied_by_validation() => {
                stage("validation", "denied", found(finding))
            }
            Some(finding) => stage(
                "validation",
                "passed",
                format!("only recorded: {}", found(finding)),
            ),
        }
    }

    /// The headers whose values count as unknown, which satisfies every deny that asks for them and no allow.
    fn unknown_headers(&self) -> String {
        let unknown = self.tables.unknown(self.context.request);
        let told = unknown.into_iter().map(|(name, why)| {
            format!(
                "; header `{name}` {}: its value counts as unknown, which satisfies a DENY and no ALLOW",
                why.in_words()
            )
        });
        told.collect()
    }

    fn deny(&self) -> Stage {
        if self.denied_by_validation() {
            return not_asked("deny");
        }
        match (self.answer.reason, self.answer.rule.info()) {
            (Reason::DeniedByRule, Some(info)) => {
                let rules: Vec<RuleFacts> = std::iter::once(info)
                    .chain(self.answer.expired.as_deref())
                    .map(RuleFacts::of)
                    .collect();
                let told: Vec<String> = rules.iter().map(RuleFacts::to_string).collect();
                let text = format!("denied by {}", told.join("; this exception has expired: "));
                Stage {
                    rules,
                    ..stage("deny", "denied", text)
                }
            }
            _ => self.no_deny(),
        }
    }

    /// How near the deny rules came, and those that an exception kept from denying.
    fn no_deny(&self) -> Stage {
        let EvalContext { request, .. } = self.context;
        let denies: Vec<&Rule> = self
            .rules
            .denies
            .iter()
            .map(Arc::as_ref)
            .filter(|rule| self.pass.includes(rule.mode))
            .collect();
        let caller = denies
            .iter()
            .filter(|rule| rule.callers.denies(&self.caller, request, self.unknown))
            .count();
        let reaches = |rule: &Rule| {
            rule.to.is_empty()
                || rule
                    .to
                    .iter()
                    .any(|op| op.matches(&self.context, Effect::Deny).is_some())
        };
        let host = denies.iter().filter(|rule| reaches(rule)).count();
        let mut text = match denies.len() {
            0 => "passed: there is no deny rule".to_owned(),
            all => format!(
                "passed: of the deny rules ({all}), {caller} are about this caller and {host} about \
                 this destination; none denies"
            ),
        };
        let mut rules = Vec::new();
        for (rule, exception) in denies
            .iter()
            .filter_map(|rule| Some((rule, self.opened_by(rule)?)))
        {
            let (rule, exception) = (RuleFacts::of(&rule.info), RuleFacts::of(exception));
            text.push_str(&format!(
                "; {} ({}) would deny, opened by exception {exception}",
                rule.id, rule.origin
            ));
            rules.extend([rule, exception]);
        }
        Stage {
            rules,
            ..stage("deny", "passed", text)
        }
    }

    /// The exception that keeps a rule from denying.
    fn opened_by<'r>(&self, rule: &'r Rule) -> Option<&'r RuleInfo> {
        match rule.deny(&self.context, &self.caller, self.unknown, self.now) {
            DenyMatch::Excepted(exception) => Some(exception),
            DenyMatch::NoMatch | DenyMatch::Denied(_) => None,
        }
    }

    fn istio(&self) -> Stage {
        if self.is_over() {
            return not_asked("istio");
        }
        match self.answer.gates.istio {
            Gate::NotAsked => stage(
                "istio",
                "notAsked",
                "not asked: no ALLOW policy is in force",
            ),
            Gate::Open => self.open("istio", "open", &self.rules.istio_allows),
            Gate::Closed => {
                let count = self
                    .rules
                    .istio_allows
                    .iter()
                    .filter(|rule| self.pass.includes(rule.mode))
                    .count();
                let identity = if self.answer.by_identity {
                    "; a valid identity was missing"
                } else {
                    ""
                };
                let nearest = self.nearest(self.rules.istio_allows.iter().map(Arc::as_ref));
                let near = nearest
                    .as_ref()
                    .map(|nearest| format!("; {nearest}"))
                    .unwrap_or_default();
                let text = format!(
                    "closed: none of the rules of ALLOW policies ({count}) matches{identity}{near}"
                );
                Stage {
                    nearest,
                    ..stage("istio", "closed", text)
                }
            }
        }
    }

    fn isolation(&self) -> Stage {
        if self.is_over() {
            return not_asked("isolation");
        }
        let told = match self.answer.gates.isolation {
            Gate::NotAsked => {
                return stage(
                    "isolation",
                    "notAsked",
                    "not isolated: no `isolate: true` in force is about this caller",
                );
            }
            Gate::Open => self.open("isolation", "open", &self.rules.grants),
            Gate::Closed => self.missed("isolation", "closed", "closed"),
        };
        match self.isolated_by() {
            Some(info) => {
                let by = RuleFacts::of(info);
                let text = format!("isolated by {} ({}); {}", by.id, by.origin, told.text);
                Stage {
                    text,
                    rules: std::iter::once(by).chain(told.rules).collect(),
                    ..told
                }
            }
            None => Stage {
                text: format!(
                    "isolated, as callers without a valid identity are; {}",
                    told.text
                ),
                ..told
            },
        }
    }

    fn default(&self) -> Stage {
        let gates = self.answer.gates;
        if self.is_over() || gates.istio == Gate::Closed || gates.isolation == Gate::Closed {
            return not_asked("default");
        }
        let asked = gates.istio != Gate::NotAsked || gates.isolation != Gate::NotAsked;
        match (self.settings.default_effect, self.answer.reason) {
            (_, Reason::AllowedByRule) if asked => stage(
                "default",
                "notAsked",
                "not asked: every gate that was asked is open",
            ),
            (DefaultEffect::Allow, _) => stage(
                "default",
                "allowed",
                "nothing concerns this, and the default is allow",
            ),
            (DefaultEffect::Deny, Reason::AllowedByRule) => {
                self.open("default", "allowed", &self.rules.grants)
            }
            (DefaultEffect::Deny, _) => self.missed(
                "default",
                "denied",
                "nothing allows this, and the default is deny",
            ),
        }
    }

    /// A stage that a rule opened.
    fn open(&self, name: &'static str, state: &'static str, rules: &[Arc<Rule>]) -> Stage {
        match self.grant(rules, false) {
            Some(rule) => {
                let rule = RuleFacts::of(&rule.info);
                Stage {
                    text: format!("open by {rule}"),
                    rules: vec![rule],
                    ..stage(name, state, "")
                }
            }
            None => stage(name, state, "open"),
        }
    }

    /// A stage in which an allow entry was missing.
    fn missed(&self, name: &'static str, state: &'static str, what: &str) -> Stage {
        if let Some(rule) = self.grant(&self.rules.grants, true) {
            let rule = RuleFacts::of(&rule.info);
            let text = format!("{what}: the entry that would open it has expired: {rule}");
            return Stage {
                rules: vec![rule],
                ..stage(name, state, text)
            };
        }
        let selecting: Vec<&Rule> = self
            .rules
            .grants
            .iter()
            .map(Arc::as_ref)
            .filter(|rule| rule.callers.grants(&self.caller, self.context.request))
            .collect();
        let nearest = self.nearest(selecting.iter().copied());
        let more = match (&nearest, selecting.len()) {
            (Some(nearest), _) => format!("no entry matches; {nearest}"),
            (None, 0) => "no allow entry is about this caller".to_owned(),
            (None, count) => format!(
                "none of the allow entries about this caller ({count}) comes near this host"
            ),
        };
        Stage {
            nearest,
            ..stage(name, state, format!("{what}: {more}"))
        }
    }

    /// The rule of these that comes nearest to the request.
    fn nearest<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> Option<Nearest> {
        near::nearest(rules, &self.context, &self.caller, |rule| {
            self.pass.includes(rule.mode)
        })
    }

    /// The matching rule that is named: of those alive, or of those that have expired.
    fn grant<'r>(&self, rules: &'r [Arc<Rule>], expired: bool) -> Option<&'r Rule> {
        let in_force = rules.iter().filter(|rule| self.pass.includes(rule.mode));
        let matching = in_force.filter(|rule| rule.info.is_expired(self.now) == expired);
        let ranked = matching.filter_map(|rule| {
            let specificity = rule.grant(&self.context, &self.caller)?;
            Some((
                (rule.info.expires().is_some(), specificity, &rule.info.id),
                rule,
            ))
        });
        ranked
            .min_by(|(a, _), (b, _)| a.cmp(b))
            .map(|(_, rule)| rule.as_ref())
    }

    /// The policy that isolates the caller; `None` for callers without a valid identity that no policy names.
    fn isolated_by(&self) -> Option<&RuleInfo> {
        if self.caller.workload().is_none() && self.unknown == UnknownCallers::Unnamed {
            return None;
        }
        let own = self.caller.workload().map(|id| id.namespace);
        let isolating = self.rules.egress_policies.iter().filter(|policy| {
            policy.isolate
                && self.pass.includes(policy.mode)
                && policy.subjects.select(&self.caller, Effect::Deny)
        });
        let first = isolating
            .min_by_key(|policy| (Some(policy.info.id.namespace()) != own, &policy.info.id));
        first.map(|policy| policy.info.as_ref())
    }
}

fn not_asked(name: &'static str) -> Stage {
    stage(name, "notAsked", "not asked: an earlier stage denied")
}

/// Why request validation found something: what of the host or the SNI cannot be read, or which attributes differ.
pub fn problem(attributes: &Attributes<'_>, request: &Request<'_>) -> Option<String> {
    let sni = attributes
        .tls_sni
        .filter(|sni| !sni.is_empty())
        .unwrap_or(attributes.service);
    let unreadable =
        |text: &str, why: Option<HostParseError>| why.map(|why| format!("`{text}`: {why}"));
    match (request.finding?, &attributes.http) {
        (Reason::MalformedHost, Some(http)) => {
            unreadable(http.host, Authority::parse(http.host).err())
        }
        (Reason::MalformedHost | Reason::MalformedSni, _) => [sni, attributes.service]
            .into_iter()
            .find_map(|text| unreadable(text, parse_server_name(text).err())),
        (Reason::ContradictoryAttributes, Some(http)) => {
            let sent = request::last_value(http.headers, ":authority")?;
            Some(format!(
                "the host is `{}`, and `:authority` is `{sent}`",
                http.host
            ))
        }
        (Reason::ContradictoryAttributes, None) => Some(format!(
            "the SNI is `{sni}`, and `destination.service` is `{}`",
            attributes.service
        )),
        (Reason::SniHostMismatch, Some(http)) => Some(format!(
            "the SNI is `{sni}`, and the host is `{}`",
            http.host
        )),
        _ => None,
    }
}

/// What request validation found.
fn in_words(finding: Reason) -> &'static str {
    match finding {
        Reason::EmptyRequest => "the check says neither an HTTP request nor an address",
        Reason::MalformedHost => "the host cannot be read",
        Reason::MalformedSni => "the SNI cannot be read",
        Reason::ContradictoryAttributes => "attributes that must agree do not",
        Reason::SniHostMismatch => "the SNI is not the host",
        _ => "the request cannot be read safely",
    }
}
