//! The settings `tls` and `admin_tls`: the certificate of an address, and which clients it accepts.
//!
//! In the settings file each is a mapping. On the command line and in the environment it is one
//! text, `certificate=FILE,private_key=FILE`, with the same keys; `client_ids` may be repeated. No
//! file is opened here.

use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::{SettingValueError, SettingsError};
use customs_tls::client_ids::ClientIdPattern;
use customs_tls::server::{self, ApplicationProtocol, ServerOptions};

/// The certificate of an address, and which clients it accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsSettings {
    /// The PEM file of the certificate, followed by those that vouch for it.
    pub certificate: PathBuf,
    /// The PEM file of its private key, without a passphrase.
    pub private_key: PathBuf,
    /// The PEM file of the authorities that must vouch for each client. Without it, clients need no
    /// certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// The SPIFFE ids of the clients that may connect, such as
    /// `spiffe://cluster.local/ns/istio-system/sa/egress`. `/*` at the end means every id below.
    /// Without it, each client that `client_ca` vouches for may connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ids: Option<Vec<String>>,
    /// The oldest version of TLS: `TLSv1.2` or `TLSv1.3`.
    #[serde(default)]
    pub min_version: MinTlsVersion,
}

/// The oldest version of TLS that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum MinTlsVersion {
    /// TLS 1.2
    #[serde(rename = "TLSv1.2")]
    V12,
    /// TLS 1.3
    #[default]
    #[serde(rename = "TLSv1.3")]
    V13,
}

/// What is wrong with the text of a flag or a variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TlsTextError {
    /// Not `KEY=VALUE`, or an unknown key.
    #[error(
        "unknown key `{0}`: expected certificate, private_key, client_ca, client_ids or min_version, as in `certificate=FILE,private_key=FILE`"
    )]
    Key(String),
    /// A key that only has one value.
    #[error("`{0}` is written twice: remove one of the two")]
    Twice(&'static str),
    /// A key without a value.
    #[error("`{0}` has no value: write a value, or remove the key")]
    NoValue(String),
    /// A key that is needed.
    #[error("`{0}` is missing: expected `certificate=FILE,private_key=FILE`")]
    Missing(&'static str),
    /// An unknown version.
    #[error("invalid min_version `{0}`: expected `TLSv1.2` or `TLSv1.3`")]
    Version(String),
}

impl FromStr for TlsSettings {
    type Err = TlsTextError;

    fn from_str(text: &str) -> Result<TlsSettings, TlsTextError> {
        let (mut certificate, mut private_key, mut client_ca) = (None, None, None);
        let (mut client_ids, mut min_version) = (None, None);
        for pair in text.split(',') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let file = || PathBuf::from(value);
            let is_known = [
                "certificate",
                "private_key",
                "client_ca",
                "client_ids",
                "min_version",
            ]
            .contains(&key);
            if is_known && value.is_empty() {
                return Err(TlsTextError::NoValue(key.to_owned()));
            }
            match key {
                "certificate" => set(&mut certificate, "certificate", file())?,
                "private_key" => set(&mut private_key, "private_key", file())?,
                "client_ca" => set(&mut client_ca, "client_ca", file())?,
                "client_ids" => client_ids
                    .get_or_insert_with(Vec::new)
                    .push(value.to_owned()),
                "min_version" => {
                    let version = match value {
                        "TLSv1.2" => MinTlsVersion::V12,
                        "TLSv1.3" => MinTlsVersion::V13,
                        _ => return Err(TlsTextError::Version(value.to_owned())),
                    };
                    set(&mut min_version, "min_version", version)?;
                }
                _ => return Err(TlsTextError::Key(key.to_owned())),
            }
        }
        Ok(TlsSettings {
            certificate: certificate.ok_or(TlsTextError::Missing("certificate"))?,
            private_key: private_key.ok_or(TlsTextError::Missing("private_key"))?,
            client_ca,
            client_ids,
            min_version: min_version.unwrap_or_default(),
        })
    }
}

fn set<T>(place: &mut Option<T>, key: &'static str, value: T) -> Result<(), TlsTextError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(TlsTextError::Twice(key)),
    }
}

