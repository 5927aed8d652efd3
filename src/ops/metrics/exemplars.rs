//! Exemplars: for each bucket of the duration of checks, the last traced check in it.
//!
//! It counts nothing. The rule: only a check that is traced pays for it. OpenMetrics can show
//! exemplars, the classic format cannot.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use super::{BUCKETS, seconds};
use customs_engine::time::UnixNanos;
use customs_record::TraceContext;

/// The lines that have exemplars, in the order of the bounds.
const BUCKET: &str = "customs_check_duration_seconds_bucket{";

/// The last exemplar of each bucket; the last bucket has no bound.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<[Option<Exemplar>; BUCKETS.len() + 1]>);

/// A traced check.
#[derive(Clone, Copy, Debug)]
struct Exemplar {
    context: TraceContext,
    seconds: f64,
    time: UnixNanos,
}

impl Exemplars {
    /// Keeps a check that took so many seconds.
    pub(super) fn keep(&self, context: TraceContext, seconds: f64, time: UnixNanos) {
        let place = BUCKETS.partition_point(|bound| *bound < seconds);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = kept.get_mut(place) {
            *bucket = Some(Exemplar {
                context,
                seconds,
                time,
            });
        }
    }

    /// Adds them to an OpenMetrics text.
    pub(super) fn add_to(&self, text: String) -> String {
        let kept = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().all(Option::is_none) {
            return text;
        }
        let (mut out, mut buckets) = (String::with_capacity(text.len() + 2_048), kept.iter());
        for line in text.lines() {
            out.push_str(line);
            if line.starts_with(BUCKET)
                && let Some(Some(exemplar)) = buckets.next()
            {
                exemplar.write(&mut out);
            }
            out.push('\n');
        }
        out
    }
}

impl Exemplar {
    fn write(&self, out: &mut String) {
        let trace_id = u128::from_be_bytes(self.context.trace_id);
        let span_id = u64::from_be_bytes(self.context.span_id);
        let (value, time) = (self.seconds, seconds(self.time));
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            " # {{trace_id=\"{trace_id:032x}\",span_id=\"{span_id:016x}\"}} {value} {time:.3}"
        );
    }
}
