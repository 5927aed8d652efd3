//! What is kept of a check that is traced: when it passed each stage.
//!
//! It knows no telemetry: the program implements [`CheckTrace`], and decides which checks are
//! traced. The rules: a check that is not traced pays for a look at one header and nothing else;
//! and whatever a trace does, the answer stays the same.

use http::{HeaderMap, HeaderName};

use customs_engine::request::Headers;
use customs_record::TraceContext;

/// The header that names the trace, in a call and in a request.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A stage that a check has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckStage {
    /// Its message is whole.
    Received,
    /// Its attributes are read.
    Attributes,
    /// They are a request: who asks, and for what.
    Normalised,
    /// The request is decided.
    Decided,
    /// The decision is recorded, or has room reserved for its record, or is withheld.
    Recorded,
    /// The transport has the answer.
    Answered,
}

impl CheckStage {
    /// Every stage, in the order in which a check passes them.
    pub const ALL: [CheckStage; 6] = [
        CheckStage::Received,
        CheckStage::Attributes,
        CheckStage::Normalised,
        CheckStage::Decided,
        CheckStage::Recorded,
        CheckStage::Answered,
    ];

    /// Returns the name in traces.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckStage::Received => "received",
            CheckStage::Attributes => "attributes",
            CheckStage::Normalised => "normalised",
            CheckStage::Decided => "decided",
            CheckStage::Recorded => "recorded",
            CheckStage::Answered => "answered",
        }
    }

    /// Returns what the check has passed, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            CheckStage::Received => "Its message is whole.",
            CheckStage::Attributes => "Its attributes are read.",
            CheckStage::Normalised => {
                "They are a request: the caller and the destination are known."
            }
            CheckStage::Decided => "The request is decided.",
            CheckStage::Recorded => {
                "The decision is recorded, or has room reserved for its record, or is withheld."
            }
            CheckStage::Answered => "The transport has the answer.",
        }
    }
}

/// A check that is traced. The program implements it.
pub trait CheckTrace: Send + Unpin + 'static {
    /// Notes that the check has passed a stage now.
    fn pass(&mut self, stage: CheckStage);
    /// Returns its place in the trace.
    fn context(&self) -> TraceContext;
}

/// Nothing is traced, so there is no value of it.
#[derive(Debug)]
pub enum Untraced {}

impl CheckTrace for Untraced {
    fn pass(&mut self, _stage: CheckStage) {
        match *self {}
    }

    fn context(&self) -> TraceContext {
        match *self {}
    }
}

/// The trace context of a call, if it has one.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallTrace(pub Option<TraceContext>);

impl CallTrace {
    /// Reads it from the headers of the call. Several headers name no trace, as the standard says.
    pub(crate) fn of_call(headers: &HeaderMap) -> CallTrace {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let context = match (values.next(), values.next()) {
            (Some(only), None) => TraceContext::parse(only.as_bytes()),
            _ => None,
        };
        CallTrace(context)
    }
}

/// Reads the trace context from the headers of the request that a check is about.
pub(crate) fn of_request(headers: &dyn Headers) -> Option<TraceContext> {
    let (mut context, mut count) = (None, 0);
    headers.visit(TRACEPARENT.as_str(), &mut |value| {
        context = TraceContext::parse(value.as_bytes());
        count += 1;
    });
    context.filter(|_| count == 1)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

    #[test]
    fn a_call_with_several_traces_has_none() {
        for (values, expected) in [
            (&[][..], None),
            (&[ONE][..], Some(ONE)),
            (&[OTHER][..], Some(OTHER)),
            (&[ONE, ONE][..], None),
            (&[ONE, OTHER][..], None),
            (&["x", ONE][..], None),
            (&["x"][..], None),
            (&[""][..], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRACEPARENT, HeaderValue::from_static(value));
            }
            let context = CallTrace::of_call(&headers).0;
            let context = context.map(|context| context.to_string());
            assert_eq!(context.as_deref(), expected, "{values:?}");
        }
    }

    #[test]
    fn stages_have_names_in_their_order() {
        assert!(CheckStage::ALL.is_sorted());
        let mut names: Vec<_> = CheckStage::ALL.map(CheckStage::as_str).into();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CheckStage::ALL.len());
    }
}
