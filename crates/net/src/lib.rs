//! The edge of sockets: addresses, the threads that serve connections, and what guards a connection before HTTP/2 does.
//!
//! [`listen`] binds addresses and accepts connections, [`workers`] spreads them over threads, [`limits`] bounds each of them.
//! [`guard`] looks at the frames of a connection, and [`preface_guard`] ends one that says nothing at the shutdown. Nothing
//! here knows a call, a check or a record. The rule: this crate depends on no other crate of customs; who uses it hears of
//! refusals through [`guard::ConnectionObserver`].

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

pub mod guard;
pub mod limits;
pub mod listen;
pub mod preface_guard;
pub mod workers;
