//! The types, the client and the service that are made from `proto/customs/audit/v1/audit.proto`.
//!
//! Nothing is written here. What the fields mean is said in the proto; how an entry becomes a message, in
//! [`binary`](super::binary).

#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("customs.audit.v1");

/// The descriptors of the proto and of what it imports, for reflection and for tests.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/audit_descriptors.bin"));
