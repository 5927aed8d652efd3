//! Converts a question to the attributes that Envoy would send: the caller and the destination.
//!
//! A question is either a few shorthand fields or a whole check. A field that is left out stays
//! unknown, as it is to a server if Envoy does not send it. Nothing is normalised here: a host is
//! passed on as it is written in `to`, so odd spellings can be explained too.

use std::net::IpAddr;

use customs_engine::identity::{TrustDomains, is_dns_label, is_dns_subdomain};
use customs_engine::request::{self, Attributes, HttpAttributes, Request};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_extauthz::json::Check;
use customs_policy::problem::{Code, Problem};
use customs_policy::reader::Text;

/// A request to explain, and the time to assume.
#[derive(Clone, Debug)]
pub(crate) struct ExplainQuery {
    /// The request to explain.
    pub input: QueryInput,
    /// `now`; the current time if it is left out.
    pub now: Option<UnixNanos>,
}

/// The request to explain.
#[derive(Clone, Debug)]
pub(crate) enum QueryInput {
    /// `from`, `to` and more.
    Shorthand(Box<ShorthandQuery>),
    /// `request`: a whole check.
    Request(Box<Check>),
}

/// A question in shorthand fields.
#[derive(Clone, Debug)]
pub(crate) struct ShorthandQuery {
    /// `from` as it was written.
    pub from: String,
    /// `to` as it was written.
    pub to: String,
    /// `from`
    pub caller: Caller,
    /// `to`
    pub target: Target,
    /// `method`
    pub method: Option<String>,
    /// `headers`, in order.
    pub headers: Vec<(String, String)>,
    /// `listenerPort`
    pub listener_port: Option<u16>,
    /// `sourceIp`
    pub source_ip: Option<IpAddr>,
    /// `sni`
    pub sni: Option<String>,
}

/// The summary of a question that is printed with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The caller.
    pub from: String,
    /// The destination.
    pub to: String,
    /// The method, if it was written.
    pub method: Option<String>,
}

/// The caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// An account of the mesh's own trust domain.
    Account {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A whole SPIFFE id, as it is written.
    Id(String),
    /// A caller whose identity the gateway could not verify.
    Unauthenticated,
}

/// The destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// An HTTP request.
    Http {
        /// `:authority`
        authority: String,
        /// `:path`, if it was written.
        path: Option<String>,
    },
    /// A TCP connection.
    Tcp {
        /// The SNI; empty for none.
        sni: String,
        /// The port on which the gateway listens, if it was written.
        listener_port: Option<u16>,
    },
}

/// Parses `from`.
///
/// # Errors
/// Returns why it is invalid.
pub(crate) fn caller(text: Text<'_>) -> Result<Caller, Problem> {
    if text.text == "unauthenticated" {
        return Ok(Caller::Unauthenticated);
    }
    if text.text.starts_with("spiffe://") {
        return Ok(Caller::Id(text.text.to_owned()));
    }
    match text.text.split_once('/') {
        Some((namespace, name)) if is_dns_label(namespace) && is_dns_subdomain(name) => {
            Ok(Caller::Account {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            })
        }
        _ => Err(text
            .error(Code::BadIdentity, format!("invalid caller `{}`", text.text))
            .hint("write `namespace/account`, a whole `spiffe://` id, or `unauthenticated`")),
    }
}

/// Parses `to`.
///
/// # Errors
/// Returns why it is invalid.
pub(crate) fn target(text: Text<'_>) -> Result<Target, Problem> {
    let wrong = |what: &str| {
        let hint = "write `http://HOST[:PORT]/PATH`, `tcp://SNI:PORT`, or `tcp://:PORT` for a connection without SNI";
        text.error(Code::BadValue, format!("`{}` {what}", text.text))
            .hint(hint)
    };
    let (scheme, rest) = text
        .text
        .split_once("://")
        .ok_or_else(|| wrong("has no scheme"))?;
    match scheme {
        "http" | "https" => Ok(http(rest)),
        "tcp" => tcp(rest).ok_or_else(|| wrong("has an invalid port")),
        _ => Err(wrong("has an unknown scheme")),
    }
}

fn http(rest: &str) -> Target {
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let path = match path {
        "" => None,
        path if path.starts_with('/') => Some(path.to_owned()),
        path => Some(format!("/{path}")),
    };
    Target::Http {
        authority: authority.to_owned(),
        path,
    }
}

