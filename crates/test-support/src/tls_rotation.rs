//! The certificates of a server as they are replaced: in a mounted Secret, in each way that tools
//! write files, with pairs among them that cannot be used.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::tls_files::{
    Authority, CERTIFICATE, CLIENT_CA, Leaf, PRIVATE_KEY, PemPair, put, setting,
};

/// A mounted Secret: files are symlinks into `..data`, which is swapped as a whole.
struct MountedSecret {
    folder: TempDir,
    version: u32,
}

impl MountedSecret {
    fn new(pair: &PemPair, authorities: &str) -> MountedSecret {
        let folder = tempfile::tempdir().unwrap();
        for name in [CERTIFICATE, PRIVATE_KEY, CLIENT_CA] {
            symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
        }
        let mut secret = MountedSecret { folder, version: 0 };
        secret.swap(pair, authorities);
        secret
    }

    fn swap(&mut self, pair: &PemPair, authorities: &str) {
        let folder = self.folder.path();
        let before = format!("..{}", self.version);
        self.version += 1;
        let version = format!("..{}", self.version);
        fs::create_dir(folder.join(&version)).unwrap();
        for (name, text) in [
            (CERTIFICATE, &*pair.certificate),
            (PRIVATE_KEY, &pair.private_key),
            (CLIENT_CA, authorities),
        ] {
            fs::write(folder.join(&version).join(name), text).unwrap();
        }
        symlink(&version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        let _ = fs::remove_dir_all(folder.join(before));
    }

    /// Rewrites the files within the current version, one after the other, in place or by renaming.
    fn rewrite(&self, pair: &PemPair, in_place: bool) {
        let folder = self.folder.path().join("..data");
        for (name, text) in [
            (CERTIFICATE, &pair.certificate),
            (PRIVATE_KEY, &pair.private_key),
        ] {
            match in_place {
                true => fs::write(folder.join(name), text).unwrap(),
                false => put(&folder, name, text),
            }
        }
    }
}

/// What was put in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// A pair that is to be used.
    Good,
    /// A pair that is to be refused: its key is another's, or it has expired.
    Bad,
}

/// The pair of a server, replaced again and again.
pub struct RotatedPair {
    pub mesh: Authority,
    secret: MountedSecret,
    in_use: PemPair,
    number: u64,
}

impl Default for RotatedPair {
    fn default() -> RotatedPair {
        RotatedPair::new()
    }
}

impl RotatedPair {
    /// Creates an authority and the first pair, and puts them in place.
    pub fn new() -> RotatedPair {
        let mesh = Authority::new();
        let in_use = mesh.issue(&Leaf::server());
        RotatedPair {
            secret: MountedSecret::new(&in_use, &mesh.pem()),
            mesh,
            in_use,
            number: 0,
        }
    }

    /// Returns the text of the setting of the server.
    pub fn setting(&self) -> String {
        setting(self.secret.folder.path())
    }

    /// Returns the certificate that the server must present once it has read the files.
    pub fn in_use(&self) -> CertificateDer<'static> {
        self.in_use.der()
    }

    /// Puts the next pair in place: in turn one that is good, one whose key is another's, a good one,
    /// and an expired one. After each four, the files are written in another way.
    pub fn replace(&mut self) -> Replacement {
        let number = self.number;
        self.number += 1;
        let (next, replacement) = match number % 4 {
            1 => {
                let mismatched = PemPair {
                    private_key: self.in_use.private_key.clone(),
                    ..self.mesh.issue(&Leaf::server())
                };
                (mismatched, Replacement::Bad)
            }
            3 => {
                let expired = self.mesh.issue(&Leaf::server().valid(2000, 2001));
                (expired, Replacement::Bad)
            }
            _ => (self.mesh.issue(&Leaf::server()), Replacement::Good),
        };
        match number / 4 % 3 {
            0 => self.secret.swap(&next, &self.mesh.pem()),
            1 => self.secret.rewrite(&next, false),
            _ => self.secret.rewrite(&next, true),
        }
        if replacement == Replacement::Good {
            self.in_use = next;
        }
        replacement
    }
}
