//! Sample callers of a rule: those that it names, and a made-up member if it names a pattern.
//!
//! Made-up names contain [`MADE_UP`], so that people recognise them. This module does not decide
//! whether a rule matches a caller: a sample that misses its rule is useful too.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use customs_engine::condition::Condition;
use customs_engine::field::Field;
use customs_engine::identity::Principal;
use customs_engine::pattern::TextPattern;
use customs_engine::subject::{
    Account, CallerMatch, NamespacePattern, Source, Subject, SubjectList,
};

/// The name of samples that no rule names.
pub(crate) const MADE_UP: &str = "made-up";

/// An address that is reserved for documentation (RFC 5737).
const NO_ONES_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A sample caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SampleCaller {
    /// `source.principal`; empty for a caller without an identity.
    pub principal: String,
    /// The connection's peer, if a rule has a condition on it.
    pub address: Option<IpAddr>,
}

impl SampleCaller {
    /// Formats the caller as `customs check --from` reads it: an account of the own trust domain is
    /// written without the domain.
    pub fn spelt(&self, own: &str) -> String {
        match Principal::parse(&self.principal) {
            Principal::Workload(id) if id.trust_domain == own => {
                format!("{}/{}", id.namespace, id.service_account)
            }
            Principal::Absent => "unauthenticated".into(),
            Principal::Workload(_) | Principal::Invalid(_) => self.principal.clone(),
        }
    }
}

/// The attributes of samples that a rule does not constrain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Surroundings<'s> {
    /// The own trust domain.
    pub own: &'s str,
    /// A peer that no rule names; `None` if no rule has a condition on it.
    pub address: Option<IpAddr>,
    /// A listener port that no rule names; `None` if no rule has a condition on it.
    pub listener_port: Option<u16>,
}

impl Surroundings<'_> {
    /// Returns a workload that no rule names.
    pub(crate) fn stranger(&self) -> SampleCaller {
        SampleCaller {
            principal: format!("spiffe://{}", id(self.own, MADE_UP, MADE_UP)),
            address: self.address,
        }
    }

    /// Returns a caller without an identity.
    pub(crate) fn unauthenticated(&self) -> SampleCaller {
        SampleCaller {
            principal: String::new(),
            address: self.address,
        }
    }
}

/// Returns an address that is in none of the blocks.
pub(crate) fn address_beside(blocks: &[IpNet]) -> IpAddr {
    let others = (1..=254).map(|last| IpAddr::V4(Ipv4Addr::new(198, 51, 100, last)));
    let mut candidates = std::iter::once(NO_ONES_ADDRESS).chain(others);
    candidates
        .find(|address| !blocks.iter().any(|block| block.contains(address)))
        .unwrap_or(NO_ONES_ADDRESS)
}

/// Returns the sample callers of a rule.
pub(crate) fn of_rule(
    callers: &CallerMatch,
    when: &[Condition],
    around: &Surroundings<'_>,
) -> Vec<SampleCaller> {
    let mut named = Named::default();
    match callers {
        CallerMatch::Anyone => {}
        CallerMatch::Sources(sources) => sources
            .iter()
            .for_each(|source| named.source(source, around.own)),
        CallerMatch::Subjects(subjects) => named.subjects(subjects, around.own),
    }
    for condition in when {
        if let Condition::Source(source) = condition {
            named.source(source, around.own);
        }
    }
    named.callers(around)
}

/// Returns sample callers that a policy selects.
pub(crate) fn of_subjects(subjects: &SubjectList, around: &Surroundings<'_>) -> Vec<SampleCaller> {
    let mut named = Named::default();
    named.subjects(subjects, around.own);
    named.callers(around)
}

/// Returns the address blocks of a source.
pub(crate) fn blocks(source: &Source) -> impl Iterator<Item = &IpNet> {
    values(&source.ip_blocks).chain(values(&source.remote_ip_blocks))
}

/// Returns the values of both lists of a field.
pub(crate) fn values<P>(field: &Field<P>) -> impl Iterator<Item = &P> {
    field.any_of().iter().chain(field.none_of())
}

/// The callers that a rule names.
#[derive(Default)]
struct Named {
    /// Principals without `spiffe://`.
    ids: Vec<String>,
    addresses: Vec<IpAddr>,
    unauthenticated: bool,
}

