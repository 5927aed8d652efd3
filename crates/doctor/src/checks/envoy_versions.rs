//! Envoys that lack fixes that matter where customs is asked.
//!
//! The table has the first fixed version of each branch, from the release notes of Envoy. A branch
//! that is older than all of them has no fix; one that is newer was made with it.

use super::GIVE_ENVOY;
use crate::diagnosis::Diagnosis;
use crate::envoy_config::EnvoyVersion;
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};

const CHECK: &str = "Envoy has the fixes that matter";

/// A fix, and where it is.
struct Fix {
    id: &'static str,
    /// What goes wrong without it.
    what: &'static str,
    /// The first version of each branch that has it: the minor and the patch number of version 1.
    versions: &'static [(u64, u64)],
}

/// The fixes. Source: the changelogs of Envoy 1.36.9, 1.36.10, 1.37.5, 1.37.6, 1.38.3, 1.38.4 and
/// 1.39.1, and the advisories that they name.
const FIXES: &[Fix] = &[
    Fix {
        id: "CVE-2026-73547",
        what: "a request without a path, such as CONNECT, crashes the gateway when it asks",
        versions: &[(36, 10), (37, 6), (38, 4), (39, 1)],
    },
    Fix {
        id: "CVE-2026-73553",
        what: "parameters in a path lead past Istio's own rules about paths",
        versions: &[(36, 10), (37, 6), (38, 4), (39, 1)],
    },
    Fix {
        id: "CVE-2026-47205",
        what: "a route with settings of its own for the filter can crash the gateway",
        versions: &[(36, 9), (37, 5), (38, 3)],
    },
    Fix {
        id: "CVE-2026-47778",
        what: "a certificate whose name has a zero byte can pass for another caller",
        versions: &[(35, 13), (36, 9), (37, 5), (38, 3)],
    },
];

impl Fix {
    fn is_in(&self, version: EnvoyVersion) -> bool {
        if version.major != 1 {
            return version.major > 1;
        }
        let of_branch = self
            .versions
            .iter()
            .find(|(minor, _)| *minor == version.minor);
        match of_branch {
            Some((_, patch)) => version.patch >= *patch,
            None => self
                .versions
                .iter()
                .all(|(minor, _)| version.minor > *minor),
        }
    }
}

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let mut any = false;
    for proxy in &evidence.proxies {
        let of_config = proxy.config.as_ref().and_then(|config| config.version);
        let Some(version) = of_config.or(proxy.version) else {
            continue;
        };
        any = true;
        diagnosis.checked(CHECK, proxy.described());
        for fix in FIXES.iter().filter(|fix| !fix.is_in(version)) {
            let versions: Vec<_> = fix
                .versions
                .iter()
                .map(|(minor, patch)| format!("1.{minor}.{patch}"))
                .collect();
            diagnosis.add(Finding::new(
                Code::EnvoyOutdated,
                proxy.described(),
                format!(
                    "it is {version} and lacks the fix of {} (in {}): {}",
                    fix.id,
                    versions.join(", "),
                    fix.what
                ),
                "A client of the gateway can use what was fixed since.",
                "Upgrade Istio, or Envoy, to a version with the fixes, and restart the \
                 gateway:\nkubectl -n istio-system rollout restart deploy/istio-egressgateway",
            ));
        }
    }
    if !any {
        diagnosis.not_checked(CHECK, GIVE_ENVOY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_the_finding_has_the_table() {
        let page = Code::EnvoyOutdated.explanation();
        for Fix { id, what, versions } in FIXES {
            let versions: Vec<String> = versions
                .iter()
                .map(|(minor, patch)| format!("1.{minor}.{patch}"))
                .collect();
            let row = format!("| {id} | {} | {what} |", versions.join(", "));
            assert!(page.contains(&row), "{row}");
        }
        assert_eq!(page.matches("| CVE-").count(), FIXES.len());
    }

    #[test]
    fn a_version_has_a_fix_if_its_branch_does() {
        let fix = &FIXES[0];
        for (version, expected) in [
            ("1.40.0", true),
            ("1.39.1", true),
            ("1.39.0", false),
            ("1.38.4", true),
            ("1.38.3", false),
            ("1.37.6", true),
            ("1.36.10", true),
            ("1.36.9", false),
            ("1.35.99", false),
            ("1.20.0", false),
            ("2.0.0", true),
            ("0.9.0", false),
        ] {
            let version = EnvoyVersion::parse(version).unwrap();
            assert_eq!(fix.is_in(version), expected, "{version}");
        }
    }

    #[test]
    fn versions_are_read_with_what_stands_behind_them() {
        for (text, expected) in [
            ("1.37.0-dev", Some("1.37.0")),
            ("1.40", Some("1.40.0")),
            ("1.38.12", Some("1.38.12")),
            ("dev", None),
            ("", None),
        ] {
            let parsed = EnvoyVersion::parse(text).map(|version| version.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
    }
}
