//! The table by the examples of RFC 7541, and sentence by sentence.

mod against_transport;
mod encoder;
mod errors;
mod rfc;
mod transport;

use super::super::header_block::write_text;
use super::super::huffman;
use super::*;
use transport::{assert_table, call};

/// Names and values, the newest entry first or in the order of a block.
type Headers = Vec<(String, Vec<u8>)>;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

fn check() -> ExpectedPath {
    ExpectedPath::new(CHECK)
}

/// Returns a text of a block.
fn text(content: impl AsRef<[u8]>, is_huffman: bool) -> Vec<u8> {
    let (content, mut out) = (content.as_ref(), Vec::new());
    if is_huffman {
        write_text(&huffman::encode(content), true, &mut out);
    } else {
        write_text(content, false, &mut out);
    }
    out
}

/// Returns a field that enters the table.
fn entering(name: &str, value: &str) -> Vec<u8> {
    [&[0x40][..], &text(name, false), &text(value, false)].concat()
}

/// Returns the entries of the table, decoded.
fn contents(table: &HeaderTable) -> Headers {
    let decoded = |text: &StoredText| {
        if text.is_huffman {
            huffman::decode(&text.content).unwrap()
        } else {
            text.content.to_vec()
        }
    };
    let name = |name: &EntryName| match name {
        EntryName::Static(index) => entry::static_name(*index).to_owned(),
        EntryName::Spelled(name) => String::from_utf8_lossy(&decoded(&name.text)).into_owned(),
    };
    let entries = table.entries.iter();
    entries
        .map(|entry| (name(&entry.name), decoded(&entry.value)))
        .collect()
}

/// Asserts that the table counts right and holds no more than its size.
fn assert_is_bounded(table: &HeaderTable) {
    let counted = contents(table)
        .iter()
        .map(|(_, value)| value.len())
        .sum::<usize>()
        + table
            .entries
            .iter()
            .map(|entry| entry.name.decoded_length() + 32)
            .sum::<usize>();
    assert_eq!(table.size, counted);
    assert!(table.size <= table.most && table.most <= DEFAULT_SIZE);
    let stored = table.entries.iter().map(|entry| {
        entry.value.content.len()
            + match &entry.name {
                EntryName::Static(_) => 0,
                EntryName::Spelled(name) => name.text.content.len(),
            }
    });
    assert!(stored.sum::<usize>() <= table.size);
    assert!(table.entries.capacity() <= 128);
}

/// Returns a table that has read these blocks.
fn table_of(blocks: &[&[u8]]) -> HeaderTable {
    let mut table = HeaderTable::new();
    for block in blocks {
        let _ = table.read(block, &check()).unwrap();
    }
    table
}

fn is_path(table: &mut HeaderTable, block: &[u8]) -> bool {
    table.read(block, &check()).unwrap().is_path
}

#[test]
fn a_path_is_recognized_in_every_form() {
    for is_huffman in [false, true] {
        let value = text(CHECK, is_huffman);
        for name in [
            [&[0x40][..], &text(":path", false)].concat(),
            [&[0x00][..], &text(":path", true)].concat(),
            [&[0x10][..], &text(":path", true)].concat(),
            vec![0x44],
            vec![0x45],
            vec![0x04],
            vec![0x15],
        ] {
            let block = [&[0x83, 0x86][..], &name, &value, &[0x80 | 31]].concat();
            let mut table = HeaderTable::new();
            assert!(is_path(&mut table, &block), "{name:x?}");
            if name[0] & 0x40 != 0 {
                assert!(is_path(&mut table, &[0x83, 0xbe]), "{name:x?}: as an entry");
                let named = [&[0x83, 0x0f, 47][..], &text(CHECK, !is_huffman)].concat();
                assert!(is_path(&mut table, &named), "{name:x?}: by its name");
                let other = [&[0x83, 0x7e][..], &text("/other", is_huffman)].concat();
                assert!(!is_path(&mut table, &other));
                assert!(!is_path(&mut table, &[0xbe]));
                assert!(is_path(&mut table, &[0xbf]));
            }
        }
    }
    for (path, index) in [("/", 0x84), ("/index.html", 0x85)] {
        let summary = HeaderTable::new().read(&[0x83, index], &ExpectedPath::new(path));
        assert!(summary.unwrap().is_path, "{path}");
        assert!(!is_path(&mut HeaderTable::new(), &[0x83, index]));
    }
}

