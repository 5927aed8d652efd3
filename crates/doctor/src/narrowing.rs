//! In what a CUSTOM rule is narrower than every request, and a request that it therefore misses.
//!
//! It does not know whether a request is routed. The rule: the request that is named reaches the
//! same destination as one that is asked about, if there is such a request.

use std::fmt;

/// A field that a rule compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Narrowing {
    /// The host of the request, with the value.
    Host(String),
    /// The path, with the value.
    Path(String),
    /// The method, with the value.
    Method(String),
    /// A header, with its name.
    Header(String),
    /// Something else.
    Other(String),
}

impl fmt::Display for Narrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Narrowing::Host(value) => write!(f, "the host (`{value}`)"),
            Narrowing::Path(value) => write!(f, "the path (`{value}`)"),
            Narrowing::Method(value) => write!(f, "the method (`{value}`)"),
            Narrowing::Header(name) => write!(f, "the header `{name}`"),
            Narrowing::Other(what) => f.write_str(what),
        }
    }
}

impl Narrowing {
    /// Returns a request that passes without being asked about.
    pub fn bypass(&self) -> String {
        match self {
            Narrowing::Host(value) => {
                let host = value.trim_start_matches("*.").trim_start_matches('*');
                match value.contains(':') || host.is_empty() {
                    true => "a request for another spelling of the host, such as in other letters \
                             or with a dot at the end"
                        .to_owned(),
                    false => format!(
                        "`Host: {host}:80` reaches the same site as `Host: {host}`, and does not \
                         match"
                    ),
                }
            }
            Narrowing::Path(value) => {
                let path = value.trim_end_matches('*');
                let path = path.trim_start_matches('/');
                format!(
                    "`GET /;x/{path}`, `GET //{path}` or any other path of the same host does not \
                     match"
                )
            }
            Narrowing::Method(value) => {
                let other = if value == "POST" { "PUT" } else { "POST" };
                format!("a `{other}` to the same host does not match")
            }
            Narrowing::Header(name) => {
                format!("the same request without the header `{name}` does not match")
            }
            Narrowing::Other(what) => format!("a request that differs in {what} does not match"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_narrowing_names_a_request_that_it_misses() {
        for (narrowing, expected) in [
            (
                Narrowing::Host("www.aliyun.com".into()),
                "`Host: www.aliyun.com:80`",
            ),
            (
                Narrowing::Host("*.aliyun.com".into()),
                "`Host: aliyun.com:80`",
            ),
            (Narrowing::Host("a:80".into()), "another spelling"),
            (Narrowing::Host("*".into()), "another spelling"),
            (Narrowing::Path("/admin*".into()), "`GET //admin`"),
            (Narrowing::Method("GET".into()), "a `POST`"),
            (Narrowing::Method("POST".into()), "a `PUT`"),
            (Narrowing::Header("x-a".into()), "without the header `x-a`"),
            (Narrowing::Other("the SNI".into()), "differs in the SNI"),
        ] {
            let bypass = narrowing.bypass();
            assert!(bypass.contains(expected), "{narrowing}: {bypass}");
        }
    }
}
