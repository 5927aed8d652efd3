//! The manifest of a revision: everything that the revision is computed from, as one JSON document.
//!
//! It names the sources in order, the files of each with their digests, and the settings that can
//! change a verdict. So the set can be compiled again from the manifest and the bytes of the files,
//! and its revision is the proof that nothing was changed: equal revision, equal answers. This
//! module reads and writes no file; an archive keeps manifests and bytes.
//!
//! The rule: the texts that the revision hashes are in the manifest as they were hashed
//! (`fingerprint`, and `binding` of each source). So every version of customs, and a reader without
//! customs, can compute the revision of a manifest. A set is compiled only if the structured
//! settings and sources have exactly these texts.

mod settings;

use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::compile::{self, Compiled};
use super::policy_set::SetInForce;
use super::problem::Problem;
use super::source::{self, Digest, LoadedSource, PolicyFile, Source};
use customs_engine::settings::Settings;
use customs_engine::snapshot::Revision;
use settings::ManifestSettings;

/// The version of the format that this module reads and writes.
pub const VERSION: u32 = 1;

/// The largest manifest that is read: some hundred bytes for each of the files of a set.
pub const MAX_MANIFEST: usize = 64 << 20;

/// The number of digits of a revision.
const REVISION_DIGITS: usize = 32;

/// The manifest of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RevisionManifest {
    /// The version of the format.
    version: u32,
    /// The revision.
    pub revision: String,
    /// The program that wrote it, with its version.
    pub written_by: String,
    /// The settings that can change a verdict.
    settings: ManifestSettings,
    /// The settings as the revision hashes them.
    fingerprint: String,
    /// The sources in order, without those that have no file and isolate nothing.
    pub sources: Vec<ManifestSource>,
}

/// A source of policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestSource {
    /// Its name, with which places in its files begin.
    pub name: String,
    /// The one namespace to which it is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// The namespace of documents without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_namespace: Option<String>,
    /// Whether it has no good content, and isolates its namespace.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    isolates: bool,
    /// What it is bound to, as the revision hashes it.
    binding: String,
    /// Its files, sorted by name.
    pub files: Vec<ManifestFile>,
}

/// A file of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestFile {
    /// Its name inside the source.
    pub name: String,
    /// The SHA-256 of its bytes, in lower-case hexadecimal digits.
    pub sha256: String,
    /// The number of its bytes.
    pub size: u64,
}

/// Why a manifest is not what its revision was computed from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevisionManifestError {
    /// It is not a manifest.
    #[error("it is not a manifest of a revision: {0}")]
    Syntax(#[from] serde_json::Error),
    /// It has another version.
    #[error(
        "it has version {0} of the format, and this version of customs reads version {VERSION}; use a newer customs"
    )]
    Version(u32),
    /// Its revision is not a revision.
    #[error("its revision `{0}` is not {REVISION_DIGITS} hexadecimal digits in lower case")]
    Revision(String),
    /// A digest is not a SHA-256.
    #[error(
        "the digest `{digest}` of its file `{file}` is not 64 hexadecimal digits in lower case"
    )]
    Digest {
        /// The file.
        file: String,
        /// The digest.
        digest: String,
    },
    /// It was changed: it makes another revision.
    #[error("it was changed: its settings and files make the revision {computed}, not {named}")]
    OtherRevision {
        /// The revision that it names.
        named: String,
        /// The revision that it makes.
        computed: Revision,
    },
    /// The structured values are not those that were hashed.
    #[error(
        "its {what} is not what the revision hashes, so the set cannot be compiled as it was: the manifest was changed, or {written_by}, \
         which wrote it, has other settings than this version"
    )]
    OtherTexts {
        /// `settings`, or a source.
        what: String,
        /// The program that wrote it.
        written_by: String,
    },
    /// A setting has a value that it cannot have.
    #[error("its setting `{setting}` cannot be `{value}`")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// The value.
        value: String,
    },
    /// The set does not compile.
    #[error("its policies do not load with this version of customs: {}", Listed(.0))]
    Policies(Vec<Problem>),
}

/// The first problem, and how many more there are.
struct Listed<'p>(&'p [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("for no reason that is known"),
            [only] => only.fmt(f),
            [first, more @ ..] => write!(f, "{first} (and {} more)", more.len()),
        }
    }
}

impl RevisionManifest {
    /// Returns the manifest of a set that is in force.
    pub fn of(set: &SetInForce, written_by: &str) -> RevisionManifest {
        let SetInForce {
            revision,
            settings,
            sources,
        } = set;
        RevisionManifest {
            version: VERSION,
            revision: revision.to_string(),
            written_by: written_by.to_owned(),
            settings: ManifestSettings::of(settings),
            fingerprint: settings.fingerprint(),
            sources: compile::counted(sources).map(ManifestSource::of).collect(),
        }
    }

    /// Reads a manifest. Whether it makes its revision is not checked yet.
    ///
    /// # Errors
    /// If the text is not a manifest of this version.
    pub fn parse(text: &[u8]) -> Result<RevisionManifest, RevisionManifestError> {
        /// The version alone: a later one may have other fields.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(text)?;
        if version != VERSION {
            return Err(RevisionManifestError::Version(version));
        }
        let manifest: RevisionManifest = serde_json::from_slice(text)?;
        if !is_revision(&manifest.revision) {
            return Err(RevisionManifestError::Revision(manifest.revision));
        }
        Ok(manifest)
    }

