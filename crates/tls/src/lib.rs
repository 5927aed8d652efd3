//! Certificates, private keys and authorities out of PEM files, for both sides of TLS.
//!
//! It opens no connection and starts no thread: a server or a client asks it for what the files
//! hold now. The rules:
//!
//! - A certificate is taken together with its private key or not at all. A pair that does not fit,
//!   or that is not valid at this time, is refused.
//! - Files may change at any time, so a refused change leaves what is in use as it is.
//! - No message shows what a file holds: it may be a key.
//!
//! [`files`] reads a file, [`pem`] says what it holds, and [`client`] makes of it what a client
//! needs.

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

pub mod client;
pub mod files;
pub mod pem;
