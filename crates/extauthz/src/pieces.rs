//! A message while it arrives.
//!
//! One piece is kept as it came. Once there are more, or the next one is waited for, they are
//! copied: else a few bytes of a message would hold a whole buffer of the transport. The rule: what
//! is copied is counted on the connection's memory before it is allocated.

use std::sync::Arc;

use bytes::Bytes;

use customs_net::{ConnectionActivity, MessageMemory};

/// The least that is allocated for a message in pieces.
const LEAST: usize = 1 << 10;

/// The connection has no memory for more of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoMemoryError;

/// What has arrived of a message.
#[derive(Debug)]
pub(crate) struct Pieces<'c> {
    connection: &'c Arc<ConnectionActivity>,
    read: Read,
}

#[derive(Debug)]
enum Read {
    /// One piece, as it came.
    AsItCame(Bytes),
    /// Several pieces, and the memory that they hold.
    Copied(Vec<u8>, MessageMemory),
}

impl<'c> Pieces<'c> {
    /// Creates an empty message on a connection.
    pub(crate) fn new(connection: &'c Arc<ConnectionActivity>) -> Self {
        Pieces {
            connection,
            read: Read::AsItCame(Bytes::new()),
        }
    }

    /// Returns what has arrived.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.read {
            Read::AsItCame(bytes) => bytes,
            Read::Copied(bytes, _) => bytes,
        }
    }

    /// Adds a piece of a message that is to have at most `most` bytes.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn add(&mut self, piece: Bytes, most: usize) -> Result<(), NoMemoryError> {
        if piece.is_empty() {
            return Ok(());
        }
        if let Read::AsItCame(bytes) = &mut self.read {
            if bytes.is_empty() {
                *bytes = piece;
                return Ok(());
            }
            self.copy(piece.len(), most)?;
        }
        let Read::Copied(bytes, memory) = &mut self.read else {
            return Ok(());
        };
        let needed = bytes.len().saturating_add(piece.len());
        if needed > bytes.capacity() {
            // Grows by doubling, though not beyond what the message is to have.
            let doubled = bytes.capacity().saturating_mul(2).min(most);
            let capacity = needed.max(doubled);
            if !memory.grow(capacity - bytes.capacity()) {
                return Err(NoMemoryError);
            }
            bytes.reserve_exact(capacity - bytes.len());
        }
        bytes.extend_from_slice(&piece);
        Ok(())
    }

    /// Releases the transport's buffer, because more of the message is waited for.
    ///
    /// # Errors
    /// If there is no memory for what has arrived.
    pub(crate) fn wait(&mut self, most: usize) -> Result<(), NoMemoryError> {
        match &self.read {
            Read::AsItCame(bytes) if !bytes.is_empty() => self.copy(0, most),
            _ => Ok(()),
        }
    }

    fn copy(&mut self, more: usize, most: usize) -> Result<(), NoMemoryError> {
        let Read::AsItCame(read) = &self.read else {
            return Ok(());
        };
        let needed = read.len().saturating_add(more);
        let capacity = needed.max(LEAST.min(most));
        let memory = self.connection.hold(capacity).ok_or(NoMemoryError)?;
        let mut bytes = Vec::with_capacity(capacity);
        bytes.extend_from_slice(read);
        self.read = Read::Copied(bytes, memory);
        Ok(())
    }

    /// Returns the whole, and the memory that it holds.
    pub(crate) fn into_bytes(self) -> (Bytes, Option<MessageMemory>) {
        match self.read {
            Read::AsItCame(bytes) => (bytes, None),
            Read::Copied(bytes, memory) => (bytes.into(), Some(memory)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_net::MemoryPool;

    fn connection(pool: usize) -> Arc<ConnectionActivity> {
        Arc::new(ConnectionActivity::new(MemoryPool::new(pool)))
    }

    #[test]
    fn one_piece_is_kept_as_it_came_and_counts_nothing() {
        let connection = connection(0);
        let piece = Bytes::from(vec![7; 1 << 20]);
        let mut pieces = Pieces::new(&connection);
        pieces.add(piece.clone(), 1 << 20).unwrap();
        pieces.add(Bytes::new(), 1 << 20).unwrap();
        let (bytes, memory) = pieces.into_bytes();
        assert_eq!(bytes.as_ptr(), piece.as_ptr());
        assert!(memory.is_none());
    }

    #[test]
    fn pieces_are_joined_in_memory_that_is_counted() {
        let pool = MemoryPool::new(32 << 20);
        let connection = Arc::new(ConnectionActivity::new(pool.clone()));
        let mut pieces = Pieces::new(&connection);
        for number in 0..250_u8 {
            pieces.add(vec![number; 16_000].into(), 4_000_000).unwrap();
            let Read::Copied(bytes, _) = &pieces.read else {
                continue;
            };
            assert!(bytes.capacity() <= 4_000_000);
            assert!(pool.leased() + (96 << 10) >= bytes.capacity());
        }
        let (bytes, memory) = pieces.into_bytes();
        assert_eq!(bytes.len(), 4_000_000);
        assert!(
            bytes
                .chunks(16_000)
                .zip(0..)
                .all(|(piece, number)| piece == [number; 16_000])
        );
        drop(memory);
        assert_eq!(pool.leased(), 0);
    }

    #[test]
    fn a_message_that_is_only_announced_holds_little() {
        let connection = connection(32 << 20);
        let mut pieces = Pieces::new(&connection);
        pieces
            .add(Bytes::from_static(b"\0\0\x40\0\0"), 4 << 20)
            .unwrap();
        pieces.wait(4 << 20).unwrap();
        let Read::Copied(bytes, _) = &pieces.read else {
            panic!("{pieces:?}");
        };
        assert!(bytes.capacity() <= LEAST);
    }

    #[test]
    fn a_message_without_memory_is_not_allocated() {
        let connection = connection(0);
        let mut pieces = Pieces::new(&connection);
        let piece = Bytes::from(vec![1; 16_000]);
        let added = (0..100).take_while(|_| pieces.add(piece.clone(), 4 << 20).is_ok());
        // What every connection may hold.
        assert!((3..7).contains(&added.count()));
        let mut other = Pieces::new(&connection);
        other.add(piece.clone(), 4 << 20).unwrap();
        drop(pieces);
        assert_eq!(other.wait(4 << 20), Ok(()));
        other.wait(4 << 20).unwrap();
        assert_eq!(other.bytes(), piece);
    }
}
