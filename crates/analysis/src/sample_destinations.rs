//! Sample destinations of a rule: the hosts, ports, methods and paths that it names, and a made-up
//! member if it names a pattern.

use std::fmt;

use super::sample_callers::{MADE_UP, Surroundings, text_member, values};
use customs_engine::condition::Condition;
use customs_engine::header_values::AUTHORITY;
use customs_engine::operation::{Operation, PathPattern};
use customs_engine::pattern::{HostKey, HostPattern, PortPattern, TextPattern};

/// A host that no rule names: nothing below `invalid` exists (RFC 6761).
pub(crate) const NOWHERE: &str = "made-up.invalid";

/// A port that a pattern covers only if it names it.
const OTHER_PORT: u16 = 8443;

/// The most destinations that are drawn from one operation.
pub(crate) const MAX_OF_OPERATION: usize = 512;

/// A sample destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SampleDestination {
    /// The authority on HTTP, the SNI on TCP. An empty one is a connection without SNI.
    pub host: String,
    /// The attributes of HTTP.
    pub http: Option<SampleHttp>,
    /// The gateway's listener port, if a rule has a condition on it.
    pub listener_port: Option<u16>,
}

/// The attributes that a sample has on HTTP only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SampleHttp {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The headers that conditions name, in lower case.
    pub headers: Vec<(String, String)>,
    /// The SNI of the session, if it is not the host.
    pub sni: Option<String>,
}

impl SampleDestination {
    /// Returns a `GET` of `/`.
    pub fn http(host: impl Into<String>, listener_port: Option<u16>) -> SampleDestination {
        let http = SampleHttp {
            method: "GET".into(),
            path: "/".into(),
            headers: Vec::new(),
            sni: None,
        };
        SampleDestination {
            host: host.into(),
            http: Some(http),
            listener_port,
        }
    }

    /// Returns a TCP connection.
    pub fn tcp(sni: impl Into<String>, listener_port: Option<u16>) -> SampleDestination {
        SampleDestination {
            host: sni.into(),
            http: None,
            listener_port,
        }
    }
}

/// Formats the destination as `customs check --to` reads it, with the method first unless it is
/// GET. Other attributes follow in parentheses.
impl fmt::Display for SampleDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut more: Vec<String> = self
            .listener_port
            .iter()
            .map(|port| format!("listener port {port}"))
            .collect();
        match &self.http {
            Some(SampleHttp {
                method,
                path,
                headers,
                sni,
            }) => {
                let method = if method == "GET" {
                    String::new()
                } else {
                    format!("{method} ")
                };
                write!(f, "{method}http://{}{path}", self.host)?;
                more.extend(sni.iter().map(|sni| format!("SNI {sni}")));
                more.extend(
                    headers
                        .iter()
                        .map(|(name, value)| format!("{name}: {value}")),
                );
            }
            None if self.host.is_empty() => f.write_str("a TCP connection without SNI")?,
            None => write!(f, "tcp://{}", self.host)?,
        }
        if more.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", more.join(", "))
        }
    }
}

/// How many samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// The values of the rule.
    Plain,
    /// Also other ports and TCP connections, for rules that differ.
    Thorough,
}

/// The drawn destinations, and the number of those that were left out.
#[derive(Debug, Default)]
pub(crate) struct DestinationSample {
    /// The destinations, the closest to the rule's values first.
    pub destinations: Vec<SampleDestination>,
    /// The number of destinations that were not drawn.
    pub left_out: usize,
}

