//! The port of the destination, the gateway's listener port, and how the authority is spelt.

use customs_engine::header_values::AUTHORITY;

use super::text::expression;
use super::{
    Authority, BTreeSet, Candidate, Condition, DestinationKind, Expression, Host, LeftReason,
    PortPattern, Question, SampleRequest, SampleTarget, TextPattern, both, bracketed, closure,
};

/// The port of a request, before it is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Absent,
    Known(u16),
}

/// The most spellings of conditions on the authority that are distinguished.
const MAX_AUTHORITIES: usize = 2;

impl Question<'_, '_> {
    /// Returns requests for every class of ports.
    pub(super) fn ports(&self) -> Result<Vec<Candidate>, LeftReason> {
        let named = self.named_ports()?;
        let asked = self.named_listeners();
        let declared: BTreeSet<u16> = self.settings.listeners.iter().map(|l| l.port).collect();
        let other = |ports: &BTreeSet<u16>| {
            [8443]
                .into_iter()
                .chain((1..=u16::MAX).rev())
                .find(|port| !ports.contains(port))
        };
        let mut destinations = vec![Wanted::Absent];
        let known = named.iter().copied().chain(other(&named));
        if self.asks_port() && self.hosts.kind == DestinationKind::Known {
            destinations.extend(known.map(Wanted::Known));
        }
        let mut candidates = Vec::new();
        for wanted in destinations {
            let mut listeners = asked.clone();
            if wanted == Wanted::Absent && self.hosts.is_http {
                let unusual = named.iter().filter(|port| !matches!(port, 80 | 443));
                listeners.extend(unusual);
            }
            let mut tried: Vec<Option<u16>> = vec![None];
            if !listeners.is_empty() {
                let unnamed: BTreeSet<u16> = listeners.union(&declared).copied().collect();
                tried.extend(other(&unnamed).map(Some));
                tried.extend(listeners.into_iter().map(Some));
            }
            let is_other = |port| Some(port) == other(&named);
            for spelt in self.spellings(wanted, &named)? {
                for listener in &tried {
                    let mut sample = spelt.clone();
                    sample.listener_port = *listener;
                    let mut words = match wanted {
                        Wanted::Absent if !self.asks_port() => String::new(),
                        Wanted::Absent => "no port".to_owned(),
                        Wanted::Known(port) if is_other(port) => "any other port".to_owned(),
                        Wanted::Known(port) => format!("port {port}"),
                    };
                    if let Some(port) = listener {
                        let on = match asked.contains(port) || named.contains(port) {
                            true => format!("listener port {port}"),
                            false => "any other listener port".to_owned(),
                        };
                        let comma = if words.is_empty() { "" } else { " at " };
                        words = format!("{words}{comma}{on}");
                    }
                    candidates.push(Candidate::of(sample, words));
                }
            }
        }
        candidates.extend(self.declared_listeners());
        Ok(candidates)
    }

    /// Whether some clause asks for the port, with a host or as part of the authority.
    fn asks_port(&self) -> bool {
        let mut operations = self.clauses.iter().filter_map(|clause| clause.operation);
        operations.any(|operation| operation.hosts.is_set())
            || self.header_patterns().next().is_some()
    }

    /// The ports that the clauses name for the host, and those that represent no port.
    fn named_ports(&self) -> Result<BTreeSet<u16>, LeftReason> {
        let operations = self.clauses.iter().filter_map(|clause| clause.operation);
        let exactly = operations
            .flat_map(|operation| both(&operation.hosts))
            .filter_map(|pattern| match pattern.port() {
                PortPattern::Exactly(port) => Some(port),
                PortPattern::Unsaid | PortPattern::Every => None,
            });
        let mut named: BTreeSet<u16> = exactly.chain([80, 443]).collect();
        for pattern in self.header_patterns() {
            let text = pattern.to_string();
            let port = text
                .rsplit_once(':')
                .map(|(_, port)| port.trim_end_matches('*'));
            // A pattern that cuts a port in the middle is about many ports.
            let cuts_port = match (pattern, port) {
                (TextPattern::Prefix(_), Some(port)) => !port.is_empty(),
                (TextPattern::Suffix(_), None) => {
                    text.ends_with(|letter: char| letter.is_ascii_digit())
                }
                _ => false,
            };
            if cuts_port {
                return Err(LeftReason::TooManyPatterns);
            }
            named.extend(
                port.and_then(|port| port.parse::<u16>().ok())
                    .filter(|port| *port > 0),
            );
        }
        Ok(named)
    }

    fn named_listeners(&self) -> BTreeSet<u16> {
        let operations = self.clauses.iter().filter_map(|clause| clause.operation);
        let of_operations = operations.flat_map(|operation| both(&operation.ports));
        let of_conditions = self.conditions().filter_map(|condition| match condition {
            Condition::DestinationPort(ports) => Some(ports),
            _ => None,
        });
        of_operations
            .chain(of_conditions.flat_map(both))
            .copied()
            .collect()
    }

    /// Connections to declared listeners whose host is of the same class.
    fn declared_listeners(&self) -> Vec<Candidate> {
        if self.hosts.is_http || self.hosts.kind != DestinationKind::Known {
            return Vec::new();
        }
        let declared = self.settings.listeners.iter();
        let of_class = declared.filter(|listener| {
            let (key, _) = self.hosts.table.classify(&listener.host);
            *key == *self.hosts.key
        });
        let candidate = |port: u16| {
            let mut sample = SampleRequest::tcp(&self.sample.principal, "");
            sample.listener_port = Some(port);
            Candidate::of(sample, format!("declared listener {port}"))
        };
        of_class.map(|listener| candidate(listener.port)).collect()
    }

