//! Mirrors the dynamic table of HPACK (RFC 7541) that one client fills, so that the guard can
//! withhold a call's block of headers from the transport and still pass later ones.
//!
//! Each block changes the table that the next ones refer to. So every block of a connection is
//! read, those of trailers included, once it is whole and in the form in which it passes. After it
//! was read, the guard decides:
//!
//! - The block passes: nothing is to be done.
//! - The transport does not get the block: [`HeaderTable::withhold`]. If the block changed the
//!   table, the table is _detached_ from then on: the transport's own is no longer the client's.
//!   Neither does the transport read the block of a call whose priority depends on the call itself:
//!   it resets the call.
//!
//! While the table is attached, a block passes unchanged after [`HeaderTable::read`]. Once it is
//! detached, what passes is what [`HeaderTable::rewrite`] wrote: an equivalent block that refers to
//! no dynamic table, neither of the client nor of the transport. So it does not matter which
//! rewritten blocks pass.
//!
//! It is not a decoder: names and values are compared and copied as they are coded, and only what
//! enters the table is decoded, because sizes count decoded texts. The rule: **a block that the
//! transport accepts is read without an error, and leaves both tables equal.** Beyond that it reads
//! blocks that the transport refuses. These are
//!
//! - a field that HTTP/2 forbids: a name with uppercase letters, an unknown pseudo-header,
//! - a text that is not one of the Huffman code, in a field that does not enter the table,
//! - a change of the table's size behind a field. The transport accepts one at the beginning of
//!   each frame, and the cuts of frames are not known here.
//!
//! An error means that the transport ends the connection if it gets the block, with one exception:
//! [`HeaderBlockError::EmptyName`] in a frame that another one continues. After an error the table
//! is not the client's any more. After [`HeaderBlockError::ExpandsTooFar`] it still is.

mod entry;

use std::collections::VecDeque;

use super::header_block::{
    Field, FieldName, HeaderBlockError, Indexing, KnownText, LAST_STATIC, Literal, Text, Walk,
    write_number,
};
use entry::{ENTRY_OVERHEAD, Entry, EntryName, StoredText, static_path};

/// The size of the table that a server announces by saying nothing (RFC 9113, 6.5.2).
const DEFAULT_SIZE: usize = 4_096;

/// The change of the table's size to zero.
const NO_TABLE: u8 = 0x20;

/// The marks of a field that is spelled out (RFC 7541, 6.2), and how many bits of the index of a
/// name follow them.
const WITHOUT_INDEXING: u8 = 0;
const NEVER_INDEXED: u8 = 0x10;
const NAME_BITS: u32 = 4;

/// The client's table of one connection.
#[derive(Debug)]
pub(super) struct HeaderTable {
    /// The newest entry first, as indexes count them.
    entries: VecDeque<Entry>,
    /// The size of all entries, and the most that it may be.
    size: usize,
    most: usize,
    is_detached: bool,
}

/// The path of the calls to recognize.
#[derive(Debug)]
pub struct ExpectedPath {
    name: KnownText,
    path: KnownText,
}

impl ExpectedPath {
    /// Prepares to recognize a path.
    pub fn new(path: &str) -> ExpectedPath {
        ExpectedPath {
            name: KnownText::new(b":path"),
            path: KnownText::new(path.as_bytes()),
        }
    }
}

/// What a block of headers has and does.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a block that does not pass is to be withheld"]
pub(super) struct BlockSummary {
    /// It has exactly one `:path`, the expected one.
    pub(super) is_path: bool,
    /// It adds an entry to the table, or evicts one, or changes the table's size.
    pub(super) changes_table: bool,
}

/// The paths that were seen in a block.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum SeenPath {
    #[default]
    None,
    Expected,
    Other,
}

impl SeenPath {
    /// Adds a path. Two are not the expected one, whatever they are.
    fn add(&mut self, is_expected: impl FnOnce() -> bool) {
        *self = if *self == SeenPath::None && is_expected() {
            SeenPath::Expected
        } else {
            SeenPath::Other
        };
    }
}

/// Where a rewritten block is written, and the length of the buffer that it may take at most.
struct Rewriting<'o> {
    out: &'o mut Vec<u8>,
    longest: usize,
    is_over: bool,
}

