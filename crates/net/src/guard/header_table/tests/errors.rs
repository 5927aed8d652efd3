//! What is an error here, what is none, and what the transport makes of both.

use super::super::super::frame::PRIORITY;
use super::transport::read_calls;
use super::*;

#[test]
fn what_is_an_error_here_ends_the_connection_there() {
    let too_large = |size| HeaderBlockError::TableTooLarge {
        size,
        most: DEFAULT_SIZE,
    };
    for (block, expected) in [
        (with(&[0x80]), HeaderBlockError::UnknownIndex(0)),
        (with(&[0xbe]), HeaderBlockError::UnknownIndex(62)),
        (with(&[0x7e, 0]), HeaderBlockError::UnknownIndex(62)),
        (with(&[0x0f, 47, 0]), HeaderBlockError::UnknownIndex(62)),
        (
            with(&[0xff, 0xff, 0xff, 0xff, 0x7f]),
            HeaderBlockError::UnknownIndex(126 + (1 << 28)),
        ),
        (
            with(&[0xff, 0xff, 0xff, 0xff, 0xff, 0]),
            HeaderBlockError::NumberTooLong,
        ),
        (with(&[0x40, 0x01]), HeaderBlockError::Truncated),
        (with(&[0x00, 0x01, b'a']), HeaderBlockError::Truncated),
        (with(&[0x00, 0x00, 0x01, b'a']), HeaderBlockError::EmptyName),
        (
            with(&[0x40, 0x01, b'a', 0x81, 0x00]),
            HeaderBlockError::NotHuffman,
        ),
        (
            with(&[0x40, 0x81, 0xff, 0x00]),
            HeaderBlockError::NotHuffman,
        ),
        (
            [&[0x3f, 0xe2, 0x1f][..], &with(&[])].concat(),
            too_large(4_097),
        ),
    ] {
        let error = HeaderTable::new().read(&block, &check()).unwrap_err();
        assert_eq!(error, expected, "{block:x?}");
        let mut out = Vec::new();
        let error = HeaderTable::new().rewrite(&block, &check(), 1 << 10, &mut out);
        assert_eq!((error, out), (Err(expected), vec![]), "{block:x?}");
        assert_eq!(read_calls(&call(1, &block, &[])), None, "{block:x?}");
    }
}

#[test]
fn what_is_read_though_the_transport_refuses_it() {
    for (block, why) in [
        (
            with(&[0x00, 0x01, b'A', 0x00]),
            "a name with an uppercase letter",
        ),
        (
            with(&[0x00, 0x02, b':', b'a', 0x00]),
            "an unknown pseudo-header",
        ),
        (
            with(&[0x00, 0x01, b'a', 0x81, 0x00]),
            "a text of no code that enters no table",
        ),
        (with(&[0x3f, 0xe1, 0x1f]), "a size behind a field"),
    ] {
        let _ = HeaderTable::new().read(&block, &check()).expect(why);
        assert_eq!(read_calls(&call(1, &block, &[])), None, "{why}");
    }
}

#[test]
fn a_size_at_the_beginning_of_a_later_frame_is_accepted() {
    let block = with(
        &[
            &entering("a", "b")[..],
            &[0x20, 0x3f, 0xe1, 0x1f],
            &entering("c", "d"),
        ]
        .concat(),
    );
    let table = table_of(&[&block]);
    assert_eq!(contents(&table), [("c".to_owned(), b"d".to_vec())]);
    let frames = call(1, &block, &[block.len() - 9]);
    assert!(frames.len() > block.len() + 9);
    assert_table(&frames, &contents(&table));
}

#[test]
fn the_transport_ignores_an_empty_name_before_a_later_frame() {
    let nameless = with(&[0x40, 0x00, 0x01, b'a']);
    let block = [&nameless[..], &entering("c", "d")].concat();
    let error = HeaderTable::new().read(&block, &check());
    assert_eq!(error, Err(HeaderBlockError::EmptyName));
    assert_eq!(read_calls(&call(1, &block, &[])), None);
    let calls = read_calls(&call(1, &block, &[nameless.len()])).expect("it reads on");
    assert_eq!(calls[0].headers, [("c".to_owned(), b"d".to_vec())]);
}

#[test]
fn a_block_that_the_transport_does_not_read_is_withheld() {
    // A call that depends on itself.
    let mut ignored = call(1, &with(&entering("a", "b")), &[]);
    ignored.splice(9..9, [0, 0, 0, 1, 0]);
    ignored[2] += 5;
    ignored[4] |= PRIORITY;
    let next = with(&[0xbe]);
    let unchanged = [&ignored[..], &call(3, &next, &[])].concat();
    assert_eq!(read_calls(&unchanged), None, "it has no such entry");

    let mut table = HeaderTable::new();
    let summary = table.read(&with(&entering("a", "b")), &check()).unwrap();
    table.withhold(summary);
    let mut out = Vec::new();
    let _ = table.rewrite(&next, &check(), 1 << 10, &mut out).unwrap();
    let calls = read_calls(&[&ignored[..], &call(3, &out, &[])].concat()).unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].headers, [("a".to_owned(), b"b".to_vec())]);
}
