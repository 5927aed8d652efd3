//! Which checks are traced.
//!
//! The rule: the decision costs a comparison and makes nothing, because most checks are not traced.
//! A trace id is compared as every SDK of OpenTelemetry compares it, so that one ratio picks the
//! same traces everywhere.

use customs_record::TraceContext;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

/// How checks are chosen, as `OTEL_TRACES_SAMPLER` names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether the decision of the caller counts, if there is one.
    pub is_parent_based: bool,
    /// What is traced otherwise.
    pub root: RootSampler,
}

/// Which traces are chosen where no caller has decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RootSampler {
    /// All of them.
    Always,
    /// None.
    Never,
    /// This part of them, from 0 to 1.
    Ratio(f64),
}

/// The ids of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanIds {
    pub(crate) trace_id: [u8; 16],
    pub(crate) span_id: [u8; 8],
    /// The span of the caller.
    pub(crate) parent: Option<[u8; 8]>,
}

impl Sampler {
    /// Returns whether no check is traced, whatever its caller does.
    pub(crate) fn samples_nothing(self) -> bool {
        !self.is_parent_based && self.root.samples_nothing()
    }

    /// Returns the ids of a span, if its check is traced.
    pub(crate) fn sample(self, parent: Option<TraceContext>) -> Option<SpanIds> {
        let (trace_id, is_sampled) = match parent {
            Some(parent) if self.is_parent_based => (parent.trace_id, parent.is_sampled),
            Some(parent) => (parent.trace_id, self.root.samples(parent.trace_id)),
            None if self.root.samples_nothing() => return None,
            None => {
                let trace_id = RandomIdGenerator::default().new_trace_id().to_bytes();
                (trace_id, self.root.samples(trace_id))
            }
        };
        is_sampled.then(|| SpanIds {
            trace_id,
            span_id: RandomIdGenerator::default().new_span_id().to_bytes(),
            parent: parent.map(|parent| parent.span_id),
        })
    }
}

impl RootSampler {
    fn samples_nothing(self) -> bool {
        match self {
            RootSampler::Always => false,
            RootSampler::Never => true,
            RootSampler::Ratio(ratio) => ratio <= 0.0,
        }
    }

    fn samples(self, trace_id: [u8; 16]) -> bool {
        match self {
            RootSampler::Always => true,
            RootSampler::Never => false,
            RootSampler::Ratio(ratio) if ratio >= 1.0 => true,
            RootSampler::Ratio(ratio) => {
                // The lower 63 bits, which are random in every id.
                let bound = (ratio.max(0.0) * (1_u64 << 63) as f64) as u64;
                let low = u128::from_be_bytes(trace_id) as u64;
                low >> 1 < bound
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanKind, TraceId};
    use opentelemetry_sdk::trace::{Sampler as SdkSampler, SamplingDecision, ShouldSample};

    use super::*;

    fn parent(low: u64, is_sampled: bool) -> TraceContext {
        let trace_id = (1_u128 << 127 | u128::from(low)).to_be_bytes();
        TraceContext {
            trace_id,
            span_id: [7; 8],
            is_sampled,
        }
    }

    #[test]
    fn a_caller_decides_where_the_sampler_says_so() {
        use RootSampler::{Always, Never};
        for (is_parent_based, root, caller, expected) in [
            (true, Always, Some(true), true),
            (true, Always, Some(false), false),
            (true, Always, None, true),
            (true, Never, Some(true), true),
            (true, Never, Some(false), false),
            (true, Never, None, false),
            (false, Always, Some(false), true),
            (false, Never, Some(true), false),
            (true, RootSampler::Ratio(0.0), None, false),
            (true, RootSampler::Ratio(1.0), None, true),
            (false, RootSampler::Ratio(0.0), Some(true), false),
        ] {
            let sampler = Sampler {
                is_parent_based,
                root,
            };
            let parent = caller.map(|is_sampled| parent(5, is_sampled));
            let ids = sampler.sample(parent);
            assert_eq!(ids.is_some(), expected, "{sampler:?} {caller:?}");
            if let (Some(ids), Some(parent)) = (ids, parent) {
                assert_eq!((ids.trace_id, ids.parent), (parent.trace_id, Some([7; 8])));
                assert_ne!(ids.span_id, parent.span_id);
            }
        }
    }

    #[test]
    fn a_ratio_picks_the_traces_that_the_sdk_picks() {
        let mut low = 1_u64;
        for ratio in [0.0, 0.01, 0.25, 0.5, 0.999, 1.0] {
            let sdk = SdkSampler::TraceIdRatioBased(ratio);
            let mut picked = 0;
            for _ in 0..2_000 {
                // Any sequence that covers the numbers.
                low = low.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let trace_id = parent(low, false).trace_id;
                let expected = sdk.should_sample(
                    None,
                    TraceId::from_bytes(trace_id),
                    "x",
                    &SpanKind::Server,
                    &[],
                    &[],
                );
                let expected = expected.decision == SamplingDecision::RecordAndSample;
                assert_eq!(
                    RootSampler::Ratio(ratio).samples(trace_id),
                    expected,
                    "{ratio} {low:x}"
                );
                picked += u32::from(expected);
            }
            let expected = ratio * 2_000.0;
            assert!(
                (f64::from(picked) - expected).abs() <= 100.0,
                "{ratio}: {picked}"
            );
        }
    }

    #[test]
    fn every_check_has_an_id_of_its_own() {
        let sampler = Sampler {
            is_parent_based: true,
            root: RootSampler::Always,
        };
        let ids: std::collections::HashSet<_> = (0..1_000)
            .map(|_| sampler.sample(None).unwrap())
            .map(|ids| (ids.trace_id, ids.span_id))
            .collect();
        assert_eq!(ids.len(), 1_000);
    }
}