/// Returns sample destinations of a rule's operation and conditions.
pub(crate) fn of_operation(
    operation: &Operation,
    when: &[Condition],
    around: &Surroundings<'_>,
    care: Care,
) -> DestinationSample {
    let patterns: Vec<&HostPattern> = values(&operation.hosts).collect();
    let mut hosts: Vec<String> = patterns.iter().map(|pattern| authority(pattern)).collect();
    if operation.hosts.any_of().is_empty() {
        hosts.push(NOWHERE.into());
    }
    if care == Care::Thorough {
        hosts.extend(patterns.iter().filter_map(|pattern| other_port(pattern)));
    }
    let (mut methods, mut paths) = (methods(operation), paths(operation));
    // Conditions on pseudo-headers determine parts of the request.
    hosts.extend(pseudo_header(when, AUTHORITY));
    methods.extend(pseudo_header(when, ":method"));
    paths.extend(pseudo_header(when, ":path"));
    let settings = settings(operation, when, around);
    let all = settings.iter().flat_map(|(http, port)| {
        let (methods, hosts) = (&methods, &hosts);
        paths.iter().flat_map(move |path| {
            methods.iter().flat_map(move |method| {
                let http = SampleHttp {
                    method: method.clone(),
                    path: path.clone(),
                    ..http.clone()
                };
                hosts.iter().map(move |host| SampleDestination {
                    host: host.clone(),
                    http: Some(http.clone()),
                    listener_port: *port,
                })
            })
        })
    });
    let count = settings.len() * paths.len() * methods.len() * hosts.len();
    let mut destinations: Vec<SampleDestination> = all.take(MAX_OF_OPERATION).collect();
    let left_out = count - destinations.len();
    if care == Care::Thorough {
        let ports = settings.iter().map(|(_, port)| *port).take(1);
        let names: Vec<String> = patterns
            .iter()
            .take(MAX_OF_OPERATION)
            .flat_map(|p| server_names(p))
            .collect();
        destinations.extend(ports.flat_map(|port| {
            names
                .iter()
                .map(move |name| SampleDestination::tcp(name, port))
        }));
    }
    DestinationSample {
        destinations,
        left_out,
    }
}

/// Returns a host that the pattern covers, without a port.
fn member(pattern: &HostPattern) -> String {
    match pattern.key() {
        HostKey::Name(name) => name.to_owned(),
        HostKey::Address(address) => bracketed(address),
        HostKey::Suffix(suffix) => format!("{MADE_UP}{suffix}"),
        HostKey::Network(network) => bracketed(network.network()),
        HostKey::LocalHost => bracketed(std::net::Ipv6Addr::LOCALHOST.into()),
        HostKey::None if pattern.is_anywhere() || pattern.is_lone_star() => NOWHERE.into(),
        HostKey::None => {
            let text = pattern.to_string();
            let host = text
                .rsplit_once(':')
                .map_or(text.as_str(), |(host, _)| host);
            host.replace('*', MADE_UP)
        }
    }
}

fn bracketed(address: std::net::IpAddr) -> String {
    if address.is_ipv6() {
        format!("[{address}]")
    } else {
        address.to_string()
    }
}

fn port(pattern: &HostPattern) -> PortPattern {
    let (_, _, port) = pattern.specificity();
    port
}

/// Returns an authority that the pattern covers under every reading.
fn authority(pattern: &HostPattern) -> String {
    match port(pattern) {
        PortPattern::Exactly(port) => format!("{}:{port}", member(pattern)),
        PortPattern::Unsaid | PortPattern::Every => member(pattern),
    }
}

/// Returns the same host with a port on which patterns differ.
fn other_port(pattern: &HostPattern) -> Option<String> {
    Some(match port(pattern) {
        PortPattern::Exactly(_) => member(pattern),
        PortPattern::Unsaid | PortPattern::Every => format!("{}:{OTHER_PORT}", member(pattern)),
    })
}

/// Returns the SNIs that a client would send on TCP: the host, and if the pattern names a port, the
/// wrapper that contains it.
fn server_names(pattern: &HostPattern) -> Vec<String> {
    let host = member(pattern);
    let is_name = matches!(pattern.key(), HostKey::Name(_) | HostKey::Suffix(_));
    match port(pattern) {
        _ if host.starts_with('[') => Vec::new(),
        PortPattern::Exactly(port) if is_name => vec![format!("outbound_.{port}_._.{host}"), host],
        _ => vec![host],
    }
}

