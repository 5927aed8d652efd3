//! The edge of sockets: addresses, the threads that serve connections, and what guards a connection
//! before HTTP/2 does.
//!
//! [`listen`] binds addresses and accepts connections, [`workers`] spreads them over threads,
//! [`stream`] is a connection's bytes, and [`limits`] bounds each of them. [`guard`] inspects the frames of a connection, and
//! [`preface_guard`] ends a silent one at the shutdown. Nothing here knows a call, a check or a
//! record. The rule: this crate depends on no other crate of customs; refusals are reported to its
//! user through [`ConnectionObserver`].

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

mod guard;
mod limits;
mod listen;
mod preface_guard;
mod stream;
mod workers;

pub use guard::{ConnectionObserver, ConnectionRefusal, TransportGuard};
pub use limits::ConnectionLimits;
pub use listen::{Accepted, Address, BindError, Listener, ParseAddressError, Reserved, SocketFile};
pub use preface_guard::PrefaceGuard;
pub use stream::ServerStream;
pub use workers::{Worker, Workers};
