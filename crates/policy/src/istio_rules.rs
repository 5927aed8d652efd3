//! The rules of an AuthorizationPolicy: `from`, `to` and `when`, read into their compiled forms.
//!
//! One function reads the values of a field, both in `from` and in `when`, so that the two cannot
//! differ. Keys that no check can answer are refused, because in a DENY they would silently never
//! match.

use std::sync::Arc;

use super::action::Action;
use super::document::Node;
use super::istio_gaps as gaps;
use super::metadata::Meta;
use super::named_trust_domain::NamedTrustDomain;
use super::problem::{Code, Place, Problem};
use super::reader::{List, Placed, Refused, Text};
use super::spec::authorization_policy::{self as spec, IstioRule, WhenEntry};
use super::suggestion;
use customs_engine::condition::Condition;
use customs_engine::enforcement::Enforcement;
use customs_engine::field::Field;
use customs_engine::header_values::{AUTHORITY, header_name};
use customs_engine::operation::Operation;
use customs_engine::rule::Rule;
use customs_engine::rule_info::{About, RuleId, RuleInfo};
use customs_engine::settings::Settings;
use customs_engine::subject::{CallerMatch, Source};

/// The longest list of rules, and of sources in a rule, that Istio's API accepts.
const MAX_ENTRIES: usize = 512;
/// The most service accounts that one source accepts.
const MAX_ACCOUNTS: usize = 16;

/// Reads the rules of one policy.
pub(super) struct RuleReader<'a> {
    pub(super) meta: &'a Meta,
    pub(super) action: Action,
    pub(super) mode: Enforcement,
    pub(super) settings: &'a Settings,
    pub(super) problems: &'a mut Vec<Problem>,
    /// Trust domains that an ALLOW names literally.
    pub(super) named: Vec<NamedTrustDomain>,
    /// The number of the rule that is read.
    pub(super) number: usize,
}

