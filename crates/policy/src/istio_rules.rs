//! The rules of an AuthorizationPolicy: `from`, `to` and `when`, read into their compiled forms.
//!
//! Each value is read by the function of its field, whether it stands in `from` or in `when`, so that the two cannot
//! differ. What no check can answer is refused, because in a DENY it would silently never match.

use std::sync::Arc;

use ipnet::IpNet;

use super::action::Action;
use super::authorization_policy::NamedTrustDomain;
use super::document::{Node, Value};
use super::egress_policy::whole_labels;
use super::istio_gaps as gaps;
use super::metadata::Meta;
use super::methods;
use super::problem::{Code, Place, Problem};
use super::reader::{self, Fields, Text};
use customs_engine::condition::Condition;
use customs_engine::enforcement::Enforcement;
use customs_engine::field::Field;
use customs_engine::header_values::{AUTHORITY, header_name};
use customs_engine::operation::{Operation, PathPattern};
use customs_engine::path::Template;
use customs_engine::pattern::{self, HostPattern, Spelling, TextPattern};
use customs_engine::rule::Rule;
use customs_engine::rule_info::{About, RuleId, RuleInfo};
use customs_engine::settings::Settings;
use customs_engine::subject::{CallerMatch, Source};

/// The longest list of rules, and of sources in a rule, that Istio's API takes.
const MAX_ENTRIES: usize = 512;
/// The most service accounts that one source takes.
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
    pub(super) fn rules(&mut self, node: Option<&Node>) -> Box<[Arc<Rule>]> {
        let items = match node.map(|n| (&n.value, n)) {
            None => &[][..],
            // Kubernetes drops an empty list here, so an ALLOW with one means what an ALLOW without rules means.
            Some((Value::List(items), _)) if items.is_empty() => &[],
            Some((_, node)) => reader::list(node, "rules", self.problems).unwrap_or_default(),
        };
        if items.is_empty() && self.action == Action::Deny {
            let place = node.map_or(&self.meta.place, |n| &n.place).clone();
            let problem = Problem::error(
                Code::EmptyPolicy,
                place,
                "a DENY policy without rules denies nothing",
            );
            self.problems
                .push(problem.hint("write `rules: [{}]` to deny everything"));
        }
        self.limit(items, "rules");
        items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| self.rule(index, item))
            .map(Arc::new)
            .collect()
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

    fn rule(&mut self, index: usize, node: &Node) -> Option<Rule> {
        self.number = index;
        let mut fields = Fields::open(node, "a rule", self.problems)?;
        let from = fields.list("from");
        let to = fields.list("to");
        let when = fields.list("when");
        fields.close();
        self.limit(from, "from");
        let when = when.iter().filter_map(|n| self.condition(n)).collect();
        let from: Box<[_]> = from.iter().filter_map(|n| self.source(n)).collect();
        let to = to.iter().filter_map(|n| self.operation(n)).collect();
        let id = RuleId::rule(self.meta.path.clone(), index);
        Some(Rule {
            info: Arc::new(RuleInfo::new(id, node.place.clone(), About::default())),
            mode: self.mode,
            callers: if from.is_empty() {
                CallerMatch::Anyone
            } else {
                CallerMatch::Sources(from)
            },
            to,
            when,
            except: Box::default(),
        })
    }

    fn source(&mut self, node: &Node) -> Option<Source> {
        let source = wrapped(node, "source", "an entry of `from`", self.problems)?;
        let mut fields = Fields::open_filled(source, "source", self.problems)?;
        let principals = both(&mut fields, "principals", "notPrincipals");
        let namespaces = both(&mut fields, "namespaces", "notNamespaces");
        let accounts = both(&mut fields, "serviceAccounts", "notServiceAccounts");
        let blocks = both(&mut fields, "ipBlocks", "notIpBlocks");
        let domains = both(&mut fields, "trustDomains", "notTrustDomains");
        let remote = both(&mut fields, "remoteIpBlocks", "notRemoteIpBlocks");
        refuse_unanswerable(&mut fields, &["requestPrincipals", "notRequestPrincipals"]);
        fields.close();
        let asked = |lists: &[&[Node]; 2]| lists.iter().any(|list| !list.is_empty());
        if asked(&accounts) && (asked(&principals) || asked(&namespaces)) {
            let what = "`serviceAccounts` excludes `principals` and `namespaces` in one source";
            self.problems.push(
                Problem::error(Code::Conflict, source.place.clone(), what)
                    .hint("write two sources"),
            );
        }
        if accounts.iter().any(|list| list.len() > MAX_ACCOUNTS) {
            let what = format!("`serviceAccounts` takes at most {MAX_ACCOUNTS} values");
            self.problems.push(
                Problem::error(Code::TooLarge, source.place.clone(), what)
                    .hint("write two sources"),
            );
        }
        if asked(&remote) {
            self.require_hops(&source.place, "remoteIpBlocks");
        }
        let read = Source {
            principals: self.field("principals", principals, Self::principal),
            namespaces: self.field("namespaces", namespaces, Self::namespace),
            service_accounts: self.field("serviceAccounts", accounts, Self::account),
            trust_domains: self.field("trustDomains", domains, Self::trust_domain),
            ip_blocks: self.field("ipBlocks", blocks, Self::ip_block),
            remote_ip_blocks: self.field("remoteIpBlocks", remote, Self::ip_block),
        };
        self.problems
            .extend(gaps::only_exclusions(&read, &source.place, self.action));
        Some(read)
    }

    /// Reads one entry of `when`.
    fn condition(&mut self, node: &Node) -> Option<Condition> {
        let mut fields = Fields::open(node, "an entry of `when`", self.problems)?;
        let key = fields
            .require("key")
            .and_then(|n| reader::text(n, "key", fields.problems()));
        let lists = both(&mut fields, "values", "notValues");
        fields.close();
        let key = key?;
        if lists.iter().all(|list| list.is_empty()) {
            let what = format!("`{}` has neither `values` nor `notValues`", key.text);
            self.problems
                .push(Problem::error(Code::MissingField, node.place.clone(), what));
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
        lists: [&[Node]; 2],
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

    /// Refuses what asks for the client's address where nobody said how many proxies to trust (rule R13).
    fn require_hops(&mut self, place: &Place, name: &str) {
        if self.settings.trusted_hops.is_none() {
            let what = format!(
                "`{name}` asks for the client behind trusted proxies, and none were declared"
            );
            let problem = Problem::error(Code::Unanswerable, place.clone(), what);
            self.problems.push(
                problem.hint("start the server with `--trusted-hops N`, or use the peer: `ipBlocks`, `source.ip`"),
            );
        }
    }

    fn operation(&mut self, node: &Node) -> Option<Operation> {
        let operation = wrapped(node, "operation", "an entry of `to`", self.problems)?;
        let mut fields = Fields::open_filled(operation, "operation", self.problems)?;
        let hosts = both(&mut fields, "hosts", "notHosts");
        let ports = both(&mut fields, "ports", "notPorts");
        let methods = both(&mut fields, "methods", "notMethods");
        let paths = both(&mut fields, "paths", "notPaths");
        fields.close();
        Some(Operation {
            hosts: self.field("hosts", hosts, Self::host),
            ports: self.field("ports", ports, Self::port),
            methods: self.field("methods", methods, Self::method),
            paths: self.field("paths", paths, Self::path),
        })
    }

    /// Reads the two lists of a field; `read` turns one text into any number of patterns.
    fn field<P>(
        &mut self,
        name: &str,
        [yes, no]: [&[Node]; 2],
        read: impl Fn(&mut Self, Text<'_>, bool) -> Vec<P>,
    ) -> Field<P> {
        gaps::repeated(name, [yes, no], self.problems);
        let mut patterns = |list: &[Node], positive| {
            let mut all = Vec::new();
            for item in list {
                if let Some(text) = reader::text(item, name, self.problems) {
                    all.extend(read(self, text, positive));
                }
            }
            all
        };
        Field::new(patterns(yes, true).into(), patterns(no, false).into())
    }

    /// An SNI; compared in lower case.
    fn sni(&mut self, value: Text<'_>, _positive: bool) -> Vec<TextPattern> {
        vec![TextPattern::parse(&value.text.to_ascii_lowercase())]
    }

    fn header(&mut self, value: Text<'_>, _positive: bool) -> Vec<TextPattern> {
        self.problems
            .extend(gaps::plain_star(value, Code::BadValue, "the value"));
        vec![TextPattern::parse(value.text)]
    }

    fn ip_block(&mut self, value: Text<'_>, _positive: bool) -> Vec<IpNet> {
        let block = pattern::parse_ip_block(value.text);
        if block.is_none() {
            let what = format!("`{}` is neither an IP address nor a range", value.text);
            self.problems.push(
                value
                    .error(Code::BadAddress, what)
                    .hint("write `192.0.2.1` or `192.0.2.0/24`"),
            );
        }
        block.into_iter().collect()
    }

    fn host(&mut self, value: Text<'_>, _positive: bool) -> Vec<HostPattern> {
        match pattern::parse_host_pattern(value.text) {
            Err(why) => {
                let problem = value.error(Code::BadHost, format!("`{}`: {why}", value.text));
                self.problems.push(problem.advised(why.advice(value.text)));
            }
            Ok((pattern, _)) if pattern.is_anywhere() => {
                self.problems.push(
                    value
                        .error(Code::BadHost, "`**` is no host of an AuthorizationPolicy")
                        .hint("write `*`"),
                );
            }
            Ok((pattern, _)) if pattern.is_network() => {
                let what = format!(
                    "`{}` is a range: Istio compares hosts as text and would never match it",
                    value.text
                );
                self.problems.push(
                    value
                        .error(Code::BadHost, what)
                        .hint("ranges of destinations belong into an EgressPolicy"),
                );
            }
            Ok((pattern, spellings)) => {
                let as_read = pattern.to_string();
                let pattern = pattern.in_istio(value.text);
                if pattern.is_text() {
                    self.problems.push(gaps::host_text(value, &as_read));
                } else {
                    self.problems.extend(
                        spellings
                            .iter()
                            .map(|spelling| odd_spelling(value, spelling)),
                    );
                    self.problems.extend(gaps::host_port(value, &pattern));
                    self.problems.extend(gaps::host_ipv6(value, &pattern));
                }
                self.problems.extend(reader::yaml_word(value));
                return vec![pattern];
            }
        }
        Vec::new()
    }

    fn port(&mut self, value: Text<'_>, _positive: bool) -> Vec<u16> {
        let port = value
            .text
            .parse()
            .ok()
            .filter(|_| value.text.bytes().all(|b| b.is_ascii_digit()));
        if port.is_none() {
            let what = format!("`{}` is no port", value.text);
            self.problems.push(
                value
                    .error(Code::BadPort, what)
                    .hint("write a number from 0 to 65535, in quotes"),
            );
        }
        port.into_iter().collect()
    }

    fn method(&mut self, value: Text<'_>, _positive: bool) -> Vec<TextPattern> {
        if value.text.bytes().any(|b| b.is_ascii_lowercase()) {
            let what = format!(
                "method `{}` is not upper case: an ALLOW compares case for case",
                value.text
            );
            self.problems.push(value.warning(Code::BadMethod, what));
        }
        self.problems
            .extend(gaps::plain_star(value, Code::BadMethod, "method"));
        self.problems.extend(methods::unregistered(value));
        vec![TextPattern::parse(value.text)]
    }

    fn path(&mut self, value: Text<'_>, _positive: bool) -> Vec<PathPattern> {
        if Template::is_template(value.text) {
            return match Template::parse(value.text) {
                Ok(template) => vec![PathPattern::Template(template)],
                Err(why) => {
                    self.problems
                        .push(value.error(Code::BadPath, format!("`{}`: {why}", value.text)));
                    Vec::new()
                }
            };
        }
        if !value.text.starts_with(['/', '*']) {
            let what = format!(
                "`{}` does not begin with `/`, and no path of HTTP matches it",
                value.text
            );
            self.problems.push(value.warning(Code::BadPath, what));
        }
        self.problems
            .extend(gaps::plain_star(value, Code::BadPath, "path"));
        self.problems.extend(gaps::query(value));
        vec![PathPattern::Text(TextPattern::parse(value.text))]
    }
}

/// A field and its `not*` twin.
fn both<'n>(fields: &mut Fields<'n, '_>, yes: &'static str, no: &'static str) -> [&'n [Node]; 2] {
    [fields.list(yes), fields.list(no)]
}

/// The value of an entry that has one field only.
fn wrapped<'n>(
    node: &'n Node,
    field: &'static str,
    name: &'static str,
    problems: &mut Vec<Problem>,
) -> Option<&'n Node> {
    let mut fields = Fields::open(node, name, problems)?;
    let value = fields.require(field);
    fields.close();
    value
}