/// Returns the named methods, and one that is not named.
fn methods(operation: &Operation) -> Vec<String> {
    let named = || values(&operation.methods);
    let mut methods: Vec<String> = named().map(|pattern| text_member(pattern, "GET")).collect();
    let usual = ["GET", "POST", "PUT", "DELETE"].into_iter();
    methods.extend(
        usual
            .filter(|method| !named().any(|p| p.matches(method)))
            .take(1)
            .map(str::to_owned),
    );
    methods
}

/// Returns the named paths, and one that is not named.
fn paths(operation: &Operation) -> Vec<String> {
    if !operation.paths.is_set() {
        return vec!["/".into()];
    }
    let named = values(&operation.paths).map(|pattern| match pattern {
        PathPattern::Text(TextPattern::Suffix(suffix)) => format!("/{MADE_UP}{suffix}"),
        PathPattern::Text(pattern) => text_member(pattern, "/"),
        PathPattern::Template(template) => template.member(MADE_UP),
    });
    named.chain([format!("/{MADE_UP}")]).collect()
}

/// Returns the values of conditions on a pseudo-header.
fn pseudo_header<'s>(when: &'s [Condition], asked: &'s str) -> impl Iterator<Item = String> + 's {
    let named = when.iter().filter_map(move |condition| match condition {
        Condition::Header { name, values } if name == asked => Some(values),
        _ => None,
    });
    named
        .flat_map(values)
        .map(|pattern| text_member(pattern, MADE_UP))
}

