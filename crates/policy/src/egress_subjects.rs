//! The subjects of an EgressPolicy: which callers it selects, and that it may select them.
//!
//! A policy of the root namespace may name any subject. Every other policy may name callers of its
//! own namespace only.

use super::document::{Node, Value};
use super::egress_policy::Reader;
use super::problem::{Code, Place, Problem};
use super::reader::{List, Placed, Text};
use super::spec::egress_policy;
use customs_engine::identity::{is_dns_label, is_dns_subdomain, is_trust_domain};
use customs_engine::subject::{Account, NamespacePattern, Subject, SubjectList};

impl Reader<'_> {
    fn is_root(&self) -> bool {
        self.meta.namespace() == self.settings.root_namespace
    }

    /// Reads subjects. Without any, the policy selects every caller of its own namespace.
    pub(super) fn subjects(
        &self,
        subjects: &List<'_, Placed<'_, egress_policy::Subject<'_>>>,
        problems: &mut Vec<Problem>,
    ) -> SubjectList {
        if subjects.is_empty() {
            self.note_own_callers(&self.meta.place, "it has no `subjects`", problems);
            let own = NamespacePattern::Exact(self.meta.namespace().to_owned());
            let (accounts, trust_domains) = (Box::default(), Box::default());
            return SubjectList(
                [Subject::Workloads {
                    namespaces: [own].into(),
                    accounts,
                    trust_domains,
                }]
                .into(),
            );
        }
        let read = |subject| self.subject(subject, problems);
        SubjectList(subjects.items.iter().filter_map(read).collect())
    }

    fn subject(
        &self,
        subject: &Placed<'_, egress_policy::Subject<'_>>,
        problems: &mut Vec<Problem>,
    ) -> Option<Subject> {
        // Destructured completely, so that a new field must be handled here.
        let egress_policy::Subject {
            unauthenticated,
            namespaces,
            service_accounts,
            trust_domains,
        } = &subject.fields;
        if let Some(value) = unauthenticated {
            let others = [namespaces, service_accounts, trust_domains];
            let is_alone = !others.iter().any(|list| list.is_written());
            return self.unauthenticated(value, is_alone, problems);
        }
        let (namespaces, accounts) = (&namespaces.items, &service_accounts.items);
        let trust_domains = trust_domains
            .items
            .iter()
            .filter_map(|t| self.trust_domain(*t, problems))
            .collect();
        if accounts.iter().any(|account| account.text.contains('/')) {
            return self.accounts(namespaces, accounts, trust_domains, problems);
        }
        let mut patterns: Vec<_> = namespaces
            .iter()
            .filter_map(|t| self.namespace(*t, problems))
            .collect();
        if namespaces.is_empty() {
            self.note_own_callers(subject.place, "this subject names no namespace", problems);
            patterns.push(NamespacePattern::Exact(self.meta.namespace().to_owned()));
        }
        let accounts = accounts
            .iter()
            .filter_map(|t| account_name(*t, t.text, problems))
            .collect();
        Some(Subject::Workloads {
            namespaces: patterns.into(),
            accounts,
            trust_domains,
        })
    }

    /// Warns about a policy of the root namespace without a namespace. It may select every caller,
    /// but selects those of the root namespace only.
    fn note_own_callers(&self, place: &Place, why: &str, problems: &mut Vec<Problem>) {
        if self.is_root() {
            let root = &self.settings.root_namespace;
            let what = format!(
                "{why}, so `{}` selects the callers of `{root}` only",
                self.meta.path
            );
            let hint = format!(
                "write `namespaces`: `{root}` for these, the names of other namespaces, or `**` for all"
            );
            problems.push(Problem::warning(Code::OwnCallersOnly, place.clone(), what).hint(hint));
        }
    }

    fn unauthenticated(
        &self,
        value: &Node,
        is_alone: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<Subject> {
        let mut refuse = |code, what: &str, hint: &str| {
            problems.push(Problem::error(code, value.place.clone(), what).hint(hint));
            None
        };
        if !matches!(value.value, Value::Bool(true)) {
            return refuse(
                Code::BadValue,
                "invalid `unauthenticated`: expected `true`",
                "write `{unauthenticated: true}`",
            );
        }
        if !is_alone {
            return refuse(
                Code::Conflict,
                "`unauthenticated` excludes other fields in its entry",
                "write a second subject",
            );
        }
        if !self.is_root() {
            let what = "only a policy of the root namespace names callers without an identity: they could be anyone";
            return refuse(
                Code::NotYours,
                what,
                &format!("move it to namespace `{}`", self.settings.root_namespace),
            );
        }
        Some(Subject::Unauthenticated)
    }

    /// Reads accounts that name their own namespace.
    fn accounts(
        &self,
        namespaces: &[Text<'_>],
        accounts: &[Text<'_>],
        trust_domains: Box<[String]>,
        problems: &mut Vec<Problem>,
    ) -> Option<Subject> {
        if let Some(first) = namespaces.first() {
            let what = "`namespaces` excludes accounts that name their own namespace";
            problems.push(
                first
                    .error(Code::Conflict, what)
                    .hint("write the accounts without `namespace/`, or two subjects"),
            );
        }
        let read = |text: &Text<'_>, problems: &mut Vec<Problem>| {
            let (namespace, name) = text.text.split_once('/').unwrap_or_else(|| {
                self.note_own_callers(text.place, "this account names no namespace", problems);
                (self.meta.namespace(), text.text)
            });
            if !is_dns_label(namespace) {
                let what = format!("invalid namespace in `{}`", text.text);
                problems.push(
                    text.error(Code::BadIdentity, what)
                        .hint("write `namespace/account`, without `*`"),
                );
                return None;
            }
            self.own(*text, namespace, problems)?;
            let name = account_name(*text, name, problems)?;
            Some(Account {
                namespace: namespace.to_owned(),
                name,
            })
        };
        Some(Subject::Accounts {
            accounts: accounts.iter().filter_map(|t| read(t, problems)).collect(),
            trust_domains,
        })
    }

    /// Refuses a subject of another namespace, unless the policy is in the root namespace.
    fn own(&self, text: Text<'_>, namespace: &str, problems: &mut Vec<Problem>) -> Option<()> {
        if self.is_root() || namespace == self.meta.namespace() {
            return Some(());
        }
        let what = format!(
            "`{}` selects callers outside the policy's own namespace `{}`",
            text.text,
            self.meta.namespace()
        );
        let hint = format!(
            "only policies of the root namespace `{}` may",
            self.settings.root_namespace
        );
        problems.push(text.error(Code::NotYours, what).hint(hint));
        None
    }

    fn namespace(&self, text: Text<'_>, problems: &mut Vec<Problem>) -> Option<NamespacePattern> {
        let pattern = match text.text {
            "**" => NamespacePattern::Every,
            "*" => {
                let what = "invalid namespace `*`";
                problems.push(
                    text.error(Code::BadIdentity, what)
                        .hint("write `**` for every namespace"),
                );
                return None;
            }
            exact if is_dns_label(exact) => NamespacePattern::Exact(exact.to_owned()),
            other => match other
                .strip_suffix('*')
                .filter(|prefix| is_dns_label(&format!("{prefix}x")))
            {
                Some(prefix) => NamespacePattern::Prefix(prefix.to_owned()),
                None => {
                    let what = format!("invalid namespace `{other}`");
                    let hint =
                        "write a name in lower case, `prefix-*`, or `**` for every namespace";
                    problems.push(text.error(Code::BadIdentity, what).hint(hint));
                    return None;
                }
            },
        };
        self.own(text, text.text, problems)?;
        Some(pattern)
    }

    fn trust_domain(&self, text: Text<'_>, problems: &mut Vec<Problem>) -> Option<String> {
        let trust = &self.settings.trust_domains;
        if !is_trust_domain(text.text) {
            let what = format!("invalid trust domain `{}`", text.text);
            problems.push(
                text.error(Code::BadIdentity, what)
                    .hint("write it in lower case, without `spiffe://` and `*`"),
            );
            return None;
        }
        if !trust.is_own(text.text) && !trust.accepted.contains(text.text) {
            let what = format!(
                "trust domain `{}` is not accepted by this server, so no caller has it",
                text.text
            );
            let hint = format!("start it with `--accept-trust-domains {}`", text.text);
            problems.push(text.error(Code::BadIdentity, what).hint(hint));
            return None;
        }
        Some(text.text.to_owned())
    }
}

fn account_name(text: Text<'_>, name: &str, problems: &mut Vec<Problem>) -> Option<String> {
    if is_dns_subdomain(name) {
        return Some(name.to_owned());
    }
    let what = format!("invalid service account `{}`", text.text);
    problems.push(
        text.error(Code::BadIdentity, what)
            .hint("write `account` or `namespace/account` in lower case, without `*`"),
    );
    None
}
