//! The metrics of the rules in force, read at each scrape.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{OTHERS, signed};
use crate::ops::rule_hits::{LabelledHits, RuleHits};

/// Encodes the hits of the rules, of a bounded number of them, and how many rules have none.
pub(super) fn encode(encoder: &mut DescriptorEncoder<'_>, hits: &RuleHits) -> fmt::Result {
    let LabelledHits { rules, others } = hits.labelled();
    let family: Family<Vec<(&'static str, String)>, Counter> = Family::default();
    for (rule, count) in rules.into_iter().chain([(OTHERS.to_owned(), others)]) {
        let labels = vec![("rule", rule)];
        family.get_or_create_owned(&labels).inc_by(count);
    }
    let help = "Checks whose decision names the rule";
    let descriptor =
        encoder.encode_descriptor("customs_rule_hits", help, None, family.metric_type())?;
    family.encode(descriptor)?;
    let unused = ConstGauge::new(signed(hits.unused()));
    let help = "Rules in force that no check has hit since they came into force";
    unused.encode(encoder.encode_descriptor(
        "customs_rules_unused",
        help,
        None,
        unused.metric_type(),
    )?)
}
