//! Where callers may go: every region of requests that the policies allow, with what lets them.
//!
//! The regions are those of the [analysis](customs_analysis::regions): each is exact, and one request
//! of each was decided by the policies. Together they are all that is allowed, unless the answer says
//! what is not known.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::query::Caller;
use crate::app::terminal::{Line, Tone};
use customs_analysis::regions::{Exploration, LeftRegion, Space, Within};
use customs_engine::decision::Answer;
use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::field::Field;
use customs_engine::identity::is_dns_label;
use customs_engine::pattern::TextPattern;
use customs_engine::rule::Rule;
use customs_engine::rule_info::{About, RuleId, RuleInfo};
use customs_engine::snapshot::Snapshot;
use customs_engine::subject::{
    Account, CallerMatch, NamespacePattern, Source, Subject, SubjectList,
};
use customs_engine::time::UnixNanos;
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::reader::Text;

/// The most kinds of requests that are asked.
const BUDGET: usize = 200_000;

/// The most regions that one answer has.
const MOST: usize = 10_000;

/// Whose reach is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Callers {
    /// One caller.
    One(Caller),
    /// Every caller of a namespace, of the mesh's own trust domain.
    Namespace(String),
    /// Every caller.
    All,
}

/// Parses a namespace.
///
/// # Errors
/// Returns why it is invalid.
pub(crate) fn namespace(text: Text<'_>) -> Result<Callers, Problem> {
    match is_dns_label(text.text) {
        true => Ok(Callers::Namespace(text.text.to_owned())),
        false => {
            let what = format!("invalid namespace `{}`", text.text);
            Err(text
                .error(Code::BadIdentity, what)
                .hint("write one name in lower case"))
        }
    }
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CanReach {
    version: u32,
    /// The revision of the policy set that decided.
    revision: String,
    from: String,
    /// What is allowed, by what allows it.
    allowed: Vec<Reach>,
    /// How many regions there are.
    regions: usize,
    /// How many of them are left off.
    #[serde(default, skip_serializing_if = "is_zero")]
    left_off: usize,
    /// The regions of which nothing is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

// serde requires this signature.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

/// What one entry, or the default, allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reach {
    reason: Cow<'static, str>,
    rule: String,
    /// The file and line of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    regions: Vec<Region>,
}

/// Requests that are allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    /// The requests in words.
    requests: String,
    /// One of them, as a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    example: Option<String>,
    /// The effect if every dry run were enforced too.
    dry_run: Cow<'static, str>,
}

/// Finds where callers may go.
pub(crate) fn ask(callers: &Callers, snapshot: &Snapshot, now: UnixNanos) -> CanReach {
    let settings = snapshot.settings();
    let rule = rule(callers);
    let space = Space::new(&[snapshot], &[], now);
    let effect = match callers {
        Callers::One(Caller::Unauthenticated) | Callers::All => Effect::Deny,
        Callers::One(_) | Callers::Namespace(_) => Effect::Allow,
    };
    let within = rule.as_ref().map(|rule| Within { rule, effect });
    let mut found: BTreeMap<(String, String), Reach> = BTreeMap::new();
    let (mut regions, mut left_off, mut unknown) = (0, 0, Vec::new());
    let Exploration { left, .. } = space.explore(within, BUDGET, |cell| {
        let Some(decision) = cell.decisions().first() else {
            return ControlFlow::Continue(());
        };
        let verdict = &decision.verdict;
        let is_asked = rule.as_ref().is_none_or(|rule| {
            cell.with_request(settings, |context| {
                snapshot.would_apply(rule, effect, context, now)
            })
        });
        if verdict.effect() == Effect::Deny || !is_asked {
            return ControlFlow::Continue(());
        }
        let Some(witness) = cell.witness() else {
            unknown.push(cell.to_left().to_string());
            return ControlFlow::Continue(());
        };
        regions += 1;
        if regions > MOST {
            left_off += 1;
            return ControlFlow::Continue(());
        }
        let key = (verdict.rule.to_string(), verdict.reason.as_str().to_owned());
        let reach = found.entry(key).or_insert_with(|| Reach::of(verdict));
        reach.regions.push(Region {
            requests: cell.to_string(),
            example: Some(witness.command_line(settings)),
            dry_run: decision.dry_run.effect().as_str().into(),
        });
        ControlFlow::Continue(())
    });
    unknown.extend(left.iter().map(LeftRegion::to_string));
    CanReach {
        version: 1,
        revision: snapshot.revision().to_string(),
        from: callers.to_string(),
        allowed: found.into_values().collect(),
        regions,
        left_off,
        unknown,
    }
}

