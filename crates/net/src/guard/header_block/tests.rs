//! Numbers, texts and fields as RFC 7541 spells them, and where each of them may end too early.

use proptest::prelude::*;

use super::*;

fn fields(block: &[u8]) -> Result<Vec<String>, HeaderBlockError> {
    let (mut walk, mut fields) = (Walk::new(block), Vec::new());
    while let Some(field) = walk.field()? {
        fields.push(match field {
            Field::Indexed(index) => format!("{index}"),
            Field::TableSize(size) => format!("size {size}"),
            Field::Literal(Literal {
                indexing,
                name,
                value,
            }) => {
                let name = match name {
                    FieldName::Indexed(index) => format!("{index}"),
                    FieldName::Spelled(name) => shown(&name),
                };
                format!("{indexing:?} {name}: {}", shown(&value))
            }
        });
    }
    Ok(fields)
}

fn shown(text: &Text<'_>) -> String {
    let content = if text.is_huffman {
        huffman::decode(text.content).unwrap()
    } else {
        text.content.to_vec()
    };
    String::from_utf8(content).unwrap()
}

#[test]
fn the_numbers_of_the_rfc_are_written() {
    for (number, bits, mark, expected) in [
        (10, 5, 0, &[0b01010][..]),
        (1337, 5, 0, &[0b11111, 0b1001_1010, 0b1010]),
        (42, 8, 0, &[42]),
        (30, 5, 0x20, &[0x3e]),
        (31, 5, 0x20, &[0x3f, 0]),
        (4_096, 5, 0x20, &[0x3f, 0xe1, 0x1f]),
        (61, 4, 0x10, &[0x1f, 46]),
        (127, 7, 0x80, &[0xff, 0]),
        (127 + 127, 7, 0, &[0x7f, 0x7f]),
        (127 + 128, 7, 0, &[0x7f, 0x80, 1]),
    ] {
        let mut out = Vec::new();
        write_number(number, bits, mark, &mut out);
        assert_eq!(out, expected, "{number}");
    }
}

#[test]
fn every_form_of_a_field_is_read() {
    let value = [0x82, 0x64, 0x02];
    for (first, expected) in [
        (&[0x48][..], "Incremental 8: 302"),
        (&[0x40, 0x01, b'a'], "Incremental a: 302"),
        (&[0x08], "Without 8: 302"),
        (&[0x0f, 0x2e], "Without 61: 302"),
        (&[0x00, 0x01, b'a'], "Without a: 302"),
        (&[0x18], "Never 8: 302"),
        (&[0x10, 0x81, 0x1f], "Never a: 302"),
        (&[0x7f, 0x00], "Incremental 63: 302"),
    ] {
        let block = [
            &[0x3f, 0xe1, 0x1f, 0x20],
            first,
            &value,
            &[0x82, 0xff, 0x02],
        ]
        .concat();
        let fields = fields(&block).unwrap();
        assert_eq!(fields, ["size 4096", "size 0", expected, "2", "129"]);
    }
}

#[test]
fn a_block_that_ends_within_a_field_is_truncated() {
    for block in [
        &[0xff_u8][..],
        &[0xff, 0x80],
        &[0x3f],
        &[0x41],
        &[0x41, 0x02, b'a'],
        &[0x41, 0x7f],
        &[0x40, 0x01, b'a'],
        &[0x00],
        &[0x00, 0x00],
        &[0x0f],
        &[0x41, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x00],
    ] {
        let error = fields(&[&[0x82], block].concat()).unwrap_err();
        assert_eq!(error, HeaderBlockError::Truncated, "{block:x?}");
    }
}

#[test]
fn a_number_has_five_bytes_at_most() {
    for first in [0xff_u8, 0x7f, 0x3f, 0x1f, 0x0f] {
        let long = [first, 0xff, 0xff, 0xff, 0xff, 0x00];
        assert_eq!(
            fields(&long).unwrap_err(),
            HeaderBlockError::NumberTooLong,
            "{first:x}"
        );
    }
    assert_eq!(
        fields(&[0xff, 0xff, 0xff, 0xff, 0x7f]).unwrap(),
        [format!("{}", 127 + (1_usize << 28) - 1)]
    );
    assert_eq!(
        fields(&[0xff, 0x80, 0x80, 0x00]).unwrap(),
        ["127"],
        "one that could be shorter"
    );
}

#[test]
fn a_name_is_not_empty() {
    for block in [[0x40, 0x00, 0x01, b'a'], [0x10, 0x80, 0x01, b'a']] {
        assert_eq!(fields(&block).unwrap_err(), HeaderBlockError::EmptyName);
    }
    assert_eq!(fields(&[0x01, 0x00]).unwrap(), ["Without 1: "]);
}

#[test]
fn a_known_text_is_recognized_in_both_codes() {
    let known = KnownText::new(b":path");
    assert_eq!(&*known.huffman, [0xb9, 0x58, 0xd3, 0x3f]);
    assert!(known.is(b":path", false) && known.is(&[0xb9, 0x58, 0xd3, 0x3f], true));
    assert!(!known.is(b":path", true) && !known.is(&[0xb9, 0x58, 0xd3, 0x3f], false));
    assert!(!known.is(b":pat", false) && !known.is(b":paths", false));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        number in 0..1_usize << 28,
        bits in 4..8_u32,
        content in prop::collection::vec(any::<u8>(), 0..300),
        is_huffman in any::<bool>(),
    ) {
        let mut out = Vec::new();
        write_number(number, bits, 0, &mut out);
        let mut walk = Walk::new(&out);
        prop_assert_eq!(walk.number(bits), Ok(number));
        prop_assert_eq!(walk.at, out.len());

        let mut out = vec![7];
        write_text(&content, is_huffman, &mut out);
        let mut walk = Walk { block: &out, at: 1 };
        let text = walk.text().unwrap();
        prop_assert_eq!((text.content, text.is_huffman), (&content[..], is_huffman));
        prop_assert_eq!(&out[text.place()], text.coded);
        prop_assert_eq!(text.place(), 1..out.len());
    }

    #[test]
    fn no_bytes_are_too_strange(block in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = fields_count(&block);
    }
}

/// Counts fields without decoding them.
fn fields_count(block: &[u8]) -> Result<usize, HeaderBlockError> {
    let (mut walk, mut count) = (Walk::new(block), 0);
    while walk.field()?.is_some() {
        assert!(walk.at <= block.len());
        count += 1;
    }
    Ok(count)
}
