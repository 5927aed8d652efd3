//! The policies of the week, as their files, and how they change.
//!
//! The rule: a later edition answers every crossing as the one did that was in force when the
//! crossing was drawn. So editions add grants before they are used, take away those that nobody
//! uses, and change what decides nothing.

use std::collections::BTreeSet;

use super::organisation::{
    Account, AccountKind, CLOCK, LAUNCH, LEGACY_HOST, MIGRATION, Namespace, PASTE_SITE, Posture,
    SHARED_HOSTS, namespaces,
};
use super::{DAY, HOUR};
use customs_policy::source::{PolicyFile, Source};

/// The name of the one source, in records and problems.
pub(super) const SOURCE: &str = "policies";

/// When the grant of the migration ends, after the beginning of the week.
pub(super) const MIGRATION_ENDS: i128 = 4 * DAY + 12 * HOUR;

/// The states of the policy directory, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edition {
    /// What the week begins with.
    First,
    /// A grant for a host that is used from now on.
    Launched,
    /// The same with a file that has an error.
    Broken,
    /// A grant that nobody uses is gone.
    Trimmed,
    /// Another ticket, and a denial of a host that nobody asks for.
    Annotated,
}

/// Returns the policy directory of an edition.
pub(super) fn source(edition: Edition, monday: i128) -> Source {
    let mut files = vec![
        file("root.yaml", root(edition)),
        file("shared.yaml", shared()),
        file("istio.yaml", istio()),
    ];
    files.extend(namespaces().map(|namespace| {
        file(
            &format!("{}.yaml", namespace.name),
            of(namespace, edition, monday),
        )
    }));
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Source {
        name: SOURCE.into(),
        files,
        ..Source::default()
    }
}

fn file(name: &str, text: String) -> PolicyFile {
    PolicyFile {
        name: name.into(),
        bytes: text.into_bytes().into(),
    }
}

const EGRESS: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n";

