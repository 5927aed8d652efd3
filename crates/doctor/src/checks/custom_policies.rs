//! CUSTOM rules that do not match every request: what they miss, nobody asks about.

use super::{GIVE_ENVOY, GIVE_OBJECTS, is_ours};
use crate::diagnosis::Diagnosis;
use crate::envoy_config::provider_of_rule;
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};
use crate::istio_objects::CustomPolicy;
use crate::narrowing::Narrowing;

const CHECK: &str = "CUSTOM rules match every request";

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let custom = &evidence.objects.custom_policies;
    for policy in custom {
        diagnosis.checked(CHECK, policy.described());
        // Rules of several policies for the same pods are alternatives.
        let same = |other: &&CustomPolicy| {
            other.provider == policy.provider
                && other.namespace == policy.namespace
                && other.selector == policy.selector
                && other.has_targets == policy.has_targets
        };
        if custom
            .iter()
            .filter(same)
            .any(CustomPolicy::asks_about_everything)
        {
            continue;
        }
        let narrowings: Vec<&Narrowing> = policy.rules.iter().flatten().collect();
        let seen = match narrowings.is_empty() {
            true => format!("{} has no rule", policy.described()),
            false => format!("{}: {}", policy.described(), compared(&narrowings)),
        };
        diagnosis.add(narrow(&policy.provider, seen, narrowings.first().copied()));
    }
    let mut in_envoy = false;
    for proxy in &evidence.proxies {
        for listener in proxy.config.iter().flat_map(|config| &config.listeners) {
            for chain in &listener.chains {
                let ours = chain.asks.iter().find(|ask| is_ours(evidence, ask));
                // Fields of HTTP are left out of the rules of connections, which match all the more.
                let Some(ask) = ours.filter(|_| chain.is_http) else {
                    continue;
                };
                let Some(provider) = &ask.provider else {
                    continue;
                };
                in_envoy = true;
                diagnosis.checked(CHECK, proxy.described());
                let of_provider = chain.custom_rules.iter();
                let of_provider = of_provider
                    .filter(|rule| provider_of_rule(&rule.id) == Some(provider.as_str()));
                let rules: Vec<_> = of_provider.collect();
                if rules.iter().any(|rule| rule.narrowings.is_empty()) {
                    continue;
                }
                let narrowings: Vec<&Narrowing> =
                    rules.iter().flat_map(|rule| &rule.narrowings).collect();
                let place = format!("{}, {}", proxy.described(), chain.described(listener));
                let seen = match narrowings.is_empty() {
                    true => format!("{place}: no rule turns the filter on"),
                    false => format!("{place}: {}", compared(&narrowings)),
                };
                diagnosis.add(narrow(provider, seen, narrowings.first().copied()));
            }
        }
    }
    if custom.is_empty() && !in_envoy {
        diagnosis.not_checked(CHECK, &format!("{GIVE_OBJECTS}; or {GIVE_ENVOY}"));
    }
}

fn compared(narrowings: &[&Narrowing]) -> String {
    let fields: Vec<_> = narrowings.iter().take(5).map(ToString::to_string).collect();
    format!("its rules compare {}", fields.join(", "))
}

fn narrow(provider: &str, seen: String, first: Option<&Narrowing>) -> Finding {
    let bypass = first.map_or_else(|| "no request matches".to_owned(), Narrowing::bypass);
    Finding::new(
        Code::CustomRuleNarrow,
        format!("provider `{provider}`"),
        seen,
        format!(
            "Envoy asks only about requests that match the rule, and lets all others pass without \
             a record: {bypass}."
        ),
        "Use one empty rule, and let customs decide:\nrules:\n- {}",
    )
}