fn tcp(rest: &str) -> Option<Target> {
    let rest = rest.trim_end_matches('/');
    let (sni, port) = match rest.rsplit_once(':') {
        Some((sni, port)) => (sni, Some(port.parse().ok()?)),
        None => (rest, None),
    };
    Some(Target::Tcp {
        sni: sni.to_owned(),
        listener_port: port,
    })
}

impl ExplainQuery {
    /// Calls `f` with what Envoy would send, and with the request as this policy set parses it.
    pub(crate) fn put<T>(
        &self,
        snapshot: &Snapshot,
        to: impl FnOnce(&Attributes<'_>, &Request<'_>) -> T,
    ) -> T {
        let settings = snapshot.settings();
        match &self.input {
            QueryInput::Shorthand(shorthand) => {
                let principal = shorthand.caller.principal(&settings.trust_domains);
                let headers = shorthand.sent_headers(&principal, settings);
                let attributes = shorthand.attributes(&principal, &headers);
                to(&attributes, &attributes.normalise(settings))
            }
            QueryInput::Request(check) => {
                let check = check.read();
                let attributes = check.attributes();
                to(&attributes, &attributes.normalise(settings))
            }
        }
    }

    /// Returns the caller and the destination as text.
    pub(crate) fn summary(&self) -> Summary {
        match &self.input {
            QueryInput::Shorthand(shorthand) => Summary {
                from: shorthand.from.clone(),
                to: shorthand.to.clone(),
                method: shorthand.method.clone(),
            },
            QueryInput::Request(check) => summary(&check.read().attributes()),
        }
    }
}

/// Returns the shorthand that is equivalent to a whole check.
fn summary(attributes: &Attributes<'_>) -> Summary {
    let from = match attributes.source_principal {
        "" => "unauthenticated".to_owned(),
        principal => principal.to_owned(),
    };
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    match &attributes.http {
        Some(http) => Summary {
            from,
            to: format!("http://{}{}", http.host, http.path),
            method: text(http.method),
        },
        None => {
            let port = attributes
                .listener_port
                .map(|port| format!(":{port}"))
                .unwrap_or_default();
            Summary {
                from,
                to: format!("tcp://{}{port}", attributes.service),
                method: None,
            }
        }
    }
}

impl ShorthandQuery {
    /// Returns the headers, with the caller's identity added if the settings read it from a header.
    fn sent_headers(&self, principal: &str, settings: &Settings) -> Vec<(String, String)> {
        let is_said = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(request::CLIENT_CERTIFICATE));
        let said = request::identity_header(principal, settings).filter(|_| !is_said);
        self.headers.iter().cloned().chain(said).collect()
    }

    fn attributes<'a>(
        &'a self,
        principal: &'a str,
        headers: &'a Vec<(String, String)>,
    ) -> Attributes<'a> {
        let attributes = Attributes {
            source_principal: principal,
            source_address: self.source_ip,
            // Envoy always sends its own address; which one it is, is unknown here.
            has_address: true,
            listener_port: self.listener_port,
            tls_sni: self.sni.as_deref(),
            ..Attributes::default()
        };
        match &self.target {
            Target::Http { authority, path } => {
                let http = self.http(authority, path.as_deref(), headers);
                Attributes {
                    http: Some(http),
                    ..attributes
                }
            }
            Target::Tcp { sni, listener_port } => Attributes {
                service: sni,
                listener_port: self.listener_port.or(*listener_port),
                ..attributes
            },
        }
    }

    fn http<'a>(
        &'a self,
        authority: &'a str,
        path: Option<&'a str>,
        headers: &'a Vec<(String, String)>,
    ) -> HttpAttributes<'a> {
        let method = self.method.as_deref().unwrap_or("GET");
        // A CONNECT request does not have a path.
        let path = path.unwrap_or(if method == "CONNECT" { "" } else { "/" });
        HttpAttributes {
            method,
            path,
            host: authority,
            headers,
            ..HttpAttributes::default()
        }
    }
}

