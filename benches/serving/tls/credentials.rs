//! What servers and clients present: files for the servers, configurations for the clients, all
//! from one throw-away authority, with ECDSA keys of P-256.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::client::Resumption;

use customs_test_support::tls_files::{
    Authority, CERTIFICATE, CLIENT_CA, GATEWAY, Leaf, PRIVATE_KEY, TlsClient, put,
};

/// The files of a server, and a client that it accepts.
pub(crate) struct Credentials {
    folder: PathBuf,
    /// A client that begins every connection with a full handshake.
    pub full: Arc<ClientConfig>,
    /// A client that resumes sessions, if the server lets it.
    pub resuming: Arc<ClientConfig>,
}

impl Credentials {
    pub(crate) fn make(folder: &Path) -> Result<Credentials> {
        let authority = Authority::new();
        let server = authority.issue(&Leaf::server());
        let client = authority.issue(&Leaf::workload(GATEWAY));
        for (name, text) in [
            (CERTIFICATE, &server.certificate),
            (PRIVATE_KEY, &server.private_key),
            (CLIENT_CA, &authority.pem()),
        ] {
            put(folder, name, text);
        }
        let trusted = authority.pem();
        let client = TlsClient::trusting(&trusted).presenting(&client).config();
        let mut full = ClientConfig::clone(&client);
        full.resumption = Resumption::disabled();
        Ok(Credentials {
            folder: folder.to_owned(),
            full: Arc::new(full),
            resuming: client,
        })
    }

    /// Returns the folder, in which the files have the names of `tls_files`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the text of the setting of customs: it accepts clients of the authority, and of those
    /// only the one with this id.
    pub(crate) fn setting(&self) -> String {
        let path = |name| self.folder.join(name).display().to_string();
        format!(
            "certificate={},private_key={},client_ca={},client_ids={GATEWAY}",
            path(CERTIFICATE),
            path(PRIVATE_KEY),
            path(CLIENT_CA)
        )
    }
}
