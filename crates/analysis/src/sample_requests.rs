//! Sample requests that show how two sets differ, drawn from the rules' own values.
//!
//! The destinations of every rule are combined with its own callers, with a caller without an
//! identity, and with one that no rule names. A rule that differs is also combined with the samples
//! of other rules that it matches: its callers with their destinations, and its destinations with
//! their callers. So the number of requests grows linearly with the number of rules. Requests that
//! a limit cuts are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::rule_changes::{Action, Item};
use super::sample_callers::{self, SampleCaller, Surroundings};
use super::sample_destinations::{self, Care, NOWHERE, SampleDestination};
use customs_engine::condition::Condition;
use customs_engine::effect::Effect;
use customs_engine::eval_context::EvalContext;
use customs_engine::host::Authority;
use customs_engine::request::{Attributes, HttpAttributes, Request, identity_header};
use customs_engine::rule::Rule;
use customs_engine::rule_info::RuleId;
use customs_engine::rules::Rules;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::subject::{CallerMatch, UnknownCallers};

/// The most requests that are drawn.
pub(crate) const MAX_REQUESTS: usize = 100_000;

/// The most requests that one differing rule may add in each step.
const MAX_OF_CHANGED: usize = 8_192;

/// The most requests that any other rule may add.
const MAX_OF_RULE: usize = 64;

/// The most callers, and the most destinations, of other rules that all differing rules together
/// are combined with.
const MAX_MET: usize = 16_384;

/// The bounds of this number for each differing rule.
const MET: RangeInclusive<usize> = 16..=1_024;

/// The most checks of whether a rule matches a sample.
const MAX_LOOKS: usize = 500_000;

/// The sample requests: pairs of a caller and a destination.
pub(crate) struct SampleRequests {
    callers: Vec<SampleCaller>,
    destinations: Vec<SampleDestination>,
    pairs: Vec<(usize, usize)>,
    /// The number of requests that the limits cut, including those that were drawn elsewhere.
    pub left_out: usize,
}

impl SampleRequests {
    /// Draws the requests. `differs` returns for a rule's id whether the sets differ in it.
    pub(crate) fn draw(
        old: &Snapshot,
        new: &Snapshot,
        differs: &dyn Fn(&RuleId) -> bool,
    ) -> SampleRequests {
        let settings = new.settings();
        let around = surroundings(settings, [old.rules(), new.rules()]);
        let mut draft = Draft::default();
        let strangers =
            [around.stranger(), around.unauthenticated()].map(|caller| draft.callers.put(caller));
        let nowhere = nowhere(settings, &around)
            .map(|destination| draft.destinations.put(destination))
            .collect();
        let kept = Item::all(new.rules()).filter(|item| !differs(&item.info().id));
        let changed = [old, new]
            .into_iter()
            .flat_map(|side| Item::all(side.rules()));
        let changed =
            changed.filter(|item| differs(&item.info().id) && item.action() != Action::Audit);
        let mut changed: Vec<RuleSample<'_>> = changed
            .map(|item| draft.item(item, &around, Care::Thorough))
            .collect();
        let kept: Vec<RuleSample<'_>> = kept
            .map(|item| draft.item(item, &around, Care::Plain))
            .collect();
        draft.meet(&mut changed, settings);
        draft.pair(&changed, &kept, &strangers, nowhere);
        SampleRequests {
            callers: draft.callers.items,
            destinations: draft.destinations.items,
            pairs: draft.pairs,
            left_out: draft.left_out,
        }
    }

    /// Returns the requests, each once, in an order that depends only on the sets.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SampleCaller, &SampleDestination)> {
        self.pairs
            .iter()
            .filter_map(|(c, d)| Some((self.callers.get(*c)?, self.destinations.get(*d)?)))
    }

    /// Returns the number of requests.
    pub(crate) fn len(&self) -> usize {
        self.pairs.len()
    }
}

