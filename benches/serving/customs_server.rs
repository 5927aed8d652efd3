//! A measured customs, with its policies and its audit log.
//!
//! It knows the binary from outside only. The rule: all settings are the defaults, except the
//! addresses, the policies, the audit log and, in one kind each, the metadata, TLS and telemetry.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::connection::Endpoint;
use crate::policies;
use crate::server::Server;
use crate::session::Session;
use crate::tls::credentials::Credentials;
use customs_test_support::process::Process;
use customs_test_support::{http, ports};

/// The size of the set that the figures are about.
pub(crate) const MANY: usize = 100_000;
/// A set as small as the benchmarks' generator can make.
pub(crate) const FEW: usize = 10;

/// How long a reload may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where decisions are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Off,
    /// A file, which is rotated so that the disk does not fill up.
    File,
    /// The same in protobuf.
    Protobuf,
    /// A file as above, and no dynamic metadata in the answers.
    FileWithoutMetadata,
}

/// A running customs.
pub(crate) struct CustomsServer {
    pub server: Server,
    admin: u16,
    policies: PathBuf,
    rules: usize,
    edition: usize,
}

/// What differs from the defaults besides.
#[derive(Clone, Copy, Default)]
struct Options<'o> {
    tls: Option<&'o Credentials>,
    variables: &'o [(&'o str, String)],
}

impl<'o> Options<'o> {
    fn tls(credentials: &'o Credentials) -> Options<'o> {
        Options {
            tls: Some(credentials),
            ..Options::default()
        }
    }
}

/// Returns the name in the tables.
pub(crate) fn name(rules: usize, record: Record) -> String {
    let rules = customs_test_support::bench_report::document::count(rules as f64);
    match record {
        Record::Off => format!("customs, {rules} rules, audit off"),
        Record::File => format!("customs, {rules} rules, audit to file"),
        Record::Protobuf => format!("customs, {rules} rules, audit to protobuf file"),
        Record::FileWithoutMetadata => {
            format!("customs, {rules} rules, audit to file, no metadata")
        }
    }
}

/// Returns the name with mutual TLS and the audit off.
pub(crate) fn name_with_tls(rules: usize) -> String {
    format!("{}, mutual TLS", name(rules, Record::Off))
}

/// Returns the name of the earlier build.
pub(crate) fn earlier_name(rules: usize, record: Record) -> String {
    format!("earlier {}", name(rules, record))
}

impl CustomsServer {
    /// Starts the earlier build, if there is one, once for each kind of record.
    pub(crate) fn start_earlier(
        session: &Session,
        rules: usize,
        records: &[Record],
    ) -> Result<Vec<CustomsServer>> {
        let Some(binary) = &session.earlier else {
            return Ok(Vec::new());
        };
        records
            .iter()
            .map(|record| {
                let name = earlier_name(rules, *record);
                CustomsServer::start_build(
                    session,
                    binary,
                    name,
                    (rules, *record),
                    Options::default(),
                )
            })
            .collect()
    }

    /// Starts one, and checks that it allows the captured check by the rule that is made for it.
    pub(crate) fn start(session: &Session, rules: usize, record: Record) -> Result<CustomsServer> {
        let binary = Path::new(env!("CARGO_BIN_EXE_customs"));
        let name = name(rules, record);
        CustomsServer::start_build(session, binary, name, (rules, record), Options::default())
    }

    /// Starts one with the audit off, under this name and with these variables.
    pub(crate) fn start_with_variables(
        session: &Session,
        rules: usize,
        name: &str,
        variables: &[(&str, String)],
    ) -> Result<CustomsServer> {
        let binary = Path::new(env!("CARGO_BIN_EXE_customs"));
        let options = Options {
            variables,
            ..Options::default()
        };
        let what = (rules, Record::Off);
        CustomsServer::start_build(session, binary, name.to_owned(), what, options)
    }

    /// Starts one with mutual TLS and the audit off.
    pub(crate) fn start_with_tls(
        session: &Session,
        rules: usize,
        credentials: &Credentials,
    ) -> Result<CustomsServer> {
        let binary = Path::new(env!("CARGO_BIN_EXE_customs"));
        let (name, what) = (name_with_tls(rules), (rules, Record::Off));
        CustomsServer::start_build(session, binary, name, what, Options::tls(credentials))
    }