impl Caller {
    /// Returns `source.principal` as Envoy sends it.
    fn principal(&self, trust_domains: &TrustDomains) -> String {
        match self {
            Caller::Account { namespace, name } => {
                format!("spiffe://{}/ns/{namespace}/sa/{name}", trust_domains.own)
            }
            Caller::Id(id) => id.clone(),
            Caller::Unauthenticated => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_engine::settings::IdentitySource;
    use customs_policy::problem::Place;

    #[test]
    fn a_target_is_taken_apart_and_not_changed() {
        let place = Place::whole("f");
        let http = |authority: &str, path: Option<&str>| {
            Some(Target::Http {
                authority: authority.into(),
                path: path.map(str::to_owned),
            })
        };
        let tcp = |sni: &str, listener_port| {
            Some(Target::Tcp {
                sni: sni.into(),
                listener_port,
            })
        };
        for (text, expected) in [
            (
                "http://WWW.a.example.:80/x?y=1",
                http("WWW.a.example.:80", Some("/x?y=1")),
            ),
            ("https://a.example", http("a.example", None)),
            ("http://a.example?x", http("a.example", Some("/?x"))),
            (
                "http://[2001:db8::1]:443/",
                http("[2001:db8::1]:443", Some("/")),
            ),
            ("http:///x", http("", Some("/x"))),
            ("tcp://db.example:5432", tcp("db.example", Some(5432))),
            ("tcp://:5432", tcp("", Some(5432))),
            ("tcp://db.example", tcp("db.example", None)),
            ("tcp://db.example:x", None),
            ("ftp://a.example", None),
            ("a.example", None),
        ] {
            assert_eq!(
                target(Text {
                    text,
                    quoted: true,
                    place: &place
                })
                .ok(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_whole_check_is_summarised_as_the_equivalent_shorthand() {
        let http = HttpAttributes {
            method: "POST",
            path: "/x?y",
            host: "a.example:80",
            ..HttpAttributes::default()
        };
        let of_http = Attributes {
            source_principal: "spiffe://td/ns/a/sa/b",
            http: Some(http),
            ..Attributes::default()
        };
        let of_tcp = Attributes {
            service: "db.example",
            listener_port: Some(5432),
            ..Attributes::default()
        };
        for (attributes, from, to, method) in [
            (
                of_http,
                "spiffe://td/ns/a/sa/b",
                "http://a.example:80/x?y",
                Some("POST"),
            ),
            (of_tcp, "unauthenticated", "tcp://db.example:5432", None),
            (Attributes::default(), "unauthenticated", "tcp://", None),
        ] {
            let expected = Summary {
                from: from.into(),
                to: to.into(),
                method: method.map(str::to_owned),
            };
            assert_eq!(summary(&attributes), expected);
        }
    }

    #[test]
    fn a_caller_is_an_account_an_id_or_unauthenticated() {
        let place = Place::whole("f");
        let principal = |text: &str| {
            let own = TrustDomains {
                own: "td.example".into(),
                ..TrustDomains::default()
            };
            caller(Text {
                text,
                quoted: true,
                place: &place,
            })
            .map(|caller| caller.principal(&own))
            .ok()
        };
        for (text, expected) in [
            ("shop/web", Some("spiffe://td.example/ns/shop/sa/web")),
            ("spiffe://x/odd", Some("spiffe://x/odd")),
            ("unauthenticated", Some("")),
            ("shop", None),
            ("shop/web/x", None),
            ("Shop/web", None),
            ("cluster.local/ns/shop/sa/web", None),
        ] {
            assert_eq!(principal(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn the_gateway_says_who_calls_where_the_settings_have_it_read() {
        let shorthand = |headers: &[(&str, &str)]| ShorthandQuery {
            from: "shop/web".into(),
            to: "http://a.example/".into(),
            caller: Caller::Account {
                namespace: "shop".into(),
                name: "web".into(),
            },
            target: Target::Http {
                authority: "a.example".into(),
                path: None,
            },
            method: None,
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            listener_port: None,
            source_ip: None,
            sni: None,
        };
        let namespace = |identity_source, headers: &[(&str, &str)]| {
            let settings = Settings {
                identity_source,
                ..Settings::default()
            };
            let query = ExplainQuery {
                input: QueryInput::Shorthand(Box::new(shorthand(headers))),
                now: None,
            };
            query.put(&Snapshot::unloaded(settings), |_, request| {
                match request.principal {
                    customs_engine::identity::Principal::Workload(id) => id.namespace.to_owned(),
                    _ => String::new(),
                }
            })
        };
        let other = [(
            "X-Forwarded-Client-Cert",
            "URI=spiffe://cluster.local/ns/other/sa/x",
        )];
        assert_eq!(namespace(IdentitySource::Principal, &[]), "shop");
        assert_eq!(namespace(IdentitySource::Xfcc, &[]), "shop");
        // The connection's own principal is another.
        assert_eq!(namespace(IdentitySource::Xfcc, &other), "");
        let same = [(
            "X-Forwarded-Client-Cert",
            "Hash=1;URI=spiffe://cluster.local/ns/shop/sa/web",
        )];
        assert_eq!(namespace(IdentitySource::Xfcc, &same), "shop");
    }
}