/// Converts the setting of this name, and adds each problem.
pub(super) fn resolve(
    name: &str,
    settings: Option<&TlsSettings>,
    protocol: ApplicationProtocol,
    wrong: &mut SettingsError,
) -> Option<ServerOptions> {
    let TlsSettings {
        certificate,
        private_key,
        client_ca,
        client_ids,
        min_version,
    } = settings?;
    for (key, path) in [
        ("certificate", Some(certificate)),
        ("private_key", Some(private_key)),
        ("client_ca", client_ca.as_ref()),
    ] {
        if path.is_some_and(|path| path.as_os_str().is_empty()) {
            let path = format!("{name}.{key}");
            wrong.add(
                path,
                "",
                SettingValueError::OutOfRange("the path of a PEM file".into()),
            );
        }
    }
    let ids = client_ids.as_deref().unwrap_or_default();
    let path = format!("{name}.client_ids");
    match (client_ids, client_ca) {
        (Some(_), None) => {
            let what = "`client_ids` need `client_ca`, the authorities that vouch for these ids";
            wrong.add_whole(&path, SettingValueError::Conflict(what.into()));
        }
        (Some(ids), Some(_)) if ids.is_empty() => {
            let expected = "at least one id; without `client_ids`, each client that `client_ca` vouches for may connect";
            wrong.add_whole(&path, SettingValueError::Empty(expected));
        }
        _ => {}
    }
    let mut patterns: Vec<ClientIdPattern> = Vec::new();
    for (at, id) in ids.iter().enumerate() {
        match id.parse() {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => wrong.add(
                format!("{path}[{at}]"),
                id,
                SettingValueError::ClientId(why),
            ),
        }
    }
    Some(ServerOptions {
        certificate: certificate.clone(),
        private_key: private_key.clone(),
        client_authorities: client_ca.clone(),
        client_ids: patterns,
        min_version: match min_version {
            MinTlsVersion::V12 => server::MinVersion::Tls12,
            MinTlsVersion::V13 => server::MinVersion::Tls13,
        },
        protocol,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::settings::SettingsDocument;

    const PAIR: &str = "certificate=/tls/tls.crt,private_key=/tls/tls.key";

    fn pair() -> TlsSettings {
        TlsSettings {
            certificate: "/tls/tls.crt".into(),
            private_key: "/tls/tls.key".into(),
            client_ca: None,
            client_ids: None,
            min_version: MinTlsVersion::V13,
        }
    }

    fn resolved(settings: &TlsSettings) -> (Option<ServerOptions>, Vec<String>) {
        let mut wrong = SettingsError::default();
        let options = resolve(
            "tls",
            Some(settings),
            ApplicationProtocol::Http2,
            &mut wrong,
        );
        let wrong = wrong.errors().iter().map(ToString::to_string).collect();
        (options, wrong)
    }

    #[test]
    fn a_flag_and_a_file_say_the_same() {
        let ids = ["spiffe://a/b", "spiffe://a/ns/*"];
        let text = format!(
            "{PAIR},client_ca=/tls/ca.crt,client_ids={},client_ids={},min_version=TLSv1.2",
            ids[0], ids[1]
        );
        let file = "tls:\n  certificate: /tls/tls.crt\n  private_key: /tls/tls.key\n  client_ca: /tls/ca.crt\n  client_ids: [spiffe://a/b, spiffe://a/ns/*]\n  min_version: TLSv1.2\n";
        let whole = TlsSettings {
            client_ca: Some("/tls/ca.crt".into()),
            client_ids: Some(ids.map(str::to_owned).to_vec()),
            min_version: MinTlsVersion::V12,
            ..pair()
        };
        assert_eq!(text.parse(), Ok(whole.clone()));
        let document = SettingsDocument::parse("s.yaml", file).unwrap();
        assert_eq!(document.settings.tls, Some(whole.clone()));
        assert_eq!(PAIR.parse(), Ok(pair()));
        let (options, wrong) = resolved(&whole);
        let options = options.unwrap();
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(options.min_version, server::MinVersion::Tls12);
        assert_eq!(options.client_ids.len(), 2);
        let (options, _) = resolved(&pair());
        assert_eq!(options.unwrap().client_authorities, None);
    }

    #[test]
    fn a_text_that_is_wrong_is_reported_with_what_to_write() {
        for (text, expected) in [
            ("", "unknown key ``"),
            ("/tls/tls.crt", "unknown key `/tls/tls.crt`"),
            ("certificate=a", "`private_key` is missing"),
            ("private_key=a", "`certificate` is missing"),
            ("certificate=,private_key=b", "`certificate` has no value"),
            (
                "certificate=a,certificate=b",
                "`certificate` is written twice",
            ),
            (&format!("{PAIR},ca=c"), "unknown key `ca`"),
            (
                &format!("{PAIR},min_version=1.3"),
                "invalid min_version `1.3`",
            ),
        ] {
            let why = text.parse::<TlsSettings>().unwrap_err().to_string();
            assert!(why.contains(expected), "{text}: {why}");
        }
    }

    #[test]
    fn a_list_of_clients_must_be_one_that_can_be_proven() {
        let ca = Some("/tls/ca.crt".into());
        let ids = |ids: &[&str]| Some(ids.iter().map(ToString::to_string).collect());
        for (client_ca, client_ids, expected) in [
            (
                None,
                ids(&["spiffe://a/b"]),
                "invalid tls.client_ids: `client_ids` need `client_ca`",
            ),
            (
                ca.clone(),
                ids(&[]),
                "invalid tls.client_ids: the list is empty",
            ),
            (
                ca.clone(),
                ids(&["spiffe://a/b", "gateway.example"]),
                "invalid tls.client_ids[1] `gateway.example`: a SPIFFE id begins with `spiffe://`",
            ),
            (
                ca,
                ids(&["spiffe://a/ns/*/sa/b"]),
                "invalid tls.client_ids[0] `spiffe://a/ns/*/sa/b`: `*` can only be the whole last",
            ),
        ] {
            let (_, wrong) = resolved(&TlsSettings {
                client_ca,
                client_ids,
                ..pair()
            });
            assert_eq!(wrong.len(), 1, "{wrong:?}");
            assert!(wrong[0].starts_with(expected), "{wrong:?}");
        }
    }

    #[test]
    fn a_path_that_is_empty_is_refused() {
        let (_, wrong) = resolved(&TlsSettings {
            private_key: PathBuf::new(),
            client_ca: Some(PathBuf::new()),
            ..pair()
        });
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].starts_with("invalid tls.private_key"), "{wrong:?}");
    }
}
