//! Who is in the mesh, and what it reaches: 30 namespaces with several accounts each.
//!
//! Plain values without chance; [`policies`](super::policies) writes the policies of these
//! namespaces, and [`crossings`](super::crossings) draws what they do.

/// The namespaces.
pub(super) const NAMESPACES: [&str; 30] = [
    "accounts",
    "ads",
    "archive",
    "billing",
    "blog",
    "cart",
    "catalog",
    "chat",
    "checkout",
    "delivery",
    "events",
    "fraud",
    "gifts",
    "helpdesk",
    "images",
    "inventory",
    "legal",
    "loyalty",
    "mail",
    "maps",
    "orders",
    "payments",
    "pricing",
    "reports",
    "returns",
    "reviews",
    "search",
    "security",
    "shop",
    "video",
];

/// Hosts that many namespaces share, the most popular ones first.
pub(super) const SHARED_HOSTS: [&str; 12] = [
    "idp.example",
    "ingest.telemetry.example",
    "objects.storage.example",
    "api.payment-hub.example",
    "packages.mirror.example",
    "hooks.chat.example",
    "relay.mail.example",
    "geo.maps.example",
    "vault.secrets.example",
    "rates.feeds.example",
    "images.registry.example",
    "index.search.example",
];

/// How the policies of a namespace are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Posture {
    /// Each account has its own list of exact hosts; some of the grants are unused.
    Tight,
    /// The whole namespace shares grants of suffixes and of anywhere.
    Wide,
    /// It is not isolated: it may go anywhere but where it is denied.
    Open,
}

/// What an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccountKind {
    /// It answers requests by day, and calls the same few hosts.
    Service,
    /// It runs by night, and sends much to one host.
    Batch,
    /// A person's tools: once in a while, to any host.
    Operator,
}

/// An account of a namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// Its name.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) kind: AccountKind,
}

const ACCOUNTS: [Account; 5] = [
    Account {
        name: "api",
        kind: AccountKind::Service,
    },
    Account {
        name: "worker",
        kind: AccountKind::Service,
    },
    Account {
        name: "nightly-export",
        kind: AccountKind::Batch,
    },
    Account {
        name: "operator",
        kind: AccountKind::Operator,
    },
    Account {
        name: "reporter",
        kind: AccountKind::Service,
    },
];

/// A namespace.
#[derive(Clone, Copy, Debug)]
pub(super) struct Namespace {
    /// Its place among the namespaces.
    pub(super) index: usize,
    /// Its name.
    pub(super) name: &'static str,
    /// How its policies are written.
    pub(super) posture: Posture,
}

/// Returns every namespace.
pub(super) fn namespaces() -> impl Iterator<Item = Namespace> {
    let namespace = |(index, name): (usize, &&'static str)| Namespace {
        index,
        name,
        posture: [Posture::Tight, Posture::Wide, Posture::Open][index % 3],
    };
    NAMESPACES.iter().enumerate().map(namespace)
}

impl Namespace {
    /// Returns its accounts: three to five.
    pub(super) fn accounts(self) -> &'static [Account] {
        &ACCOUNTS[..3 + self.index / 3 % 3]
    }

    /// Returns whether its policies in a dry run isolate it, which nothing enforces.
    pub(super) fn tries_isolation(self) -> bool {
        self.posture == Posture::Open && self.index.is_multiple_of(2)
    }

    /// Returns the shared hosts that an account reaches besides the identity provider.
    pub(super) fn shared_hosts(self, account: Account) -> impl Iterator<Item = &'static str> {
        let salt = self.index * 7 + account.name.len() * 3;
        let count = match account.kind {
            AccountKind::Service => 2 + salt % 3,
            AccountKind::Batch | AccountKind::Operator => 1,
        };
        // The square favours the first hosts.
        (0..count).map(move |nth| {
            let place = (salt + nth * 5) % 11;
            SHARED_HOSTS[1 + place * place / 11]
        })
    }

    /// Returns the hosts that only this account reaches.
    pub(super) fn own_hosts(self, account: Account) -> Vec<String> {
        let Namespace { name, .. } = self;
        match account.kind {
            AccountKind::Service => (0..1 + (self.index + account.name.len()) % 3)
                .map(|nth| format!("{}-{nth}.{name}.partner.example", account.name))
                .collect(),
            AccountKind::Batch => vec![format!("exports.{name}.warehouse.example")],
            AccountKind::Operator => Vec::new(),
        }
    }

    /// Returns the database that its worker reaches over TCP.
    pub(super) fn database(self) -> String {
        format!("db.{}.managed.example", self.name)
    }

    /// Returns whether it reaches its database through the gateway.
    pub(super) fn has_database(self) -> bool {
        self.index % 4 == 1
    }
}

/// The namespace with a grant that expires within the week, and the host of that grant.
pub(super) const MIGRATION: (&str, &str) = ("billing", "old.billing.partner.example");

/// The namespace that gets a grant on the second day and uses it from then on.
pub(super) const LAUNCH: (&str, &str) = ("catalog", "express.catalog.partner.example");

/// A host that every namespace is denied, but for the exception of one account.
pub(super) const PASTE_SITE: &str = "paste.share.example";

/// A host that a policy in the dry run denies to every namespace.
pub(super) const LEGACY_HOST: &str = "legacy.tls.example";

/// A host that no policy names.
pub(super) const TRACKER: &str = "pixel.tracker.example";

/// The host that callers without an identity may reach.
pub(super) const CLOCK: &str = "time.example";