/// Passes a sample to `to` as the request that a server would evaluate.
pub(crate) fn with_request<T>(
    caller: &SampleCaller,
    destination: &SampleDestination,
    settings: &Settings,
    to: impl FnOnce(&Request<'_>) -> T,
) -> T {
    let mut headers = destination
        .http
        .as_ref()
        .map(|http| http.headers.clone())
        .unwrap_or_default();
    headers.extend(identity_header(&caller.principal, settings));
    // The SNI of an HTTP session is the host, unless a rule names another.
    let host = Authority::parse(&destination.host)
        .map(|read| read.host.to_string())
        .unwrap_or_default();
    let attributes = Attributes {
        source_principal: &caller.principal,
        source_address: caller.address,
        has_address: true,
        listener_port: destination.listener_port,
        ..Attributes::default()
    };
    let attributes = match &destination.http {
        Some(http) => {
            let (method, path) = (&http.method, &http.path);
            let sent = HttpAttributes {
                method,
                path,
                host: &destination.host,
                headers: &headers,
                ..Default::default()
            };
            Attributes {
                tls_sni: Some(http.sni.as_deref().unwrap_or(&host)),
                http: Some(sent),
                ..attributes
            }
        }
        None => Attributes {
            service: &destination.host,
            ..attributes
        },
    };
    to(&attributes.normalise(settings))
}

/// Returns the attributes that a rule does not constrain. Attributes on which no rule has a
/// condition are left out.
fn surroundings<'s>(settings: &'s Settings, sets: [&Rules; 2]) -> Surroundings<'s> {
    let (mut blocks, mut ports) = (Vec::new(), BTreeSet::<u16>::new());
    for rule in sets.into_iter().flat_map(Item::all) {
        let Item::Rule(_, rule) = rule else { continue };
        if let CallerMatch::Sources(sources) = &rule.callers {
            blocks.extend(sources.iter().flat_map(sample_callers::blocks).copied());
        }
        ports.extend(
            rule.to
                .iter()
                .flat_map(|operation| sample_callers::values(&operation.ports)),
        );
        for condition in &rule.when {
            match condition {
                Condition::Source(source) => blocks.extend(sample_callers::blocks(source)),
                Condition::DestinationPort(named) => ports.extend(sample_callers::values(named)),
                _ => {}
            }
        }
    }
    Surroundings {
        own: &settings.trust_domains.own,
        address: (!blocks.is_empty()).then(|| sample_callers::address_beside(&blocks)),
        listener_port: if ports.is_empty() {
            None
        } else {
            (1..u16::MAX).rev().find(|port| !ports.contains(port))
        },
    }
}

/// Returns destinations that no rule names: a host on HTTP and on TCP, a connection without SNI,
/// and every declared listener.
fn nowhere<'s>(
    settings: &'s Settings,
    around: &Surroundings<'_>,
) -> impl Iterator<Item = SampleDestination> + use<'s> {
    let port = around.listener_port;
    let listeners = settings
        .listeners
        .iter()
        .map(|listener| SampleDestination::tcp("", Some(listener.port)));
    let named = [
        SampleDestination::http(NOWHERE, port),
        SampleDestination::tcp(NOWHERE, port),
        SampleDestination::tcp("", port),
    ];
    named.into_iter().chain(listeners)
}

/// Unique items, identified by their numbers.
struct Pool<T> {
    items: Vec<T>,
    numbers: BTreeMap<T, usize>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool {
            items: Vec::new(),
            numbers: BTreeMap::new(),
        }
    }
}

impl<T: Ord + Clone> Pool<T> {
    fn put(&mut self, item: T) -> usize {
        if let Some(number) = self.numbers.get(&item) {
            return *number;
        }
        let number = self.items.len();
        self.items.push(item.clone());
        self.numbers.insert(item, number);
        number
    }
}

/// A rule with its samples, by number.
struct RuleSample<'s> {
    item: Item<'s>,
    callers: Vec<usize>,
    destinations: Vec<usize>,
    met_callers: Met,
    met_destinations: Met,
}

/// The samples of other rules that a rule matches.
#[derive(Default)]
struct Met {
    kept: Vec<usize>,
    left_out: usize,
}

impl Met {
    fn note(&mut self, number: usize, most: usize) {
        match self.kept.len() < most {
            true => self.kept.push(number),
            false => self.left_out += 1,
        }
    }
}

#[derive(Default)]
struct Draft {
    callers: Pool<SampleCaller>,
    destinations: Pool<SampleDestination>,
    pairs: Vec<(usize, usize)>,
    asked: BTreeSet<(usize, usize)>,
    left_out: usize,
}

