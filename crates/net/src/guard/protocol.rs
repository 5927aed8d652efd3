//! What a client uses that does not use HTTP/2.
//!
//! The first bytes say which it is, and nothing of the client's text is repeated except the name of
//! a method.

use super::ConnectionRefusal;

/// The first bytes of an HTTP/2 client (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Identifies the protocol of a client that does not use HTTP/2: the refusal, and an example that
/// contains no text of the client except a method's name.
pub(crate) fn identify_protocol(begun: &[u8]) -> (ConnectionRefusal, String) {
    let word = begun
        .iter()
        .take_while(|byte| byte.is_ascii_uppercase())
        .take(20)
        .map(|byte| char::from(*byte));
    let word: String = word.collect();
    match (begun.first(), begun.get(word.len())) {
        // A handshake record of version 3.x.
        (Some(0x16), Some(_)) if begun.get(1) == Some(&3) => {
            (ConnectionRefusal::Tls, "a TLS handshake".to_owned())
        }
        (_, Some(b' ') | None) if !word.is_empty() => (
            ConnectionRefusal::Http1,
            format!("a request {word} of HTTP/1"),
        ),
        _ => {
            let first: Vec<String> = begun
                .iter()
                .take(8)
                .map(|byte| format!("{byte:02x}"))
                .collect();
            (
                ConnectionRefusal::OtherProtocol,
                format!(
                    "a connection that begins with the bytes {}",
                    first.join(" ")
                ),
            )
        }
    }
}
