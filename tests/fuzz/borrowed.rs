//! Checks that no proxy sends, read from their bytes: each is read as the decoder reads it, or is
//! left to the decoder.

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{
    Address, HeaderMap, HeaderValue, Metadata, Pipe, SocketAddress,
};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{
    HttpRequest, Peer, Request, TlsSession,
};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use customs_test_support::fuzz_targets::borrowed::{ReadBy, read};

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut out);
    encode_varint(bytes.len() as u64, &mut out);
    [out, bytes.to_vec()].concat()
}

fn number(field: u32, value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(field, WireType::Varint, &mut out);
    encode_varint(value, &mut out);
    out
}

/// Returns a check of these attributes, each a field in its bytes.
fn check(attributes: &[Vec<u8>]) -> Vec<u8> {
    field(1, &attributes.concat())
}

/// Returns a check of an HTTP request with these fields.
fn http(fields: &[Vec<u8>]) -> Vec<u8> {
    check(&[field(4, &field(2, &fields.concat()))])
}

fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    field(3, &[field(1, key), field(2, value)].concat())
}

fn raw(key: &[u8], value: &[u8], raw_value: &[u8]) -> Vec<u8> {
    field(
        1,
        &[field(1, key), field(2, value), field(3, raw_value)].concat(),
    )
}

/// Returns a check of a peer's address with these fields.
fn socket(fields: &[Vec<u8>]) -> Vec<u8> {
    check(&[field(1, &field(1, &field(1, &fields.concat())))])
}

fn group(number: u32, inside: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_key(number, WireType::StartGroup, &mut out);
    out.extend_from_slice(inside);
    encode_key(number, WireType::EndGroup, &mut out);
    out
}

fn assert_read(rows: &[(&str, Vec<u8>, ReadBy)]) {
    for (what, bytes, by) in rows {
        assert_eq!(read(bytes), *by, "{what}");
    }
}

