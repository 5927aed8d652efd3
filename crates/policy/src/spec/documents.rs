//! The fields that every object has, and the kinds with their `spec`.

use super::authorization_policy::IstioSpec;
use super::egress_policy::{EgressSpec, SetSpec};
use super::policy_guard::GuardSpec;
use super::{MappingSpec, Part, Shape, Word, forms};
use crate::document::Node;
use crate::mapping;
use crate::reader::{Fields, FromField, Mapping, Required, Text};

mapping! {
    /// An object, before its kind is known.
    pub(crate) struct Document<'n> = "the document" {
        api_version: Required<Text<'n>> = "apiVersion",
        kind: Required<Text<'n>> = "kind",
        metadata: Required<&'n Node> = "metadata",
        spec: Option<&'n Node> = "spec",
    }
    read over ["status"]
}

mapping! {
    /// Kubernetes' own `List`.
    pub(crate) struct ObjectList<'n> = "the list" {
        items: Option<&'n Node> = "items",
    }
    read over ["apiVersion", "kind", "metadata"]
}

mapping! {
    /// Kubernetes' ObjectMeta. Fields that the API server adds are ignored.
    pub(crate) struct Metadata<'n> = "`metadata`" {
        /// Part of every rule's id.
        name: Required<Text<'n>> = "name" as Shape::Form(&forms::OBJECT_NAME),
        /// The namespace whose callers the policy selects. A policy of the root namespace may
        /// select any caller. It may be left out if the source has a `default_namespace`.
        namespace: OrDefault<'n> = "namespace",
        /// They are ignored, except `istio.io/dry-run`, which is an error: it belongs to an
        /// AuthorizationPolicy.
        annotations: Option<&'n Node> = "annotations" as Shape::Map(&Shape::Any),
    }
    read over [
        "labels", "uid", "managedFields", "resourceVersion", "generation", "creationTimestamp",
        "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers",
        "generateName", "selfLink", "clusterName",
    ]
}

/// A text that is required unless its source has a default.
#[derive(Debug)]
pub(crate) struct OrDefault<'n>(pub(crate) Option<&'n Node>);

impl<'n> FromField<'n> for OrDefault<'n> {
    const SHAPE: Shape = Shape::Form(&forms::NAMESPACE);
    const REQUIRED: bool = true;

    fn from_field(name: &'static str, fields: &mut Fields<'n, '_>) -> Self {
        OrDefault(fields.take(name))
    }
}

/// The declaration of a kind.
#[derive(Clone, Copy, Debug)]
pub struct KindSpec {
    /// Its name in files.
    pub name: &'static str,
    /// The `apiVersion`s that it has. The kind exists since the first of them does.
    pub versions: &'static [Word],
    /// The whole object.
    pub document: &'static MappingSpec,
}

/// The head of an AuthorizationPolicy: repositories often hold Istio's objects without a namespace.
const ISTIO_METADATA: MappingSpec = MappingSpec {
    name: "IstioMetadata",
    parts: &[
        super::field(
            "name",
            (Shape::Form(&forms::OBJECT_NAME), true),
            "Part of every rule's id.",
        ),
        super::field(
            "namespace",
            (Shape::Form(&forms::NAMESPACE), false),
            "The namespace of the policy. Without a declared gateway, every policy applies, whatever \
             its namespace.",
        )
        .or("the source's `default_namespace`; without one `default`, with a warning"),
        super::field(
            "annotations",
            (Shape::Map(&Shape::Any), false),
            "`istio.io/dry-run: \"true\"` makes the policy a dry run. Other annotations are ignored.",
        ),
    ],
    ..*Metadata::SPEC
};

/// Declares a kind: `spec` is as [`Document`] has it, of a declared type.
macro_rules! kind {
    (
        $about:literal, $kind:literal in $versions:expr, required: $required:literal,
        $metadata:expr, $spec:ty
    ) => {
        KindSpec {
            name: $kind,
            versions: $versions,
            document: &MappingSpec {
                name: $kind,
                about: $about,
                parts: &[
                    required(
                        "apiVersion",
                        Shape::OneOf($versions),
                        "The API and its version.",
                    ),
                    required("kind", Shape::OneOf(&[Word::new($kind)]), "The kind."),
                    required(
                        "metadata",
                        Shape::Mapping($metadata),
                        "The object's name and namespace.",
                    ),
                    super::field(
                        "spec",
                        (Shape::Mapping(<$spec>::SPEC), $required),
                        "What it says.",
                    ),
                ],
                ..*Document::SPEC
            },
        }
    };
}

const fn required(name: &'static str, shape: Shape, about: &'static str) -> Part {
    super::field(name, (shape, true), about)
}

/// The version of customs' own kinds.
const V1ALPHA1: Word = Word::new("egress.customs/v1alpha1");

/// customs' own policies.
pub const EGRESS_POLICY: KindSpec = kind!(
    "Which callers may go where.",
    "EgressPolicy" in &[V1ALPHA1], required: true, Metadata::SPEC, EgressSpec<'_>
);

/// Lists of hosts that policies name.
pub const DESTINATION_SET: KindSpec = kind!(
    "A list of hosts with a name. It is looked up in a policy's own namespace, then in the root namespace.",
    "DestinationSet" in &[V1ALPHA1], required: true, Metadata::SPEC, SetSpec<'_>
);

/// What must hold for every request, whatever the policies say.
pub const POLICY_GUARD: KindSpec = kind!(
    "What must hold for every request, whatever the policies say. It changes no verdict.",
    "PolicyGuard" in &[V1ALPHA1], required: true, Metadata::SPEC, GuardSpec<'_>
);

/// Istio's policies.
pub const AUTHORIZATION_POLICY: KindSpec = kind!(
    "Istio's own object.",
    "AuthorizationPolicy" in &[Word::new("security.istio.io/v1"), Word::new("security.istio.io/v1beta1")],
    required: false, &ISTIO_METADATA, IstioSpec<'_>
);

/// Every kind of document.
pub const KINDS: [KindSpec; 4] = [
    AUTHORIZATION_POLICY,
    EGRESS_POLICY,
    DESTINATION_SET,
    POLICY_GUARD,
];
