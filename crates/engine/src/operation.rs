//! The destinations that a rule applies to: hosts, listener ports, methods and paths.
//!
//! An unknown attribute satisfies a DENY and no ALLOW, with one exception: `**` also grants a
//! connection that names no host.

use std::borrow::Cow;

use super::effect::Effect;
use super::eval_context::EvalContext;
use super::field::Field;
use super::path::{Readings, Template};
use super::pattern::{HostPattern, Match, NO_HOST, Specificity, TextPattern};
use super::request::{DestinationHost, Request};

/// A pattern for paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// Exact, prefix, suffix or any.
    Text(TextPattern),
    /// Istio's templates.
    Template(Template),
}

impl PathPattern {
    /// Returns whether one reading of the path, given by its number, matches. If a match grants,
    /// the path as sent (the first reading) must also pass Envoy's own matcher.
    fn matches(
        &self,
        context: &EvalContext<'_>,
        (number, text): (usize, &str),
        matching: Match,
    ) -> bool {
        match self {
            PathPattern::Text(pattern) => pattern.matches(text),
            PathPattern::Template(template) => {
                context
                    .segment_ends(number)
                    .is_some_and(|ends| template.matches(text, ends))
                    && (number > 0 || matching == Match::Broad || context.operators_match())
            }
        }
    }
}

/// Returns whether a list matches the readings of a path (rule R7). Broad: some reading matches
/// some pattern. Strict: every reading matches some pattern of the list, not necessarily the same
/// one.
fn list_matches(
    list: &[PathPattern],
    context: &EvalContext<'_>,
    readings: &[Cow<'_, str>],
    matching: Match,
) -> bool {
    let mut numbered = readings.iter().enumerate();
    let some = |(number, text): (usize, &Cow<'_, str>)| {
        list.iter()
            .any(|pattern| pattern.matches(context, (number, text), matching))
    };
    match matching {
        Match::Broad => numbered.any(some),
        Match::Strict => numbered.all(some),
    }
}

/// An operation: all fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Hosts with ports.
    pub hosts: Field<HostPattern>,
    /// The gateway's listener ports; AuthorizationPolicy only.
    pub ports: Field<u16>,
    /// Methods.
    pub methods: Field<TextPattern>,
    /// Paths.
    pub paths: Field<PathPattern>,
}

impl Operation {
    /// Returns whether it has a field that only HTTP can answer. Hosts do not count: on TCP they
    /// match the SNI (rule R10).
    pub fn is_http_only(&self) -> bool {
        self.methods.is_set() || self.paths.is_set()
    }

    /// Returns how narrowly it matches the request, or `None` if it does not.
    pub fn matches(&self, context: &EvalContext<'_>, effect: Effect) -> Option<Specificity> {
        let request = context.request;
        let specificity = self.match_host(request, effect)?;
        let holds = self.match_listener(request, effect)
            && self.match_method(request, effect)
            && self.match_path(context, effect);
        holds.then_some(specificity)
    }

    /// Returns whether the gateway's listener port matches.
    pub fn match_listener(&self, request: &Request<'_>, effect: Effect) -> bool {
        let port = request.listener_port;
        self.ports
            .holds_if_known(port, effect, |want, port, _| *want == port)
    }

    /// Returns whether the method matches.
    pub fn match_method(&self, request: &Request<'_>, effect: Effect) -> bool {
        let method = request
            .http
            .map(|http| http.method)
            .filter(|method| !method.is_empty());
        self.methods
            .holds_if_known(method, effect, |want, method, matching| match matching {
                Match::Broad => want.matches_ignore_case(method),
                Match::Strict => want.matches(method),
            })
    }

    /// Returns how narrowly the host and its port match, or `None` if they do not.
    pub fn match_host(&self, request: &Request<'_>, effect: Effect) -> Option<Specificity> {
        let destination = &request.destination;
        let hit = |p: &HostPattern, host, matching| {
            p.matches(host, destination.port, destination.raw_authority, matching)
        };
        match &destination.host {
            DestinationHost::Known(host) => {
                if self
                    .hosts
                    .none_of()
                    .iter()
                    .any(|p| hit(p, host, effect.negative_match()))
                {
                    return None;
                }
                if self.hosts.any_of().is_empty() {
                    return Some(NO_HOST);
                }
                let hits = self
                    .hosts
                    .any_of()
                    .iter()
                    .filter(|p| hit(p, host, effect.positive_match()));
                hits.map(HostPattern::specificity).min()
            }
            DestinationHost::Unnamed | DestinationHost::MeshWrapper
                if self.hosts.any_of().iter().any(HostPattern::is_anywhere) =>
            {
                Some(NO_HOST)
            }
            DestinationHost::Unnamed
            | DestinationHost::MeshWrapper
            | DestinationHost::Unreadable => self.hosts.holds_unknown(effect).then_some(NO_HOST),
        }
    }

    /// Returns whether the path matches.
    pub fn match_path(&self, context: &EvalContext<'_>, effect: Effect) -> bool {
        if !self.paths.is_set() {
            return true;
        }
        match context.readings() {
            Readings::One(path) => self.paths.holds(effect, |want, matching| {
                want.matches(context, (0, path), matching)
            }),
            Readings::Many(readings) => self.paths.holds_by_lists(effect, |list, matching| {
                list_matches(list, context, readings, matching)
            }),
            Readings::Unknown => self.paths.holds_unknown(effect),
        }
    }
}

#[cfg(test)]
mod tests;