#[test]
fn a_block_without_the_path_or_with_two_is_not_recognized() {
    let path = [&[0x44][..], &text(CHECK, true)].concat();
    for (block, why) in [
        (vec![], "nothing"),
        (vec![0x83, 0x86], "no path"),
        (
            [&[0x40][..], &text("grpc-status", true), &text("0", true)].concat(),
            "trailers",
        ),
        ([&path[..], &[0x84]].concat(), "another one behind it"),
        ([&[0x84], &path[..]].concat(), "another one before it"),
        ([&path[..], &path].concat(), "twice"),
        ([&path[..], &[0xbe]].concat(), "twice, by index"),
        ([&path[..], &path, &path].concat(), "three times"),
        (
            [&[0x04][..], &text(CHECK.to_uppercase(), false)].concat(),
            "uppercase",
        ),
        (
            [&[0x04][..], &text([CHECK, "?"].concat(), true)].concat(),
            "a query",
        ),
        ([&[0x01][..], &text(CHECK, true)].concat(), "another header"),
        (
            [&[0x00][..], &text(":paths", true), &text(CHECK, true)].concat(),
            "another name",
        ),
    ] {
        assert!(!is_path(&mut HeaderTable::new(), &block), "{why}");
    }
}

#[test]
fn a_client_that_adds_nothing_costs_no_memory() {
    let path = check();
    let ordinary = [
        0x83,
        0x86,
        0x84,
        0x80 | 31,
        0x80 | 16,
        0x88,
        0x8d,
        0x90,
        0x91,
        0x92,
        0x93,
        0x94,
    ];
    let literal = [
        &[0x04][..],
        &text(CHECK, true),
        &[0x11],
        &text("customs", true),
    ]
    .concat();
    let counted = allocation_counter::measure(|| {
        let mut table = HeaderTable::new();
        for block in [&ordinary[..], &literal, &[0x20, 0x3f, 0xe1, 0x1f]] {
            let _ = table.read(block, &path).unwrap();
        }
    });
    assert_eq!(counted.count_total, 0);
    let mut table = table_of(&[&entering("a", "b"), &entering("c", "d")]);
    let counted = allocation_counter::measure(|| {
        let summary = table.read(&[0x83, 0xbe, 0xbf, 0x0f, 47, 0], &path).unwrap();
        assert!(!summary.changes_table);
    });
    assert_eq!(counted.count_total, 0, "entries are referred to");
}

#[test]
fn a_block_that_changes_nothing_may_be_withheld() {
    let mut table = table_of(&[&entering("a", "b")]);
    for block in [
        &[0x83, 0x86, 0x84, 0xbe][..],
        &[0x04, 0x01, b'/', 0x0f, 47, 0x01, b'x'],
        &[0x10, 0x01, b'a', 0x01, b'b'],
        &[0x3f, 0xe1, 0x1f, 0x82],
        &[],
    ] {
        let summary = table.read(block, &check()).unwrap();
        assert!(!summary.changes_table, "{block:x?}");
        table.withhold(summary);
        assert!(!table.is_detached(), "{block:x?}");
    }
}

