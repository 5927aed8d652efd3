//! The chain: each record carries a hash of its own bytes and of the chain before. A record cannot
//! be changed, removed or moved without changing all that follow.
//!
//! This module says how one link follows from another, and knows nothing of files. The rule: the
//! chain of a record is the SHA-256 of the 32 bytes of the chain before and of the record's bytes
//! as they are written, up to the chain itself. The first record of all follows 32 zero bytes.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// The name of the hash in records.
pub const HASH: &str = "sha256";

/// The state of a chain behind some record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head([u8; 32]);

impl Head {
    /// Before the first record of all.
    pub const START: Head = Head([0; 32]);

    /// Returns the chain behind the next record, which has these bytes.
    #[must_use]
    pub fn then(&self, bytes: &[u8]) -> Head {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(bytes);
        Head(hash.finalize().into())
    }

    /// Returns the 64 hexadecimal digits of the chain.
    pub fn hex(&self) -> Hex {
        let mut digits = [0; 64];
        HEXLOWER.encode_mut(&self.0, &mut digits);
        Hex(digits)
    }

    /// Reads 64 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Head> {
        let (mut bytes, digits) = ([0; 32], text.as_bytes().as_array::<64>()?);
        HEXLOWER.decode_mut(digits, &mut bytes).ok()?;
        Some(Head(bytes))
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().as_str())
    }
}

/// A head as text, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Hex([u8; 64]);

impl Hex {
    /// The digits.
    pub fn as_str(&self) -> &str {
        // The bytes are hexadecimal digits only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_the_hash_of_the_one_before_and_the_bytes() {
        // printf '' | (head -c 32 /dev/zero; printf '{"a":1') | sha256sum
        let mut plain = vec![0; 32];
        plain.extend_from_slice(b"{\"a\":1");
        let expected = Sha256::digest(&plain);
        let link = Head::START.then(b"{\"a\":1");
        assert_eq!(link.0, <[u8; 32]>::from(expected));
        assert_ne!(link.then(b"x"), Head::START.then(b"x"));
    }

    #[test]
    fn digits_are_read_back() {
        let head = Head::START.then(b"x");
        assert_eq!(Head::parse(head.hex().as_str()), Some(head));
        let long = "0".repeat(65);
        let upper = head.hex().as_str().to_uppercase();
        let signed = format!("+{}", "0".repeat(63));
        for bad in ["", "0", &long, &upper, &signed, &"g".repeat(64)] {
            assert_eq!(Head::parse(bad), None, "{bad}");
        }
    }
}