#[test]
fn what_proxies_send_is_read() {
    let captured = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/captures/check_request.bin"
    ))
    .unwrap();
    let headers = vec![HeaderValue {
        key: "x".into(),
        value: String::new(),
        raw_value: b"\xff".to_vec(),
    }];
    let raw_list = HttpRequest {
        header_map: Some(HeaderMap { headers }),
        ..Default::default()
    };
    let request = |http| {
        Some(Request {
            time: None,
            http: Some(http),
        })
    };
    let pipe = Address {
        address: Some(AddressKind::Pipe(Pipe {
            path: "/x".into(),
            mode: 0o600,
        })),
    };
    let whole = |attributes| {
        CheckRequest {
            attributes: Some(attributes),
        }
        .encode_to_vec()
    };
    assert_read(&[
        ("captured from Envoy", captured, ReadBy::Both),
        ("nothing", Vec::new(), ReadBy::Both),
        ("no attributes in it", check(&[]), ReadBy::Both),
        (
            "raw headers",
            whole(AttributeContext {
                request: request(raw_list),
                ..Default::default()
            }),
            ReadBy::Both,
        ),
        (
            "an address that is a pipe",
            whole(AttributeContext {
                source: Some(Peer {
                    address: Some(pipe),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ReadBy::Both,
        ),
        (
            "empty metadata and an empty session",
            whole(AttributeContext {
                metadata_context: Some(Metadata::default()),
                tls_session: Some(TlsSession::default()),
                ..Default::default()
            }),
            ReadBy::Both,
        ),
    ]);
}

#[test]
fn fields_that_are_repeated_or_unknown_are_read_as_the_decoder_reads_them() {
    assert_read(&[
        (
            "a field of a later Envoy",
            check(&[field(99, b"\xff"), number(98, 1)]),
            ReadBy::Both,
        ),
        (
            "fixed numbers of a later Envoy",
            check(&[vec![0xd1, 6], vec![0; 8], vec![0xd5, 6, 0, 0, 0, 0]]),
            ReadBy::Both,
        ),
        (
            "the host twice: the last counts",
            http(&[field(5, b"a.example"), field(5, b"b.example")]),
            ReadBy::Both,
        ),
        (
            "a header twice: the last counts",
            http(&[entry(b"a", b"1"), entry(b"a", b"2")]),
            ReadBy::Both,
        ),
        (
            "a header in three cases",
            http(&[entry(b"A", b"1"), entry(b"a", b"2"), entry(b"A", b"3")]),
            ReadBy::Both,
        ),
        (
            "an entry with two keys and no value",
            http(&[field(3, &[field(1, b"a"), field(1, b"b")].concat())]),
            ReadBy::Both,
        ),
        ("an empty entry", http(&[field(3, b"")]), ReadBy::Both),
        (
            "both forms of headers",
            http(&[
                entry(b"a", b"1"),
                field(13, &[raw(b"A", b"", b"2"), raw(b"a", b"3", b"4")].concat()),
            ]),
            ReadBy::Both,
        ),
        (
            "two ports: the last counts",
            socket(&[field(2, b"10.0.0.1"), number(3, 80), field(4, b"http")]),
            ReadBy::Both,
        ),
        (
            "a name, then a port",
            socket(&[field(4, b"http"), number(3, 443)]),
            ReadBy::Both,
        ),
        (
            "a port of 33 bits",
            socket(&[number(3, (1 << 32) + 443)]),
            ReadBy::Both,
        ),
        (
            "a port of 17 bits",
            socket(&[number(3, (1 << 16) + 443)]),
            ReadBy::Both,
        ),
        (
            "no address after all",
            socket(&[field(2, b"localhost")]),
            ReadBy::Both,
        ),
        (
            "a port in ten bytes",
            socket(&[vec![
                0x18, 0xbb, 0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,
            ]]),
            ReadBy::Both,
        ),
    ]);
}

#[test]
fn what_is_out_of_the_ordinary_is_left_to_the_decoder() {
    let half = |bytes: &[u8]| field(4, &field(2, bytes));
    let pipe = field(2, &field(1, b"/x"));
    assert_read(&[
        (
            "a check in two parts",
            [check(&[field(1, b"")]), check(&[field(2, b"")])].concat(),
            ReadBy::Decoder,
        ),
        (
            "a peer in two parts",
            check(&[field(1, &field(4, b"a")), field(1, &field(2, b"b"))]),
            ReadBy::Decoder,
        ),
        (
            "a request in two parts",
            check(&[half(&field(5, b"a")), half(&field(2, b"GET"))]),
            ReadBy::Decoder,
        ),
        (
            "two lists of headers",
            http(&[field(13, &raw(b"a", b"1", b"")), field(13, b"")]),
            ReadBy::Decoder,
        ),
        (
            "two sessions",
            check(&[field(12, &field(1, b"a")), field(12, b"")]),
            ReadBy::Decoder,
        ),
        (
            "two kinds of address",
            check(&[field(1, &field(1, &[field(1, b""), pipe].concat()))]),
            ReadBy::Decoder,
        ),
        (
            "a group of a later Envoy",
            check(&[group(99, &number(1, 1))]),
            ReadBy::Decoder,
        ),
        (
            "metadata",
            check(&[field(11, &field(1, &field(1, b"a")))]),
            ReadBy::Decoder,
        ),
    ]);
}

#[test]
fn bytes_that_are_not_a_check_are_read_by_neither() {
    let whole = http(&[field(5, b"a.example"), entry(b"a", b"1")]);
    let mut rows: Vec<_> = (1..whole.len())
        .map(|end| ("an end too early", whole[..end].to_vec(), ReadBy::Neither))
        .collect();
    rows.extend([
        (
            "a host that is not text",
            http(&[field(5, b"\xff")]),
            ReadBy::Neither,
        ),
        (
            "a header's name that is not text",
            http(&[entry(b"\xc3\x28", b"")]),
            ReadBy::Neither,
        ),
        (
            "a header's value that is not text",
            http(&[entry(b"a", b"\xed\xa0\x80")]),
            ReadBy::Neither,
        ),
        (
            "a certificate that is not text",
            check(&[field(1, &field(5, b"\x80"))]),
            ReadBy::Neither,
        ),
        (
            "a label that is not text",
            check(&[field(1, &field(3, &field(2, b"\xf8")))]),
            ReadBy::Neither,
        ),
        (
            "a query that is not text",
            http(&[field(7, b"\xff")]),
            ReadBy::Neither,
        ),
        (
            "a number for a host",
            http(&[number(5, 1)]),
            ReadBy::Neither,
        ),
        (
            "a text for a size",
            http(&[field(9, b"1")]),
            ReadBy::Neither,
        ),
        (
            "a text for a time",
            check(&[field(4, &number(1, 1))]),
            ReadBy::Neither,
        ),
        (
            "metadata that is not a message",
            check(&[field(11, b"\x08")]),
            ReadBy::Neither,
        ),
        ("field 0", check(&[vec![0x02, 0]]), ReadBy::Neither),
        (
            "a wire type that there is not",
            check(&[vec![0x0f]]),
            ReadBy::Neither,
        ),
        (
            "a number without end",
            socket(&[vec![0x18], vec![0x80; 11]]),
            ReadBy::Neither,
        ),
        (
            "a key beyond every field",
            check(&[vec![0x88, 0x80, 0x80, 0x80, 0x80, 0x01, 0]]),
            ReadBy::Neither,
        ),
        (
            "a length beyond the end",
            vec![
                0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            ReadBy::Neither,
        ),
        (
            "a message longer than its parent",
            check(&[vec![0x0a, 5, 0x22, 9]]),
            ReadBy::Neither,
        ),
        (
            "an end of a group that never began",
            check(&[vec![0x0c]]),
            ReadBy::Neither,
        ),
    ]);
    assert_read(&rows);
}

#[test]
fn an_address_of_every_kind_is_the_same() {
    for port_specifier in [
        None,
        Some(PortSpecifier::PortValue(443)),
        Some(PortSpecifier::NamedPort("https".into())),
    ] {
        for address in ["10.0.0.1", "::1", "", "fe80::1%eth0", "010.0.0.1"] {
            let socket = SocketAddress {
                address: address.into(),
                port_specifier: port_specifier.clone(),
                ..Default::default()
            };
            let address = Some(Address {
                address: Some(AddressKind::SocketAddress(socket)),
            });
            let destination = Some(Peer {
                address,
                ..Default::default()
            });
            let check = CheckRequest {
                attributes: Some(AttributeContext {
                    destination,
                    ..Default::default()
                }),
            };
            assert_eq!(read(&check.encode_to_vec()), ReadBy::Both);
        }
    }
}
