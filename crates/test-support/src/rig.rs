//! The whole scene: two applications' sidecars, the egress gateway, customs, and the world outside.
//!
//! ```text
//! demo-frontend/sleep ─ sidecar ─┐ mutual TLS
//!                                ├──────────── egress gateway ──── origin (301 for www.aliyun.com, else 200)
//! other/sleep ───────── sidecar ─┘                  │ ext_authz
//!                                                customs
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::certificates::{Certificates, Workload};
use crate::customs::Customs;
use crate::envoy::{Envoy, Envoys, Words, fill_in};
use crate::http::{self, Response};
use crate::process::Guard;
use crate::tls::{self, Attempt};
use crate::tools::Tool;
use crate::{policies, ports};

/// The caller that the seed's policy is about.
pub const DEMO_FRONTEND: Workload = Workload {
    namespace: "demo-frontend",
    account: "sleep",
};
/// A caller that the seed's policy is not about.
pub const OTHER: Workload = Workload {
    namespace: "other",
    account: "sleep",
};

/// The routes of the sidecars and the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routes {
    /// `www.aliyun.com`, as istiod routes it: the sidecar answers for an unknown host (502), the
    /// gateway for a spelling that it has no route for (404), and neither asks customs.
    OneHost,
    /// Every host in every spelling, so that customs is asked about all of them. A VirtualService
    /// for `*` makes such routes. The sidecars use HTTP/1.1 to the gateway, since Envoy's HTTP/2
    /// refuses some spellings by itself.
    EveryHost,
}

impl Routes {
    /// Returns the replacements for the words of `deploy/local/` that are about routes.
    fn words(self) -> [(&'static str, String); 4] {
        let (domains, others, protocol, alpn) = match self {
            Routes::OneHost => (
                "[www.aliyun.com]",
                "direct_response: {status: 502}",
                "http2_protocol_options",
                "[istio-peer-exchange, istio, h2]",
            ),
            Routes::EveryHost => (
                "[\"*\"]",
                "route: *through_the_gateway",
                "http_protocol_options",
                "[istio-peer-exchange, istio, http/1.1]",
            ),
        };
        [
            ("GATEWAY_DOMAINS", domains.to_owned()),
            ("OTHER_HOSTS", others.to_owned()),
            ("HOP_PROTOCOL", protocol.to_owned()),
            ("HOP_ALPN", alpn.to_owned()),
        ]
    }
}

/// How the gateway reaches customs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// In plain text, as `deploy/istio/enforce` does.
    Plain,
    /// With mutual TLS, as `deploy/istio/mutual-tls/mesh-certificates` does.
    MutualTls,
}

impl Hop {
    /// Returns what the gateway's cluster of customs has more than in plain text.
    fn transport_socket(self, certificates: &Certificates) -> Result<String> {
        if self == Hop::Plain {
            return Ok(String::new());
        }
        let words = Words::from([("CERTS", certificates.folder().display().to_string())]);
        let text = fill_in(&read("deploy/local/customs-tls.yaml")?, &words)?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        // In the place of a word with four spaces before it.
        Ok(lines.collect::<Vec<_>>().join("\n    "))
    }

    /// Returns the arguments of customs: those of the manifest, with files of this rig.
    fn arguments(self, certificates: &Certificates) -> Result<Option<String>> {
        if self == Hop::Plain {
            return Ok(None);
        }
        let manifest = "deploy/istio/mutual-tls/mesh-certificates/kustomization.yaml";
        let text = read(manifest)?.replace("\\\n        ", "");
        let written = text
            .split('"')
            .find(|value| value.starts_with("--tls="))
            .with_context(|| format!("no --tls in {manifest}"))?;
        let folder = certificates.of_customs().display().to_string();
        Ok(Some(written.replace("/etc/istio-output-certs", &folder)))
    }
}

/// Returns a file of the repository.
fn read(path: &str) -> Result<String> {
    fs::read_to_string(crate::repository().join(path)).with_context(|| path.to_owned())
}

/// A sidecar and its two ports.
pub struct Sidecar {
    pub workload: Workload,
    pub http_port: u16,
    pub tls_port: u16,
    pub envoy: Envoy,
}

impl Sidecar {
    /// Sends `GET /` as this workload, over HTTP, with exactly this Host.
    pub fn get(&self, host: &str) -> Result<Response> {
        http::get(self.http_port, host, "/")
    }
}

/// Everything that runs. Fields are dropped in this order: processes, then their folder, then the
/// guard.
pub struct Rig {
    pub customs: Customs,
    pub demo_frontend: Sidecar,
    pub other: Sidecar,
    pub gateway: Envoy,
    origin: Envoy,
    pub plaintext_port: u16,
    pub access_log: PathBuf,
    pub certificates: Certificates,
    resets: u32,
    scratch: TempDir,
    _guard: Arc<Guard>,
}

impl Rig {
    /// Starts all of it with another team's baseline as the only policy, and returns when all of it
    /// is ready. The gateway reaches customs in plain text.
    pub fn start(customs: &Path, envoy: &Tool, routes: Routes) -> Result<Rig> {
        Rig::start_with(customs, envoy, routes, Hop::Plain)
    }