#[test]
fn a_withheld_block_that_changes_the_table_detaches_it() {
    let large = entering("a", &"v".repeat(DEFAULT_SIZE));
    for (block, why) in [
        (entering("c", "d"), "an entry"),
        (vec![0x20], "a size, and an entry less"),
        (vec![0x3f, 0xe0, 0x1f], "a size that evicts none"),
        (vec![0x20, 0x3f, 0xe1, 0x1f], "an entry less, of equal size"),
        (large, "an entry that is larger than the table"),
    ] {
        let mut table = table_of(&[&entering("a", "b")]);
        let passes = table.read(&block, &check()).unwrap();
        assert!(passes.changes_table, "{why}");
        assert!(!table.is_detached(), "{why}: the transport gets it");
        let mut table = table_of(&[&entering("a", "b")]);
        let withheld = table.read(&block, &check()).unwrap();
        table.withhold(withheld);
        assert!(table.is_detached(), "{why}");
        let unchanging = table.read(&[0x82], &check()).unwrap();
        table.withhold(unchanging);
        assert!(table.is_detached(), "{why}: for good");
    }
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let room = DEFAULT_SIZE - ENTRY_OVERHEAD - 1;
    let table = table_of(&[&entering("a", "b"), &entering("c", &"v".repeat(room))]);
    assert_eq!((table.entries.len(), table.size), (1, DEFAULT_SIZE));
    let table = table_of(&[&entering("a", "b"), &entering("c", &"v".repeat(room + 1))]);
    assert_eq!((table.entries.len(), table.size), (0, 0));
    let mut empty = HeaderTable::new();
    let summary = empty.read(&entering("c", &"v".repeat(room + 1)), &check());
    assert!(!summary.unwrap().changes_table, "there is none to evict");
}

#[test]
fn entries_that_fill_the_table_exactly_stay() {
    let room = DEFAULT_SIZE - 2 * (ENTRY_OVERHEAD + 1) - 1;
    let (first, second) = (entering("a", "b"), entering("c", &"v".repeat(room)));
    let mut blocks = with(&[&first[..], &second].concat());
    let table = table_of(&[&blocks]);
    assert_eq!((table.entries.len(), table.size), (2, DEFAULT_SIZE));
    assert_table(&call(1, &blocks, &[]), &contents(&table));
    blocks = [with(&first), with(&entering("c", &"v".repeat(room + 1)))].concat();
    assert_eq!(table_of(&[&blocks]).entries.len(), 1, "one byte more");
    for (size, stays) in [(34, true), (33, false)] {
        let mut block = Vec::new();
        write_number(size, 5, 0x20, &mut block);
        assert_eq!(table_of(&[&first, &block]).entries.len() == 1, stays);
    }
}

#[test]
fn an_entry_may_evict_the_one_that_it_takes_its_name_from() {
    let first = entering("a-name", &"v".repeat(3_000));
    let second = [&[0x7e][..], &text("w".repeat(2_000), true)].concat();
    let table = table_of(&[&first, &second]);
    assert_eq!(contents(&table), [("a-name".to_owned(), vec![b'w'; 2_000])]);
    assert_is_bounded(&table);
}

#[test]
fn a_text_whose_code_is_longer_is_stored_decoded() {
    let value = vec![0xf9; 1_000];
    let field = [&[0x40][..], &text("a", false), &text(&value, true)].concat();
    assert!(field.len() > 3_000);
    let mut table = table_of(&[&field]);
    assert_is_bounded(&table);
    let mut out = Vec::new();
    let _ = table.rewrite(&[0xbe], &check(), 1 << 20, &mut out).unwrap();
    let expected = [&[NO_TABLE, 0][..], &text("a", false), &text(&value, false)].concat();
    assert_eq!(out, expected);
}

