//! What a pass knows of a set before any request comes.

use crate::enforcement::Enforcement;
use crate::identity::{Accepted, TrustDomains};
use crate::pass::Pass;
use crate::rules::Rules;
use crate::settings::Settings;
use crate::subject::UnknownCallers;

/// What one pass needs beside the rules themselves, worked out when the snapshot is made.
#[derive(Clone, Debug)]
pub(super) struct PassContext {
    pub(super) pass: Pass,
    pub(super) trust_domains: TrustDomains,
    pub(super) unknown_callers: UnknownCallers,
    pub(super) istio_gate: bool,
    pub(super) isolates_somebody: bool,
    pub(super) request_validation: Enforcement,
}

impl PassContext {
    pub(super) fn new(pass: Pass, settings: &Settings, rules: &Rules) -> PassContext {
        let mut trust_domains = settings.trust_domains.clone();
        if let Accepted::Only(domains) = &mut trust_domains.accepted {
            let named = rules
                .accepted_trust_domains
                .iter()
                .filter(|(_, mode)| pass.includes(*mode));
            domains.extend(named.map(|(domain, _)| domain.clone()));
        }
        let mut policies = rules
            .egress_policies
            .iter()
            .filter(|p| pass.includes(p.mode));
        let isolates_somebody = policies.clone().any(|p| p.isolate);
        let named = policies.any(|p| p.subjects.name_unauthenticated());
        PassContext {
            pass,
            trust_domains,
            unknown_callers: if named {
                UnknownCallers::Named
            } else {
                UnknownCallers::Unnamed
            },
            istio_gate: rules
                .istio_allow_policies
                .iter()
                .any(|mode| pass.includes(*mode)),
            isolates_somebody,
            request_validation: if pass == Pass::DryRun {
                Enforcement::Enforce
            } else {
                settings.request_validation
            },
        }
    }
}
