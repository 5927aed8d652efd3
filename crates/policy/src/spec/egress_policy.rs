//! The fields of EgressPolicy and DestinationSet.

use crate::document::Node;
use crate::mapping;
use crate::reader::{List, Placed, Required, Text};
use crate::spec::Shape;

/// What `mode` may say.
const MODE: Shape = Shape::OneOf(&["Enforce", "Report"]);

mapping! {
    /// The fields of `spec`. One of `deny`, `allow` and `isolate: true` must be there.
    pub(crate) struct EgressSpec<'n> = "`spec`" {
        /// Who; the entries are alternatives. If it is left out, every caller of the policy's
        /// namespace.
        subjects: List<'n, Placed<'n, Subject<'n>>> = "subjects",
        /// The subjects may go only where an `allow` says. If it is left out, `true` if `allow` has
        /// entries.
        isolate: Option<bool> = "isolate",
        /// `Report` evaluates and records the policy, and changes no verdict. `Enforce` if it is
        /// left out.
        mode: Option<Text<'n>> = "mode" as MODE,
        /// Whom to ask. The denied client and the record see it.
        owner: Option<Text<'n>> = "owner",
        /// Where the subjects may not go. A deny beats every allow, of any policy.
        deny: List<'n, Placed<'n, DenyEntry<'n>>> = "deny",
        /// Where the subjects may go.
        allow: List<'n, Placed<'n, AllowEntry<'n>>> = "allow",
    }
}

mapping! {
    /// Who. The fields of one entry must all hold.
    pub(crate) struct Subject<'n> = "a subject", filled {
        /// Callers without a valid identity: `true`, alone in its entry, and only in the root
        /// namespace.
        unauthenticated: Option<&'n Node> = "unauthenticated" as Shape::Boolean,
        /// A name, a prefix (`shop-*`: the prefix and at least one more character), or `**` for
        /// every namespace.
        namespaces: List<'n, Text<'n>> = "namespaces",
        /// `sa` in the entry's namespaces, or in the policy's own if it has none; or `ns/sa`, then
        /// without `namespaces`.
        service_accounts: List<'n, Text<'n>> = "serviceAccounts",
        /// Admits callers of these accepted foreign domains to the policy's grants, beside the own
        /// domain.
        trust_domains: List<'n, Text<'n>> = "trustDomains",
    }
}

mapping! {
    /// Where to. What is left out is not constrained.
    pub(crate) struct Destination<'n> = "a destination" {
        /// `name`, `*.suffix`, address or range, each with an optional `:port` or `:*`; or `**` for
        /// anywhere.
        hosts: List<'n, Text<'n>> = "hosts",
        /// DestinationSets, by name.
        destinations: List<'n, Text<'n>> = "destinations",
        /// In upper case. If it is left out, every method.
        methods: List<'n, Text<'n>> = "methods",
        /// Exact, `/prefix*`, or a template: `/v1/{*}/keys`. If it is left out, every path.
        paths: List<'n, Text<'n>> = "paths",
    }
}

mapping! {
    /// What an entry says of itself.
    pub(crate) struct Remarks<'n> = "remarks" {
        /// Why. The denied client and the record see it.
        reason: Option<Text<'n>> = "reason",
        /// Where it was decided.
        ticket: Option<Text<'n>> = "ticket",
    }
}

mapping! {
    /// A denial. It needs `hosts` or `destinations`, or both.
    pub(crate) struct DenyEntry<'n> = "an entry of `deny`" {
        /// Unique in the policy; part of the rule's id. Letters, digits, `-`, `_` and `.`, at most
        /// 63.
        name: Required<Text<'n>> = "name",
        to: Destination<'n> = flatten,
        /// What opens this deny, and nothing else does. The entries are alternatives.
        except: List<'n, Placed<'n, ExceptEntry<'n>>> = "except",
        /// `Report` tries this one deny out.
        mode: Option<Text<'n>> = "mode" as MODE,
        remarks: Remarks<'n> = flatten,
    }
}

mapping! {
    /// A grant. It needs `hosts` or `destinations`, or both.
    pub(crate) struct AllowEntry<'n> = "an entry of `allow`" {
        /// Unique in the policy; part of the rule's id. Letters, digits, `-`, `_` and `.`, at most
        /// 63.
        name: Required<Text<'n>> = "name",
        to: Destination<'n> = flatten,
        /// The moment from which the grant is gone: `2026-12-31T00:00:00Z`.
        expires: Option<Text<'n>> = "expires",
        remarks: Remarks<'n> = flatten,
    }
}

mapping! {
    /// An exception. It needs `subjects`, `hosts`, `destinations`, `methods` or `paths`.
    pub(crate) struct ExceptEntry<'n> = "an entry of `except`", filled {
        /// Who. If it is left out, every caller with a valid identity whom the deny is about.
        subjects: List<'n, Placed<'n, Subject<'n>>> = "subjects",
        to: Destination<'n> = flatten,
        /// The moment from which the exception opens nothing: `2026-12-31T00:00:00Z`.
        expires: Option<Text<'n>> = "expires",
        remarks: Remarks<'n> = flatten,
    }
}

mapping! {
    /// The fields of `spec`.
    pub(crate) struct SetSpec<'n> = "`spec`" {
        /// As in an entry of an EgressPolicy.
        hosts: Required<List<'n, Text<'n>>> = "hosts",
    }
}
