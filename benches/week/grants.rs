//! What the grants of the week open, before and after `customs suggest`: for each account, how many
//! of the hosts that anybody reached it may reach.
//!
//! The engine is asked, and nothing is read from the text of policies. The rule: a host counts as
//! open to an account if one of the requests that somebody made to it would be allowed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use customs_engine::effect::Effect;
use customs_engine::request::{Attributes, HttpAttributes};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_record::scan::{self, RecordFold, ScanInput, ScanOptions, ScannedRecord};
use customs_test_support::bench_report::document::count;
use customs_test_support::bench_report::grants::{Grants, NamespaceGrants};
use customs_test_support::week::{WeekPaths, WeekSummary};
use customs_test_support::{plots, published};

/// How many different requests to a host are asked.
const REQUESTS: usize = 8;

/// One request, without its caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    is_tcp: bool,
    raw_host: String,
    method: String,
    path: String,
}

/// Who crossed, and where to.
#[derive(Debug, Default)]
struct Seen {
    /// The hosts that each principal reached.
    reached: BTreeMap<(String, String), BTreeSet<String>>,
    /// Requests to each host.
    shapes: BTreeMap<String, BTreeSet<Shape>>,
    last: i128,
}

impl RecordFold for Seen {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        let (head, decision) = (&record.fields.head, &record.fields.decision);
        if head.kind != "decision" || decision.identity != "valid" || decision.effect != "allow" {
            return;
        }
        if let Some(time) = head.time {
            let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
            self.last = self.last.max(nanos);
        }
        let caller = (
            decision.namespace.to_string(),
            decision.principal.to_string(),
        );
        let host = decision.host.to_string();
        let shapes = self.shapes.entry(host.clone()).or_default();
        if shapes.len() < REQUESTS {
            shapes.insert(Shape {
                is_tcp: decision.protocol == "tcp",
                raw_host: decision.raw_host.to_string(),
                method: decision.method.to_string(),
                path: decision.path.to_string(),
            });
        }
        self.reached.entry(caller).or_default().insert(host);
    }

    fn weight(&self) -> usize {
        64 * self.reached.values().map(BTreeSet::len).sum::<usize>()
    }
}

impl Seen {
    fn merge(&mut self, other: Seen) {
        self.last = self.last.max(other.last);
        for (caller, hosts) in other.reached {
            self.reached.entry(caller).or_default().extend(hosts);
        }
        for (host, shapes) in other.shapes {
            let own = self.shapes.entry(host).or_default();
            let room = REQUESTS.saturating_sub(own.len());
            own.extend(shapes.into_iter().take(room));
        }
    }

    /// Returns how many hosts a caller may reach.
    fn open(&self, snapshot: &Snapshot, principal: &str) -> usize {
        let is_open = |shapes: &&BTreeSet<Shape>| {
            shapes
                .iter()
                .any(|shape| is_allowed(snapshot, principal, shape, self.last))
        };
        self.shapes.values().filter(is_open).count()
    }
}

fn is_allowed(snapshot: &Snapshot, principal: &str, shape: &Shape, now: i128) -> bool {
    let attributes = Attributes {
        source_principal: principal,
        has_address: true,
        listener_port: Some(8443),
        service: if shape.is_tcp { &shape.raw_host } else { "" },
        http: (!shape.is_tcp).then(|| HttpAttributes {
            method: &shape.method,
            path: &shape.path,
            host: &shape.raw_host,
            scheme: "https",
            ..HttpAttributes::default()
        }),
        ..Attributes::default()
    };
    let request = attributes.normalise(snapshot.settings());
    snapshot.decide(&request, UnixNanos(now)).verdict.effect() == Effect::Allow
}

/// Compares, and prints a table in Markdown; `publishes` puts it with its plot into docs/.
pub(crate) fn run(week: &Path, suggested: &Path, publishes: bool) -> Result<()> {
    let paths = WeekPaths::of(week);
    let inputs: Vec<ScanInput> = paths.segments()?.into_iter().map(ScanInput::from).collect();
    let mut seen = Seen::default();
    let outcome = scan::scan(
        &inputs,
        &ScanOptions::default(),
        |_| Seen::default(),
        |part| {
            seen.merge(part);
            ControlFlow::Continue(())
        },
    );
    ensure!(
        outcome.files.iter().all(|file| file.failure.is_none()),
        "a file cannot be read"
    );
    let (before, after) = (load(&paths.policies())?, load(suggested)?);
    let mut rows: BTreeMap<&str, NamespaceGrants> = BTreeMap::new();
    for ((namespace, principal), hosts) in &seen.reached {
        let row = rows.entry(namespace).or_default();
        row.accounts += 1;
        row.used += hosts.len();
        row.before += seen.open(&before, principal);
        row.after += seen.open(&after, principal);
    }
    for (namespace, row) in &mut rows {
        row.namespace = (*namespace).to_owned();
        row.entries_before = entries(&before, namespace);
        row.entries_after = entries(&after, namespace);
    }
    let found = Grants {
        about: about(&paths)?,
        hosts: seen.shapes.len(),
        namespaces: rows.into_values().collect(),
    };
    println!("{}", found.table());
    if publishes {
        let text = serde_json::to_string_pretty(&found)? + "\n";
        fs::write(plots::folder().join(plots::grants::DATA), text)?;
        published::write_all()?;
    }
    Ok(())
}

/// Says which week was compared.
fn about(paths: &WeekPaths) -> Result<String> {
    let summary = WeekSummary::read(paths)?;
    let crossings = count(summary.crossings as f64);
    Ok(format!(
        "A week of {crossings} crossings, seed {}.",
        summary.seed
    ))
}

/// Returns how many `allow` entries the policies of a namespace have.
fn entries(snapshot: &Snapshot, namespace: &str) -> usize {
    let own = format!("ep:{namespace}/");
    let grants = snapshot.rules().grants.iter();
    grants
        .filter(|rule| rule.info.id.to_string().starts_with(&own))
        .count()
}

/// Compiles the policy files of a directory.
fn load(directory: &Path) -> Result<Snapshot> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    let file = |path: PathBuf| -> Result<PolicyFile> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(PolicyFile {
            name,
            bytes: fs::read(&path)?.into(),
        })
    };
    let source = Source {
        name: directory.display().to_string(),
        files: paths.into_iter().map(file).collect::<Result<_>>()?,
        ..Source::default()
    };
    let settings = Settings::default();
    match compile::compile(&[source::load(&source, &settings)], &settings) {
        Ok(compiled) => Ok(compiled.snapshot),
        Err(problems) => anyhow::bail!("{}: {problems:?}", directory.display()),
    }
}