impl Draft {
    fn item<'s>(
        &mut self,
        item: Item<'s>,
        around: &Surroundings<'_>,
        care: Care,
    ) -> RuleSample<'s> {
        let (callers, destinations) = match item {
            Item::Rule(_, rule) => (
                rule_callers(rule, around),
                self.rule_destinations(rule, around, care),
            ),
            Item::Isolation(policy) => (
                sample_callers::of_subjects(&policy.subjects, around),
                Vec::new(),
            ),
        };
        RuleSample {
            item,
            callers: callers
                .into_iter()
                .map(|caller| self.callers.put(caller))
                .collect(),
            destinations,
            met_callers: Met::default(),
            met_destinations: Met::default(),
        }
    }

    /// Returns the destinations of a rule and of its exceptions. Exceptions without hosts have the
    /// rule's hosts.
    fn rule_destinations(
        &mut self,
        rule: &Rule,
        around: &Surroundings<'_>,
        care: Care,
    ) -> Vec<usize> {
        let mut operations = rule.to.to_vec();
        for exception in &rule.except {
            let mut operation = exception.to.clone();
            if let (false, Some(whole)) = (operation.hosts.is_set(), rule.to.first()) {
                operation.hosts = whole.hosts.clone();
            }
            operations.push(operation);
        }
        if operations.is_empty() {
            operations.push(Default::default());
        }
        let mut numbers = Vec::new();
        for operation in &operations {
            let sample = sample_destinations::of_operation(operation, &rule.when, around, care);
            self.left_out += sample.left_out;
            numbers.extend(
                sample
                    .destinations
                    .into_iter()
                    .map(|destination| self.destinations.put(destination)),
            );
        }
        numbers
    }

    /// Finds the samples of all rules that the differing rules match.
    fn meet(&mut self, changed: &mut [RuleSample<'_>], settings: &Settings) {
        let population = self.callers.items.len() + self.destinations.items.len();
        let looked_at = (MAX_LOOKS / population.max(1)).min(changed.len());
        let Some((changed, rest)) = changed.split_at_mut_checked(looked_at) else {
            return;
        };
        self.left_out += rest.len() * population;
        let most = (MAX_MET / changed.len().max(1)).clamp(*MET.start(), *MET.end());
        let anywhere = SampleDestination::http(NOWHERE, None);
        for (number, caller) in self.callers.items.iter().enumerate() {
            with_request(caller, &anywhere, settings, |request| {
                let caller = settings.trust_domains.classify(request.principal);
                for sample in changed.iter_mut() {
                    let meets = match sample.item {
                        Item::Rule(Action::Deny, rule) => {
                            rule.callers
                                .denies(&caller, request, UnknownCallers::Unnamed)
                        }
                        Item::Rule(_, rule) => rule.callers.grants(&caller, request),
                        Item::Isolation(policy) => policy.subjects.select(&caller, Effect::Deny),
                    };
                    if meets {
                        sample.met_callers.note(number, most);
                    }
                }
            });
        }
        let anyone = SampleCaller {
            principal: String::new(),
            address: None,
        };
        for (number, destination) in self.destinations.items.iter().enumerate() {
            with_request(&anyone, destination, settings, |request| {
                let context = EvalContext::new(request);
                for sample in changed
                    .iter_mut()
                    .filter(|sample| meets_destination(sample.item, &context))
                {
                    sample.met_destinations.note(number, most);
                }
            });
        }
    }

    fn pair(
        &mut self,
        changed: &[RuleSample<'_>],
        kept: &[RuleSample<'_>],
        strangers: &[usize],
        nowhere: Vec<usize>,
    ) {
        // Every differing rule gets a share of the requests, its own values first.
        let share = (MAX_REQUESTS / changed.len().max(1)).clamp(1, MAX_OF_CHANGED);
        let with_strangers = |sample: &RuleSample<'_>| {
            sample
                .callers
                .iter()
                .chain(strangers)
                .copied()
                .collect::<Vec<usize>>()
        };
        for sample in changed {
            self.ask(&with_strangers(sample), &sample.destinations, share);
        }
        for sample in changed {
            let callers = with_strangers(sample);
            self.ask(&callers, &nowhere, share);
            self.ask(&callers, &sample.met_destinations.kept, share);
            self.ask(&sample.met_callers.kept, &sample.destinations, share);
            self.left_out += sample.met_callers.left_out * sample.destinations.len();
            self.left_out += sample.met_destinations.left_out * callers.len();
        }
        for sample in kept {
            self.ask(&with_strangers(sample), &sample.destinations, MAX_OF_RULE);
            self.ask(&sample.callers, &nowhere, MAX_OF_RULE);
        }
        self.ask(strangers, &nowhere, MAX_OF_CHANGED);
    }

    /// Combines every caller with every destination. The first caller and the first destination
    /// come first, because the limit may cut.
    fn ask(&mut self, callers: &[usize], destinations: &[usize], limit: usize) {
        let row = callers
            .iter()
            .take(1)
            .flat_map(|c| destinations.iter().map(move |d| (*c, *d)));
        let column = callers
            .iter()
            .skip(1)
            .flat_map(|c| destinations.iter().take(1).map(move |d| (*c, *d)));
        let rest = callers
            .iter()
            .skip(1)
            .flat_map(|c| destinations.iter().skip(1).map(move |d| (*c, *d)));
        for pair in row.chain(column).chain(rest).take(limit) {
            if self.pairs.len() >= MAX_REQUESTS {
                self.left_out += usize::from(!self.asked.contains(&pair));
            } else if self.asked.insert(pair) {
                self.pairs.push(pair);
            }
        }
        self.left_out += (callers.len() * destinations.len()).saturating_sub(limit);
    }
}

/// Returns the callers of a rule and of its exceptions.
fn rule_callers(rule: &Rule, around: &Surroundings<'_>) -> Vec<SampleCaller> {
    let own = sample_callers::of_rule(&rule.callers, &rule.when, around);
    let excepted = rule
        .except
        .iter()
        .flat_map(|exception| sample_callers::of_rule(&exception.callers, &[], around));
    own.into_iter().chain(excepted).collect()
}

fn meets_destination(item: Item<'_>, context: &EvalContext<'_>) -> bool {
    let Item::Rule(action, rule) = item else {
        return true;
    };
    let effect = if action == Action::Deny {
        Effect::Deny
    } else {
        Effect::Allow
    };
    rule.to.is_empty()
        || rule
            .to
            .iter()
            .any(|operation| operation.matches(context, effect).is_some())
}
