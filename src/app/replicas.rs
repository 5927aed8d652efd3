//! The replicas of customs that `--admin` names: their addresses, and what each says about itself.
//!
//! It judges nothing; `customs_doctor` does. The rules: a replica that does not answer is an answer
//! too, and a name with several addresses is asked at each of them.

use std::net::SocketAddr;

use tokio::net::lookup_host;
use tokio::task::JoinSet;

use super::cli::ClientTlsArgs;
use super::fetch::{self, FetchError, Fetched};
use super::server_connection::{ServerAddress, ServerAddressError, ServerPort};
use customs_doctor::customs_status::CustomsStatus;
use customs_doctor::replica::{Replica, ReplicaError};

/// The size of the largest status that is accepted, in bytes.
const MAX_STATUS: usize = 64 * 1024 * 1024;

/// A replica that can be asked.
#[derive(Debug)]
pub(super) struct ReplicaAddress {
    /// Its name in reports.
    pub name: String,
    /// Where it is.
    pub server: ServerAddress,
}

/// Returns the replicas of the flag `--admin`, a name with several addresses as one for each.
///
/// # Errors
/// Why an address is invalid.
pub(super) async fn open(
    texts: &[String],
    tls: &ClientTlsArgs,
) -> Result<Vec<ReplicaAddress>, ServerAddressError> {
    let mut replicas: Vec<ReplicaAddress> = Vec::new();
    for text in texts {
        let server = ServerAddress::open(ServerPort::Admin, text, tls)?;
        let several = several_addresses(&server).await;
        if several.is_empty() {
            let name = server.server().to_string();
            replicas.push(ReplicaAddress { name, server });
            continue;
        }
        for address in several {
            let host = server.authority().rsplit_once(':');
            let host = host.map_or("", |(host, _)| host).to_owned();
            let (scheme, tls) = if server.has_tls() {
                // The name in the certificate is the one that was written.
                let name = tls.server_name.clone().or(Some(host.clone()));
                let tls = ClientTlsArgs {
                    server_name: name,
                    ..tls.clone()
                };
                ("https://", tls)
            } else {
                ("", tls.clone())
            };
            replicas.push(ReplicaAddress {
                name: format!("{address} ({host})"),
                server: ServerAddress::open(
                    ServerPort::Admin,
                    &format!("{scheme}{address}"),
                    &tls,
                )?,
            });
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    replicas.retain(|replica| seen.insert(replica.name.clone()));
    Ok(replicas)
}

/// Returns the addresses of a name that has several of one family. A replica with two stacks has one
/// of each, so the other family would name the same replicas again.
async fn several_addresses(server: &ServerAddress) -> Vec<SocketAddr> {
    if server.is_unix() {
        return Vec::new();
    }
    let Ok(found) = lookup_host(server.authority().to_owned()).await else {
        return Vec::new();
    };
    of_one_family(found.collect())
}

/// Returns the addresses of the first family that has several; none if there is one of each.
fn of_one_family(mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    found.sort_unstable();
    found.dedup();
    let (old, new): (Vec<_>, Vec<_>) = found.into_iter().partition(|at| at.is_ipv4());
    [old, new]
        .into_iter()
        .find(|family| family.len() > 1)
        .unwrap_or_default()
}

/// Asks every replica for its status, all at once; the answers are in the order of the replicas.
pub(super) async fn ask(replicas: Vec<ReplicaAddress>) -> Vec<(ReplicaAddress, Replica)> {
    let mut asking = JoinSet::new();
    for (place, replica) in replicas.into_iter().enumerate() {
        asking.spawn(async move {
            let fetched = fetch::get(&replica.server, "/status", MAX_STATUS).await;
            let state = Replica {
                address: replica.name.clone(),
                status: status(fetched.as_ref()),
            };
            (place, replica, state)
        });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(place, ..)| *place);
    let answers = answers.into_iter();
    answers
        .map(|(_, replica, state)| (replica, state))
        .collect()
}

/// Reads the status out of an answer.
pub(super) fn status(
    fetched: Result<&Fetched, &FetchError>,
) -> Result<CustomsStatus, ReplicaError> {
    let fetched = fetched.map_err(|why| ReplicaError::Unreachable(why.to_string()))?;
    CustomsStatus::read(&fetched.body).map_err(|why| {
        let code = fetched.status.as_u16();
        ReplicaError::NotCustoms(format!("it answers `GET /status` with {code}: {why}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_replica_behind_a_name_is_asked_once() {
        for (found, expected) in [
            (vec![], vec![]),
            (vec!["127.0.0.1:1"], vec![]),
            // One host with two stacks.
            (vec!["127.0.0.1:1", "[::1]:1"], vec![]),
            (
                vec!["10.0.0.2:1", "10.0.0.1:1", "10.0.0.1:1"],
                vec!["10.0.0.1:1", "10.0.0.2:1"],
            ),
            // Two replicas with two stacks each.
            (
                vec!["10.0.0.1:1", "[fd00::1]:1", "10.0.0.2:1", "[fd00::2]:1"],
                vec!["10.0.0.1:1", "10.0.0.2:1"],
            ),
            (
                vec!["[fd00::1]:1", "[fd00::2]:1"],
                vec!["[fd00::1]:1", "[fd00::2]:1"],
            ),
        ] {
            let parse = |texts: &[&str]| -> Vec<SocketAddr> {
                texts.iter().map(|text| text.parse().unwrap()).collect()
            };
            assert_eq!(of_one_family(parse(&found)), parse(&expected), "{found:?}");
        }
    }
}
