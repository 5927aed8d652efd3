//! The counters of Envoy's ext_authz filters, from the text of its `/stats`.
//!
//! It reads the filters' counters only, not those that Envoy keeps for each cluster as well. The
//! rule: a line that it does not understand is left out.

use crate::foreign_document::{ForeignDocument, foreign};

/// What the ext_authz filters of one Envoy have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationCounts {
    /// Answers that let a request pass.
    pub ok: u64,
    /// Answers that refused one.
    pub denied: u64,
    /// Checks without a verdict: no answer, no connection, or an error.
    pub error: u64,
    /// Requests that were not asked about, because the filter was off for them.
    pub disabled: u64,
    /// Requests that passed after an error.
    pub failure_mode_allowed: u64,
}

impl AuthorizationCounts {
    /// Returns the number of verdicts that Envoy got.
    pub fn verdicts(&self) -> u64 {
        self.ok.saturating_add(self.denied)
    }

    /// Returns what was counted after `before`; `None` if the counters were reset in between.
    pub fn since(&self, before: &AuthorizationCounts) -> Option<AuthorizationCounts> {
        Some(AuthorizationCounts {
            ok: self.ok.checked_sub(before.ok)?,
            denied: self.denied.checked_sub(before.denied)?,
            error: self.error.checked_sub(before.error)?,
            disabled: self.disabled.checked_sub(before.disabled)?,
            failure_mode_allowed: self
                .failure_mode_allowed
                .checked_sub(before.failure_mode_allowed)?,
        })
    }

    fn counter(&mut self, name: &str) -> Option<&mut u64> {
        Some(match name {
            "ok" => &mut self.ok,
            "denied" => &mut self.denied,
            "error" => &mut self.error,
            "disabled" => &mut self.disabled,
            "failure_mode_allowed" => &mut self.failure_mode_allowed,
            _ => return None,
        })
    }
}

/// The counters of one Envoy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvoyStats {
    /// The sums over its ext_authz filters.
    pub authorization: AuthorizationCounts,
    /// How many filters have counters.
    pub filters: usize,
}

/// Why a text has no counters of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvoyStatsError {
    /// It is something else.
    #[error("{0}")]
    Foreign(ForeignDocument),
    /// It has no line `name: number`.
    #[error("it has no counter of Envoy: give the text of `GET /stats`, without a format")]
    NoCounter,
}

impl EnvoyStats {
    /// Reads the body of an answer to `GET /stats`.
    ///
    /// # Errors
    /// What the text is instead.
    pub fn read(text: &str) -> Result<EnvoyStats, EnvoyStatsError> {
        let mut stats = EnvoyStats::default();
        let mut counters = 0_usize;
        for line in text.lines() {
            let Some((name, value)) = line.rsplit_once(": ") else {
                continue;
            };
            let Ok(value) = value.trim().parse::<u64>() else {
                continue;
            };
            counters += 1;
            let Some((_, counter)) = of_filter(name) else {
                continue;
            };
            if counter == "ok" {
                stats.filters += 1;
            }
            if let Some(sum) = stats.authorization.counter(counter) {
                *sum = sum.saturating_add(value);
            }
        }
        match (counters, foreign(text.as_bytes())) {
            (0, Some(foreign)) => Err(EnvoyStatsError::Foreign(foreign)),
            (0, None) => Err(EnvoyStatsError::NoCounter),
            _ => Ok(stats),
        }
    }
}

/// Returns the prefix of a filter and the name of its counter: those of HTTP are
/// `http.PREFIX.ext_authz.[NAME.]COUNTER`, those of TCP `ext_authz.PREFIX.COUNTER`.
fn of_filter(name: &str) -> Option<(&str, &str)> {
    let (before, counter) = name.rsplit_once('.')?;
    let is_http = before.starts_with("http.")
        && (before.ends_with(".ext_authz") || before.contains(".ext_authz."));
    let is_tcp = before.starts_with("ext_authz.");
    (is_http || is_tcp).then_some((before, counter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_summed_and_the_clusters_are_not() {
        let text = "\
cluster.outbound|80||www.aliyun.com;.ext_authz.denied: 6
ext_authz.tcp..cx_closed: 2
ext_authz.tcp..denied: 2
ext_authz.tcp..ok: 1
http.outbound_0.0.0.0_8080;.ext_authz.denied: 6
http.outbound_0.0.0.0_8080;.ext_authz.disabled: 3
http.outbound_0.0.0.0_8080;.ext_authz.error: 4
http.outbound_0.0.0.0_8080;.ext_authz.failure_mode_allowed: 5
http.outbound_0.0.0.0_8080;.ext_authz.ok: 7
http.outbound_0.0.0.0_8080;.ext_authz.shadow_denied: 9
http.other.ext_authz.ok: 8
http.other.downstream_rq_time: P0(nan,2) P25(nan,2.075)
server.uptime: 5
";
        let stats = EnvoyStats::read(text).unwrap();
        let expected = AuthorizationCounts {
            ok: 16,
            denied: 8,
            error: 4,
            disabled: 3,
            failure_mode_allowed: 5,
        };
        assert_eq!((stats.authorization, stats.filters), (expected, 3));
        assert_eq!(stats.authorization.verdicts(), 24);
    }

    #[test]
    fn counters_that_began_anew_have_no_difference() {
        let (before, after) = (
            AuthorizationCounts {
                ok: 5,
                ..AuthorizationCounts::default()
            },
            AuthorizationCounts {
                ok: 7,
                error: 1,
                ..AuthorizationCounts::default()
            },
        );
        let since = after.since(&before).unwrap();
        assert_eq!((since.ok, since.error), (2, 1));
        assert_eq!(before.since(&after), None);
    }

    #[test]
    fn another_text_is_refused() {
        for text in ["", "<html></html>", "{\"stats\": []}", "hello"] {
            assert!(EnvoyStats::read(text).is_err(), "{text}");
        }
    }
}
