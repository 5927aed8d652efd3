//! The bytes of a file, unpacked if it is packed with gzip.
//!
//! The rule: a file is packed if its first bytes say so; its name says nothing.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::CHUNK;

/// How packed data begins.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Returns whether bytes with this beginning are packed.
pub(crate) fn is_packed(beginning: &[u8]) -> bool {
    beginning.starts_with(&MAGIC)
}

type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// Bytes that are unpacked while they are read.
#[derive(Debug)]
pub struct Unpack<R>(Packing<R>);

#[derive(Debug)]
enum Packing<R> {
    None(Whole<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Whole<R>>>>),
}

impl<R: Read> Unpack<R> {
    /// Checks how the bytes begin.
    ///
    /// # Errors
    /// If the system refuses to read them.
    pub fn new(mut input: R) -> io::Result<Unpack<R>> {
        let mut first = Vec::new();
        input
            .by_ref()
            .take(MAGIC.len() as u64)
            .read_to_end(&mut first)?;
        let is_packed = is_packed(&first);
        let whole = Cursor::new(first).chain(input);
        Ok(Unpack(match is_packed {
            false => Packing::None(whole),
            true => {
                let whole = BufReader::with_capacity(CHUNK, whole);
                Packing::Gzip(Box::new(MultiGzDecoder::new(whole)))
            }
        }))
    }

    /// Returns whether they are packed.
    pub fn is_packed(&self) -> bool {
        matches!(self.0, Packing::Gzip(_))
    }
}

impl<R: Read> Read for Unpack<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Packing::None(input) => input.read(buffer),
            Packing::Gzip(input) => input.read(buffer),
        }
    }
}
