//! Records the project's own conformance set: how the real Envoy's RBAC filter, configured as
//! istiod does, answers under the policies in `policies/`.
//!
//! ```text
//! cargo run --example record-conformance            all of it, into tests/conformance/recorded.jsonl
//! cargo run --example record-conformance -- hosts   only sets whose name has `hosts` in it, onto the terminal
//! ENVOY=/path/to/a/newer/envoy cargo run --example record-conformance
//! ```
//!
//! To record again on a newer Envoy, name it in `ENVOY` (or update `deploy/local/tools.txt`), run
//! the second line, read the difference in `recorded.jsonl`, and run `cargo test --test
//! conformance`. A row that changed is either a change of Envoy's, to be judged and written into
//! docs/reference/istio-differences.md, or a mistake in this folder.
//!
//! Every file of `policies/` has one of the same name in `requests/`, which says what is sent. The
//! policies are translated by `translate.rs`, which shares nothing with the engine. Envoy asks an
//! ext_authz server first, which allows everything and stores the CheckRequest. After it come the
//! RBAC filters and an answer of Envoy's own. What differs from run to run (time, ids, the client's
//! port, hashes of certificates) is removed, so that two recordings on one Envoy are the same file.
//! It binds ports 15080, 15443, 15444, 15500 and 15600 on 127.0.0.1 and 127.0.0.2.

// Indexing JSON yields null where nothing is.
#![allow(clippy::print_stdout, clippy::indexing_slicing, missing_docs)]

mod capture;
mod certificates;
mod client;
mod gateway;
mod matchers;
mod requests;
mod translate;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use capture::Capture;
use certificates::Authority;
use customs_test_support::process::Guard;
use customs_test_support::tools;
use requests::Plan;
use serde_json::{Value, json};

/// A policy set to record.
struct Set {
    name: String,
    yaml: String,
    plan: Plan,
}

fn main() -> Result<()> {
    let only = std::env::args().nth(1);
    let folder = customs_test_support::repository().join("tests/conformance");
    let envoy = tools::envoy()?;
    tools::announce(&envoy);
    let scratch = tempfile::Builder::new()
        .prefix("customs-recorder-")
        .tempdir()?;
    let guard = Guard::over(scratch.path())?;
    let mut recorder = Recorder {
        authority: Authority::make(scratch.path())?,
        capture: Capture::start()?,
        runtime: tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?,
        rows: 0,
    };
    let mut lines = Vec::new();
    let sets = sets(&folder, only.as_deref())?;
    for set in &sets {
        let context = || format!("recording {}", set.name);
        let own = set.own_domains();
        let policies: Vec<Value> = serde_saphyr::from_multiple(&set.yaml).with_context(context)?;
        let http = translate::translate(&policies, &own, false).with_context(context)?;
        let tcp = translate::translate(&policies, &own, true).with_context(context)?;
        let plan = gateway::Plan {
            http: &http,
            tcp: &tcp,
            asked: &set.plan,
            capture: recorder.capture.port,
        };
        let running =
            gateway::start(&envoy, scratch.path(), &guard, &plan).with_context(context)?;
        lines.push(json!({
            "family": "own", "policy_file": set.name, "trust_domains": own, "xff_hops": set.plan.trusted_hops, "yaml": set.yaml,
        }));
        lines.extend(recorder.record(set, &own).with_context(context)?);
        running.kill();
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if only.is_some() {
        print!("{text}");
    } else {
        fs::write(folder.join("recorded.jsonl"), text)?;
    }
    println!(
        "recorded {} sets, {} checks on Envoy {}",
        sets.len(),
        recorder.rows,
        envoy.version
    );
    Ok(())
}

struct Recorder {
    authority: Authority,
    capture: Capture,
    runtime: tokio::runtime::Runtime,
    rows: usize,
}

impl Recorder {
    fn record(&mut self, set: &Set, own: &[String]) -> Result<Vec<Value>> {
        let mut lines = Vec::new();
        for (index, request) in set.plan.requests()?.into_iter().enumerate() {
            let identity = self.authority.identity(&request.caller)?;
            let through = client::gets_through(&request, identity, &self.runtime);
            let through = through.with_context(|| format!("{request:?}"))?;
            let check = self
                .capture
                .take()
                .with_context(|| format!("{request:?}"))?;
            self.rows += 1;
            lines.push(json!({
                "expected": if through { "allow" } else { "deny" },
                "id": index,
                "policy_file": set.name,
                "request": check,
                "tags": request.tags(&set.plan, own, &set.yaml),
            }));
        }
        Ok(lines)
    }
}

impl Set {
    fn own_domains(&self) -> Vec<String> {
        let own = &self.plan.trust_domains;
        if own.is_empty() {
            vec!["cluster.local".to_owned()]
        } else {
            own.clone()
        }
    }
}

/// Returns every policy file with its requests, once for each action under which it is recorded.
fn sets(folder: &std::path::Path, only: Option<&str>) -> Result<Vec<Set>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("policies"))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let mut sets = Vec::new();
    for file in files {
        let name = file
            .file_stem()
            .context("a file without a name")?
            .to_string_lossy()
            .into_owned();
        let yaml = fs::read_to_string(&file)?;
        let requests = folder.join("requests").join(format!("{name}.yaml"));
        let text = fs::read_to_string(&requests).with_context(|| requests.display().to_string())?;
        let read = || {
            serde_saphyr::from_str::<Plan>(&text).with_context(|| requests.display().to_string())
        };
        let plan = read()?;
        if plan.actions.is_empty() {
            sets.push(Set { name, yaml, plan });
            continue;
        }
        for action in &plan.actions {
            let yaml = yaml.replace("action: ALLOW", &format!("action: {action}"));
            sets.push(Set {
                name: format!("{name}.{}", action.to_lowercase()),
                yaml,
                plan: read()?,
            });
        }
    }
    sets.retain(|set| only.is_none_or(|only| set.name.contains(only)));
    Ok(sets)
}
