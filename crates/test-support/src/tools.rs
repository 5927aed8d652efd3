//! Finds Envoy, grpcurl and the other tools. `deploy/local/install-tools` finds or installs them;
//! this only calls it.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A program that the rig runs but did not build.
#[derive(Clone, Debug)]
pub struct Tool {
    pub name: String,
    pub path: PathBuf,
    pub version: String,
}

/// Returns Envoy 1.40, or what `ENVOY` names.
pub fn envoy() -> Result<Tool> {
    find("envoy")
}

/// Returns grpcurl 1.8, or what `GRPCURL` names.
pub fn grpcurl() -> Result<Tool> {
    find("grpcurl")
}

/// Returns rotel 0.0.1, a collector of OpenTelemetry, or what `ROTEL` names.
pub fn rotel() -> Result<Tool> {
    find("rotel")
}

/// Returns the path of one of Python's gRPC modules, `grpc_tools/protoc.py`.
pub fn grpcio_tools() -> Result<Tool> {
    find("grpcio-tools")
}

/// Returns the path of DuckDB's Python module, `duckdb/__init__.py`.
pub fn duckdb() -> Result<Tool> {
    find("duckdb")
}

/// Returns the path of the Python module with ClickHouse in it, `chdb/__init__.py`.
pub fn chdb() -> Result<Tool> {
    find("chdb")
}

/// Returns Node, or what `NODE` names.
pub fn node() -> Result<Tool> {
    find("node")
}

/// Returns the script of the YAML language server, or what `YAML_LANGUAGE_SERVER` names.
pub fn yaml_language_server() -> Result<Tool> {
    find("yaml-language-server")
}

/// Returns kubectl 1.37, or what `KUBECTL` names.
pub fn kubectl() -> Result<Tool> {
    find("kubectl")
}

/// Returns helm 3.17, or what `HELM` names.
pub fn helm() -> Result<Tool> {
    find("helm")
}

/// Returns jq, curl or openssl, which the commands of the book use: the one of the system, or Debian's.
pub fn of_the_book(name: &str) -> Result<Tool> {
    find(name)
}

/// Returns h2load 1.52, a load generator for HTTP/2 servers, or what `H2LOAD` names.
pub fn h2load() -> Result<Tool> {
    find("h2load")
}

/// Returns zsh, or what `ZSH` names.
pub fn zsh() -> Result<Tool> {
    find("zsh")
}

/// Returns fish, or what `FISH` names.
pub fn fish() -> Result<Tool> {
    find("fish")
}

/// Returns mandoc, which checks man pages, or what `MANDOC` names.
pub fn mandoc() -> Result<Tool> {
    find("mandoc")
}

/// Returns the validator of SARIF logs by its authors, for x86-64.
pub fn sarif_multitool() -> Result<Tool> {
    find("sarif-multitool")
}

fn find(name: &str) -> Result<Tool> {
    let script = crate::repository().join("deploy/local/install-tools");
    let done = Command::new(&script)
        .arg(name)
        .output()
        .with_context(|| format!("{} cannot be run; it needs python3", script.display()))?;
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        bail!(
            "{name} is missing: {}",
            String::from_utf8_lossy(&done.stderr).trim()
        );
    }
    let line = said.lines().last().unwrap_or_default();
    parse(line).with_context(|| {
        format!("install-tools printed no `NAME: PATH (VERSION)` line but {line:?}")
    })
}

/// Parses a line such as `envoy: /some/path (1.40.0)`.
fn parse(line: &str) -> Option<Tool> {
    let (name, rest) = line.split_once(": ")?;
    let (path, version) = rest.strip_suffix(')')?.rsplit_once(" (")?;
    Some(Tool {
        name: name.to_owned(),
        path: PathBuf::from(path),
        version: version.to_owned(),
    })
}

/// Prints which program a test run uses. Written past libtest's capture on purpose.
pub fn announce(tool: &Tool) {
    // Nothing depends on the line; a closed stderr must not fail a test.
    let _ = writeln!(
        std::io::stderr(),
        "using {} {} at {}",
        tool.name,
        tool.version,
        tool.path.display()
    );
}