    /// Starts all of it; the gateway reaches customs as `hop` says.
    pub fn start_with(customs: &Path, envoy: &Tool, routes: Routes, hop: Hop) -> Result<Rig> {
        let scratch = tempfile::Builder::new().prefix("customs-rig-").tempdir()?;
        let guard = Guard::over(scratch.path())?;
        let certificates = Certificates::make(
            &scratch.path().join("certificates"),
            &[DEMO_FRONTEND, OTHER],
        )?;
        let mut customs = Customs::prepare(customs, scratch.path(), &guard)?;
        customs.policies.add(policies::BASELINE)?;
        if let Some(argument) = hop.arguments(&certificates)? {
            customs.argument(argument);
        }
        customs.start()?;

        let access_log = scratch.path().join("access.jsonl");
        let plaintext_port = ports::free()?;
        let envoys = Envoys {
            binary: envoy.path.clone(),
            scratch: scratch.path().to_path_buf(),
            guard: Arc::clone(&guard),
            words: Words::from([
                (
                    "CUSTOMS_TRANSPORT_SOCKET",
                    hop.transport_socket(&certificates)?,
                ),
                ("CUSTOMS_PORT", customs.port.to_string()),
                ("ACCESS_LOG", access_log.display().to_string()),
                ("GATEWAY_PLAINTEXT_PORT", plaintext_port.to_string()),
            ])
            .into_iter()
            .chain(words(&certificates, routes)?)
            .collect(),
        };
        let origin = envoys.start("origin", "origin", &[])?;
        let gateway = envoys.start("egress-gateway", "egress-gateway", &[])?;
        let demo_frontend = sidecar(&envoys, DEMO_FRONTEND)?;
        let other = sidecar(&envoys, OTHER)?;
        Ok(Rig {
            customs,
            demo_frontend,
            other,
            gateway,
            origin,
            plaintext_port,
            access_log,
            certificates,
            resets: 0,
            scratch,
            _guard: guard,
        })
    }

    /// Returns the folder with everything that the rig wrote.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs customs, unless it is running, with exactly the baseline and these files of the
    /// repository in force.
    pub fn reset(&mut self, more: &[&str]) -> Result<()> {
        self.customs.start()?;
        let before = self.customs.revision()?;
        let policies = &self.customs.policies;
        for name in policies.names()? {
            if name != policies::BASELINE && !more.contains(&name.as_str()) {
                policies.remove(&name)?;
            }
        }
        for name in more {
            policies.add(name)?;
        }
        // A new last line makes a new revision, so that there is something to wait for even if
        // everything else was in place. It is added last: a revision between the old and the wanted
        // set may appear, but not this line without the rest.
        self.resets += 1;
        let baseline = format!(
            "{}# reset {}\n",
            policies::shipped(policies::BASELINE)?,
            self.resets
        );
        policies.put(policies::BASELINE, &baseline)?;
        self.settled(before)
    }

    /// Waits until the revision is new and stays, since several changes may take effect one after
    /// the other.
    fn settled(&self, before: String) -> Result<()> {
        let mut now = self.customs.revision_after(&before)?;
        loop {
            std::thread::sleep(std::time::Duration::from_millis(200));
            let later = self.customs.revision()?;
            if later == now {
                return Ok(());
            }
            now = later;
        }
    }

    /// Sends `GET /` over TLS through a workload's sidecar and the gateway's passthrough listener.
    pub fn get_tls(&self, sidecar: &Sidecar, sni: &str) -> Result<Attempt> {
        tls::get(
            sidecar.tls_port,
            sni,
            &self.certificates.outside_authority(),
        )
    }

    /// Sends `GET /` directly to the gateway, without mesh TLS and so without an identity.
    pub fn get_plaintext(&self, host: &str) -> Result<Response> {
        http::get(self.plaintext_port, host, "/")
    }

    /// Returns how many HTTP requests have reached the world outside.
    pub fn requests_outside(&self) -> Result<u64> {
        let name = "http.origin.downstream_rq_total";
        let answer = http::get(
            self.origin.admin_port,
            "localhost",
            &format!("/stats?filter=^{name}$"),
        )?;
        let value = answer
            .body
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let value = value.with_context(|| format!("no {name} in {:?}", answer.body))?;
        Ok(value.trim().parse()?)
    }

    /// Returns what the gateway has logged so far.
    pub fn gateway_log(&self) -> String {
        fs::read_to_string(&self.access_log).unwrap_or_default()
    }
}

fn words(certificates: &Certificates, routes: Routes) -> Result<Words> {
    let mut words = Words::from(routes.words());
    words.extend([
        ("CERTS", certificates.folder().display().to_string()),
        ("GATEWAY_PORT", ports::free()?.to_string()),
        ("GATEWAY_TLS_PORT", ports::free()?.to_string()),
        ("ORIGIN_PORT", ports::free()?.to_string()),
        ("ORIGIN_TLS_PORT", ports::free()?.to_string()),
    ]);
    Ok(words)
}

fn sidecar(envoys: &Envoys, workload: Workload) -> Result<Sidecar> {
    let (http_port, tls_port) = (ports::free()?, ports::free()?);
    let doors = [("HTTP_PORT", http_port), ("TLS_PORT", tls_port)];
    let envoy = envoys.start("sidecar", &workload.name(), &doors)?;
    Ok(Sidecar {
        workload,
        http_port,
        tls_port,
        envoy,
    })
}
