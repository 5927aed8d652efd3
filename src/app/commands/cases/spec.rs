//! The fields of `PolicyTest` documents.

use crate::app::explain::read::Question;
use customs_policy::document::Node;
use customs_policy::mapping;
use customs_policy::reader::{List, Placed, Required, Text};
use customs_policy::spec::{Shape, Word};

/// The values of an answer.
const EFFECT: Shape = Shape::OneOf(&[Word::new("Allow"), Word::new("Deny")]);

/// The gates of an answer.
const GATE: Shape = Shape::OneOf(&[
    Word::new("istio"),
    Word::new("isolation"),
    Word::new("istio,isolation"),
]);

/// The API version of the kind.
pub(super) const API_VERSION: &str = "egress.customs/v1alpha1";
/// The name of the kind.
pub(super) const KIND: &str = "PolicyTest";

mapping! {
    /// Questions with the answers that are expected; `customs test` asks them.
    pub(crate) struct PolicyTest<'n> = "the document" {
        /// The API and its version.
        api_version: Required<Text<'n>> = "apiVersion" as Shape::OneOf(&[Word::new(API_VERSION)]),
        /// The kind.
        kind: Required<Text<'n>> = "kind" as Shape::OneOf(&[Word::new(KIND)]),
        /// The name of the test.
        metadata: Required<Placed<'n, TestMetadata<'n>>> = "metadata",
        /// The test cases.
        cases: Required<List<'n, Placed<'n, Case<'n>>>> = "cases",
    }
}

mapping! {
    /// The name of the test.
    pub(crate) struct TestMetadata<'n> = "`metadata`" {
        /// A name for people; it has no other meaning.
        name: Required<&'n Node> = "name" as Shape::AnyText,
    }
    read over ["namespace", "labels", "annotations"]
}

mapping! {
    /// A question, in shorthand fields or as a whole check, and the answer that is expected.
    pub(crate) struct Case<'n> = "a case" {
        /// Unique in the file.
        name: Required<Text<'n>> = "name",
        question: Question<'n> = flatten,
        /// The verdict: what is enforced.
        expect: Required<Text<'n>> = "expect" as EFFECT,
        /// The verdict's reason.
        reason: Option<Text<'n>> = "reason",
        /// The rule that the verdict names.
        rule: Option<Text<'n>> = "rule",
        /// The answer of the dry run: the verdict if everything in dry run were enforced.
        dry_run: Option<Text<'n>> = "dryRun" as EFFECT,
        /// The reason of that answer.
        dry_run_reason: Option<Text<'n>> = "dryRunReason",
        /// The rule that it names.
        dry_run_rule: Option<Text<'n>> = "dryRunRule",
        /// The answer that Envoy gets: the verdict, except if the server only reports.
        effect: Option<Text<'n>> = "effect" as EFFECT,
        /// The gates that stayed closed for a denial, or opened for an allow.
        gate: Option<Text<'n>> = "gate" as GATE,
        /// The exception of a deny that expired: `ep:NAMESPACE/NAME#ENTRY.except[0]`.
        expired: Option<Text<'n>> = "expired",
    }
}
