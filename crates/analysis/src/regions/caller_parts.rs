//! The parts of an identity that clauses ask for: trust domain, namespace and service account, each
//! as a text pattern of its own.
//!
//! A pattern of Istio for whole principals is taken apart at the slashes. What separates identities
//! by their parts separates no fewer than the pattern does.

use super::clause::{Clause, ClauseCallers};
use super::text_atoms::Expression;
use customs_engine::pattern::TextPattern;
use customs_engine::subject::{Account, CallerMatch, NamespacePattern, Source, Subject};

/// A pattern for one part of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PartPattern<'s> {
    Exact(&'s str),
    Prefix(&'s str),
    /// With at least one more character.
    LongerPrefix(&'s str),
    Suffix(&'s str),
    Glob(&'s str),
}

impl<'s> PartPattern<'s> {
    /// The text, if the pattern is one.
    pub(super) fn exact(self) -> Option<&'s str> {
        match self {
            PartPattern::Exact(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn expression(self) -> Expression {
        match self {
            PartPattern::Exact(text) => Expression::exactly(text),
            PartPattern::Prefix(text) => Expression::prefix(text),
            PartPattern::LongerPrefix(text) => Expression::exactly(text).then(".+"),
            PartPattern::Suffix(text) => Expression::suffix(text),
            PartPattern::Glob(text) => Expression::glob(text),
        }
    }

    /// As policies write it.
    pub(super) fn text(self) -> String {
        match self {
            PartPattern::Exact(text) | PartPattern::Glob(text) => text.to_owned(),
            PartPattern::Prefix(text) | PartPattern::LongerPrefix(text) => format!("{text}*"),
            PartPattern::Suffix(text) => format!("*{text}"),
        }
    }
}

/// What clauses ask of each part of an identity.
#[derive(Clone, Debug, Default)]
pub(super) struct CallerParts<'s> {
    pub trust_domains: Vec<PartPattern<'s>>,
    pub namespaces: Vec<PartPattern<'s>>,
    pub accounts: Vec<PartPattern<'s>>,
}

impl<'s> CallerParts<'s> {
    /// Adds what a clause asks.
    pub(super) fn add(&mut self, clause: &Clause<'s>) {
        match clause.callers {
            ClauseCallers::Everyone | ClauseCallers::Rule(CallerMatch::Anyone) => {}
            ClauseCallers::Policy(subjects) => self.subjects(&subjects.0),
            ClauseCallers::Rule(CallerMatch::Subjects(subjects)) => self.subjects(&subjects.0),
            ClauseCallers::Rule(CallerMatch::Sources(sources)) => {
                sources.iter().for_each(|source| self.source(source));
            }
        }
        clause
            .caller_conditions()
            .for_each(|source| self.source(source));
    }

    /// Sorts the patterns, each once.
    pub(super) fn sort(&mut self) {
        for part in [
            &mut self.trust_domains,
            &mut self.namespaces,
            &mut self.accounts,
        ] {
            part.sort_unstable();
            part.dedup();
        }
    }

    fn subjects(&mut self, subjects: &'s [Subject]) {
        for subject in subjects {
            match subject {
                Subject::Unauthenticated => {}
                Subject::Accounts {
                    accounts,
                    trust_domains,
                } => {
                    accounts.iter().for_each(|account| self.account(account));
                    self.domains(trust_domains);
                }
                Subject::Workloads {
                    namespaces,
                    accounts,
                    trust_domains,
                } => {
                    self.namespaces.extend(namespaces.iter().filter_map(
                        |namespace| match namespace {
                            NamespacePattern::Exact(text) => Some(PartPattern::Exact(text)),
                            NamespacePattern::Prefix(text) => Some(PartPattern::LongerPrefix(text)),
                            NamespacePattern::Every => None,
                        },
                    ));
                    let accounts = accounts.iter();
                    self.accounts
                        .extend(accounts.map(|account| PartPattern::Exact(account)));
                    self.domains(trust_domains);
                }
            }
        }
    }

    fn domains(&mut self, domains: &'s [String]) {
        let exact = domains.iter().map(|domain| PartPattern::Exact(domain));
        self.trust_domains.extend(exact);
    }

    fn account(&mut self, account: &'s Account) {
        self.namespaces.push(PartPattern::Exact(&account.namespace));
        self.accounts.push(PartPattern::Exact(&account.name));
    }

    fn source(&mut self, source: &'s Source) {
        for pattern in both(source.principals.any_of(), source.principals.none_of()) {
            self.principal(pattern);
        }
        for glob in both(source.namespaces.any_of(), source.namespaces.none_of()) {
            self.namespaces.push(match glob.contains('*') {
                true => PartPattern::Glob(glob),
                false => PartPattern::Exact(glob),
            });
        }
        let accounts = &source.service_accounts;
        both(accounts.any_of(), accounts.none_of()).for_each(|account| self.account(account));
        let domains = &source.trust_domains;
        self.trust_domains
            .extend(both(domains.any_of(), domains.none_of()).filter_map(of_text));
    }

    /// Takes a pattern for whole principals, `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, apart.
    fn principal(&mut self, pattern: &'s TextPattern) {
        match pattern {
            TextPattern::Any => {}
            TextPattern::Exact(text) => {
                let mut parts = text.split('/');
                self.trust_domains
                    .extend(parts.next().map(PartPattern::Exact));
                self.namespaces.extend(parts.nth(1).map(PartPattern::Exact));
                self.accounts.extend(parts.nth(1).map(PartPattern::Exact));
            }
            TextPattern::Prefix(text) => {
                let parts: Vec<&str> = text.split('/').collect();
                let part = |at: usize| {
                    let text = parts.get(at).copied()?;
                    Some(match at + 1 == parts.len() {
                        true => PartPattern::Prefix(text),
                        false => PartPattern::Exact(text),
                    })
                };
                self.trust_domains.extend(part(0));
                self.namespaces.extend(part(2));
                self.accounts.extend(part(4));
            }
            TextPattern::Suffix(text) => {
                let parts: Vec<&str> = text.rsplit('/').collect();
                let part = |at: usize| {
                    let text = parts.get(at).copied()?;
                    Some(match at + 1 == parts.len() {
                        true => PartPattern::Suffix(text),
                        false => PartPattern::Exact(text),
                    })
                };
                self.accounts.extend(part(0));
                self.namespaces.extend(part(2));
                self.trust_domains.extend(part(4));
            }
        }
    }
}

fn both<'s, T>(any_of: &'s [T], none_of: &'s [T]) -> impl Iterator<Item = &'s T> {
    any_of.iter().chain(none_of)
}

fn of_text(pattern: &TextPattern) -> Option<PartPattern<'_>> {
    match pattern {
        TextPattern::Exact(text) => Some(PartPattern::Exact(text)),
        TextPattern::Prefix(text) => Some(PartPattern::Prefix(text)),
        TextPattern::Suffix(text) => Some(PartPattern::Suffix(text)),
        TextPattern::Any => None,
    }
}