impl HeaderTable {
    /// Returns the table of a client that has sent nothing, which takes no memory.
    pub(super) fn new() -> HeaderTable {
        HeaderTable {
            entries: VecDeque::new(),
            size: 0,
            most: DEFAULT_SIZE,
            is_detached: false,
        }
    }

    /// Returns whether only rewritten blocks may pass from now on.
    pub(super) fn is_detached(&self) -> bool {
        self.is_detached
    }

    /// Reads a block and applies it to the table.
    pub(super) fn read(
        &mut self,
        block: &[u8],
        path: &ExpectedPath,
    ) -> Result<BlockSummary, HeaderBlockError> {
        self.apply(block, path, None)
    }

    /// Notes that the transport does not get a block that was read.
    pub(super) fn withhold(&mut self, block: BlockSummary) {
        self.is_detached |= block.changes_table;
    }

    /// Reads a block, applies it to the table, and appends an equivalent block to `out` that uses
    /// no dynamic table. The table is detached from then on.
    ///
    /// The written block begins with a change of the table's size to zero, which makes the
    /// transport free its own table. Then its fields follow: those of the dynamic table are spelled
    /// out without indexing, those that would enter it as well, and those that are never to be
    /// indexed stay so.
    ///
    /// If the block takes more than `most` bytes, it is applied to its end nevertheless, and the
    /// error is [`HeaderBlockError::ExpandsTooFar`]. Then the transport gets nothing, and the next
    /// block can be rewritten. `out` stays as it was after any error.
    pub(super) fn rewrite(
        &mut self,
        block: &[u8],
        path: &ExpectedPath,
        most: usize,
        out: &mut Vec<u8>,
    ) -> Result<BlockSummary, HeaderBlockError> {
        self.is_detached = true;
        let start = out.len();
        out.push(NO_TABLE);
        let mut rewriting = Rewriting {
            longest: start.saturating_add(most),
            out,
            is_over: false,
        };
        let mut applied = self.apply(block, path, Some(&mut rewriting));
        if applied.is_ok() && rewriting.is_over {
            applied = Err(HeaderBlockError::ExpandsTooFar { most });
        }
        if applied.is_err() {
            rewriting.out.truncate(start);
        }
        applied
    }

    fn apply(
        &mut self,
        block: &[u8],
        path: &ExpectedPath,
        mut rewriting: Option<&mut Rewriting<'_>>,
    ) -> Result<BlockSummary, HeaderBlockError> {
        let (mut walk, mut seen, mut changes_table) =
            (Walk::new(block), SeenPath::default(), false);
        while let Some(field) = walk.field()? {
            match &field {
                Field::Indexed(index) => match self.dynamic(*index)? {
                    Some(entry) if entry.name.is_path() => seen.add(|| entry.value.is(&path.path)),
                    Some(_) => {}
                    None => {
                        if let Some(value) = static_path(*index) {
                            seen.add(|| path.path.is(value, false));
                        }
                    }
                },
                Field::Literal(literal) => {
                    if self.is_path_name(&literal.name, path)? {
                        seen.add(|| literal.value.is(&path.path));
                    }
                }
                Field::TableSize(_) => {}
            }
            if let Some(rewriting) = &mut rewriting {
                self.rewrite_field(&field, rewriting)?;
            }
            changes_table |= match field {
                Field::Literal(Literal {
                    indexing: Indexing::Incremental,
                    name,
                    value,
                }) => self.insert(&name, &value, path)?,
                Field::TableSize(most) => self.resize(most)?,
                Field::Literal(_) | Field::Indexed(_) => false,
            };
        }
        Ok(BlockSummary {
            is_path: seen == SeenPath::Expected,
            changes_table,
        })
    }

    /// Returns the entry of an index. `None` if it is one of the static table.
    fn dynamic(&self, index: usize) -> Result<Option<&Entry>, HeaderBlockError> {
        if (1..=LAST_STATIC).contains(&index) {
            return Ok(None);
        }
        let entry = index
            .checked_sub(LAST_STATIC + 1)
            .and_then(|place| self.entries.get(place));
        entry.map(Some).ok_or(HeaderBlockError::UnknownIndex(index))
    }

