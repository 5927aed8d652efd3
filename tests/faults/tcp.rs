//! Connections through a gateway's TCP listener, and the origin behind it.
//!
//! A client sends the beginning of a TLS handshake, which has the server name that customs judges;
//! the origin answers it, without TLS.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// An origin on a port of its own, for the rest of the process. It answers the first bytes of each
/// client.
pub(crate) struct Origin {
    pub(crate) port: u16,
    reached: Arc<AtomicUsize>,
}

impl Origin {
    pub(crate) fn start() -> Result<Origin> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let reached = Arc::new(AtomicUsize::new(0));
        let count = reached.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let count = count.clone();
                thread::spawn(move || {
                    // Envoy connects before it asks, so a connection alone means nothing.
                    if stream.read(&mut [0; 512]).is_ok_and(|bytes| bytes > 0) {
                        count.fetch_add(1, Relaxed);
                        let _ = stream.write_all(b"hello");
                    }
                });
            }
        });
        Ok(Origin { port, reached })
    }

    /// Returns how many clients' bytes have reached it.
    pub(crate) fn reached(&self) -> usize {
        self.reached.load(Relaxed)
    }
}

fn with_length<const BYTES: usize>(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[4 - BYTES..], content].concat()
}

/// Returns a ClientHello of TLS 1.2 for this server name.
fn client_hello(name: &str) -> Vec<u8> {
    let name = [&[0][..], &with_length::<2>(name.as_bytes())].concat();
    let server_name = [&[0, 0][..], &with_length::<2>(&with_length::<2>(&name))].concat();
    let hello = [
        &[3, 3][..],
        &[7; 32],
        &with_length::<1>(&[]),
        &with_length::<2>(&[0xc0, 0x2f]),
        &with_length::<1>(&[0]),
        &with_length::<2>(&server_name),
    ]
    .concat();
    let handshake = [&[1][..], &with_length::<3>(&hello)].concat();
    [&[0x16, 3, 1][..], &with_length::<2>(&handshake)].concat()
}

/// Returns whether a connection for this server name reaches the origin.
///
/// # Errors
/// If it is neither answered nor closed in time.
pub(crate) fn reaches_origin(gateway: u16, name: &str, patience: Duration) -> Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", gateway))?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(&client_hello(name))?;
    let mut read = [0; 5];
    match stream.read(&mut read) {
        Ok(count) => Ok(count > 0),
        Err(why) if why.kind() == std::io::ErrorKind::ConnectionReset => Ok(false),
        Err(why) => Err(why.into()),
    }
}
