//! Throw-away certificates: a mesh with SPIFFE identities, and a public site outside it.
//!
//! They are made for each rig, kept in its scratch folder, and removed with it. The two authorities
//! do not know each other, as a mesh's and the web's do not.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

/// A workload of the mesh; its certificate files are called `NAMESPACE-ACCOUNT.pem` and `.key`.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub namespace: &'static str,
    pub account: &'static str,
}

impl Workload {
    /// Returns the identity in its certificate.
    pub fn spiffe_id(&self) -> String {
        format!(
            "spiffe://cluster.local/ns/{}/sa/{}",
            self.namespace, self.account
        )
    }

    /// Returns the name of its process and its files.
    pub fn name(&self) -> String {
        format!("{}-{}", self.namespace, self.account)
    }
}

/// The identity in the egress gateway's certificate, in a mesh where istioctl installed the
/// gateway.
pub const EGRESS_GATEWAY: &str =
    "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway-service-account";

/// The identity in the certificate of customs, in the mesh of `deploy/istio`.
pub const CUSTOMS: &str = "spiffe://cluster.local/ns/customs-system/sa/customs";

/// The names that the site outside has a certificate for.
pub const OUTSIDE_NAMES: [&str; 3] = ["www.aliyun.com", "api.partner.example", "files.example"];

/// The folder with all files.
pub struct Certificates {
    folder: PathBuf,
    mesh: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    /// Writes authorities, and the certificates of the workloads, the gateway, customs and the
    /// outside site.
    pub fn make(folder: &Path, workloads: &[Workload]) -> Result<Certificates> {
        fs::create_dir_all(folder)?;
        let mesh = authority("throw-away mesh authority")?;
        let outside = authority("throw-away authority of the outside")?;
        fs::write(folder.join("mesh-ca.pem"), mesh.pem())?;
        fs::write(folder.join("outside-ca.pem"), outside.pem())?;
        for workload in workloads {
            spiffe(&mesh, &workload.spiffe_id(), folder, &workload.name())?;
        }
        spiffe(&mesh, EGRESS_GATEWAY, folder, "egress-gateway")?;
        let certificates = Certificates {
            folder: folder.to_path_buf(),
            mesh,
        };
        certificates.renew_customs()?;
        let names = OUTSIDE_NAMES.map(str::to_owned).to_vec();
        issue(&outside, CertificateParams::new(names)?, folder, "origin")?;
        Ok(certificates)
    }

    /// Writes another certificate and key for customs, as istio-proxy does: by names of its own,
    /// beside the mesh's authority, each file renamed into place.
    pub fn renew_customs(&self) -> Result<()> {
        let folder = self.of_customs();
        let scratch = folder.join("next");
        fs::create_dir_all(&scratch)?;
        spiffe(&self.mesh, CUSTOMS, &scratch, "customs")?;
        fs::write(scratch.join("root-cert.pem"), self.mesh.pem())?;
        for (from, to) in [
            ("customs.key", "key.pem"),
            ("customs.pem", "cert-chain.pem"),
            ("root-cert.pem", "root-cert.pem"),
        ] {
            fs::rename(scratch.join(from), folder.join(to))?;
        }
        Ok(())
    }

    /// Returns the folder with the files of customs.
    pub fn of_customs(&self) -> PathBuf {
        self.folder.join("customs")
    }

    /// Returns the folder with the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the certificate and the key of a workload, or of the gateway (`egress-gateway`).
    pub fn of(&self, name: &str) -> (PathBuf, PathBuf) {
        let file = |ending| self.folder.join(format!("{name}.{ending}"));
        (file("pem"), file("key"))
    }

    /// Returns the authority that vouches for the site outside.
    pub fn outside_authority(&self) -> PathBuf {
        self.folder.join("outside-ca.pem")
    }
}

/// Creates an authority.
pub fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?)
}

/// Creates a workload certificate as Istio's authority makes it: one URI, no DNS name, an empty
/// subject.
fn spiffe(
    authority: &CertifiedIssuer<'static, KeyPair>,
    id: &str,
    folder: &Path,
    name: &str,
) -> Result<()> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.subject_alt_names.push(SanType::URI(id.try_into()?));
    issue(authority, params, folder, name)
}

/// Writes a certificate and its key.
pub fn issue(
    authority: &CertifiedIssuer<'static, KeyPair>,
    params: CertificateParams,
    folder: &Path,
    name: &str,
) -> Result<()> {
    let key = KeyPair::generate()?;
    let certificate = params
        .signed_by(&key, authority)
        .with_context(|| format!("certificate for {name}"))?;
    fs::write(folder.join(format!("{name}.pem")), certificate.pem())?;
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem())?;
    Ok(())
}
