//! Verifies the certificate of a client: first its chain, then who it is.
//!
//! The rule: every handshake verifies both. There is no resumption (see [`server`](super::server)),
//! so no earlier answer is ever used again.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::client_ids::ClientIdPattern;
use crate::spiffe_id::{PeerIdentityError, SpiffeId};

/// Requires a certificate from one of the authorities and, if there is a list, an id on it.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    permitted: Vec<ClientIdPattern>,
}

impl ClientVerifier {
    /// Creates a verifier. An empty list permits each client whose certificate comes from one of
    /// the authorities.
    pub(crate) fn new(
        authorities: Arc<RootCertStore>,
        permitted: Vec<ClientIdPattern>,
        provider: Arc<CryptoProvider>,
    ) -> Result<ClientVerifier, VerifierBuilderError> {
        let chain = WebPkiClientVerifier::builder_with_provider(authorities, provider).build()?;
        Ok(ClientVerifier { chain, permitted })
    }

    fn verify_identity(&self, certificate: &CertificateDer<'_>) -> Result<(), PeerIdentityError> {
        let id = SpiffeId::of(certificate)?;
        if self.permitted.is_empty() {
            return Ok(());
        }
        let id = id.ok_or(PeerIdentityError::Absent)?;
        match self.permitted.iter().any(|pattern| pattern.matches(&id)) {
            true => Ok(()),
            false => Err(PeerIdentityError::NotPermitted(id)),
        }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        match self.verify_identity(end_entity) {
            Ok(()) => Ok(verified),
            Err(why) => Err(CertificateError::Other(OtherError(Arc::new(why))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