fn refuse_unanswerable(fields: &mut Fields<'_, '_>, names: &[&'static str]) {
    for name in names {
        if let Some(node) = fields.take(name) {
            let what = format!(
                "`{name}` asks for claims of a token, which a check never carries: it runs before they are read"
            );
            let problem = Problem::error(Code::Unanswerable, node.place.clone(), what);
            fields.problems().push(
                problem.hint("leave this rule with Istio, which evaluates it behind customs"),
            );
        }
    }
}

/// Says why a key of `when` is none.
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
        format!("`{}` is no key of `when`", key.text),
    );
    problem.hint(match reader::nearest(key.text, &KEYS) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the keys are {}", KEYS.map(|k| format!("`{k}`")).join(", ")),
    })
}

fn odd_spelling(value: Text<'_>, spelling: &Spelling) -> Problem {
    let warn = |what: String| value.warning(Code::HostSpelling, what);
    match spelling {
        Spelling::Folded(meant) => warn(format!("`{}` is read as `{meant}`", value.text)),
        Spelling::Unicode(meant) => {
            warn(format!("`{}` is read as its A-label `{meant}`", value.text))
        }
        Spelling::Loose => {
            warn(format!("`{}` matches more than whole labels", value.text)).hint(whole_labels(
                value.text,
                "other people can register names that match; write ",
            ))
        }
    }
}
