//! What this test shares with the recorder, the example `record-conformance`: how policies are
//! translated for Envoy.

mod matchers;
pub(crate) mod translate;
