//! The message types that are generated from `proto/customs/audit/v1/audit.proto`.
//!
//! Nothing is written by hand here. The proto says what the fields mean; [`binary`](super::binary)
//! turns an entry into a message. The crate `customs-audit` generates the client and the service of
//! the proto.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/customs.audit.v1.rs"));

/// The descriptors of the proto and of what it imports, for reflection and for tests.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/audit_descriptors.bin"));