impl RuleReader<'_> {
    /// Reads every rule.
    pub(super) fn rules(
        &mut self,
        rules: &List<'_, Placed<'_, IstioRule<'_>>, true>,
    ) -> Box<[Arc<Rule>]> {
        // Kubernetes drops an empty list here, so an ALLOW with an empty list is an ALLOW without
        // rules.
        if rules.is_empty() && self.action == Action::Deny {
            let place = rules.place.unwrap_or(&self.meta.place).clone();
            let problem = Problem::error(
                Code::EmptyPolicy,
                place,
                "a DENY policy without rules denies nothing",
            );
            self.problems
                .push(problem.hint("write `rules: [{}]` to deny everything"));
        }
        self.limit(rules.nodes, "rules");
        let mut read = |(index, rule)| Arc::new(self.rule(index, rule));
        rules.items.iter().enumerate().map(&mut read).collect()
    }

    fn limit(&mut self, items: &[Node], name: &str) {
        if let Some(first) = items.get(MAX_ENTRIES) {
            let what = format!(
                "`{name}` has {} entries; Istio takes at most {MAX_ENTRIES}",
                items.len()
            );
            self.problems.push(
                Problem::error(Code::TooLarge, first.place.clone(), what)
                    .hint("write a second policy"),
            );
        }
    }

    fn rule(&mut self, index: usize, rule: &Placed<'_, IstioRule<'_>>) -> Rule {
        self.number = index;
        self.limit(rule.from.nodes, "from");
        let when = rule.when.items.iter();
        let when = when.filter_map(|entry| self.condition(entry)).collect();
        let from = rule.from.items.iter();
        let from: Box<[_]> = from
            .filter_map(|entry| Some(self.source(entry.source.0.as_ref()?)))
            .collect();
        let to = rule.to.items.iter();
        let to = to
            .filter_map(|entry| Some(self.operation(entry.operation.0.as_ref()?)))
            .collect();
        let id = RuleId::rule(self.meta.path.clone(), index);
        Rule {
            info: Arc::new(RuleInfo::new(id, rule.place.clone(), About::default())),
            mode: self.mode,
            callers: if from.is_empty() {
                CallerMatch::Anyone
            } else {
                CallerMatch::Sources(from)
            },
            to,
            when,
            except: Box::default(),
        }
    }

    fn source(&mut self, source: &Placed<'_, spec::Source<'_>>) -> Source {
        // Destructured completely, so that a new field must be handled here.
        let spec::Source {
            principals,
            not_principals,
            namespaces,
            not_namespaces,
            service_accounts,
            not_service_accounts,
            ip_blocks,
            not_ip_blocks,
            trust_domains,
            not_trust_domains,
            remote_ip_blocks,
            not_remote_ip_blocks,
            request_principals,
            not_request_principals,
        } = &source.fields;
        let principals = [principals, not_principals];
        let namespaces = [namespaces, not_namespaces];
        let accounts = [service_accounts, not_service_accounts];
        let remote = [remote_ip_blocks, not_remote_ip_blocks];
        self.refuse_unanswerable("requestPrincipals", *request_principals);
        self.refuse_unanswerable("notRequestPrincipals", *not_request_principals);
        let asked = |lists: &Lists<'_>| lists.iter().any(|list| !list.is_empty());
        if asked(&accounts) && (asked(&principals) || asked(&namespaces)) {
            let what = "`serviceAccounts` excludes `principals` and `namespaces` in one source";
            self.problems.push(
                Problem::error(Code::Conflict, source.place.clone(), what)
                    .hint("write two sources"),
            );
        }
        if accounts.iter().any(|list| list.nodes.len() > MAX_ACCOUNTS) {
            let what = format!("`serviceAccounts` takes at most {MAX_ACCOUNTS} values");
            self.problems.push(
                Problem::error(Code::TooLarge, source.place.clone(), what)
                    .hint("write two sources"),
            );
        }
        if asked(&remote) {
            self.require_hops(source.place, "remoteIpBlocks");
        }
        let (blocks, domains) = (
            [ip_blocks, not_ip_blocks],
            [trust_domains, not_trust_domains],
        );
        let read = Source {
            principals: self.field("principals", principals, Self::principal),
            namespaces: self.field("namespaces", namespaces, Self::namespace),
            service_accounts: self.field("serviceAccounts", accounts, Self::account),
            trust_domains: self.field("trustDomains", domains, Self::trust_domain),
            ip_blocks: self.field("ipBlocks", blocks, Self::ip_block),
            remote_ip_blocks: self.field("remoteIpBlocks", remote, Self::ip_block),
        };
        self.problems
            .extend(gaps::only_exclusions(&read, source.place, self.action));
        read
    }

    fn refuse_unanswerable(&mut self, name: &str, field: Refused<'_>) {
        if let Some(node) = field.0 {
            let what = format!(
                "`{name}` asks for claims of a token, which a check never carries: it runs before they are read"
            );
            let problem = Problem::error(Code::Unanswerable, node.place.clone(), what);
            self.problems.push(
                problem.hint("leave this rule with Istio, which evaluates it behind customs"),
            );
        }
    }

    /// Reads one entry of `when`.
    fn condition(&mut self, entry: &Placed<'_, WhenEntry<'_>>) -> Option<Condition> {
        let key = entry.key.0?;
        let lists = [&entry.values, &entry.not_values];
        if lists.iter().all(|list| list.is_empty()) {
            let what = format!("`{}` has neither `values` nor `notValues`", key.text);
            self.problems.push(Problem::error(
                Code::MissingField,
                entry.place.clone(),
                what,
            ));
            return None;
        }
        let source = |source: Source| Some(Condition::Source(Box::new(source)));
        match key.text {
            "source.ip" => source(Source {
                ip_blocks: self.field("values", lists, Self::ip_block),
                ..Source::default()
            }),
            "source.namespace" => source(Source {
                namespaces: self.field("values", lists, Self::namespace),
                ..Source::default()
            }),
            "source.principal" => source(Source {
                principals: self.field("values", lists, Self::principal),
                ..Source::default()
            }),
            "source.serviceAccount" => source(Source {
                service_accounts: self.field("values", lists, Self::account),
                ..Source::default()
            }),
            "source.trustDomain" => source(Source {
                trust_domains: self.field("values", lists, Self::trust_domain),
                ..Source::default()
            }),
            "remote.ip" => {
                self.require_hops(key.place, "remote.ip");
                source(Source {
                    remote_ip_blocks: self.field("values", lists, Self::ip_block),
                    ..Source::default()
                })
            }
            "destination.ip" => Some(Condition::DestinationIp(self.field(
                "values",
                lists,
                Self::ip_block,
            ))),
            "destination.port" => Some(Condition::DestinationPort(self.field(
                "values",
                lists,
                Self::port,
            ))),
            "connection.sni" => Some(Condition::Sni(self.field("values", lists, Self::sni))),
            other => self.header_condition(key, other, lists),
        }
    }

    fn header_condition(
        &mut self,
        key: Text<'_>,
        text: &str,
        lists: Lists<'_>,
    ) -> Option<Condition> {
        let name = text
            .strip_prefix("request.headers[")
            .and_then(|rest| rest.strip_suffix(']'));
        match name {
            Some(name) if !name.is_empty() && !name.contains(['[', ']']) => {
                let name = header_name(name);
                if name == AUTHORITY {
                    let what = format!(
                        "`{text}` compares the host as it was written, so other spellings pass"
                    );
                    self.problems.push(
                        key.warning(Code::HostSpelling, what)
                            .hint("use `hosts` of an operation"),
                    );
                }
                Some(Condition::Header {
                    name,
                    values: self.field("values", lists, Self::header),
                })
            }
            _ => {
                self.problems.push(bad_key(key));
                None
            }
        }
    }

    /// Refuses a condition on the client's address if no number of trusted proxies is declared
    /// (rule R13).
    fn require_hops(&mut self, place: &Place, name: &str) {
        if self.settings.trusted_hops.is_none() {
            let what = format!(
                "`{name}` asks for the client behind trusted proxies, and none are declared"
            );
            let problem = Problem::error(Code::Unanswerable, place.clone(), what);
            self.problems.push(
                problem.hint("start the server with `--trusted-hops N`, or use the peer: `ipBlocks`, `source.ip`"),
            );
        }
    }

    fn operation(&mut self, operation: &spec::Operation<'_>) -> Operation {
        // Destructured completely, so that a new field must be handled here.
        let spec::Operation {
            hosts,
            not_hosts,
            ports,
            not_ports,
            methods,
            not_methods,
            paths,
            not_paths,
        } = operation;
        Operation {
            hosts: self.field("hosts", [hosts, not_hosts], Self::host),
            ports: self.field("ports", [ports, not_ports], Self::port),
            methods: self.field("methods", [methods, not_methods], Self::method),
            paths: self.field("paths", [paths, not_paths], Self::path),
        }
    }

    /// Reads the two lists of a field; `read` turns one text into any number of patterns.
    fn field<P>(
        &mut self,
        name: &str,
        [yes, no]: Lists<'_>,
        read: impl Fn(&mut Self, Text<'_>, bool) -> Vec<P>,
    ) -> Field<P> {
        gaps::repeated(name, [&yes.items, &no.items], self.problems);
        let mut patterns = |list: &[Text<'_>], positive| {
            let texts = list.iter();
            texts.flat_map(|text| read(self, *text, positive)).collect()
        };
        Field::new(patterns(&yes.items, true), patterns(&no.items, false))
    }
}

/// A field and its `not*` twin.
type Lists<'a> = [&'a List<'a, Text<'a>>; 2];

/// Returns the problem of an unknown key of `when`.
fn bad_key(key: Text<'_>) -> Problem {
    if key.text.starts_with("request.auth.") || key.text.starts_with("experimental.") {
        let what = format!(
            "`{}` asks for what a check never carries: it runs before tokens and filters are read",
            key.text
        );
        return key
            .error(Code::Unanswerable, what)
            .hint("leave this rule with Istio, which evaluates it behind customs");
    }
    const KEYS: [&str; 10] = [
        "source.ip",
        "source.namespace",
        "source.principal",
        "source.serviceAccount",
        "source.trustDomain",
        "remote.ip",
        "destination.ip",
        "destination.port",
        "connection.sni",
        "request.headers[NAME]",
    ];
    let problem = key.error(
        Code::BadValue,
        format!("unknown key `{}` of `when`", key.text),
    );
    problem.hint(match suggestion::nearest(key.text, &KEYS) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the keys are {}", KEYS.map(|k| format!("`{k}`")).join(", ")),
    })
}
