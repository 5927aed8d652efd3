//! The policy files of a measured customs: the benchmarks' set, and one policy that decides the
//! captured check.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use customs_test_support::bench_policies::{self as set, Shape};

/// The namespace of the captured check's caller, and its destination.
pub(crate) const NAMESPACE: &str = "payments";
pub(crate) const ACCOUNT: &str = "checkout-service";
pub(crate) const HOST: &str = "api.partner-example.com";

/// Why the captured check is allowed under these policies.
pub(crate) const REASON: &str = "allowed_by_rule";

/// Writes `rules` rules, and the one that allows the captured check, each file by renaming it into
/// place. Another edition changes rules in every file of the set.
pub(crate) fn write(folder: &Path, rules: usize, edition: usize) -> Result<()> {
    fs::create_dir_all(folder)?;
    for file in set::source(Shape::Teams, rules).files {
        let text = std::str::from_utf8(&file.bytes)?
            .replace(".bad.example", &format!(".bad{edition}.example"));
        put(folder, &file.name, &text)?;
    }
    put(folder, "partner.yaml", &partner())
}

fn partner() -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: partner, namespace: {NAMESPACE}}}\n\
         spec: {{subjects: [{{serviceAccounts: [{ACCOUNT}]}}], allow: [{{name: api, hosts: [{HOST}]}}]}}\n"
    )
}

fn put(folder: &Path, name: &str, text: &str) -> Result<()> {
    let half = folder.join(format!(".{name}.half"));
    fs::write(&half, text)?;
    fs::rename(&half, folder.join(name)).with_context(|| format!("cannot put {name} in place"))
}