    /// Returns the document, which ends with a line feed.
    pub fn to_json(&self) -> String {
        // Only maps with keys that are not texts could fail, and there are none.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Returns whether both say the same of a revision. The names of the sources may differ: the
    /// revision does not cover them.
    pub fn is_equivalent(&self, other: &RevisionManifest) -> bool {
        let nameless = |manifest: &RevisionManifest| {
            let mut manifest = manifest.clone();
            manifest.written_by.clear();
            manifest
                .sources
                .iter_mut()
                .for_each(|source| source.name.clear());
            manifest
        };
        nameless(self) == nameless(other)
    }

    /// Returns the files of all sources.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        self.sources.iter().flat_map(|source| &source.files)
    }

    /// Checks that the texts and the digests in the manifest make the revision that it names.
    ///
    /// # Errors
    /// If they make another, or a digest is not one.
    pub fn check_revision(&self) -> Result<(), RevisionManifestError> {
        let mut sources = Vec::new();
        for source in &self.sources {
            let mut files = Vec::new();
            for file in &source.files {
                files.push((file.name.as_str(), file.digest()?));
            }
            sources.push((source.binding.clone(), files));
        }
        let sources = sources.iter().map(|(binding, files)| {
            let files = files.iter().map(|(name, digest)| (*name, digest));
            (binding.clone(), files)
        });
        let computed = Revision::of_fingerprint(&self.fingerprint, sources);
        if computed.as_str() == self.revision {
            return Ok(());
        }
        Err(RevisionManifestError::OtherRevision {
            named: self.revision.clone(),
            computed,
        })
    }

    /// Compiles the set again. `bytes` returns the bytes of a file, whose digest it has checked.
    ///
    /// # Errors
    /// If the set is not the one that the revision names, or cannot be compiled, or `bytes` fails.
    pub fn compile<E: From<RevisionManifestError>>(
        &self,
        mut bytes: impl FnMut(&ManifestFile) -> Result<Arc<[u8]>, E>,
    ) -> Result<Compiled, E> {
        self.check_revision()?;
        let settings = self.settings.read()?;
        if settings.fingerprint() != self.fingerprint {
            return Err(self.other_texts("settings").into());
        }
        let mut sources = Vec::new();
        for source in &self.sources {
            let loaded = source.load(&settings, &mut bytes)?;
            let loaded = loaded.filter(|loaded| loaded.binding() == source.binding);
            sources.push(loaded.ok_or_else(|| self.other_texts(&source.name))?);
        }
        let compiled =
            compile::compile(&sources, &settings).map_err(RevisionManifestError::Policies)?;
        if compiled.snapshot.revision().as_str() != self.revision {
            let (named, computed) = (self.revision.clone(), compiled.snapshot.revision().clone());
            return Err(RevisionManifestError::OtherRevision { named, computed }.into());
        }
        Ok(compiled)
    }

    fn other_texts(&self, what: &str) -> RevisionManifestError {
        RevisionManifestError::OtherTexts {
            what: match what {
                "settings" => "part `settings`".to_owned(),
                source => format!("source `{source}`"),
            },
            written_by: self.written_by.clone(),
        }
    }
}

/// Returns whether a text is the name of a revision.
pub fn is_revision(text: &str) -> bool {
    text.len() == REVISION_DIGITS && is_hexadecimal(text)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl ManifestSource {
    fn of(loaded: &LoadedSource) -> ManifestSource {
        let Source {
            name,
            files: _,
            namespace,
            default_namespace,
            unread: _,
        } = loaded.source();
        let files = loaded.files().iter().map(|file| ManifestFile {
            name: file.name().to_owned(),
            sha256: HEXLOWER.encode(file.digest()),
            size: file.bytes() as u64,
        });
        ManifestSource {
            name,
            namespace,
            default_namespace,
            isolates: loaded.isolation().is_some(),
            binding: loaded.binding(),
            files: files.collect(),
        }
    }

    /// Reads the source again; `None` if it cannot be what the manifest says.
    fn load<E>(
        &self,
        settings: &Settings,
        bytes: &mut impl FnMut(&ManifestFile) -> Result<Arc<[u8]>, E>,
    ) -> Result<Option<LoadedSource>, E> {
        let mut source = Source {
            name: self.name.clone(),
            files: Vec::new(),
            namespace: self.namespace.clone(),
            default_namespace: self.default_namespace.clone(),
            unread: Vec::new(),
        };
        if self.isolates {
            return Ok(LoadedSource::stand_in(&source));
        }
        for file in &self.files {
            source.files.push(PolicyFile {
                name: file.name.clone(),
                bytes: bytes(file)?,
            });
        }
        Ok(Some(source::load(&source, settings)))
    }
}

impl ManifestFile {
    /// Returns its digest as bytes.
    ///
    /// # Errors
    /// If the text is not a SHA-256.
    pub fn digest(&self) -> Result<Digest, RevisionManifestError> {
        let digest = HEXLOWER.decode(self.sha256.as_bytes()).ok();
        digest
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| RevisionManifestError::Digest {
                file: self.name.clone(),
                digest: self.sha256.clone(),
            })
    }
}

#[cfg(test)]
mod tests;