/// Returns settings that satisfy conditions and listener ports, one value of each at a time. The
/// last one satisfies none.
fn settings(
    operation: &Operation,
    when: &[Condition],
    around: &Surroundings<'_>,
) -> Vec<(SampleHttp, Option<u16>)> {
    let bare = SampleHttp {
        method: String::new(),
        path: String::new(),
        headers: Vec::new(),
        sni: None,
    };
    let mut ports: Vec<u16> = values(&operation.ports).copied().collect();
    let (mut names, mut headers): (Vec<String>, Vec<(&str, Vec<String>)>) =
        (Vec::new(), Vec::new());
    let members = |patterns: &mut dyn Iterator<Item = &TextPattern>| -> Vec<String> {
        patterns
            .map(|pattern| text_member(pattern, MADE_UP))
            .collect()
    };
    for condition in when {
        match condition {
            Condition::DestinationPort(named) => ports.extend(values(named)),
            Condition::Sni(named) => names.extend(members(&mut values(named))),
            Condition::Header { name, .. }
                if [AUTHORITY, ":method", ":path"].contains(&name.as_str()) => {}
            Condition::Header {
                name,
                values: named,
            } => headers.push((name, members(&mut values(named)))),
            Condition::Source(_) | Condition::DestinationIp(_) => {}
        }
    }
    let most = headers
        .iter()
        .map(|(_, values)| values.len())
        .chain([ports.len(), names.len()])
        .max()
        .unwrap_or(0);
    let nth = |at: usize| {
        let header = |(name, values): &(&str, Vec<String>)| {
            Some((
                (*name).to_owned(),
                values.get(at % values.len().max(1))?.clone(),
            ))
        };
        let http = SampleHttp {
            headers: headers.iter().filter_map(header).collect(),
            sni: names.get(at % names.len().max(1)).cloned(),
            ..bare.clone()
        };
        (
            http,
            ports
                .get(at % ports.len().max(1))
                .copied()
                .or(around.listener_port),
        )
    };
    (0..most)
        .map(nth)
        .chain([(bare.clone(), around.listener_port)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_engine::field::Field;
    use customs_engine::pattern::parse_host_pattern;

    const AROUND: Surroundings<'_> = Surroundings {
        own: "cluster.local",
        address: None,
        listener_port: None,
    };

    fn hosts(list: &[&str]) -> Operation {
        let any_of = list.iter().map(|text| parse_host_pattern(text).unwrap().0);
        Operation {
            hosts: Field::of(any_of),
            ..Operation::default()
        }
    }

    fn texts(list: &[&str]) -> Field<TextPattern> {
        Field::of(list.iter().map(|text| TextPattern::parse(text)))
    }

    fn reported(operation: &Operation, when: &[Condition], care: Care) -> Vec<String> {
        of_operation(operation, when, &AROUND, care)
            .destinations
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_host_pattern_gives_a_host_that_it_covers() {
        for (pattern, plain, more) in [
            (
                "a.example",
                "http://a.example/",
                vec!["http://a.example:8443/", "tcp://a.example"],
            ),
            (
                "*.a.example",
                "http://made-up.a.example/",
                vec!["http://made-up.a.example:8443/", "tcp://made-up.a.example"],
            ),
            (
                "a.example:5432",
                "http://a.example:5432/",
                vec![
                    "http://a.example/",
                    "tcp://outbound_.5432_._.a.example",
                    "tcp://a.example",
                ],
            ),
            (
                "10.1.2.0/24:*",
                "http://10.1.2.0/",
                vec!["http://10.1.2.0:8443/", "tcp://10.1.2.0"],
            ),
            (
                "[2001:db8::/32]",
                "http://[2001:db8::]/",
                vec!["http://[2001:db8::]:8443/"],
            ),
            (
                "**",
                "http://made-up.invalid/",
                vec!["http://made-up.invalid:8443/", "tcp://made-up.invalid"],
            ),
            (
                "*",
                "http://made-up.invalid/",
                vec!["http://made-up.invalid:8443/", "tcp://made-up.invalid"],
            ),
            (
                "api.*:443",
                "http://api.made-up:443/",
                vec!["http://api.made-up/", "tcp://api.made-up"],
            ),
            (
                "*example",
                "http://made-upexample/",
                vec!["http://made-upexample:8443/", "tcp://made-upexample"],
            ),
        ] {
            assert_eq!(
                reported(&hosts(&[pattern]), &[], Care::Plain),
                [plain],
                "{pattern}"
            );
            let all: Vec<&str> = std::iter::once(plain).chain(more).collect();
            assert_eq!(
                reported(&hosts(&[pattern]), &[], Care::Thorough),
                all,
                "{pattern}"
            );
        }
    }

    #[test]
    fn methods_and_paths_are_those_named_and_one_other() {
        let operation = Operation {
            methods: texts(&["GET"]),
            paths: Field::of([PathPattern::Text(TextPattern::parse("/v1/*"))]),
            ..hosts(&["a.example"])
        };
        let expected = [
            "http://a.example/v1/made-up",
            "POST http://a.example/v1/made-up",
            "http://a.example/made-up",
            "POST http://a.example/made-up",
        ];
        assert_eq!(reported(&operation, &[], Care::Plain), expected);
    }

    #[test]
    fn conditions_are_met_value_by_value_and_once_not() {
        let operation = Operation {
            ports: Field::of([443, 8443]),
            ..hosts(&["a"])
        };
        let role = Condition::Header {
            name: "x-role".into(),
            values: texts(&["admin"]),
        };
        let sni = Condition::Sni(texts(&["b.example"]));
        let expected = [
            "http://a/ (listener port 443, SNI b.example, x-role: admin)",
            "http://a/ (listener port 8443, SNI b.example, x-role: admin)",
            "http://a/",
        ];
        assert_eq!(reported(&operation, &[role, sni], Care::Plain), expected);
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let many: Vec<String> = (0..MAX_OF_OPERATION + 3)
            .map(|index| format!("h{index}.example"))
            .collect();
        let operation = hosts(&many.iter().map(String::as_str).collect::<Vec<_>>());
        let sample = of_operation(&operation, &[], &AROUND, Care::Plain);
        assert_eq!(
            (sample.destinations.len(), sample.left_out),
            (MAX_OF_OPERATION, 3)
        );
    }
}
