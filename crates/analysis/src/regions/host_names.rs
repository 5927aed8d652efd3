//! Names of every class that host patterns tell apart: each exact name, and for each way to begin and
//! to end a name one that no longer text begins or ends.

use std::collections::BTreeSet;

use super::callers::MADE_UP;
use super::hosts::{HostMember, HostName, named};
use customs_engine::host::{Authority, Host, HostParseError};
use customs_engine::pattern::TextPattern;

/// A host that no rule names: nothing below `invalid` exists (RFC 6761).
const NOWHERE: &str = "made-up.invalid";

/// How many names are tried for one that only the patterns meant match.
const TRIES: u32 = 64;

/// No name was found that only the patterns meant match.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no name matches these patterns alone")]
struct NoNameError;

/// The texts that distinguish names.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub exact: BTreeSet<String>,
    /// With or without a leading dot.
    pub suffixes: BTreeSet<String>,
    pub prefixes: BTreeSet<String>,
}

impl Names {
    pub(super) fn add_authority(&mut self, pattern: &TextPattern) {
        let without_port = |text: &str| {
            let text = text.to_ascii_lowercase();
            let host = text.split_once(':').map_or(&*text, |(host, _)| host);
            host.strip_suffix('.').unwrap_or(host).to_owned()
        };
        match pattern {
            TextPattern::Exact(text) => {
                let names = named(text).filter_map(|host| match host {
                    Host::Name(name) => Some(name.into_owned()),
                    Host::Ip(_) => None,
                });
                self.exact.extend(names);
            }
            TextPattern::Prefix(text) => {
                let host = without_port(text);
                let is_whole = host.len() < text.len();
                self.exact.insert(host.clone());
                if !is_whole {
                    self.prefixes.insert(host);
                }
            }
            TextPattern::Suffix(text) => {
                let host = without_port(text);
                self.exact.insert(host.trim_start_matches('.').to_owned());
                self.suffixes.insert(host);
            }
            TextPattern::Any => {}
        }
        self.exact.remove("");
        self.suffixes.remove("");
        self.prefixes.remove("");
    }

    /// The members, and whether every class has one.
    pub(super) fn members(&self) -> (Vec<HostMember>, bool) {
        let (mut members, mut are_all): (Vec<HostMember>, bool) = (Vec::new(), true);
        for name in &self.exact {
            let read = Authority::parse(name).ok().map(|read| read.host);
            if let Some(host @ Host::Name(_)) = read {
                members.push(HostMember {
                    host: host.into_owned(),
                    name: HostName::Exactly(name.clone()),
                });
            }
        }
        let prefixes = std::iter::once(None).chain(self.prefixes.iter().map(Some));
        for prefix in prefixes {
            let suffixes = std::iter::once(None).chain(self.suffixes.iter().map(Some));
            for suffix in suffixes {
                let texts = (
                    prefix.map(String::as_str).unwrap_or_default(),
                    suffix.map(String::as_str).unwrap_or_default(),
                );
                match self.member(texts) {
                    Ok(member) => members.extend(member),
                    Err(NoNameError) => are_all = false,
                }
            }
        }
        (members, are_all)
    }

    /// A name that begins and ends so, for which no longer prefix or suffix does; nothing if every
    /// such name is too long.
    fn member(&self, (prefix, suffix): (&str, &str)) -> Result<Option<HostMember>, NoNameError> {
        let labels = [MADE_UP, "x", "y", "z"].map(str::to_owned).into_iter();
        let labels = labels.chain((0..TRIES).map(|number| format!("{MADE_UP}-{number}")));
        let names = labels.map(|label| match (prefix, suffix) {
            ("", "") if label == MADE_UP => NOWHERE.to_owned(),
            (prefix, "") => format!("{prefix}{label}"),
            (prefix, suffix) => format!("{prefix}{label}{suffix}"),
        });
        let mut names = names.filter(|name| self.is_of(name, (prefix, suffix)));
        let read = |name: String| match Authority::parse(&name) {
            Ok(Authority {
                host: host @ Host::Name(_),
                ..
            }) => Some(host.into_owned()),
            _ => None,
        };
        let Some(host) = names.find_map(read) else {
            let shortest = format!("{prefix}x{suffix}");
            return match Authority::parse(&shortest) {
                Err(HostParseError::TooLong) => Ok(None),
                _ => Err(NoNameError),
            };
        };
        let name = match (prefix, suffix) {
            ("", "") => HostName::Other,
            (prefix, suffix) => HostName::Within(format!("{prefix}*{suffix}")),
        };
        Ok(Some(HostMember { host, name }))
    }

    fn is_of(&self, name: &str, (prefix, suffix): (&str, &str)) -> bool {
        let longer_suffix = (0..name.len().saturating_sub(suffix.len()))
            .filter_map(|at| name.get(at..))
            .any(|tail| self.suffixes.contains(tail));
        let longer_prefix = (prefix.len() + 1..=name.len())
            .filter_map(|end| name.get(..end))
            .any(|head| self.prefixes.contains(head));
        !self.exact.contains(name) && !longer_suffix && !longer_prefix
    }
}
