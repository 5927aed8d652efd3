//! The table beside the one of the real transport: whatever a client sends, and whatever of it is
//! withheld, the transport reads the calls that the client meant.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::encoder::{Encoder, Form, NameForm, PlannedBlock, PlannedField, blocks};
use super::transport::{assert_table, call, read_calls};
use super::*;

/// A change of one block of a client.
#[derive(Clone, Debug)]
enum Fault {
    None,
    /// These bits of the byte at this place.
    Flipped(usize, u8),
    Inserted(usize, u8),
    Removed(usize),
    Truncated(usize),
    /// Bytes instead of the block.
    Replaced(Vec<u8>),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => Just(Fault::None),
        3 => (any::<usize>(), 1..=255_u8).prop_map(|(place, bits)| Fault::Flipped(place, bits)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(place, byte)| Fault::Inserted(place, byte)),
        1 => any::<usize>().prop_map(Fault::Removed),
        1 => any::<usize>().prop_map(Fault::Truncated),
        2 => prop::collection::vec(any::<u8>(), 0..12).prop_map(Fault::Replaced),
    ]
}

fn spoil(block: &mut Vec<u8>, fault: &Fault) {
    let length = block.len();
    let at = |place: usize| place % length;
    match fault {
        Fault::None => {}
        Fault::Flipped(place, bits) => {
            let place = at(*place);
            block[place] ^= bits;
        }
        Fault::Inserted(place, byte) => block.insert(at(*place), *byte),
        Fault::Removed(place) => drop(block.remove(at(*place))),
        Fault::Truncated(place) => block.truncate(at(*place)),
        Fault::Replaced(bytes) => block.clone_from(bytes),
    }
}

fn stream(place: usize) -> u32 {
    u32::try_from(2 * place + 1).unwrap()
}

/// Reads the blocks of a client, withholds some of them, and compares what the transport reads.
fn assert_equivalent(planned: &[PlannedBlock]) {
    let (mut encoder, mut table) = (Encoder::new(), HeaderTable::new());
    let (mut sent, mut passed, mut withheld) = (Vec::new(), Vec::new(), Vec::new());
    let mut must_be_detached = false;
    for (place, planned) in planned.iter().enumerate() {
        let stream = stream(place);
        let block = encoder.block(planned);
        sent.extend(call(stream, &block, &planned.cuts));
        let before = contents(&table);
        let (summary, passes) = if table.is_detached() {
            let mut out = vec![7; 9];
            let summary = table.rewrite(&block, &check(), 1 << 20, &mut out).unwrap();
            assert_eq!(out[..9], [7; 9], "what the buffer had before stays");
            let rewritten = out.split_off(9);
            assert_uses_no_table(&rewritten);
            (summary, rewritten)
        } else {
            (table.read(&block, &check()).unwrap(), block)
        };
        assert_eq!(summary.is_path, planned.path.value == CHECK.as_bytes());
        assert_eq!(contents(&table), encoder.contents());
        assert_is_bounded(&table);
        if before != contents(&table) {
            assert!(summary.changes_table);
        }
        if planned.is_withheld {
            must_be_detached |= summary.changes_table;
            table.withhold(summary);
            withheld.push(stream);
        } else {
            passed.extend(call(stream, &passes, &planned.cuts));
        }
        assert_eq!(table.is_detached(), must_be_detached);
    }
    let mut expected = read_calls(&sent).expect("the client is one that HTTP/2 accepts");
    assert_eq!(expected.len(), planned.len());
    assert_table(&sent, &encoder.contents());
    expected.retain(|call| !withheld.contains(&call.stream));
    assert_eq!(read_calls(&passed), Some(expected));
    if must_be_detached {
        return;
    }
    assert_table(&passed, &contents(&table));
}

/// Asserts that a rewritten block frees the transport's table and refers to none.
fn assert_uses_no_table(block: &[u8]) {
    let mut walk = Walk::new(block);
    assert!(matches!(walk.field(), Ok(Some(Field::TableSize(0)))));
    while let Some(field) = walk.field().unwrap() {
        match field {
            Field::TableSize(size) => panic!("a second size {size}"),
            Field::Indexed(index) => assert!(index <= LAST_STATIC),
            Field::Literal(literal) => {
                assert_ne!(literal.indexing, Indexing::Incremental);
                if let FieldName::Indexed(index) = literal.name {
                    assert!(index <= LAST_STATIC);
                }
            }
        }
    }
}

