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
//! [`files`] reads a file, [`pem`] says what it holds, and [`certificate`] what a certificate says
//! about itself. [`client`] makes of them what a client needs, [`server`] what a server needs, with
//! the list of clients that it accepts: [`client_ids`], compared with the [`spiffe_id`] that each
//! client proves. [`client_stream`], a feature, runs the handshake of a client over a connection
//! that it is given, and [`client_failure`] says why a server and a client did not agree.

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

pub mod certificate;
pub mod client;
pub mod client_failure;
pub mod client_ids;
#[cfg(feature = "client-stream")]
pub mod client_stream;
mod client_verifier;
pub mod files;
pub mod pem;
pub mod server;
pub mod spiffe_id;
