//! A record as it was written: its bytes, and what they say.

use super::{DIGITS, PROTOBUF_CHAIN, Seen};
use crate::decode::{self, RecordDecodeError};
use crate::stream::Format;
use crate::{json, proto};

impl Seen {
    /// Returns how it is written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Returns about how many bytes it has.
    pub fn size(&self) -> usize {
        self.body.len() + PROTOBUF_CHAIN.len() + DIGITS
    }

    /// Appends it as it was written, with what delimits it.
    pub fn write(&self, out: &mut Vec<u8>) {
        let chain = self.chain.hex();
        match self.format {
            Format::Json => {
                out.extend_from_slice(&self.body);
                json::close(chain.as_str(), out);
            }
            Format::Protobuf => {
                // Writing to a vector does not fail.
                let _ = prost::encode_length_delimiter(self.size(), out);
                out.extend_from_slice(&self.body);
                out.extend_from_slice(PROTOBUF_CHAIN);
                out.extend_from_slice(chain.as_str().as_bytes());
            }
        }
    }

    /// Decodes it as the type of the proto.
    ///
    /// # Errors
    /// If it is JSON that the proto does not describe.
    pub fn decode(&self) -> Result<proto::Record, RecordDecodeError> {
        let mut bytes = Vec::new();
        match self.format {
            Format::Json => {
                self.write(&mut bytes);
                bytes.pop_if(|last| *last == b'\n');
                decode::record(self.format, &bytes)
            }
            Format::Protobuf => decode::record(self.format, &self.body),
        }
    }
}