    /// Starts the earlier build, if there is one, in the same way.
    pub(crate) fn start_earlier_with_tls(
        session: &Session,
        rules: usize,
        credentials: &Credentials,
    ) -> Result<Option<CustomsServer>> {
        let start = |binary: &PathBuf| {
            let name = format!("earlier {}", name_with_tls(rules));
            let what = (rules, Record::Off);
            CustomsServer::start_build(session, binary, name, what, Options::tls(credentials))
        };
        session.earlier.as_ref().map(start).transpose()
    }

    fn start_build(
        session: &Session,
        binary: &Path,
        name: String,
        (rules, record): (usize, Record),
        Options { tls, variables }: Options<'_>,
    ) -> Result<CustomsServer> {
        let folder = tempfile::tempdir_in(session.scratch.path())?.keep();
        let (policies, log) = (folder.join("policies"), folder.join("log"));
        policies::write(&policies, rules, 0)?;
        // Next to the policies, each write would wake the watcher of their directory.
        fs::create_dir(folder.join("audit"))?;
        let (port, admin) = (ports::free()?, ports::free()?);
        let mut command = session.command(binary);
        let prefixes = ["CUSTOMS_", "OTEL_"];
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy().into_owned();
            if prefixes.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.args([
            "serve",
            "--policies",
            "policies",
            "--listen",
            &format!("127.0.0.1:{port}"),
        ]);
        command
            .args(["--admin", &format!("127.0.0.1:{admin}")])
            .args(record.flags())
            .current_dir(&folder);
        if let Some(credentials) = tls {
            command.args(["--tls", &credentials.setting()]);
        }
        let mut process = Process::start("customs", &mut command, &log, &session.guard)?;
        process.wait_until_ready(|| {
            http::get(admin, "localhost", "/readyz").is_ok_and(|it| it.status == 200)
        })?;
        let client = tls.map(|credentials| credentials.full.clone());
        let server = Server::new(name, Endpoint { port, tls: client }, process);
        // Without metadata an answer has no reason; another server checks it for the same policies.
        server.must_allow(if record == Record::FileWithoutMetadata {
            ""
        } else {
            policies::REASON
        })?;
        server.settle()?;
        Ok(CustomsServer {
            server,
            admin,
            policies,
            rules,
            edition: 0,
        })
    }

    /// Changes every policy file of the set and waits until the new set is in force.
    pub(crate) fn change_all_policies(&mut self) -> Result<()> {
        let old = self.revision()?;
        self.edition += 1;
        policies::write(&self.policies, self.rules, self.edition)?;
        let start = Instant::now();
        while self.revision()? == old {
            ensure!(
                start.elapsed() < PATIENCE,
                "the changed policies are not in force after {PATIENCE:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Returns the value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> Result<String> {
        let text = http::get(self.admin, "localhost", "/metrics")?.body;
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value
            .with_context(|| format!("no {name} in {text}"))?
            .to_owned())
    }

    fn revision(&self) -> Result<String> {
        let text = http::get(self.admin, "localhost", "/status")?.body;
        let status: Value = serde_json::from_str(&text).context("/status is not JSON")?;
        let revision = status.get("revision").and_then(Value::as_str);
        Ok(revision
            .with_context(|| format!("/status has no revision: {text}"))?
            .to_owned())
    }
}

const JSON: [&str; 4] = [
    "--audit",
    "file:audit/a.jsonl?rotate_size=64MiB&keep=2",
    "--audit-durability",
    "none",
];
const PROTOBUF: [&str; 4] = [
    "--audit",
    "file:audit/a.bin?format=protobuf&rotate_size=64MiB&keep=2",
    "--audit-durability",
    "none",
];
const WITHOUT_METADATA: [&str; 6] = [JSON[0], JSON[1], JSON[2], JSON[3], "--metadata", "none"];

impl Record {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Record::Off => &["--audit", "off"],
            Record::File => &JSON,
            Record::Protobuf => &PROTOBUF,
            Record::FileWithoutMetadata => &WITHOUT_METADATA,
        }
    }
}