#[test]
fn a_rewritten_block_refers_to_no_dynamic_table() {
    let name = text("x-name", true);
    let before = [
        &[0x44][..],
        &text(CHECK, true),
        &[0x40],
        &name,
        &text("value", false),
        &[0x7f, 0],
        &text("b", false),
    ]
    .concat();
    for (block, expected, why) in [
        (
            vec![0x83, 0x80 | 61],
            vec![0x83, 0x80 | 61],
            "static fields stay",
        ),
        (
            vec![0xc0],
            [&[0x04][..], &text(CHECK, true)].concat(),
            "a static name stays an index",
        ),
        (
            vec![0xbf],
            [&[0x00][..], &name, &text("value", false)].concat(),
            "texts stay as they are coded",
        ),
        (
            vec![0xbe],
            [&[0x04][..], &text("b", false)].concat(),
            "the name of an entry's entry",
        ),
        (
            vec![0x7d, 0x01, b'x'],
            vec![0x0f, 46, 0x01, b'x'],
            "what enters the table no longer does",
        ),
        (
            vec![0x61, 0x81, 0x1f],
            vec![0x0f, 18, 0x81, 0x1f],
            "of any static name",
        ),
        (
            vec![0x40, 1, b'q', 1, b'r'],
            vec![0, 1, b'q', 1, b'r'],
            "of a spelled name",
        ),
        (
            vec![0x7f, 0, 0x01, b'x'],
            [&[0x00][..], &name, &[0x01, b'x']].concat(),
            "of the name of an entry",
        ),
        (
            vec![0x1f, 48, 0x01, b'x'],
            [&[0x10][..], &name, &[0x01, b'x']].concat(),
            "what is never indexed stays so",
        ),
        (
            vec![0x10, 1, b'q', 0],
            vec![0x10, 1, b'q', 0],
            "with a spelled name too",
        ),
        (
            vec![0x1f, 46, 0],
            vec![0x1f, 46, 0],
            "and with a static one",
        ),
        (
            vec![0x0f, 46, 0],
            vec![0x0f, 46, 0],
            "what is not indexed stays",
        ),
        (
            vec![0x3f, 0xe1, 0x1f, 0x82],
            vec![0x82],
            "sizes are left out",
        ),
        (vec![], vec![], "nothing is nothing"),
    ] {
        let mut table = table_of(&[&before]);
        assert_eq!(table.entries.len(), 3);
        let mut out = Vec::new();
        let summary = table.rewrite(&block, &check(), 1 << 10, &mut out).unwrap();
        assert_eq!(out, [&[NO_TABLE], &expected[..]].concat(), "{why}");
        assert_eq!(summary.is_path, block == [0xc0], "{why}");
        assert!(table.is_detached());
        let mut other = table_of(&[&before]);
        assert_eq!(other.read(&block, &check()), Ok(summary), "{why}");
        assert_eq!(contents(&table), contents(&other), "{why}");
    }
}

#[test]
fn an_expansion_is_bounded_and_the_next_block_is_rewritten() {
    let value = "v".repeat(3_900);
    let mut table = table_of(&[&entering("a", &value)]);
    let bomb = [&vec![0xbe; 16 << 10][..], &entering("b", "c")].concat();
    let (most, path, mut out) = (16 << 10, check(), vec![9]);
    let counted = allocation_counter::measure(|| {
        let error = table.rewrite(&bomb, &path, most, &mut out).unwrap_err();
        assert_eq!(error, HeaderBlockError::ExpandsTooFar { most });
    });
    assert!(counted.bytes_total < 64 << 10, "{}", counted.bytes_total);
    assert_eq!(out, [9], "nothing is written");
    assert_eq!(
        contents(&table)[0],
        ("b".to_owned(), b"c".to_vec()),
        "the table is the client's"
    );
    let _ = table.rewrite(&[0xbe], &path, most, &mut out).unwrap();
    assert_eq!(out, [9, NO_TABLE, 0, 1, b'b', 1, b'c']);
    for (most, fits) in [(5, false), (6, true)] {
        out.clear();
        let rewritten = table.rewrite(&[0xbe], &path, most, &mut out);
        assert_eq!(rewritten.is_ok(), fits, "{most}");
        assert_eq!(out.len(), if fits { most } else { 0 });
    }
}

#[test]
fn names_that_entries_share_are_stored_once() {
    let name = "n".repeat(3_000);
    let mut table = table_of(&[&entering(&name, "")]);
    let path = check();
    let block = [0x7e, 0].repeat(8 << 10);
    let counted = allocation_counter::measure(|| {
        let _ = table.read(&block, &path).unwrap();
    });
    assert!(counted.bytes_total < 1 << 10, "{}", counted.bytes_total);
    assert_eq!(table.size, 3_032);
}

/// Returns the block of a call that HTTP/2 accepts, with this behind it.
fn with(rest: &[u8]) -> Vec<u8> {
    [&[0x83, 0x86, 0x04, 0x01, b'/'], rest].concat()
}
