//! Reads the files that the flags name: objects, the mesh configuration, and policies.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::app::commands::sources;
use customs_doctor::evidence::{Evidence, PolicyError, PolicyEvidence, Trouble};
use customs_doctor::foreign_document::foreign;
use customs_engine::settings::Settings;
use customs_sources::PolicyDirectory;

/// The size of the largest file that is read, in bytes.
pub(super) const MAX_FILE: u64 = 512 * 1024 * 1024;

/// What a file is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The mesh configuration.
    MeshConfig,
    /// Objects.
    Objects,
}

/// Reads a file; `-` is stdin.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn bytes(path: &Path, max: u64) -> Result<Vec<u8>, Trouble> {
    let trouble = |why: String| Trouble {
        what: path.display().to_string(),
        why,
    };
    let mut bytes = Vec::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().take(max + 1).read_to_end(&mut bytes),
        _ => fs::File::open(path).and_then(|file| file.take(max + 1).read_to_end(&mut bytes)),
    };
    match read {
        Err(why) => Err(trouble(format!("it cannot be read: {why}"))),
        Ok(length) if length as u64 > max => {
            Err(trouble(format!("it has more than {max} bytes: divide it")))
        }
        Ok(_) => Ok(bytes),
    }
}

/// Adds the objects of files to the evidence.
pub(super) fn objects(paths: &[PathBuf], kind: Kind, evidence: &mut Evidence) {
    for path in paths {
        if let Err(trouble) = add(path, kind, evidence) {
            evidence.troubles.push(trouble);
        }
    }
}

fn add(path: &Path, kind: Kind, evidence: &mut Evidence) -> Result<(), Trouble> {
    let name = path.display().to_string();
    let trouble = |why: String| Trouble {
        what: name.clone(),
        why,
    };
    let body = bytes(path, MAX_FILE)?;
    if let Some(foreign) = foreign(&body) {
        return Err(trouble(foreign.to_string()));
    }
    let meshes = evidence.objects.mesh_configs.len();
    let read = evidence
        .objects
        .read(&name, &String::from_utf8_lossy(&body));
    let known = read.map_err(|why| trouble(why.to_string()))?;
    match kind {
        Kind::MeshConfig if evidence.objects.mesh_configs.len() == meshes => Err(trouble(
            "it holds no mesh configuration: give the ConfigMap `istio` of istio-system, an \
             IstioOperator, Helm values with `meshConfig`, or the configuration alone"
                .to_owned(),
        )),
        Kind::Objects if known == 0 => Err(trouble(
            "it holds no object that matters here: CUSTOM AuthorizationPolicies, \
             DestinationRules, VirtualServices with `tls`, Services, Pods"
                .to_owned(),
        )),
        Kind::MeshConfig | Kind::Objects => Ok(()),
    }
}

/// Loads policy directories, as a server would.
pub(super) fn policies(directories: &[PolicyDirectory], settings: &Settings) -> PolicyEvidence {
    let found = sources::load(directories, settings);
    let first = found.problems.iter().find(|problem| problem.is_error());
    let revision = match (&found.snapshot, first) {
        (Some(snapshot), _) => Ok(snapshot.revision().to_string()),
        (None, Some(problem)) => Err(PolicyError(problem.to_string())),
        (None, None) => Err(PolicyError("they do not load".to_owned())),
    };
    let names: Vec<_> = found
        .sources
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    PolicyEvidence {
        place: names.join(" "),
        revision,
    }
}