/// What the organisation says for everyone.
fn root(edition: Edition) -> String {
    let ticket = if edition >= Edition::Annotated {
        "SEC-118"
    } else {
        "SEC-100"
    };
    let later = if edition >= Edition::Annotated {
        "  - name: no-coin-miners\n    hosts: [\"*.coins.example\"]\n"
    } else {
        ""
    };
    format!(
        "{EGRESS}metadata: {{name: everyone, namespace: istio-system}}
spec:
  owner: team-security
  subjects: [{{namespaces: [\"**\"]}}]
  deny:
  - name: no-paste-sites
    hosts: [{PASTE_SITE}, \"*.{PASTE_SITE}\"]
    reason: \"source code must not leave through paste sites\"
    ticket: {ticket}
    except:
    - subjects: [{{namespaces: [security], serviceAccounts: [api]}}]
      ticket: SEC-101
      expires: 2027-06-30T00:00:00Z
  - name: no-legacy-tls
    mode: Report
    hosts: [{LEGACY_HOST}]
    reason: \"it accepts TLS 1.0\"
    ticket: SEC-102
{later}---
{EGRESS}metadata: {{name: baseline, namespace: istio-system}}
spec:
  owner: team-platform
  subjects: [{{namespaces: [\"**\"]}}]
  isolate: false
  allow:
  - name: identity-provider
    hosts: [{idp}]
---
{EGRESS}metadata: {{name: unauthenticated, namespace: istio-system}}
spec:
  owner: team-platform
  subjects: [{{unauthenticated: true}}]
  isolate: true
  allow:
  - name: clock
    hosts: [{CLOCK}]
",
        idp = SHARED_HOSTS[0]
    )
}

fn shared() -> String {
    let hosts = SHARED_HOSTS[1..].join(", ");
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: DestinationSet\n\
         metadata: {{name: platform, namespace: istio-system}}\nspec: {{hosts: [{hosts}]}}\n"
    )
}

fn istio() -> String {
    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
     metadata: {name: no-social-media, namespace: istio-system}\nspec:\n  action: DENY\n  rules:\n  \
     - from: [{source: {namespaces: [fraud, legal, payments]}}]\n    \
     to: [{operation: {hosts: [\"*.social.example\"]}}]\n"
        .to_owned()
}

fn of(namespace: Namespace, edition: Edition, monday: i128) -> String {
    let mut documents: Vec<String> = match namespace.posture {
        Posture::Tight => namespace
            .accounts()
            .iter()
            .map(|account| tight(namespace, *account, edition))
            .collect(),
        Posture::Wide => vec![wide(namespace)],
        Posture::Open => vec![open(namespace)],
    };
    if namespace.tries_isolation() {
        documents.push(trial(namespace));
    }
    if namespace.name == MIGRATION.0 {
        documents.push(migration(monday));
    }
    if namespace.name == LAUNCH.0 && edition >= Edition::Launched {
        documents.push(launch(edition));
    }
    documents.join("---\n")
}

/// Returns what a policy begins with, up to its entries.
fn head(namespace: &str, name: &str, more: &str) -> String {
    format!(
        "{EGRESS}metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n  owner: team-{namespace}\n{more}"
    )
}

fn tight(namespace: Namespace, account: Account, edition: Edition) -> String {
    let Namespace { name, index, .. } = namespace;
    let subjects = format!(
        "  subjects: [{{serviceAccounts: [{}]}}]\n  isolate: true\n  allow:\n",
        account.name
    );
    let mut text = head(name, account.name, &subjects);
    for (nth, host) in namespace.own_hosts(account).iter().enumerate() {
        text += &format!("  - {{name: own-{nth}, hosts: [\"{host}\"]}}\n");
    }
    let shared: BTreeSet<&str> = namespace.shared_hosts(account).collect();
    let shared: Vec<&str> = shared.into_iter().collect();
    text += &format!("  - {{name: shared, hosts: [{}]}}\n", shared.join(", "));
    if account.kind == AccountKind::Service {
        text += &format!("  - {{name: legacy, hosts: [{LEGACY_HOST}]}}\n");
        // What was needed once.
        if edition < Edition::Trimmed || index.is_multiple_of(2) {
            text += &format!(
                "  - {{name: unused, hosts: [\"old-{}.{name}.partner.example\"], ticket: OPS-{index}}}\n",
                account.name
            );
        }
        text += &format!("  - {{name: unused-suffix, hosts: [\"*.{name}.archive.example\"]}}\n");
    }
    if account.kind == AccountKind::Operator {
        text += "  - {name: vendors, hosts: [\"*.vendor.example\"]}\n";
    }
    if namespace.has_database() {
        text += &format!(
            "  - {{name: database, hosts: [\"{}\"]}}\n",
            namespace.database()
        );
    }
    text
}

fn wide(namespace: Namespace) -> String {
    let name = namespace.name;
    let mut text = head(name, "egress", "  isolate: true\n  allow:\n");
    // One in three trusts everything below the top.
    if namespace.index % 9 == 1 {
        text += "  - {name: anywhere, hosts: [\"**\"], reason: \"until we know what we need\"}\n";
        return text;
    }
    text += "  - {name: partners, hosts: [\"*.partner.example\", \"*.warehouse.example\", \"*.managed.example\"]}\n";
    text += "  - {name: platform, destinations: [platform]}\n";
    text += &format!("  - {{name: vendors, hosts: [\"*.vendor.example\", {LEGACY_HOST}]}}\n");
    text += &format!(
        "  - {{name: unused, hosts: [\"*.{name}.archive.example\"], ticket: OPS-{}}}\n",
        namespace.index
    );
    text
}

fn open(namespace: Namespace) -> String {
    head(
        namespace.name,
        "egress",
        "  deny:\n  - {name: no-social-media, hosts: [\"*.social.example\"], reason: \"no business there\"}\n",
    )
}

/// What the isolation of a namespace would be, in a dry run: it knows the partners only.
fn trial(namespace: Namespace) -> String {
    head(
        namespace.name,
        "trial",
        &format!(
            "  mode: Report\n  isolate: true\n  allow:\n  - {{name: partners, hosts: [\"*.{}.partner.example\"]}}\n  - {{name: platform, destinations: [platform]}}\n",
            namespace.name
        ),
    )
}

fn migration(monday: i128) -> String {
    let ends =
        customs_record::timestamp::text(customs_engine::time::UnixNanos(monday + MIGRATION_ENDS));
    head(
        MIGRATION.0,
        "migration",
        &format!(
            "  subjects: [{{serviceAccounts: [worker]}}]\n  isolate: true\n  allow:\n  - name: until-migrated\n    hosts: [\"{}\"]\n    expires: {ends}\n    ticket: BILL-77\n    reason: \"the new ledger is not ready\"\n",
            MIGRATION.1
        ),
    )
}

fn launch(edition: Edition) -> String {
    let ticket = if edition >= Edition::Annotated {
        "PAY-9"
    } else {
        "PAY-8"
    };
    head(
        LAUNCH.0,
        "launch",
        &format!(
            "  subjects: [{{serviceAccounts: [api]}}]\n  isolate: false\n  allow:\n  - name: express\n    hosts: [\"{}\"]\n    methods: [POST]\n    paths: [\"/v1/*\"]\n    ticket: {ticket}\n",
            LAUNCH.1
        ),
    )
}

/// Returns a source that cannot be read: its namespace keeps what it had.
pub(super) fn break_file(source: &mut Source) {
    for file in &mut source.files {
        if file.name == "shop.yaml" {
            let text =
                String::from_utf8_lossy(&file.bytes).replace("hosts: [\"", "hosts: [\"http://");
            file.bytes = text.into_bytes().into();
        }
    }
}
