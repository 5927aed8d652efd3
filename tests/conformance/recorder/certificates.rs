//! Throw-away certificates for any identity that a request needs.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// The names in a client's certificate, as a request file spells them in `as`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub uris: Vec<String>,
    pub dns: Option<String>,
    pub subject: Option<String>,
}

impl Names {
    /// Parses `none`, `shop/web`, `other.example/shop/web`, `uri:A` or `uri:A,B`, `dns:NAME`,
    /// `subject:NAME`.
    pub(crate) fn parse(text: &str) -> Option<Names> {
        let mut names = Names {
            uris: Vec::new(),
            dns: None,
            subject: None,
        };
        let parts: Vec<&str> = text.split('/').collect();
        match (text.split_once(':'), parts.as_slice()) {
            (Some(("uri", uris)), _) => names.uris = uris.split(',').map(str::to_owned).collect(),
            (Some(("dns", name)), _) => names.dns = Some(name.to_owned()),
            (Some(("subject", name)), _) => names.subject = Some(name.to_owned()),
            (_, [namespace, account]) => {
                names.uris = vec![spiffe("cluster.local", namespace, account)]
            }
            (_, [domain, namespace, account]) => {
                names.uris = vec![spiffe(domain, namespace, account)]
            }
            _ => return None,
        }
        Some(names)
    }
}

fn spiffe(domain: &str, namespace: &str, account: &str) -> String {
    format!("spiffe://{domain}/ns/{namespace}/sa/{account}")
}

/// The authority that Envoy trusts, and what it has issued.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    issued: HashMap<String, (CertificateDer<'static>, Vec<u8>)>,
}

impl Authority {
    /// Makes an authority and writes what Envoy needs: `ca.pem`, `gateway.pem`, `gateway.key`.
    pub(crate) fn make(folder: &Path) -> Result<Authority> {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "throw-away authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        fs::write(folder.join("ca.pem"), issuer.pem())?;
        let mut gateway = CertificateParams::default();
        gateway.distinguished_name = DistinguishedName::new();
        let id = spiffe("cluster.local", "istio-egress", "egress-gateway");
        gateway
            .subject_alt_names
            .push(SanType::URI(id.as_str().try_into()?));
        let key = KeyPair::generate()?;
        fs::write(
            folder.join("gateway.pem"),
            gateway.signed_by(&key, &issuer)?.pem(),
        )?;
        fs::write(folder.join("gateway.key"), key.serialize_pem())?;
        Ok(Authority {
            issuer,
            issued: HashMap::new(),
        })
    }

    /// Returns the certificate of a caller; `None` if it has none.
    pub(crate) fn identity(&mut self, caller: &str) -> Result<Option<Identity>> {
        if caller == "none" {
            return Ok(None);
        }
        if !self.issued.contains_key(caller) {
            let names =
                Names::parse(caller).with_context(|| format!("{caller:?} is not a caller"))?;
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            for uri in &names.uris {
                params
                    .subject_alt_names
                    .push(SanType::URI(uri.as_str().try_into()?));
            }
            if let Some(name) = &names.dns {
                params
                    .subject_alt_names
                    .push(SanType::DnsName(name.as_str().try_into()?));
            }
            if let Some(name) = &names.subject {
                params
                    .distinguished_name
                    .push(DnType::CommonName, name.as_str());
            }
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
            self.issued
                .insert(caller.to_owned(), (certificate, key.serialize_der()));
        }
        let (certificate, key) = self.issued.get(caller).context("just issued")?;
        Ok(Some((
            certificate.clone(),
            PrivatePkcs8KeyDer::from(key.clone()).into(),
        )))
    }
}
