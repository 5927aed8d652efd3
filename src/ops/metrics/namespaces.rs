//! Decisions by the namespace of the caller, for a bounded number of namespaces.
//!
//! The rule: a namespace gets a series with its first check, up to [`MAX_NAMESPACES`]; the others
//! are counted together. A check looks its namespace up without waiting for another thread; only
//! the first check of a namespace takes a lock. A namespace is a name as Kubernetes has them, so a
//! certificate cannot bring another text into a label.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use rustc_hash::FxHashMap;

use super::OTHERS;
use customs_engine::effect::Effect;

/// The most namespaces that have a series.
pub(super) const MAX_NAMESPACES: usize = 100;

/// The name of the label. It is not `namespace`, which is that of the pod where Prometheus scrapes in
/// Kubernetes: the caller's would be renamed.
const LABEL: &str = "caller_namespace";

/// The label of callers without a namespace.
pub(super) const NONE: &str = "_none";

/// The length of the longest name of a namespace.
const LONGEST: usize = 63;

/// One counter for each effect.
#[derive(Clone, Debug, Default)]
struct Counters {
    allowed: Counter,
    denied: Counter,
}

/// The decisions by namespace.
#[derive(Debug, Default)]
pub(super) struct NamespaceDecisions {
    known: ArcSwap<FxHashMap<Box<str>, Counters>>,
    /// Held while a namespace is added.
    adding: Mutex<()>,
    others: Counters,
    none: Counters,
}

impl NamespaceDecisions {
    /// Counts a decision about a caller of this namespace; an empty text means that it has none.
    pub(super) fn count(&self, namespace: &str, effect: Effect) {
        if namespace.is_empty() {
            return self.none.count(effect);
        }
        match self.known.load().get(namespace) {
            Some(counters) => counters.count(effect),
            None => self.count_new(namespace, effect),
        }
    }

    #[cold]
    fn count_new(&self, namespace: &str, effect: Effect) {
        if self.known.load().len() >= MAX_NAMESPACES || !is_name(namespace) {
            return self.others.count(effect);
        }
        let adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load();
        let counters = match known.get(namespace) {
            Some(counters) => counters.clone(),
            None if known.len() >= MAX_NAMESPACES => self.others.clone(),
            None => {
                let mut more = FxHashMap::clone(&known);
                let counters = Counters::default();
                more.insert(namespace.into(), counters.clone());
                self.known.store(Arc::new(more));
                counters
            }
        };
        drop(adding);
        counters.count(effect);
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let known = self.known.load_full();
        let own = known.iter().map(|(name, counters)| (&**name, counters));
        let common = [(NONE, &self.none), (OTHERS, &self.others)];
        let family: Family<Vec<(&'static str, String)>, Counter> = Family::default();
        for (namespace, counters) in own.chain(common) {
            for effect in Effect::ALL {
                let labels = vec![
                    (LABEL, namespace.to_owned()),
                    ("effect", effect.as_str().to_owned()),
                ];
                let count = counters.of(effect).get();
                family.get_or_create_owned(&labels).inc_by(count);
            }
        }
        let (name, help) = (
            "customs_namespace_decisions",
            "Checks by the namespace of the caller and the answer",
        );
        family.encode(encoder.encode_descriptor(name, help, None, family.metric_type())?)
    }
}

impl Counters {
    fn of(&self, effect: Effect) -> &Counter {
        match effect {
            Effect::Allow => &self.allowed,
            Effect::Deny => &self.denied,
        }
    }

    fn count(&self, effect: Effect) {
        self.of(effect).inc();
    }
}

/// Returns whether a text is the name of a namespace: a DNS label. None begins with `_`, as the
/// common labels do.
fn is_name(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_of(decisions: &NamespaceDecisions, namespace: &str) -> Option<(u64, u64)> {
        let known = decisions.known.load();
        let counters = match namespace {
            NONE => Some(&decisions.none),
            OTHERS => Some(&decisions.others),
            name => known.get(name),
        };
        counters.map(|counters| (counters.allowed.get(), counters.denied.get()))
    }

    #[test]
    fn decisions_are_counted_by_namespace_and_answer() {
        let decisions = NamespaceDecisions::default();
        for (namespace, effect) in [
            ("shop", Effect::Allow),
            ("shop", Effect::Deny),
            ("shop", Effect::Deny),
            ("", Effect::Allow),
        ] {
            decisions.count(namespace, effect);
        }
        for (namespace, expected) in [
            ("shop", Some((1, 2))),
            (NONE, Some((1, 0))),
            (OTHERS, Some((0, 0))),
            ("other", None),
        ] {
            assert_eq!(count_of(&decisions, namespace), expected, "{namespace}");
        }
    }

    #[test]
    fn what_is_not_the_name_of_a_namespace_gets_no_series() {
        let decisions = NamespaceDecisions::default();
        let long = "a".repeat(LONGEST + 1);
        let hostile = [
            OTHERS,
            NONE,
            "Shop",
            "a.b",
            "a b",
            "a\"}",
            "a\n",
            "\u{202e}x",
            &long,
        ];
        for namespace in hostile {
            decisions.count(namespace, Effect::Allow);
        }
        assert!(decisions.known.load().is_empty());
        let expected = Some((hostile.len() as u64, 0));
        assert_eq!(count_of(&decisions, OTHERS), expected);
        assert_eq!(count_of(&decisions, NONE), Some((0, 0)));
    }

    #[test]
    fn many_namespaces_share_one_series_and_the_first_keep_theirs() {
        let decisions = NamespaceDecisions::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..3 * MAX_NAMESPACES {
                        decisions.count(&format!("n{number}"), Effect::Deny);
                    }
                });
            }
        });
        let known = decisions.known.load();
        assert_eq!(known.len(), MAX_NAMESPACES);
        let own: u64 = known.values().map(|counters| counters.denied.get()).sum();
        let (_, others) = count_of(&decisions, OTHERS).unwrap();
        assert_eq!(own + others, 4 * 3 * MAX_NAMESPACES as u64, "none is lost");
    }
}
