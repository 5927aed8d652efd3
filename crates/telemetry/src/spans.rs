//! Begins the span of a check, if it is sampled, and hands it to the SDK's batches at the end.
//!
//! The rules: a check that is not sampled makes nothing; handing a span over never waits; and what
//! has no room is dropped and counted, so that a collector that is slow or gone costs spans and no
//! check.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use customs_engine::time::UnixNanos;
use customs_record::{DecisionRecord, TraceContext};
use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SpanProcessor};

use crate::check_span::{CheckSpan, SpanRedaction};
use crate::exporter::SpanCount;
use crate::sampler::Sampler;

/// Takes the spans of checks. Clones share it.
#[derive(Clone, Debug)]
pub struct SpanRecorder(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) sampler: Sampler,
    pub(crate) follows_trace_context: bool,
    pub(crate) redaction: SpanRedaction,
    pub(crate) scope: InstrumentationScope,
    pub(crate) processor: BatchSpanProcessor,
    /// The most spans that wait.
    pub(crate) queue: u64,
    pub(crate) count: Arc<SpanCount>,
}

impl SpanRecorder {
    /// Begins the span of a check that began at `time` and `started`, if it is sampled. `parent`
    /// finds its trace context, which is only looked for if it matters.
    pub fn begin(
        &self,
        parent: impl FnOnce() -> Option<TraceContext>,
        time: UnixNanos,
        started: Instant,
    ) -> Option<CheckSpan> {
        let shared = &self.0;
        let parent = match shared.follows_trace_context && !shared.sampler.samples_nothing() {
            true => parent(),
            false => None,
        };
        let ids = shared.sampler.sample(parent)?;
        Some(CheckSpan::new(ids, time, started))
    }

    /// Makes the span and hands it over, unless too many wait already. `is_answered` says whether
    /// the transport took the answer.
    pub fn end(&self, span: CheckSpan, record: &DecisionRecord, is_answered: bool) {
        let shared = &self.0;
        // The SDK counts what it drops for itself only, so nothing is handed over that has no room.
        if shared.count.waiting.fetch_add(1, Ordering::Relaxed) >= shared.queue {
            shared.count.waiting.fetch_sub(1, Ordering::Relaxed);
            shared.count.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let span = span.finish(record, is_answered, shared.redaction, shared.scope.clone());
        shared.processor.on_end(span);
    }

    /// Returns how many spans were dropped.
    pub fn dropped(&self) -> u64 {
        self.0.count.dropped.load(Ordering::Relaxed)
    }
}