    /// The request with this port, in every spelling that matters.
    fn spellings(
        &self,
        wanted: Wanted,
        named: &BTreeSet<u16>,
    ) -> Result<Vec<SampleRequest>, LeftReason> {
        let mut sample = self.sample.clone();
        let Some(member) = self.hosts.members.first() else {
            return self.unreadable_authorities();
        };
        let text = bracketed(&member.host);
        match &mut sample.target {
            SampleTarget::Nothing => Ok(vec![sample]),
            SampleTarget::Tcp(sni) => {
                if let Wanted::Known(port) = wanted {
                    *sni = format!("outbound_.{port}_._.{text}");
                }
                Ok(vec![sample])
            }
            SampleTarget::Http(_) => {
                let authorities = self.authorities(&member.host, &text, wanted, named)?;
                let spelt = |authority: String| {
                    let mut sample = sample.clone();
                    if let Some(http) = sample.http_mut() {
                        http.authority = authority;
                    }
                    sample
                };
                Ok(authorities.into_iter().map(spelt).collect())
            }
        }
    }

    /// Requests whose host cannot be read, with every class of texts that conditions on the
    /// authority compare: a check may hold several, in headers.
    fn unreadable_authorities(&self) -> Result<Vec<SampleRequest>, LeftReason> {
        let mut samples = vec![self.sample.clone()];
        let patterns: Vec<Expression> = self.header_patterns().map(expression).collect();
        if !self.hosts.is_http || patterns.is_empty() {
            return Ok(samples);
        }
        let atoms = self
            .texts
            .atoms(&Expression::language("[!-~]+"), &patterns)
            .map_err(|_| LeftReason::TooManyPatterns)?;
        let texts: Vec<String> = atoms.into_iter().map(|atom| atom.text).collect();
        let with_texts = |set: &[usize]| {
            let mut sample = self.sample.clone();
            if let Some(http) = sample.http_mut() {
                http.authority.clear();
                let texts = set.iter().filter_map(|number| texts.get(*number));
                let headers = texts.map(|text| ("host".to_owned(), text.clone()));
                http.headers.extend(headers);
            }
            sample
        };
        let said = |set: &[usize]| self.said_of_header(AUTHORITY, &with_texts(set));
        let sets = closure::sets(texts.len(), said).ok_or(LeftReason::TooManyPatterns)?;
        samples.push(with_texts(&[]));
        samples.extend(sets.iter().map(|set| with_texts(set)));
        Ok(samples)
    }

    fn authorities(
        &self,
        host: &Host<'_>,
        text: &str,
        wanted: Wanted,
        named: &BTreeSet<u16>,
    ) -> Result<Vec<String>, LeftReason> {
        let plain = match wanted {
            Wanted::Absent => String::new(),
            Wanted::Known(port) => format!(":{port}"),
        };
        let conditions: BTreeSet<String> =
            self.header_patterns().map(ToString::to_string).collect();
        let entries = self.hosts.table.matching(host);
        let mut entries = entries
            .iter()
            .filter_map(|number| self.hosts.table.entries.get(*number as usize));
        let asks_spelling = entries.any(|entry| entry.asks_spelling(host));
        if conditions.is_empty() && !asks_spelling {
            return Ok(vec![format!("{text}{plain}")]);
        }
        let is_text = |pattern: &&TextPattern| !matches!(pattern, TextPattern::Exact(_));
        let open: BTreeSet<String> = self
            .header_patterns()
            .filter(is_text)
            .map(ToString::to_string)
            .collect();
        if open.len() > MAX_AUTHORITIES {
            return Err(LeftReason::TooManyPatterns);
        }
        let mut hosts = vec![text.to_owned()];
        if !text.ends_with(']') {
            hosts.push(format!("{text}."));
        }
        if !conditions.is_empty() {
            for at in [
                0..1,
                text.len().saturating_sub(1)..text.len(),
                0..text.len(),
            ] {
                hosts.push(in_upper_case(text, at));
            }
        }
        let zeros = named.len().clamp(1, 4);
        let ports: Vec<String> = match wanted {
            Wanted::Absent => vec![String::new(), ":".to_owned()],
            Wanted::Known(port) => (0..=zeros)
                .map(|zeros| format!(":{}{port}", "0".repeat(zeros)))
                .collect(),
        };
        let pairs = hosts
            .iter()
            .flat_map(|host| ports.iter().map(move |port| format!("{host}{port}")));
        let mut authorities: Vec<String> = pairs.collect();
        // The texts of the patterns themselves, where they are of this host and port.
        let port = match wanted {
            Wanted::Absent => None,
            Wanted::Known(port) => Some(port),
        };
        let texts = self.header_patterns().chain(
            self.hosts
                .table
                .entries
                .iter()
                .filter_map(|entry| entry.pattern.raw()),
        );
        let exact = texts.filter_map(|pattern| match pattern {
            TextPattern::Exact(text) => Some(text.clone()),
            _ => None,
        });
        authorities.extend(exact.filter(|text| {
            Authority::parse(text).is_ok_and(|read| read.host == *host && read.port == port)
        }));
        Ok(authorities)
    }
}

fn in_upper_case(text: &str, range: std::ops::Range<usize>) -> String {
    let letters = text.char_indices();
    letters
        .map(|(at, letter)| match range.contains(&at) {
            true => letter.to_ascii_uppercase(),
            false => letter,
        })
        .collect()
}
