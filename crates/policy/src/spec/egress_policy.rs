//! The fields of EgressPolicy and DestinationSet.

use crate::document::Node;
use crate::mapping;
use crate::reader::{List, Placed, Required, Text};
use crate::spec::{Constraint, Shape, Word, forms};

const ENTRY_NAME: Shape = Shape::Form(&forms::ENTRY_NAME);
const HOSTS: Shape = Shape::list(&Shape::Form(&forms::HOST));
const SETS: Shape = Shape::list(&Shape::Form(&forms::OBJECT_NAME));
const METHODS: Shape = Shape::list(&Shape::Form(&forms::METHOD));
const PATHS: Shape = Shape::list(&Shape::Form(&forms::PATH));
const NAMESPACES: Shape = Shape::list(&Shape::Form(&forms::NAMESPACE_PATTERN));
const ACCOUNTS: Shape = Shape::list(&Shape::Form(&forms::ACCOUNT));
const TRUST_DOMAINS: Shape = Shape::list(&Shape::Form(&forms::TRUST_DOMAIN));
const TIME: Shape = Shape::Form(&forms::TIME);

/// A rule is about some destinations.
const NEEDS_HOSTS: Constraint = Constraint::AnyOf(&["hosts", "destinations"]);

/// The values of `mode`.
const MODE: Shape = Shape::OneOf(&[Word::new("Enforce"), Word::new("Report")]);

mapping! {
    /// What the policy says.
    pub(crate) struct EgressSpec<'n> = "`spec`" {
        /// The callers. The entries are alternatives.
        #[default("every caller of the policy's namespace")]
        subjects: List<'n, Placed<'n, Subject<'n>>> = "subjects",
        /// The subjects may go only where an `allow` entry permits.
        #[default("`true` if `allow` has entries, else `false`")]
        isolate: Option<bool> = "isolate",
        /// `Report` evaluates and records the policy, and changes no verdict.
        #[default("`Enforce`")]
        mode: Option<Text<'n>> = "mode" as MODE,
        /// Whom to ask. It appears in the denial and in the record.
        owner: Option<Text<'n>> = "owner",
        /// Where the subjects may not go. A deny overrides every allow, of any policy.
        deny: List<'n, Placed<'n, DenyEntry<'n>>> = "deny",
        /// Where the subjects may go.
        allow: List<'n, Placed<'n, AllowEntry<'n>>> = "allow",
    }
    where [Constraint::AnyOfOrTrue(&["deny", "allow"], "isolate")]
}

mapping! {
    /// The callers. The fields of one entry must all hold.
    pub(crate) struct Subject<'n> = "a subject", filled {
        /// Callers without a valid identity: `true`, alone in its entry, and only in the root
        /// namespace.
        unauthenticated: Option<&'n Node> = "unauthenticated" as Shape::Boolean,
        /// Their namespaces.
        #[default("the policy's own")]
        namespaces: List<'n, Text<'n>> = "namespaces" as NAMESPACES,
        /// Their service accounts: `sa` in the entry's namespaces; or `ns/sa`, then without
        /// `namespaces`.
        #[default("every account")]
        service_accounts: List<'n, Text<'n>> = "serviceAccounts" as ACCOUNTS,
        /// Admits callers of these accepted foreign domains to the policy's grants, beside the own
        /// domain.
        #[default("the own domain only")]
        trust_domains: List<'n, Text<'n>> = "trustDomains" as TRUST_DOMAINS,
    }
    where [
        Constraint::True("unauthenticated"),
        Constraint::Excludes("unauthenticated", &["namespaces", "serviceAccounts", "trustDomains"]),
    ]
}

mapping! {
    /// The destinations. An omitted field is not constrained.
    pub(crate) struct Destination<'n> = "a destination", filled {
        /// The hosts: names, addresses and ranges, each with an optional port.
        hosts: List<'n, Text<'n>> = "hosts" as HOSTS,
        /// DestinationSets, by name.
        destinations: List<'n, Text<'n>> = "destinations" as SETS,
        /// The methods, in upper case.
        #[default("every method")]
        methods: List<'n, Text<'n>> = "methods" as METHODS,
        /// The paths: exact, `/prefix*`, or a template such as `/v1/{*}/keys`.
        #[default("every path")]
        paths: List<'n, Text<'n>> = "paths" as PATHS,
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
    /// A denial.
    pub(crate) struct DenyEntry<'n> = "an entry of `deny`" {
        /// Its name, unique in the policy; part of the rule's id.
        name: Required<Text<'n>> = "name" as ENTRY_NAME,
        to: Destination<'n> = flatten,
        /// The exceptions: only these open this deny. The entries are alternatives.
        except: List<'n, Placed<'n, ExceptEntry<'n>>> = "except",
        /// `Report` makes this one deny a dry run.
        #[default("the policy's `mode`")]
        mode: Option<Text<'n>> = "mode" as MODE,
        remarks: Remarks<'n> = flatten,
    }
    where [NEEDS_HOSTS]
}

mapping! {
    /// A grant.
    pub(crate) struct AllowEntry<'n> = "an entry of `allow`" {
        /// Its name, unique in the policy; part of the rule's id.
        name: Required<Text<'n>> = "name" as ENTRY_NAME,
        to: Destination<'n> = flatten,
        /// The time at which the grant ends.
        #[default("never")]
        expires: Option<Text<'n>> = "expires" as TIME,
        remarks: Remarks<'n> = flatten,
    }
    where [NEEDS_HOSTS]
}

mapping! {
    /// An exception of a denial. It opens this denial only, and a field that is left out does not
    /// constrain it.
    pub(crate) struct ExceptEntry<'n> = "an entry of `except`", filled {
        /// The callers. The entries are alternatives.
        #[default("every caller with a valid identity whom the deny selects")]
        subjects: List<'n, Placed<'n, Subject<'n>>> = "subjects",
        to: Destination<'n> = flatten,
        /// The time at which the exception ends.
        #[default("never")]
        expires: Option<Text<'n>> = "expires" as TIME,
        remarks: Remarks<'n> = flatten,
    }
    where [Constraint::AnyOf(&["subjects", "hosts", "destinations", "methods", "paths"])]
}

mapping! {
    /// What the set holds.
    pub(crate) struct SetSpec<'n> = "`spec`" {
        /// The hosts, written as in an EgressPolicy.
        hosts: Required<List<'n, Text<'n>>> = "hosts" as HOSTS,
    }
}
