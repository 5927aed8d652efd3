//! The address of a unix socket, and who may use it: `unix:PATH?mode=0660&owner=UID:GID&peers=UID`.
//!
//! The file's owner and mode say who may connect, and `peers` restricts that to users. The rule: a
//! process cannot connect before both are set. The file gets its owner and its mode after it is
//! made (bind) and before connections are taken (listen); between the two the system refuses every
//! connection.

use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::listen::ParseAddressError;
use super::peer::ConnectionPeer;

/// The bits of a mode that a socket may have: reading and writing, which connecting needs.
const MODES: u32 = 0o777;

/// A unix socket's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixAddress {
    /// The path of its file.
    pub path: PathBuf,
    /// The mode of the file; `None` leaves it to the process's umask.
    pub mode: Option<u32>,
    /// The owner of the file.
    pub owner: SocketOwner,
    /// The users that may connect; `None` allows each that the file's mode allows.
    pub peers: Option<Vec<u32>>,
}

/// The user and the group that own a socket's file; `None` leaves either unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketOwner {
    /// The user.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
}

/// What is wrong with an option of a unix socket's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnixOptionError {
    /// An unknown option.
    #[error("unknown option `{0}` of a unix socket: expected mode, owner or peers")]
    Unknown(String),
    /// `mode`
    #[error("invalid mode `{0}`: expected the octal mode of a file, such as `0660`")]
    Mode(String),
    /// `owner`
    #[error("invalid owner `{0}`: expected numbers, such as `1337:1337`, `1337` or `:1337`")]
    Owner(String),
    /// `peers`
    #[error(
        "invalid peers `{0}`: expected the numbers of users, such as `1337`; write `peers=` once \
         for each user where commas separate addresses"
    )]
    Peers(String),
}

impl FromStr for UnixAddress {
    type Err = ParseAddressError;

    /// Parses what follows `unix:`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, options) = text.split_once('?').unwrap_or((text, ""));
        if path.is_empty() {
            return Err(ParseAddressError::NoPath);
        }
        let mut address = UnixAddress::at(path);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            address.set(key, value)?;
        }
        Ok(address)
    }
}

impl UnixAddress {
    /// Returns the address of this file, with every option at its default.
    pub fn at(path: impl Into<PathBuf>) -> UnixAddress {
        UnixAddress {
            path: path.into(),
            mode: None,
            owner: SocketOwner::default(),
            peers: None,
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), UnixOptionError> {
        match key {
            "mode" => {
                let mode = u32::from_str_radix(value, 8).ok();
                let mode = mode.filter(|mode| mode & !MODES == 0);
                self.mode = Some(mode.ok_or_else(|| UnixOptionError::Mode(value.to_owned()))?);
            }
            "owner" => {
                let owner = owner(value);
                self.owner = owner.ok_or_else(|| UnixOptionError::Owner(value.to_owned()))?;
            }
            "peers" => {
                let users: Result<Vec<u32>, _> = value.split(',').map(str::parse).collect();
                let users = users.map_err(|_| UnixOptionError::Peers(value.to_owned()))?;
                self.peers.get_or_insert_default().extend(users);
            }
            _ => return Err(UnixOptionError::Unknown(key.to_owned())),
        }
        Ok(())
    }

    /// Sets the owner and the mode of the file, which must not take connections yet.
    pub(crate) fn protect(&self) -> io::Result<()> {
        let SocketOwner { uid, gid } = self.owner;
        if uid.is_some() || gid.is_some() {
            lchown(&self.path, uid, gid)?;
        }
        match self.mode {
            None => Ok(()),
            Some(mode) => fs::set_permissions(&self.path, Permissions::from_mode(mode)),
        }
    }

    /// Returns whether a client may connect.
    pub(crate) fn admits(&self, peer: &ConnectionPeer) -> bool {
        let ConnectionPeer::Unix(user) = peer else {
            return false;
        };
        match &self.peers {
            None => true,
            Some(allowed) => user.is_some_and(|user| allowed.contains(&user.uid)),
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Parses `UID`, `UID:GID` or `:GID`.
fn owner(text: &str) -> Option<SocketOwner> {
    let number = |text: &str| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    };
    let (uid, gid) = text.split_once(':').unwrap_or((text, ""));
    let owner = SocketOwner {
        uid: number(uid)?,
        gid: number(gid)?,
    };
    (owner != SocketOwner::default()).then_some(owner)
}

/// The options are left out.
impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::UnixUser;

    fn parsed(text: &str) -> Result<UnixAddress, String> {
        text.parse()
            .map_err(|why: ParseAddressError| why.to_string())
    }

    #[test]
    fn an_address_has_options() {
        let plain = UnixAddress::at("/run/x.sock");
        let owner = |uid, gid| SocketOwner { uid, gid };
        for (text, expected) in [
            ("/run/x.sock", plain.clone()),
            (
                "/run/x.sock?mode=0660&owner=10:20&peers=1,2&peers=3",
                UnixAddress {
                    mode: Some(0o660),
                    owner: owner(Some(10), Some(20)),
                    peers: Some(vec![1, 2, 3]),
                    ..plain.clone()
                },
            ),
            (
                "/run/x.sock?owner=10",
                UnixAddress {
                    owner: owner(Some(10), None),
                    ..plain.clone()
                },
            ),
            (
                "/run/x.sock?owner=:20&mode=600",
                UnixAddress {
                    owner: owner(None, Some(20)),
                    mode: Some(0o600),
                    ..plain.clone()
                },
            ),
        ] {
            assert_eq!(parsed(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_option_is_reported_with_what_to_write() {
        for (text, expected) in [
            ("/x?color=red", "unknown option `color`"),
            ("/x?mode=rw", "invalid mode `rw`: expected the octal mode"),
            ("/x?mode=0888", "invalid mode `0888`"),
            ("/x?mode=4660", "invalid mode `4660`"),
            ("/x?mode=", "invalid mode ``"),
            ("/x?owner=root", "invalid owner `root`: expected numbers"),
            ("/x?owner=:", "invalid owner `:`"),
            ("/x?owner=1:2:3", "invalid owner `1:2:3`"),
            ("/x?peers=", "invalid peers ``"),
            (
                "/x?peers=1,x",
                "invalid peers `1,x`: expected the numbers of users",
            ),
            ("/x?peers=-1", "invalid peers `-1`"),
            ("?mode=0660", "needs a path"),
        ] {
            let wrong = parsed(text).unwrap_err();
            assert!(wrong.contains(expected), "{text}: {wrong}");
        }
    }

    #[test]
    fn only_listed_users_are_admitted() {
        let user = |uid| {
            ConnectionPeer::Unix(Some(UnixUser {
                uid,
                gid: 0,
                pid: None,
            }))
        };
        let (open, listed) = (parsed("/x").unwrap(), parsed("/x?peers=5,6").unwrap());
        for (address, peer, expected) in [
            (&open, user(7), true),
            (&open, ConnectionPeer::Unix(None), true),
            (&listed, user(5), true),
            (&listed, user(7), false),
            (&listed, user(0), false),
            (&listed, ConnectionPeer::Unix(None), false),
        ] {
            assert_eq!(address.admits(&peer), expected, "{address:?} {peer:?}");
        }
    }
}
