//! The audit log as a gRPC stream: `customs.audit.v1.AuditService/Tail`.
//!
//! It stores nothing on a disk and protects nothing: every client that reaches its address can read
//! the records, so keep the address private. The rules:
//!
//! - The last records are in a [`ring`]. A subscriber reads from it at its own pace and never
//!   blocks anything.
//! - A record of kind `lag` reports what a subscriber missed because the ring overtook it.
//! - [`filter`] selects for each subscriber, after the ring; [`service`] answers and [`server`]
//!   serves gRPC.

pub mod filter;
pub mod proto;
pub mod ring;
pub mod server;
pub mod service;
mod subscription_watch;

use std::sync::Arc;

pub use ring::Ring;
pub use server::TailServer;
pub use subscription_watch::SubscriptionWatch;

/// A tail that a sink fills and that is not served yet.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The address of the settings on which it is to be served.
    pub address: String,
    /// What subscribers read.
    pub ring: Arc<Ring>,
}
