//! The past of a real server: its policy archive, `customs at`, and bundles of the audit log that an
//! auditor checks without customs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

mod archive;
mod at;
mod bundle;
mod extract;
mod scene;

use std::path::{Path, PathBuf};

use customs_test_support::server::{Ended, Plan, Server, run};

/// Returns a policy of `demo-frontend` that denies its pods one host.
pub(crate) fn denying(host: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: own, namespace: demo-frontend}}\n\
         spec:\n  deny:\n  - {{name: no-host, hosts: [{host}]}}\n"
    )
}

/// A plan of a server with an archive and a log in `out`, whose policies deny `a.example`.
pub(crate) fn plan() -> Plan {
    Plan::with("--policy-archive out/archive --audit file:out/audit.jsonl")
        .file("policies/a.yaml", &denying("a.example"))
        .file("out/README", "")
}

/// Waits until everything that came into force is in the archive.
pub(crate) fn archived(server: &Server) -> String {
    server.until("the archive is written", || {
        let archive = server.status()["policyArchive"].clone();
        let is_written =
            archive["waiting"] == 0 && archive["archived"] == server.revision().as_str();
        is_written.then_some(())
    });
    server.revision()
}

/// Runs customs in a folder, with arguments in one text.
pub(crate) fn customs(folder: &Path, arguments: &str) -> Ended {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    run(folder, &arguments)
}

/// Returns the records of a file in JSON.
pub(crate) fn records(path: PathBuf) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
