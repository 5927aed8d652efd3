//! The fields of EgressPolicy and DestinationSet.

use crate::document::Node;
use crate::mapping;
use crate::reader::{List, Placed, Required, Text};
use crate::spec::{Shape, Word};

/// The values of `mode`.
const MODE: Shape = Shape::OneOf(&[Word::new("Enforce"), Word::new("Report")]);

mapping! {
    /// The fields of `spec`. At least one of `deny`, `allow` and `isolate: true` is required.
    pub(crate) struct EgressSpec<'n> = "`spec`" {
        /// The callers. The entries are alternatives. By default, every caller of the policy's
        /// namespace.
        subjects: List<'n, Placed<'n, Subject<'n>>> = "subjects",
        /// The subjects may go only where an `allow` entry permits. By default, `true` if `allow`
        /// has entries.
        isolate: Option<bool> = "isolate",
        /// `Report` evaluates and records the policy, and changes no verdict. `Enforce` by default.
        mode: Option<Text<'n>> = "mode" as MODE,
        /// Whom to ask. It appears in the denial and in the record.
        owner: Option<Text<'n>> = "owner",
        /// Where the subjects may not go. A deny overrides every allow, of any policy.
        deny: List<'n, Placed<'n, DenyEntry<'n>>> = "deny",
        /// Where the subjects may go.
        allow: List<'n, Placed<'n, AllowEntry<'n>>> = "allow",
    }
}

mapping! {
    /// The callers. The fields of one entry must all hold.
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
    /// The destinations. An omitted field is not constrained.
    pub(crate) struct Destination<'n> = "a destination", filled {
        /// `name`, `*.suffix`, address or range, each with an optional `:port` or `:*`; or `**` for
        /// anywhere.
        hosts: List<'n, Text<'n>> = "hosts",
        /// DestinationSets, by name.
        destinations: List<'n, Text<'n>> = "destinations",
        /// In upper case. By default, every method.
        methods: List<'n, Text<'n>> = "methods",
        /// Exact, `/prefix*`, or a template: `/v1/{*}/keys`. By default, every path.
        paths: List<'n, Text<'n>> = "paths",
    }
}

mapping! {
    /// The remarks of an entry.
    pub(crate) struct Remarks<'n> = "remarks" {
        /// Why the entry exists. It appears in the denial and in the record.
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
        /// The exceptions: only these open this deny. The entries are alternatives.
        except: List<'n, Placed<'n, ExceptEntry<'n>>> = "except",
        /// `Report` makes this one deny a dry run.
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
        /// The time at which the grant ends: `2026-12-31T00:00:00Z`.
        expires: Option<Text<'n>> = "expires",
        remarks: Remarks<'n> = flatten,
    }
}

mapping! {
    /// An exception. It needs `subjects`, `hosts`, `destinations`, `methods` or `paths`.
    pub(crate) struct ExceptEntry<'n> = "an entry of `except`", filled {
        /// The callers. By default, every caller with a valid identity whom the deny selects.
        subjects: List<'n, Placed<'n, Subject<'n>>> = "subjects",
        to: Destination<'n> = flatten,
        /// The time at which the exception ends: `2026-12-31T00:00:00Z`.
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
