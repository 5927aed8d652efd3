//! A cell: requests that no rule of a space tells apart, with one of them asked for real.

use std::fmt;
use std::rc::Rc;

use super::callers::{CallerGroup, CallerMember, caller_key};
use super::clause::ClauseId;
use super::frame::Frame;
use super::hosts::{HostMember, HostTable};
use super::level::Level;
use super::sample_request::SampleRequest;
use customs_engine::decision::Decision;
use customs_engine::eval_context::EvalContext;
use customs_engine::path::Readings;
use customs_engine::request::{DestinationHost, Request};
use customs_engine::settings::Settings;

/// How much is known of a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DestinationKind {
    /// A host.
    Known,
    /// No host is named.
    Unnamed,
    /// The mesh's wrapper of a name of the mesh.
    MeshWrapper,
    /// A host that cannot be read.
    Unreadable,
}

impl DestinationKind {
    pub(super) fn of(host: &DestinationHost<'_>) -> DestinationKind {
        match host {
            DestinationHost::Known(_) => DestinationKind::Known,
            DestinationHost::Unnamed => DestinationKind::Unnamed,
            DestinationHost::MeshWrapper => DestinationKind::MeshWrapper,
            DestinationHost::Unreadable => DestinationKind::Unreadable,
        }
    }
}

/// What requests of a cell have in common, at one level.
#[derive(Clone, Debug)]
pub(super) struct Cut {
    pub level: Level,
    /// The clauses that are asked.
    pub clauses: Rc<[ClauseId]>,
    pub bits: Rc<[bool]>,
    /// What the attribute is, in words.
    pub words: Option<Rc<str>>,
}

/// The hosts of a cell.
#[derive(Clone, Debug)]
pub(super) struct Hosts<'f> {
    pub is_http: bool,
    pub kind: DestinationKind,
    pub table: Rc<HostTable<'f>>,
    /// What the patterns say of them; empty if no host is known.
    pub key: Rc<[u64]>,
    pub members: Rc<[HostMember]>,
}

/// A part of a space: what its requests have in common.
#[derive(Clone, Debug)]
pub(super) struct Part<'f> {
    pub frame: Rc<Frame<'f>>,
    /// `None` for all callers.
    pub callers: Option<Rc<CallerGroup>>,
    /// `None` for all destinations.
    pub hosts: Option<Hosts<'f>>,
    pub cuts: Vec<Cut>,
}

impl Part<'_> {
    /// Whether a request is part of it.
    pub(super) fn contains(&self, request: &Request<'_>) -> bool {
        let Some(callers) = &self.callers else {
            return true;
        };
        if caller_key(&self.frame, request).0 != callers.key {
            return false;
        }
        let Some(hosts) = &self.hosts else {
            return true;
        };
        let destination = &request.destination.host;
        if request.http.is_some() != hosts.is_http || DestinationKind::of(destination) != hosts.kind
        {
            return false;
        }
        if let DestinationHost::Known(host) = destination
            && *hosts.table.classify(host).0 != *hosts.key
        {
            return false;
        }
        let context = EvalContext::new(request);
        self.meets_cuts(&context)
    }

    /// Whether the attributes beside the caller and the host are those of the part.
    pub(super) fn meets_cuts(&self, context: &EvalContext<'_>) -> bool {
        let (_, variants) = self.frame.space.variants(context.request.principal);
        let mut bits = Vec::new();
        self.cuts.iter().all(|cut| {
            bits.clear();
            for number in cut.clauses.iter() {
                if let Some(clause) = self.frame.clause(*number) {
                    cut.level.ask(clause, context, &variants, &mut bits);
                }
            }
            if cut.level == Level::Sni {
                bits.push(context.request.finding.is_some());
            }
            *bits == *cut.bits
        })
    }

    /// Whether a request's destination is of its class of hosts.
    pub(super) fn is_of_hosts(&self, host: &DestinationHost<'_>) -> bool {
        let Some(hosts) = &self.hosts else {
            return true;
        };
        if DestinationKind::of(host) != hosts.kind {
            return false;
        }
        match (host, hosts.members.first()) {
            (DestinationHost::Known(host), Some(first)) => {
                *host == first.host || *hosts.table.classify(host).0 == *hosts.key
            }
            _ => true,
        }
    }

    /// The kinds of callers that were found in it.
    pub(super) fn callers(&self) -> &[CallerMember] {
        self.callers
            .as_ref()
            .map(|callers| callers.members.as_slice())
            .unwrap_or_default()
    }

    /// What its attributes beside the caller and the host are, in words.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.cuts.iter().filter_map(|cut| cut.words.as_deref())
    }
}

/// A request that represents a cell.
#[derive(Clone, Debug)]
pub(super) enum Witness {
    /// It is of the cell.
    Real(SampleRequest),
    /// It is of the cell but for its path: no path was found with such readings.
    WithReadings(SampleRequest, Vec<String>),
}

impl Witness {
    /// The request.
    pub(super) fn sample(&self) -> &SampleRequest {
        match self {
            Witness::Real(sample) | Witness::WithReadings(sample, _) => sample,
        }
    }
}

