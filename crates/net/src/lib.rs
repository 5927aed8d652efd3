//! The edge of sockets: addresses, the threads that serve connections, and what guards a connection
//! before HTTP/2 does.
//!
//! [`listen`] binds addresses. [`port`] is the way of each connection from there to the future that
//! serves it: [`connection_slots`] bounds how many there are, [`workers`] spreads them over threads,
//! and [`stream`] is a connection's bytes. [`limits`] bounds one connection: [`guard`] inspects its
//! frames, [`activity`] is what it does, [`deadlines`] end it, and [`memory`] bounds what its calls
//! hold. Nothing here knows a call, a check or a record. The rule: of the crates of customs this one
//! depends on [`customs_tls`] alone; refusals are reported to its user through
//! [`ConnectionObserver`] and [`PortObserver`].

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod activity;
mod admission;
mod connection_slots;
mod deadlines;
mod descriptors;
mod guard;
mod held_body;
mod limits;
mod listen;
mod memory;
mod peer;
mod port;
mod stream;
mod tls;
mod unix_address;
mod workers;
mod write_timeout;

pub use activity::{CallInHand, ConnectionActivity, MessageMemory};
pub use admission::ConnectionQueue;
pub use connection_slots::{ConnectionSlots, SlotHandle, SlotLimits};
pub use deadlines::{ConnectionDeadlines, ConnectionExpiry};
pub use descriptors::DescriptorLimit;
pub use guard::{ConnectionObserver, ConnectionRefusal, ExpectedPath, TransportGuard};
pub use held_body::HeldBody;
pub use limits::ConnectionLimits;
pub use listen::{Accepted, Address, BindError, Listener, ParseAddressError, Reserved, SocketFile};
pub use memory::MemoryPool;
pub use peer::{ConnectionPeer, UnixUser};
pub use port::{Port, PortObserver, PortRefusal, RuntimeTasks, ServerConnection, SpawnConnection};
pub use stream::ServerStream;
pub use tls::HandshakeRefusal;
pub use unix_address::{SocketOwner, UnixAddress, UnixOptionError};
pub use workers::{Worker, Workers};
pub use write_timeout::WriteTimeout;
