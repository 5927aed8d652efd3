//! A decision's entry as it travels between threads: all its texts in one allocation, and the span
//! of each.
//!
//! The thread that decides writes it once. The thread that renders reads it front to back, mostly
//! on another processor, and frees one allocation instead of thirty. No fact is added or lost:
//! [`DecisionRecord::to_entry`] returns the entry.

use std::fmt::{Display, Write};
use std::net::IpAddr;
use std::sync::Arc;

use super::{AnswerEntry, DecisionEntry, Occasion, OptionalFields, capped, headers};
use customs_engine::decision::{Answer, Decision, Gate};
use customs_engine::effect::Effect;
use customs_engine::host::{Host, embedded};
use customs_engine::identity::{InvalidIdentity, Principal};
use customs_engine::path::without_query;
use customs_engine::pattern::Port;
use customs_engine::request::{Attributes, DestinationHost, Request, last_value};
use customs_engine::rule_info::RuleInfo;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;

/// About how many bytes the texts of a usual decision have, so that memory is allocated once.
const USUAL: usize = 768;

/// A decision's entry in two parts: the texts, and everything else.
#[derive(Clone, Debug)]
pub struct DecisionRecord {
    texts: Texts,
    entry: DecisionEntry<Span>,
}

/// Texts, one after the other.
#[derive(Clone, Debug)]
struct Texts(String);

/// The position of a text of a [`DecisionRecord`] among the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    from: u32,
    to: u32,
}

impl Texts {
    fn push(&mut self, text: &str) -> Span {
        let from = self.place();
        self.0.push_str(text);
        Span {
            from,
            to: self.place(),
        }
    }

    /// Writes an IPv4 address without a formatter, whose checks cost more than the other texts of
    /// an entry.
    fn address(&mut self, ip: IpAddr) -> Span {
        let IpAddr::V4(ip) = ip else {
            return self.show(ip);
        };
        let from = self.place();
        for (place, octet) in ip.octets().into_iter().enumerate() {
            if place > 0 {
                self.0.push('.');
            }
            for power in [100, 10, 1] {
                if octet >= power || power == 1 {
                    self.0.push(char::from(b'0' + octet / power % 10));
                }
            }
        }
        Span {
            from,
            to: self.place(),
        }
    }

    fn show(&mut self, value: impl Display) -> Span {
        let from = self.place();
        // Writing to a `String` does not fail.
        let _ = write!(self.0, "{value}");
        Span {
            from,
            to: self.place(),
        }
    }

    /// Returns the current end. Each text is capped or read from a file of bounded size, so the
    /// texts together are far below four gigabytes.
    fn place(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    fn get(&self, span: Span) -> &str {
        span.of(&self.0)
    }
}

impl Span {
    /// Returns the text.
    #[inline]
    pub(crate) fn of(self, texts: &str) -> &str {
        let Span { from, to } = self;
        texts.get(from as usize..to as usize).unwrap_or_default()
    }
}

impl DecisionRecord {
    /// Records a decision: the inputs as normalised, the answers, and the occasion.
    pub fn of(
        attributes: &Attributes<'_>,
        request: &Request<'_>,
        decision: &Decision,
        snapshot: &Snapshot,
        occasion: Occasion<'_>,
    ) -> DecisionRecord {
        let room = USUAL + occasion.peer_identity.len();
        let mut texts = Texts(String::with_capacity(room));
        let mut cut = Vec::new();
        let mut cap = |texts: &mut Texts, name, text: &str, limit| {
            texts.push(capped(name, text, limit, &mut cut))
        };
        let http = attributes.http.as_ref();
        let workload = match request.principal {
            Principal::Workload(id) => Some(id),
            Principal::Absent | Principal::Invalid(_) => None,
        };
        let header = |name| {
            http.and_then(|http| last_value(http.headers, name))
                .unwrap_or_default()
        };
        let verdict = AnswerEntry::of(&decision.verdict, &mut texts);
        let dry_run = if decision.dry_run == decision.verdict {
            verdict.clone()
        } else {
            AnswerEntry::of(&decision.dry_run, &mut texts)
        };
        let texts_of = &mut texts;
        let mut entry = DecisionEntry {
            time: occasion.time,
            duration_micros: occasion.duration_micros,
            decision_id: texts_of.push(occasion.decision_id),
            decision_number: occasion.decision_number,
            revision: texts_of.push(snapshot.revision().as_str()),
            enforcement: snapshot.settings().enforcement,
            effect: decision.outcome.effect(),
            verdict,
            dry_run,
            audit_rule: decision
                .audit
                .as_ref()
                .map(|info| texts_of.show(&info.id))
                .unwrap_or_default(),
            identity: decision.identity,
            identity_detail: decision.identity_detail.map(InvalidIdentity::as_str),
            principal: cap(texts_of, "principal", attributes.source_principal, 2048),
            trust_domain: workload
                .map(|id| texts_of.push(id.trust_domain))
                .unwrap_or_default(),
            namespace: workload
                .map(|id| texts_of.push(id.namespace))
                .unwrap_or_default(),
            service_account: workload
                .map(|id| texts_of.push(id.service_account))
                .unwrap_or_default(),
            source_address: address(request.source_address, texts_of),
            remote_address: address(request.remote_address, texts_of),
            destination_address: address(request.destination_address, texts_of),
            protocol: if http.is_some() { "http" } else { "tcp" },
            host: match &request.destination.host {
                DestinationHost::Known(Host::Name(name)) => texts_of.push(name),
                DestinationHost::Known(Host::Ip(ip)) => texts_of.address(embedded::canonical(*ip)),
                DestinationHost::Unnamed
                | DestinationHost::MeshWrapper
                | DestinationHost::Unreadable => Span::default(),
            },
            raw_host: cap(
                texts_of,
                "rawHost",
                http.map_or(attributes.service, |http| http.host),
                255,
            ),
            port: match request.destination.port {
                Port::Known(port) => Some(port),
                Port::Absent(_) | Port::Unknown => None,
            },
            listener_port: attributes.listener_port,
            sni: cap(texts_of, "sni", attributes.tls_sni.unwrap_or_default(), 255),
            method: cap(texts_of, "method", http.map_or("", |http| http.method), 64),
            path: cap(
                texts_of,
                "path",
                http.map_or("", |http| without_query(http.path)),
                1024,
            ),
            gateway: cap(texts_of, "gateway", attributes.destination_principal, 2048),
            request_id: cap(texts_of, "requestId", &header("x-request-id"), 128),
            traceparent: match (header("traceparent"), occasion.trace_context) {
                (named, Some(context)) if named.is_empty() => texts_of.show(context),
                (named, _) => cap(texts_of, "traceparent", &named, 128),
            },
            stream_id: cap(
                texts_of,
                "streamId",
                http.map_or("", |http| http.stream_id),
                64,
            ),
            caller_gone: false,
            peer_identity: texts_of.push(occasion.peer_identity),
            optional: None,
        };
        let headers =
            headers::recorded(snapshot.header_tables(), request, occasion.recorded_headers);
        let optional =
            OptionalFields::of(attributes, decision.identity_detail, snapshot, headers, cut);
        entry.optional = (optional != *OptionalFields::NONE).then(|| Arc::new(optional));
        DecisionRecord { texts, entry }
    }

