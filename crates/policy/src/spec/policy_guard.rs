//! The fields of PolicyGuard.

use super::egress_policy::{Destination, Remarks, Subject};
use crate::mapping;
use crate::reader::{List, Mapping, Placed, Required, Text, Written};
use crate::spec::{Constraint, MappingSpec, Shape, forms};

/// The destination of a claim, which must name hosts, so that no guard is about every host by
/// omission.
const CLAIM_DESTINATION: Shape = Shape::Mapping(&MappingSpec {
    name: "ClaimDestination",
    constraints: &[Constraint::AnyOf(&["hosts", "destinations"])],
    ..*Destination::SPEC
});

mapping! {
    /// What the guards say.
    pub(crate) struct GuardSpec<'n> = "`spec`" {
        /// Whom to ask when a guard is broken.
        owner: Option<Text<'n>> = "owner",
        /// What must hold for every request, whatever the policies say.
        guards: Required<List<'n, Placed<'n, GuardEntry<'n>>>> = "guards",
    }
}

mapping! {
    /// A guard.
    pub(crate) struct GuardEntry<'n> = "a guard" {
        /// Its name, unique in the document; part of the guard's id.
        name: Required<Text<'n>> = "name" as Shape::Form(&forms::ENTRY_NAME),
        /// No request that this covers is allowed.
        never: Written<'n, Placed<'n, NeverClaim<'n>>> = "never",
        /// Every request that this covers is allowed.
        always: Written<'n, Placed<'n, AlwaysClaim<'n>>> = "always",
        /// Only these callers are allowed to go to these destinations.
        only: Written<'n, Placed<'n, OnlyClaim<'n>>> = "only",
        /// A directory of policies, relative to this file, that answer every request alike. For
        /// `customs prove`; a server refuses it.
        unchanged_from: Written<'n, Text<'n>> = "unchangedFrom",
        remarks: Remarks<'n> = flatten,
    }
    where [Constraint::OneOf(&["never", "always", "only", "unchangedFrom"])]
}

mapping! {
    /// What is never allowed.
    pub(crate) struct NeverClaim<'n> = "`never`" {
        /// The callers. The entries are alternatives.
        #[default("every caller, with a valid identity or without")]
        from: List<'n, Placed<'n, Subject<'n>>> = "from",
        /// The destinations.
        to: Required<Placed<'n, Destination<'n>>> = "to" as CLAIM_DESTINATION,
        /// The requests that the guard leaves out. The entries are alternatives.
        except: List<'n, Placed<'n, GuardException<'n>>> = "except",
    }
}

mapping! {
    /// Requests that a guard leaves out.
    pub(crate) struct GuardException<'n> = "an exception of a guard", filled {
        /// The callers. The entries are alternatives.
        #[default("every caller with a valid identity that the guard names")]
        from: List<'n, Placed<'n, Subject<'n>>> = "from",
        /// The destinations.
        #[default("all that the guard names")]
        to: Option<Placed<'n, Destination<'n>>> = "to",
    }
}

mapping! {
    /// What is always allowed.
    pub(crate) struct AlwaysClaim<'n> = "`always`" {
        /// The callers.
        from: Required<List<'n, Placed<'n, Subject<'n>>>> = "from",
        /// The destinations.
        to: Required<Placed<'n, Destination<'n>>> = "to" as CLAIM_DESTINATION,
    }
}

mapping! {
    /// Who alone may go where.
    pub(crate) struct OnlyClaim<'n> = "`only`" {
        /// The callers that the guard leaves out.
        from: Required<List<'n, Placed<'n, Subject<'n>>>> = "from",
        /// The destinations that are closed to everyone else.
        to: Required<Placed<'n, Destination<'n>>> = "to" as CLAIM_DESTINATION,
    }
}