    fn is_path_name(
        &self,
        name: &FieldName<'_>,
        path: &ExpectedPath,
    ) -> Result<bool, HeaderBlockError> {
        Ok(match name {
            FieldName::Spelled(name) => name.is(&path.name),
            FieldName::Indexed(index) => match self.dynamic(*index)? {
                Some(entry) => entry.name.is_path(),
                None => static_path(*index).is_some(),
            },
        })
    }

    /// Writes a field without the dynamic table, unless the block has become too long.
    fn rewrite_field(
        &self,
        field: &Field<'_>,
        rewriting: &mut Rewriting<'_>,
    ) -> Result<(), HeaderBlockError> {
        if rewriting.is_over {
            return Ok(());
        }
        let out = &mut *rewriting.out;
        match field {
            Field::TableSize(_) => {}
            Field::Indexed(index) => match self.dynamic(*index)? {
                None => write_number(*index, 7, 0x80, out),
                Some(entry) => {
                    entry.name.write(WITHOUT_INDEXING, out);
                    entry.value.write(out);
                }
            },
            Field::Literal(literal) => {
                let mark = match literal.indexing {
                    Indexing::Never => NEVER_INDEXED,
                    Indexing::Without | Indexing::Incremental => WITHOUT_INDEXING,
                };
                match &literal.name {
                    FieldName::Spelled(name) => {
                        out.push(mark);
                        out.extend_from_slice(name.coded);
                    }
                    FieldName::Indexed(index) => match self.dynamic(*index)? {
                        None => write_number(*index, NAME_BITS, mark, out),
                        Some(entry) => entry.name.write(mark, out),
                    },
                }
                out.extend_from_slice(literal.value.coded);
            }
        }
        // A field is no longer than the block or the table, so the buffer grows little beyond.
        rewriting.is_over = rewriting.out.len() > rewriting.longest;
        Ok(())
    }

    /// Adds an entry. Returns whether the table has changed.
    fn insert(
        &mut self,
        name: &FieldName<'_>,
        value: &Text<'_>,
        path: &ExpectedPath,
    ) -> Result<bool, HeaderBlockError> {
        match name {
            FieldName::Spelled(name) => {
                let length = name.decoded_length()?;
                self.add(length, value, || {
                    EntryName::spelled(name, length, &path.name)
                })
            }
            FieldName::Indexed(index) => {
                // The new entry may evict the one that has the name.
                let name = match self.dynamic(*index)? {
                    Some(entry) => entry.name.clone(),
                    None => EntryName::Static(*index),
                };
                self.add(name.decoded_length(), value, || name)
            }
        }
    }

    /// Adds an entry if there is room for it. One that is larger than the table empties it (RFC
    /// 7541, 4.4).
    fn add(
        &mut self,
        name_length: usize,
        value: &Text<'_>,
        name: impl FnOnce() -> EntryName,
    ) -> Result<bool, HeaderBlockError> {
        let value_length = value.decoded_length()?;
        let size = name_length + value_length + ENTRY_OVERHEAD;
        let has_evicted = self.evict(self.most.saturating_sub(size));
        if size > self.most {
            return Ok(has_evicted);
        }
        self.entries.push_front(Entry {
            name: name(),
            value: StoredText::new(value, value_length),
            size,
        });
        self.size += size;
        Ok(true)
    }

    /// Changes the size that the table may have. Returns whether it has changed.
    fn resize(&mut self, most: usize) -> Result<bool, HeaderBlockError> {
        if most > DEFAULT_SIZE {
            return Err(HeaderBlockError::TableTooLarge {
                size: most,
                most: DEFAULT_SIZE,
            });
        }
        let has_changed = most != self.most;
        self.most = most;
        Ok(self.evict(most) || has_changed)
    }

    /// Evicts the oldest entries until the others are at most so large. Returns whether there was
    /// one to evict.
    fn evict(&mut self, most: usize) -> bool {
        let before = self.entries.len();
        while self.size > most
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size;
        }
        self.entries.len() < before
    }
}

#[cfg(test)]
mod tests;
