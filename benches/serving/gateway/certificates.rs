//! Certificates of the mesh that is measured: an authority, the gateway and one workload.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{CertificateParams, DistinguishedName, SanType};

use crate::policies::{ACCOUNT, NAMESPACE};
use customs_test_support::certificates::{authority, issue};

/// The name under which clients look for the gateway.
pub(crate) const GATEWAY: &str = "gateway.bench";

/// The folder with the files.
pub(crate) struct Certificates {
    pub folder: PathBuf,
}

impl Certificates {
    pub(crate) fn make(folder: &Path) -> Result<Certificates> {
        let mesh = authority("throw-away mesh authority")?;
        std::fs::write(folder.join("ca.pem"), mesh.pem())?;
        let gateway = "spiffe://cluster.local/ns/istio-egress/sa/egress-gateway".to_owned();
        // Istio's certificates have no DNS name. This one has, so that an ordinary TLS client
        // accepts it.
        issue(&mesh, params(gateway, Some(GATEWAY))?, folder, "gateway")?;
        let workload = format!("spiffe://cluster.local/ns/{NAMESPACE}/sa/{ACCOUNT}");
        issue(&mesh, params(workload, None)?, folder, "workload")?;
        Ok(Certificates {
            folder: folder.to_path_buf(),
        })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn params(identity: String, name: Option<&str>) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .subject_alt_names
        .push(SanType::URI(identity.try_into()?));
    if let Some(name) = name {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.try_into()?));
    }
    Ok(params)
}