    /// Returns the entry, with texts that borrow from the record.
    pub fn to_entry(&self) -> DecisionEntry<&str> {
        self.entry.map_texts(&mut |span| self.texts.get(*span))
    }

    /// Returns the entry with texts of its own.
    pub fn unpacked(&self) -> DecisionEntry {
        self.entry
            .map_texts(&mut |span| self.texts.get(*span).to_owned())
    }

    /// Returns when the check was decided.
    pub fn time(&self) -> UnixNanos {
        self.entry.time
    }

    /// Returns about how many bytes of memory it holds.
    pub fn weight(&self) -> usize {
        size_of::<DecisionRecord>() + self.texts.0.capacity() + self.entry.optional().weight()
    }

    /// Records that the answer was withheld, as `decision` now says. The inputs stay.
    pub fn withhold(&mut self, decision: &Decision) {
        self.entry.effect = decision.outcome.effect();
        self.entry.verdict = AnswerEntry::of(&decision.verdict, &mut self.texts);
    }

    /// Records that the caller had given up and did not get the answer. The answer stays as
    /// decided.
    pub fn mark_caller_gone(&mut self) {
        self.entry.caller_gone = true;
    }

    /// Returns everything of the entry, with the spans of its texts.
    pub fn facts(&self) -> &DecisionEntry<Span> {
        &self.entry
    }

    /// Returns all of its texts, one after the other; the order means nothing.
    pub fn texts(&self) -> &str {
        &self.texts.0
    }

    /// Returns one of its texts.
    #[inline]
    pub fn text(&self, place: Span) -> &str {
        self.texts.get(place)
    }
}

/// Packs an entry that owns its texts.
impl<T: AsRef<str>> From<&DecisionEntry<T>> for DecisionRecord {
    fn from(entry: &DecisionEntry<T>) -> Self {
        let mut texts = Texts(String::with_capacity(USUAL));
        let entry = entry.map_texts(&mut |text| texts.push(text.as_ref()));
        DecisionRecord { texts, entry }
    }
}

impl<T: AsRef<str>> From<DecisionEntry<T>> for DecisionRecord {
    fn from(entry: DecisionEntry<T>) -> Self {
        (&entry).into()
    }
}

impl<T: AsRef<str>> From<DecisionEntry<T>> for Arc<DecisionRecord> {
    fn from(entry: DecisionEntry<T>) -> Self {
        Arc::new((&entry).into())
    }
}

/// Two records are equal if their entries are, whatever the layout of their texts.
impl PartialEq for DecisionRecord {
    fn eq(&self, other: &Self) -> bool {
        self.to_entry() == other.to_entry()
    }
}

fn address(ip: Option<IpAddr>, texts: &mut Texts) -> Span {
    ip.map(|ip| texts.address(ip)).unwrap_or_default()
}

impl AnswerEntry<Span> {
    fn of(answer: &Answer, texts: &mut Texts) -> Self {
        let info = answer.rule.info();
        let denied = answer.effect() == Effect::Deny;
        let mut push = |text: Option<&str>| text.map(|text| texts.push(text)).unwrap_or_default();
        let (owner, ticket) = (
            push(info.and_then(RuleInfo::owner)),
            push(info.and_then(RuleInfo::ticket)),
        );
        let rule_reason = push(info.and_then(RuleInfo::reason));
        let mut id = |info: &Option<Arc<RuleInfo>>| {
            info.as_ref()
                .map(|info| texts.show(&info.id))
                .unwrap_or_default()
        };
        AnswerEntry {
            effect: answer.effect(),
            reason: answer.reason,
            expired: id(&answer.expired),
            exception: id(&answer.exception),
            rule: texts.show(&answer.rule),
            gate: answer.gate(),
            open_gate: if denied {
                answer.gates.in_state(Gate::Open)
            } else {
                ""
            },
            by_identity: answer.by_identity,
            origin: info
                .map(|info| texts.show(info.place.file_and_line()))
                .unwrap_or_default(),
            owner,
            ticket,
            rule_reason,
            expires: info.and_then(RuleInfo::expires),
            exception_expires: answer.exception.as_ref().and_then(|info| info.expires()),
        }
    }
}
