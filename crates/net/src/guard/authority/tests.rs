//! Authorities as clients spell them: refused, accepted, cut, and in every form that HPACK has.

use proptest::prelude::*;

use super::*;

/// Returns a text of a block, plain or Huffman-coded.
fn text(bytes: &[u8], is_huffman: bool) -> Vec<u8> {
    let content = if is_huffman {
        huffman::encode(bytes)
    } else {
        bytes.to_vec()
    };
    let mut out = Vec::new();
    write_text(&content, is_huffman, &mut out);
    out
}

/// Returns a block as a gRPC client sends it: method, scheme, path, authority, content type.
fn block(authority: &[u8], name: &[u8], is_huffman: bool) -> Vec<u8> {
    let path = [
        &[0x04][..],
        &text(b"/envoy.service.auth.v3.Authorization/Check", true),
    ]
    .concat();
    [
        &[0x83, 0x86][..],
        &path,
        name,
        &text(authority, is_huffman),
        &[0x5f],
        &text(b"application/grpc", true),
    ]
    .concat()
}

/// Returns the authority that a mended block has.
fn mended(block: &[u8]) -> Option<Vec<u8>> {
    let Mending { place, text } = mend(block)?;
    assert!(text.len() <= place.len());
    let mut block = block.to_vec();
    block.splice(place, text);
    let found = find(&block).unwrap();
    Some(if found.is_huffman {
        huffman::decode(found.content).unwrap()
    } else {
        found.content.to_vec()
    })
}

/// Returns the ways to name a header: with and without a place in the table, never indexed, and
/// with the name spelt out in both forms.
fn names() -> Vec<Vec<u8>> {
    let spelt = |first: u8, is_huffman| [vec![first], text(b":authority", is_huffman)].concat();
    vec![
        vec![0x41],
        vec![0x01],
        vec![0x11],
        spelt(0x40, true),
        spelt(0x00, false),
        spelt(0x10, true),
    ]
}

#[test]
fn an_authority_that_is_none_becomes_one_of_the_same_length() {
    for (authority, expected) in [
        ("extension/egress/customs", "extension_egress_customs"),
        (
            "outbound|9191||customs.egress.svc.cluster.local",
            "outbound_9191__customs.egress.svc.cluster.local",
        ),
        (
            "securitypolicy/egress/customs/0",
            "securitypolicy_egress_customs_0",
        ),
        ("customs cluster", "customs_cluster"),
        ("customs%1", "customs_1"),
        ("a:b:c", "a_b_c"),
        ("a?b#c\\d\"e<f>g^h`i{j}", "a_b_c_d_e_f_g_h_i_j_"),
        ("zürich", "z__rich"),
        ("@", "_"),
    ] {
        for name in names() {
            for is_huffman in [false, true] {
                let mended = mended(&block(authority.as_bytes(), &name, is_huffman));
                assert_eq!(
                    mended.as_deref(),
                    Some(expected.as_bytes()),
                    "{authority} {name:x?} {is_huffman}"
                );
            }
        }
    }
    let long = "a/".repeat(5_000);
    for is_huffman in [false, true] {
        assert_eq!(
            mended(&block(long.as_bytes(), &[0x41], is_huffman)),
            Some("a_".repeat(5_000).into_bytes())
        );
    }
}

#[test]
fn an_authority_that_is_taken_stays_as_it_is() {
    for authority in [
        "customs",
        "ext_authz",
        "customs.egress:9191",
        "[::1]:9191",
        "10.0.0.1",
        "user@host",
    ] {
        assert!(Authority::try_from(authority).is_ok(), "{authority}");
        for name in names() {
            assert_eq!(
                mend(&block(authority.as_bytes(), &name, true)),
                None,
                "{authority}"
            );
        }
    }
}

#[test]
fn what_cannot_be_mended_stays_as_it_is() {
    assert_eq!(
        mend(&block(b"", &[0x41], false)),
        None,
        "an empty one has no byte to change"
    );
    // The name is in the dynamic table, which is not tracked here.
    assert_eq!(mend(&block(b"a/b", &[0x40 | 62], false)), None);
    // It is in the table already, because it was mended earlier.
    assert_eq!(mend(&[0x83, 0x86, 0xbe, 0xbf]), None);
    // Not a text of the Huffman code.
    assert_eq!(mend(&[0x83, 0x41, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    // Another header with the same bytes is not touched.
    assert_eq!(
        mend(&[&[0x83, 0x5f][..], &text(b"a/b", false)].concat()),
        None
    );
    assert_eq!(
        mend(&[&[0x83, 0x00][..], &text(b"x", false), &text(b"a/b", false)].concat()),
        None
    );
}

#[test]
fn a_size_of_the_table_may_come_first() {
    let block = [&[0x3f, 0xe1, 0x1f][..], &block(b"a/b", &[0x41], true)].concat();
    assert_eq!(mended(&block).as_deref(), Some(&b"a_b"[..]));
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(block in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Some(Mending { place, text }) = mend(&block) {
            prop_assert!(place.end <= block.len() && text.len() <= place.len());
        }
    }

    #[test]
    fn whatever_a_cluster_is_called_it_is_mended_or_taken(
        authority in prop::collection::vec(any::<u8>(), 1..80),
        cut in 0..200_usize,
        is_huffman in any::<bool>(),
    ) {
        let whole = block(&authority, &[0x41], is_huffman);
        match mended(&whole) {
            Some(mended) => {
                prop_assert_eq!(mended.len(), authority.len());
                prop_assert!(Authority::try_from(mended.as_slice()).is_ok());
            }
            None => prop_assert!(Authority::try_from(authority.as_slice()).is_ok()),
        }
        // A block that continues in another frame is mended if the authority is whole, and never
        // beyond its end.
        if let Some(Mending { place, .. }) = mend(&whole[..cut.min(whole.len())]) {
            prop_assert!(place.end <= cut);
        }
    }
}
