//! The record as a gRPC stream of our own: `customs.audit.v1.AuditService/Tail`.
//!
//! It keeps nothing on a disk and protects nothing: whoever reaches its address reads the record, so keep it private. The
//! rules:
//!
//! - The last records stand in a [`ring`]. A subscriber reads from it at its own pace and never holds anything up.
//! - What a subscriber did not get, because the ring overtook it, it is told by a record of kind `lag`.
//! - [`filter`] chooses for each subscriber, after the ring; [`service`] answers and [`server`] speaks gRPC.

pub mod filter;
pub mod proto;
pub mod ring;
pub mod server;
pub mod service;

use std::sync::Arc;

pub use ring::Ring;
pub use server::TailServer;

/// A tail that is fed by a sink and not served yet.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The address of the settings on which it shall be served.
    pub address: String,
    /// What subscribers read.
    pub ring: Arc<Ring>,
}