/// Returns a rule about these callers and every destination; `None` for all callers.
fn rule(callers: &Callers) -> Option<Rule> {
    let subjects = |subject| CallerMatch::Subjects(SubjectList([subject].into()).into());
    let callers = match callers {
        Callers::All => return None,
        Callers::Namespace(namespace) => subjects(Subject::Workloads {
            namespaces: [NamespacePattern::Exact(namespace.clone())].into(),
            accounts: Box::default(),
            trust_domains: Box::default(),
        }),
        Callers::One(Caller::Unauthenticated) => subjects(Subject::Unauthenticated),
        Callers::One(Caller::Account { namespace, name }) => subjects(Subject::Accounts {
            accounts: [Account {
                namespace: namespace.clone(),
                name: name.clone(),
            }]
            .into(),
            trust_domains: Box::default(),
        }),
        Callers::One(Caller::Id(id)) => {
            let principal = id.strip_prefix("spiffe://").unwrap_or(id);
            let exact = TextPattern::Exact(principal.to_owned());
            CallerMatch::Sources(
                [Source {
                    principals: Field::of([exact]),
                    ..Source::default()
                }]
                .into(),
            )
        }
    };
    let id = RuleId::entry("".into(), "");
    Some(Rule {
        info: RuleInfo::new(id, Place::default(), About::default()).into(),
        mode: Enforcement::Enforce,
        callers,
        to: Box::default(),
        when: Box::default(),
        except: Box::default(),
    })
}

impl Reach {
    fn of(verdict: &Answer) -> Reach {
        Reach {
            reason: verdict.reason.as_str().into(),
            rule: verdict.rule.to_string(),
            origin: verdict.rule.info().map(|info| info.origin()),
            regions: Vec::new(),
        }
    }
}

impl fmt::Display for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Callers::All => f.write_str("every caller"),
            Callers::Namespace(namespace) => write!(f, "{namespace}/*"),
            Callers::One(Caller::Account { namespace, name }) => write!(f, "{namespace}/{name}"),
            Callers::One(Caller::Id(id)) => f.write_str(id),
            Callers::One(Caller::Unauthenticated) => f.write_str("unauthenticated"),
        }
    }
}

impl CanReach {
    /// Returns whether nothing is unknown.
    pub(crate) fn is_complete(&self) -> bool {
        self.unknown.is_empty() && self.left_off == 0
    }

    /// Returns the answer line by line.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = vec![Line::default().then(Tone::Strong, &self.from)];
        for Reach {
            reason,
            rule,
            origin,
            regions,
        } in &self.allowed
        {
            let origin = origin
                .as_ref()
                .map(|origin| format!(" ({origin})"))
                .unwrap_or_default();
            let by = Line::of(format!("  {reason} by {rule}"));
            lines.push(by.then(Tone::Quiet, origin).hanging(4));
            for region in regions {
                let differs = match region.dry_run == "allow" {
                    true => "",
                    false => " (dry run: deny)",
                };
                let requests = Line::of(format!("    {}", region.requests));
                lines.push(requests.then(Tone::Mark, differs).hanging(6));
            }
        }
        if self.left_off > 0 {
            lines.push(Line::of(format!("  and {} more regions", self.left_off)));
        }
        if !self.unknown.is_empty() {
            lines.push(Line::default().then(Tone::Mark, "  not known:"));
            let unknown = self.unknown.iter();
            lines.extend(unknown.map(|region| Line::of(format!("    {region}")).hanging(6)));
        }
        let words = match self.regions {
            1 => "region of requests is",
            _ => "regions of requests are",
        };
        let total = format!("{} {words} allowed", self.regions);
        lines.push(Line::default().then(Tone::Strong, total));
        lines
    }
}
