//! Gathers the evidence of one Envoy: from its admin address, from a file, or from a folder of
//! files.
//!
//! What a file holds is recognised by its content, because the names that people give are their own.

use std::fs;
use std::path::{Path, PathBuf};

use super::collect::clock;
use super::files::{self, MAX_FILE};
use crate::app::cli::ClientTlsArgs;
use crate::app::fetch;
use crate::app::server_connection::{ServerAddress, ServerAddressError, ServerPort};
use customs_doctor::envoy_certificates;
use customs_doctor::envoy_config::{EnvoyConfig, EnvoyConfigError, EnvoyVersion};
use customs_doctor::envoy_stats::EnvoyStats;
use customs_doctor::evidence::{ProxyEvidence, Trouble};

/// The size of the largest answer that is accepted, in bytes: the configuration of a gateway in a
/// large mesh has some fifty million.
const MAX_ANSWER: usize = 512 * 1024 * 1024;
/// The counters that are read, and one that every Envoy has.
const STATS: &str = "/stats?filter=ext_authz%7Cserver.uptime";

/// Where the evidence of an Envoy is.
#[derive(Debug)]
pub(super) enum EnvoyPlace {
    /// At its admin address.
    Address(Box<ServerAddress>),
    /// In a file, or in a folder of files.
    Path(PathBuf),
}

/// Reads the value of `--envoy`.
///
/// # Errors
/// Why an address is invalid.
pub(super) fn open(text: &str, tls: &ClientTlsArgs) -> Result<EnvoyPlace, ServerAddressError> {
    let is_url = ["http://", "https://", "unix:"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let is_path = !is_url && (Path::new(text).exists() || !is_host_and_port(text));
    if is_path {
        return Ok(EnvoyPlace::Path(text.into()));
    }
    // The flags of TLS are for those addresses that have it.
    let tls = match text.starts_with("https://") {
        true => tls.clone(),
        false => ClientTlsArgs::default(),
    };
    let server = ServerAddress::open(ServerPort::EnvoyAdmin, text, &tls)?;
    Ok(EnvoyPlace::Address(Box::new(server)))
}

fn is_host_and_port(text: &str) -> bool {
    let port = text
        .rsplit_once(':')
        .map(|(_, port)| port.trim_end_matches('/'));
    port.is_some_and(|port| port.parse::<u16>().is_ok())
        && !text.trim_end_matches('/').contains('/')
}

/// Returns the counters of now, for a watch; `None` for files, which do not change.
pub(super) async fn stats_before(place: &EnvoyPlace) -> Option<EnvoyStats> {
    let EnvoyPlace::Address(server) = place else {
        return None;
    };
    let fetched = fetch::get(server, STATS, MAX_ANSWER).await.ok()?;
    EnvoyStats::read(&String::from_utf8_lossy(&fetched.body)).ok()
}

/// Gathers everything of one Envoy.
pub(super) async fn collect(place: &EnvoyPlace) -> (ProxyEvidence, Vec<Trouble>) {
    match place {
        EnvoyPlace::Address(server) => at_address(server).await,
        EnvoyPlace::Path(path) => in_files(path),
    }
}

async fn at_address(server: &ServerAddress) -> (ProxyEvidence, Vec<Trouble>) {
    let name = server.server().to_string();
    let mut proxy = ProxyEvidence {
        name: name.clone(),
        ..ProxyEvidence::default()
    };
    let trouble = |path: &str, why: String| Trouble {
        what: format!("{name}{path}"),
        why,
    };
    let fetched = match fetch::get(server, "/config_dump", MAX_ANSWER).await {
        Ok(fetched) => fetched,
        Err(why) => return (proxy, vec![trouble("", why.to_string())]),
    };
    proxy.clock = clock(&fetched);
    let mut troubles = Vec::new();
    match EnvoyConfig::read(&fetched.body) {
        Ok(config) => proxy.config = Some(config),
        Err(why) => {
            let is_foreign = matches!(why, EnvoyConfigError::Foreign(_));
            troubles.push(trouble("/config_dump", why.to_string()));
            // Something else answers there: its other answers would say the same.
            if is_foreign {
                proxy.clock = None;
                return (proxy, troubles);
            }
        }
    }
    match fetch::get(server, STATS, MAX_ANSWER).await {
        Ok(fetched) => match EnvoyStats::read(&String::from_utf8_lossy(&fetched.body)) {
            Ok(stats) => proxy.stats = Some(stats),
            Err(why) => troubles.push(trouble("/stats", why.to_string())),
        },
        Err(why) => troubles.push(trouble("/stats", why.to_string())),
    }
    match fetch::get(server, "/certs", MAX_ANSWER).await {
        Ok(fetched) => match envoy_certificates::read(&fetched.body) {
            Ok(certificates) => proxy.certificates = Some(certificates),
            Err(why) => troubles.push(trouble("/certs", why.to_string())),
        },
        Err(why) => troubles.push(trouble("/certs", why.to_string())),
    }
    (proxy, troubles)
}

fn in_files(path: &Path) -> (ProxyEvidence, Vec<Trouble>) {
    let mut proxy = ProxyEvidence {
        name: path.display().to_string(),
        ..ProxyEvidence::default()
    };
    let mut troubles = Vec::new();
    let files = match fs::read_dir(path) {
        Ok(entries) => {
            let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
            let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
            files.sort();
            files
        }
        Err(_) => vec![path.to_path_buf()],
    };
    for file in &files {
        if let Err(trouble) = add_file(&mut proxy, file) {
            troubles.push(trouble);
        }
    }
    if files.is_empty() {
        troubles.push(Trouble {
            what: proxy.name.clone(),
            why: "the folder has no file: put the answers of Envoy's admin address into it".into(),
        });
    }
    (proxy, troubles)
}

/// Adds what a file holds.
fn add_file(proxy: &mut ProxyEvidence, file: &Path) -> Result<(), Trouble> {
    let body = files::bytes(file, MAX_FILE)?;
    let why = match EnvoyConfig::read(&body) {
        Ok(config) => {
            proxy.config = Some(config);
            return Ok(());
        }
        Err(why) => why,
    };
    if !matches!(why, EnvoyConfigError::Foreign(_)) {
        if let Ok(certificates) = envoy_certificates::read(&body) {
            proxy.certificates = Some(certificates);
            return Ok(());
        }
        if let Some(version) = EnvoyVersion::of_server_info(&body) {
            proxy.version = Some(version);
            return Ok(());
        }
        if let Ok(stats) = EnvoyStats::read(&String::from_utf8_lossy(&body)) {
            proxy.stats = Some(stats);
            return Ok(());
        }
    }
    Err(Trouble {
        what: file.display().to_string(),
        why: why.to_string(),
    })
}
