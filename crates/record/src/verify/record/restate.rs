//! A record as it would be with another kind, stream or number, to find what was changed.
//!
//! This is the one place of the verifier that renders anything. The rule: what it renders counts
//! only if the chain agrees.

use prost::Message;

use super::{PROTOBUF_CHAIN, Seen};
use crate::stream::Format;
use crate::{json, proto};

impl Seen {
    /// Returns the record as it would be with another kind, stream or number.
    pub fn restated(&self, kind: &str, stream: &str, sequence: u64) -> Option<Seen> {
        let old = numbering(self.format, &self.kind, &self.stream, self.sequence);
        let at = self
            .body
            .windows(old.len())
            .position(|window| window == old)?;
        let (before, rest) = self.body.split_at_checked(at)?;
        let mut bytes = [
            before,
            &numbering(self.format, kind, stream, sequence),
            rest.get(old.len()..)?,
        ]
        .concat();
        match self.format {
            Format::Json => json::close(self.chain.hex().as_str(), &mut bytes),
            Format::Protobuf => {
                bytes.extend_from_slice(PROTOBUF_CHAIN);
                bytes.extend_from_slice(self.chain.hex().as_str().as_bytes());
            }
        }
        let line = if self.format == Format::Json {
            bytes.strip_suffix(b"\n")?
        } else {
            &bytes
        };
        Seen::read(self.format, line)
    }
}

/// Renders the fields of a record's position, as they are written.
fn numbering(format: Format, kind: &str, stream: &str, sequence: u64) -> Vec<u8> {
    match format {
        Format::Json => {
            format!("\"kind\":\"{kind}\",\"stream\":\"{stream}\",\"sequence\":\"{sequence}\"")
                .into_bytes()
        }
        Format::Protobuf => {
            let (kind, stream) = (kind.to_owned(), stream.to_owned());
            proto::Record {
                kind,
                stream,
                sequence,
                ..proto::Record::default()
            }
            .encode_to_vec()
        }
    }
}
