//! The message types that are made from `proto/customs/audit/v1/audit.proto`.
//!
//! Nothing is written here. What the fields mean is said in the proto; how an entry becomes a message, in
//! [`binary`](super::binary). The client and the service of the proto are made by the crate `customs-audit`.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/customs.audit.v1.rs"));

/// The descriptors of the proto and of what it imports, for reflection and for tests.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/audit_descriptors.bin"));
