//! The inputs that the rules of a set ask for. What no rule asks for, a record may lack.
//!
//! It looks at whole sets; whether a rule is about one request is not asked here.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::missing::RequestInput;
use customs_engine::condition::Condition;
use customs_engine::operation::Operation;
use customs_engine::rule::Rule;
use customs_engine::rules::Rules;
use customs_engine::subject::{CallerMatch, Source, Subject, SubjectList};

/// The inputs that a set asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedInputs {
    account: bool,
    source_address: bool,
    remote_address: bool,
    destination_address: bool,
    sni: bool,
    method: bool,
    path: bool,
    headers: BTreeSet<String>,
}

impl AskedInputs {
    /// Returns what a set asks for. Rules that only mark records do not count.
    pub fn of(rules: &Rules) -> AskedInputs {
        let mut asked = AskedInputs::default();
        let lists = [&rules.denies, &rules.istio_allows, &rules.grants];
        for rule in lists.into_iter().flatten() {
            asked.rule(rule);
        }
        for policy in &rules.egress_policies {
            asked.subjects(&policy.subjects);
        }
        for (_, operation) in &rules.istio_bound_allow_policies {
            asked.operation(operation);
        }
        asked
    }

    /// Returns whether some rule asks for an input. What makes the caller and the destination is
    /// always asked for.
    pub fn asks(&self, input: &RequestInput) -> bool {
        match input {
            RequestInput::Protocol
            | RequestInput::Identity
            | RequestInput::Host
            | RequestInput::ListenerPort => true,
            RequestInput::Account => self.account,
            RequestInput::SourceAddress => self.source_address,
            RequestInput::RemoteAddress => self.remote_address,
            RequestInput::DestinationAddress => self.destination_address,
            RequestInput::Sni => self.sni,
            RequestInput::Method => self.method,
            RequestInput::Path => self.path,
            RequestInput::Header(name) => self.headers.contains(name),
        }
    }

    /// Returns the names of the headers that conditions ask for, in order.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(String::as_str)
    }

    fn rule(&mut self, rule: &Arc<Rule>) {
        self.callers(&rule.callers);
        rule.to.iter().for_each(|to| self.operation(to));
        for condition in &rule.when {
            match condition {
                Condition::Source(source) => self.source(source),
                Condition::DestinationIp(_) => self.destination_address = true,
                Condition::DestinationPort(_) => {}
                Condition::Sni(_) => self.sni = true,
                Condition::Header { name, .. } => {
                    self.headers.insert(name.clone());
                }
            }
        }
        for exception in &rule.except {
            self.callers(&exception.callers);
            self.operation(&exception.to);
        }
    }

    fn callers(&mut self, callers: &CallerMatch) {
        match callers {
            CallerMatch::Anyone => {}
            CallerMatch::Sources(sources) => sources.iter().for_each(|source| self.source(source)),
            CallerMatch::Subjects(subjects) => self.subjects(subjects),
        }
    }

    fn source(&mut self, source: &Source) {
        self.account |= source.principals.is_set() || source.service_accounts.is_set();
        self.source_address |= source.ip_blocks.is_set();
        self.remote_address |= source.remote_ip_blocks.is_set();
    }

    fn subjects(&mut self, subjects: &SubjectList) {
        let asks_account = |subject: &Subject| match subject {
            Subject::Workloads { accounts, .. } => !accounts.is_empty(),
            Subject::Accounts { .. } => true,
            Subject::Unauthenticated => false,
        };
        self.account |= subjects.0.iter().any(asks_account);
    }

    fn operation(&mut self, operation: &Operation) {
        self.method |= operation.methods.is_set();
        self.path |= operation.paths.is_set();
    }
}
