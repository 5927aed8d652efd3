//! The fields of PolicyGuard.

use super::egress_policy::{Destination, Remarks, Subject};
use crate::mapping;
use crate::reader::{List, Placed, Required, Text, Written};

mapping! {
    /// The fields of `spec`.
    pub(crate) struct GuardSpec<'n> = "`spec`" {
        /// Whom to ask when a guard is broken.
        owner: Option<Text<'n>> = "owner",
        /// What must hold for every request, whatever the policies say.
        guards: Required<List<'n, Placed<'n, GuardEntry<'n>>>> = "guards",
    }
}

mapping! {
    /// A guard. It has exactly one of `never`, `always`, `only` and `unchangedFrom`.
    pub(crate) struct GuardEntry<'n> = "a guard" {
        /// Unique in the document; part of the guard's id. Letters, digits, `-`, `_` and `.`, at
        /// most 63.
        name: Required<Text<'n>> = "name",
        /// No request that this covers is allowed.
        never: Written<'n, Placed<'n, NeverClaim<'n>>> = "never",
        /// Every request that this covers is allowed.
        always: Written<'n, Placed<'n, AlwaysClaim<'n>>> = "always",
        /// Nobody except these callers is allowed to go to these destinations.
        only: Written<'n, Placed<'n, OnlyClaim<'n>>> = "only",
        /// A directory of policies, relative to this file, that answer every request alike. For
        /// `customs prove`; a server refuses it.
        unchanged_from: Written<'n, Text<'n>> = "unchangedFrom",
        remarks: Remarks<'n> = flatten,
    }
}

mapping! {
    /// What is never allowed.
    pub(crate) struct NeverClaim<'n> = "`never`" {
        /// The callers. By default, every caller, with a valid identity or without.
        from: List<'n, Placed<'n, Subject<'n>>> = "from",
        /// The destinations, with `hosts`, `destinations` or both.
        to: Required<Placed<'n, Destination<'n>>> = "to",
        /// What the guard says nothing about. The entries are alternatives.
        except: List<'n, Placed<'n, GuardException<'n>>> = "except",
    }
}

mapping! {
    /// What a guard says nothing about.
    pub(crate) struct GuardException<'n> = "an exception of a guard", filled {
        /// The callers. By default, every caller with a valid identity that the guard names.
        from: List<'n, Placed<'n, Subject<'n>>> = "from",
        /// The destinations. By default, all that the guard names.
        to: Option<Placed<'n, Destination<'n>>> = "to",
    }
}

mapping! {
    /// What is always allowed.
    pub(crate) struct AlwaysClaim<'n> = "`always`" {
        /// The callers.
        from: Required<List<'n, Placed<'n, Subject<'n>>>> = "from",
        /// The destinations, with `hosts`, `destinations` or both.
        to: Required<Placed<'n, Destination<'n>>> = "to",
    }
}

mapping! {
    /// Who alone may go where.
    pub(crate) struct OnlyClaim<'n> = "`only`" {
        /// The callers that the guard says nothing about.
        from: Required<List<'n, Placed<'n, Subject<'n>>>> = "from",
        /// The destinations that are closed to everyone else, with `hosts`, `destinations` or both.
        to: Required<Placed<'n, Destination<'n>>> = "to",
    }
}