#[test]
fn whatever_the_transport_accepts_is_read_and_leaves_equal_tables() {
    let (accepted, refused) = (Cell::new(0), Cell::new(0));
    let spoiled = (blocks(), any::<prop::sample::Index>(), fault());
    TestRunner::default()
        .run(&spoiled, |(planned, which, fault)| {
            let (mut encoder, mut table) = (Encoder::new(), HeaderTable::new());
            let (mut sent, mut error) = (Vec::new(), None);
            let spoiled = which.index(planned.len());
            for (place, planned) in planned.iter().enumerate() {
                let mut block = encoder.block(planned);
                if place == spoiled {
                    spoil(&mut block, &fault);
                }
                if error.is_none() {
                    error = table.read(&block, &check()).err();
                }
                // In a frame that another one continues, an empty name is not always refused.
                let is_nameless = error == Some(HeaderBlockError::EmptyName);
                let cuts = if is_nameless { &[][..] } else { &planned.cuts };
                sent.extend(call(stream(place), &block, cuts));
                assert_is_bounded(&table);
            }
            if read_calls(&sent).is_none() {
                refused.set(refused.get() + 1);
                return Ok(());
            }
            accepted.set(accepted.get() + 1);
            prop_assert_eq!(error, None);
            assert_table(&sent, &contents(&table));
            Ok(())
        })
        .unwrap();
    assert!(
        accepted.get() > 30 && refused.get() > 30,
        "{accepted:?} {refused:?}"
    );
}

proptest! {
    #[test]
    fn the_transport_reads_the_calls_that_pass_as_the_client_meant_them(planned in blocks()) {
        assert_equivalent(&planned);
    }

    #[test]
    fn no_bytes_are_too_strange_and_none_of_them_takes_much_memory(
        planned in blocks(),
        noise in prop::collection::vec(prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(&[0x40, 0x41, 0x7e, 0x20, 0x3f, 0xbe, 0xbf, 0x01, 0x82][..])],
            0..60,
        ), 1..12),
        most in 0..3_000_usize,
    ) {
        let (mut encoder, mut table) = (Encoder::new(), HeaderTable::new());
        let mut out = Vec::new();
        for planned in &planned {
            let _ = table.read(&encoder.block(planned), &check());
        }
        for block in &noise {
            let _ = table.read(block, &check());
            out.clear();
            let rewritten = table.rewrite(block, &check(), most, &mut out);
            prop_assert!(out.len() <= most);
            prop_assert!(out.capacity() <= 2 * (most + block.len() + DEFAULT_SIZE + 64));
            prop_assert!(rewritten.is_ok() || out.is_empty());
            assert_is_bounded(&table);
        }
    }
}

/// Returns a field as nghttp2 codes it, and with it Envoy: a path is not indexed, an authority and
/// whatever else a call has are, and names come from the static table if it has them.
fn field_of_a_proxy(name: &str, value: &str) -> PlannedField {
    let form = match name {
        ":path" => Form::Without,
        "authorization" => Form::Never,
        _ => Form::Indexed,
    };
    let is_static = (1..=LAST_STATIC).any(|index| entry::static_name(index) == name);
    PlannedField {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
        form,
        name_form: if is_static {
            NameForm::Static
        } else {
            NameForm::Dynamic
        },
        is_huffman: (true, true),
    }
}

#[test]
fn calls_of_a_proxy_pass_whichever_are_withheld() {
    for withheld_each in [1, 2, 3, 7, 60] {
        let calls: Vec<PlannedBlock> = (1..=60)
            .map(|call| PlannedBlock {
                sizes: vec![],
                path: field_of_a_proxy(":path", CHECK),
                fields: vec![
                    field_of_a_proxy(":authority", "customs"),
                    field_of_a_proxy("te", "trailers"),
                    field_of_a_proxy("content-type", "application/grpc"),
                    field_of_a_proxy("traceparent", &format!("00-{call:032x}-{call:016x}-01")),
                    field_of_a_proxy("authorization", "Bearer of a token"),
                    field_of_a_proxy("x-request-id", &format!("{call:x}").repeat(call)),
                ],
                cuts: vec![],
                is_withheld: call % withheld_each == 0,
            })
            .collect();
        assert_equivalent(&calls);
    }
}