impl Named {
    fn subjects(&mut self, subjects: &SubjectList, own: &str) {
        for subject in &subjects.0 {
            match subject {
                Subject::Workloads {
                    namespaces,
                    accounts,
                    trust_domains,
                } => {
                    let domains = domains(own, trust_domains);
                    let accounts: Vec<&str> = accounts
                        .iter()
                        .map(String::as_str)
                        .chain([MADE_UP])
                        .collect();
                    for namespace in namespaces.iter().map(namespace_member) {
                        self.cross(&domains, &namespace, &accounts);
                    }
                }
                Subject::Accounts {
                    accounts,
                    trust_domains,
                } => {
                    let domains = domains(own, trust_domains);
                    accounts
                        .iter()
                        .for_each(|a| self.cross(&domains, &a.namespace, &[&a.name, MADE_UP]));
                }
                Subject::Unauthenticated => self.unauthenticated = true,
            }
        }
    }

    fn source(&mut self, source: &Source, own: &str) {
        self.ids.extend(
            values(&source.principals).filter_map(|pattern| principal_member(pattern, own)),
        );
        for Account { namespace, name } in values(&source.service_accounts) {
            self.cross(&[own], namespace, &[name, MADE_UP]);
        }
        let domains: Vec<String> = values(&source.trust_domains)
            .map(|pattern| text_member(pattern, own))
            .collect();
        let mut domains: Vec<&str> = domains.iter().map(String::as_str).collect();
        let mut namespaces: Vec<String> = values(&source.namespaces)
            .map(|pattern| pattern.replace('*', MADE_UP))
            .collect();
        if domains.is_empty() {
            domains.push(own);
        } else if namespaces.is_empty() {
            namespaces.push(MADE_UP.into());
        }
        namespaces
            .iter()
            .for_each(|namespace| self.cross(&domains, namespace, &[MADE_UP]));
        self.addresses.extend(blocks(source).map(IpNet::network));
    }

    fn cross(&mut self, domains: &[&str], namespace: &str, accounts: &[&str]) {
        for domain in domains {
            self.ids.extend(
                accounts
                    .iter()
                    .map(|account| id(domain, namespace, account)),
            );
        }
    }

    /// Combines every identity with every address and with one that no rule names. Invalid
    /// identities are left out.
    fn callers(self, around: &Surroundings<'_>) -> Vec<SampleCaller> {
        let mut principals: Vec<String> =
            self.ids.iter().map(|id| format!("spiffe://{id}")).collect();
        principals
            .retain(|principal| matches!(Principal::parse(principal), Principal::Workload(_)));
        if principals.is_empty() && !self.unauthenticated {
            principals.push(around.stranger().principal);
        }
        if self.unauthenticated {
            principals.push(String::new());
        }
        let addresses = self
            .addresses
            .iter()
            .map(|address| Some(*address))
            .chain([around.address]);
        let from = |address| {
            principals.iter().map(move |principal| SampleCaller {
                principal: principal.clone(),
                address,
            })
        };
        addresses.flat_map(from).collect()
    }
}

fn id(domain: &str, namespace: &str, account: &str) -> String {
    format!("{domain}/ns/{namespace}/sa/{account}")
}

fn domains<'d>(own: &'d str, foreign: &'d [String]) -> Vec<&'d str> {
    std::iter::once(own)
        .chain(foreign.iter().map(String::as_str))
        .collect()
}

fn namespace_member(pattern: &NamespacePattern) -> String {
    match pattern {
        NamespacePattern::Exact(namespace) => namespace.clone(),
        NamespacePattern::Prefix(prefix) => format!("{prefix}{MADE_UP}"),
        NamespacePattern::Every => MADE_UP.into(),
    }
}

/// Returns a text that matches a pattern; `any` if the pattern matches everything.
pub(crate) fn text_member(pattern: &TextPattern, any: &str) -> String {
    match pattern {
        TextPattern::Exact(text) => text.clone(),
        TextPattern::Prefix(prefix) => format!("{prefix}{MADE_UP}"),
        TextPattern::Suffix(suffix) => format!("{MADE_UP}{suffix}"),
        TextPattern::Any => any.to_owned(),
    }
}