/// Requests that no rule tells apart.
///
/// All of them get equal effects from each set. Which rule an answer names may differ, where several
/// rules say the same.
#[derive(Debug)]
pub struct Cell<'f> {
    pub(super) part: Part<'f>,
    pub(super) witness: Witness,
    pub(super) decisions: Vec<Decision>,
}

impl<'f> Cell<'f> {
    /// Returns the decision of each set, in the order of the space.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// Returns a request of the cell, which gets these decisions. `None` if no request was found:
    /// the cell needs a path that several servers read in several ways, and whether a path has
    /// these readings together is not known. Its decisions are then those of such readings.
    pub fn witness(&self) -> Option<&SampleRequest> {
        match &self.witness {
            Witness::Real(sample) => Some(sample),
            Witness::WithReadings(..) => None,
        }
    }

    /// Returns the callers of the cell, as policies write them.
    pub fn callers(&self) -> Vec<String> {
        super::words::callers(&self.part)
    }

    /// Returns the destinations of the cell and what else its requests have in common, in words.
    pub fn destination(&self) -> String {
        super::words::destination(&self.part)
    }

    /// Passes the request that was asked to `to`, with the readings of its path.
    pub fn with_request<T>(
        &self,
        settings: &Settings,
        to: impl FnOnce(&EvalContext<'_>) -> T,
    ) -> T {
        let (Witness::Real(sample) | Witness::WithReadings(sample, _)) = &self.witness;
        sample.with(settings, |request| match forced_readings(&self.witness) {
            Some(readings) => to(&EvalContext::with_readings(request, readings)),
            None => to(&EvalContext::new(request)),
        })
    }

    /// Returns whether a request is of the cell.
    pub fn contains(&self, request: &Request<'_>) -> bool {
        self.part.contains(request)
    }

    /// Returns the region to report if the cell's answers matter and it has no witness.
    pub fn to_left(&self) -> LeftRegion<'f> {
        LeftRegion {
            part: self.part.clone(),
            hosts: None,
            why: LeftReason::NoPathFound,
            sample: Some(self.witness.sample().clone()),
        }
    }
}

/// Passes the readings of a witness to `to`; `None` for those that its path has.
pub(super) fn forced_readings(witness: &Witness) -> Option<Readings<'_>> {
    match witness {
        Witness::Real(_) => None,
        Witness::WithReadings(_, readings) => Some(match readings.as_slice() {
            [only] => Readings::One(only),
            many => Readings::Many(many.iter().map(|text| text.as_str().into()).collect()),
        }),
    }
}

/// Why a region was not cut into cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftReason {
    /// The number of cells that may be asked is used up.
    Budget,
    /// The patterns for one attribute are too many to compare.
    TooManyPatterns,
    /// Hosts that many patterns tell apart in ways that were not all tried.
    Hosts,
    /// A pattern that compares several parts of a header together.
    Header,
    /// No path was found that is read in these ways together.
    NoPathFound,
    /// The sample that was made is not of its own cell.
    NoSample,
    /// The visitor stopped.
    Stopped,
}

impl LeftReason {
    /// Returns the reason in words.
    pub fn in_words(self) -> &'static str {
        match self {
            LeftReason::Budget => "more cells than the limit",
            LeftReason::TooManyPatterns => "too many patterns for one attribute",
            LeftReason::Hosts => "hosts that too many patterns tell apart",
            LeftReason::Header => "a pattern for headers that have several parts",
            LeftReason::NoPathFound => "no path was found that servers read in these ways together",
            LeftReason::NoSample => "no request was found that has these attributes together",
            LeftReason::Stopped => "not looked at",
        }
    }
}

/// A region that was not cut into cells, so that nothing is known of its answers.
#[derive(Clone, Debug)]
pub struct LeftRegion<'f> {
    pub(super) part: Part<'f>,
    /// Only these of the hosts.
    pub(super) hosts: Option<LeftHosts>,
    pub(super) why: LeftReason,
    pub(super) sample: Option<SampleRequest>,
}

/// The hosts of which classes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeftHosts {
    Names,
    Ipv6,
}

impl LeftRegion<'_> {
    /// Returns why it was left.
    pub fn why(&self) -> LeftReason {
        self.why
    }

    /// Returns a request near it, if there is one.
    pub fn sample(&self) -> Option<&SampleRequest> {
        self.sample.as_ref()
    }

    /// Returns whether a request may be part of it.
    pub fn contains(&self, request: &Request<'_>) -> bool {
        let of_hosts = match (self.hosts, &request.destination.host) {
            (None, _) => true,
            (Some(hosts), DestinationHost::Known(host)) => match hosts {
                LeftHosts::Names => matches!(host, customs_engine::host::Host::Name(_)),
                LeftHosts::Ipv6 => {
                    matches!(host, customs_engine::host::Host::Ip(ip) if ip.is_ipv6())
                }
            },
            (Some(_), _) => false,
        };
        of_hosts && self.part.contains(request)
    }
}

impl fmt::Display for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::words::part(&self.part, f)
    }
}

/// The region and why it was left.
impl fmt::Display for LeftRegion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::words::part(&self.part, f)?;
        match self.hosts {
            Some(LeftHosts::Names) => f.write_str(", names only")?,
            Some(LeftHosts::Ipv6) => f.write_str(", IPv6 addresses only")?,
            None => {}
        }
        write!(f, ": {}", self.why.in_words())
    }
}