/// Returns a principal that matches a pattern of Istio, completed to a workload's.
fn principal_member(pattern: &TextPattern, own: &str) -> Option<String> {
    let whole = id(own, MADE_UP, MADE_UP);
    let heads = [
        whole.clone(),
        format!("{own}/ns/{MADE_UP}"),
        format!("{own}/ns/"),
        own.to_owned(),
        MADE_UP.to_owned(),
    ];
    let tails = [
        String::new(),
        MADE_UP.to_owned(),
        format!("sa/{MADE_UP}"),
        format!("/sa/{MADE_UP}"),
        format!("{MADE_UP}/sa/{MADE_UP}"),
        format!("ns/{MADE_UP}/sa/{MADE_UP}"),
        format!("/ns/{MADE_UP}/sa/{MADE_UP}"),
    ];
    let candidates: Vec<String> = match pattern {
        TextPattern::Exact(text) => vec![text.clone()],
        TextPattern::Prefix(prefix) => tails.iter().map(|tail| format!("{prefix}{tail}")).collect(),
        TextPattern::Suffix(suffix) => heads.iter().map(|head| format!("{head}{suffix}")).collect(),
        TextPattern::Any => vec![whole],
    };
    let is_workload = |id: &String| {
        matches!(
            Principal::parse(&format!("spiffe://{id}")),
            Principal::Workload(_)
        )
    };
    candidates
        .into_iter()
        .find(|id| is_workload(id) && pattern.matches(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AROUND: Surroundings<'_> = Surroundings {
        own: "cluster.local",
        address: None,
        listener_port: None,
    };

    fn spelt(callers: &CallerMatch) -> Vec<String> {
        of_rule(callers, &[], &AROUND)
            .iter()
            .map(|caller| caller.spelt("cluster.local"))
            .collect()
    }

    #[test]
    fn subjects_give_whom_they_name_and_one_other() {
        let accounts = vec![Account {
            namespace: "web".into(),
            name: "app".into(),
        }];
        let workloads =
            |namespaces: Vec<NamespacePattern>, trust_domains: &[&str]| Subject::Workloads {
                namespaces: namespaces.into(),
                accounts: Box::default(),
                trust_domains: trust_domains.iter().map(ToString::to_string).collect(),
            };
        for (subject, expected) in [
            (
                Subject::Accounts {
                    accounts: accounts.into(),
                    trust_domains: Box::default(),
                },
                vec!["web/app", "web/made-up"],
            ),
            (
                workloads(vec![NamespacePattern::Exact("shop".into())], &[]),
                vec!["shop/made-up"],
            ),
            (
                workloads(vec![NamespacePattern::Prefix("team-".into())], &[]),
                vec!["team-made-up/made-up"],
            ),
            (
                workloads(vec![NamespacePattern::Every], &["x.td"]),
                vec!["made-up/made-up", "spiffe://x.td/ns/made-up/sa/made-up"],
            ),
            (Subject::Unauthenticated, vec!["unauthenticated"]),
        ] {
            assert_eq!(
                spelt(&CallerMatch::Subjects(
                    SubjectList([subject.clone()].into()).into()
                )),
                expected,
                "{subject:?}"
            );
        }
        assert_eq!(spelt(&CallerMatch::Anyone), ["made-up/made-up"]);
    }

    #[test]
    fn a_pattern_of_istio_is_filled_up_to_a_workload() {
        for (pattern, expected) in [
            ("cluster.local/ns/a/sa/b", "a/b"),
            ("cluster.local/ns/a/*", "a/made-up"),
            ("cluster.local/ns/a/sa/b*", "a/b"),
            ("cluster.local/ns/team-*", "team-made-up/made-up"),
            ("cluster.local*", "made-up/made-up"),
            ("*/sa/job", "made-up/job"),
            ("*-job", "made-up/made-up-job"),
            ("*", "made-up/made-up"),
            ("x.td/*", "spiffe://x.td/ns/made-up/sa/made-up"),
        ] {
            let principals = Field::of([TextPattern::parse(pattern)]);
            let source = Source {
                principals,
                ..Source::default()
            };
            assert_eq!(
                spelt(&CallerMatch::Sources([source].into())),
                [expected],
                "{pattern}"
            );
        }
    }

    #[test]
    fn blocks_give_their_first_address_and_one_beside() {
        let blocks: Vec<IpNet> = ["10.0.0.0/8", "192.0.2.0/24"]
            .map(|text| text.parse().unwrap())
            .into();
        let beside = address_beside(&blocks);
        assert_eq!(beside.to_string(), "198.51.100.1");
        let around = Surroundings {
            address: Some(beside),
            ..AROUND
        };
        let source = Source {
            ip_blocks: Field::of(blocks),
            ..Source::default()
        };
        let callers = of_rule(
            &CallerMatch::Anyone,
            &[Condition::Source(Box::new(source))],
            &around,
        );
        let addresses: Vec<String> = callers
            .iter()
            .map(|caller| caller.address.unwrap().to_string())
            .collect();
        assert_eq!(addresses, ["10.0.0.0", "192.0.2.0", "198.51.100.1"]);
    }
}
