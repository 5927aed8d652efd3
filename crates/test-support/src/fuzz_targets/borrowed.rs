//! Target `borrowed`: any bytes, read as a check without decoding them, and compared with the
//! decoder.
//!
//! Whatever is read is what the decoder reads: every attribute, every header, in any case. And
//! whatever the decoder accepts is read once the decoder's library has encoded it again, which
//! leaves nothing unusual in it except metadata. So a reader that reads nothing would be found.

use std::collections::BTreeSet;
use std::fmt::Debug;

use crate::decoded_check::DecodedCheck;
use customs_engine::request::Attributes;
use customs_extauthz::attributes::borrowed;
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use prost::Message;

/// Which reader accepts some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBy {
    /// Both, and they agree.
    Both,
    /// Only the decoder: something is unusual.
    Decoder,
    /// Neither: the bytes are not a check.
    Neither,
}

/// Runs one input.
pub fn run(bytes: &[u8]) {
    read(bytes);
}

/// Reads bytes in both ways, which must agree, and returns which way could.
pub fn read(bytes: &[u8]) -> ReadBy {
    let (borrowed, decoded) = (borrowed::read(bytes), CheckRequest::decode(bytes));
    let Ok(decoded) = decoded else {
        assert!(
            borrowed.is_none(),
            "bytes are read that the decoder refuses"
        );
        return ReadBy::Neither;
    };
    let again = decoded.encode_to_vec();
    let is_plain = decoded
        .attributes
        .as_ref()
        .is_none_or(|attributes| !has_metadata(attributes));
    match borrowed::read(&again) {
        Some(check) => assert_same(&check.attributes(), &decoded),
        None => assert!(!is_plain, "a check with nothing unusual is left"),
    }
    let Some(check) = borrowed else {
        return ReadBy::Decoder;
    };
    assert_same(&check.attributes(), &decoded);
    ReadBy::Both
}

fn has_metadata(attributes: &AttributeContext) -> bool {
    let all = [
        &attributes.metadata_context,
        &attributes.route_metadata_context,
    ];
    all.into_iter()
        .flatten()
        .any(|metadata| metadata.encoded_len() > 0)
}

fn assert_same(borrowed: &Attributes<'_>, decoded: &CheckRequest) {
    let decoded_check = DecodedCheck::of(decoded);
    let reference = decoded_check.attributes();
    let names = header_names(decoded);
    assert_eq!(
        format!("{:?}", visible(borrowed, &names)),
        format!("{:?}", visible(&reference, &names))
    );
}

/// Returns every name that a header has, in lower case, and two that proxies send.
fn header_names(check: &CheckRequest) -> BTreeSet<String> {
    let http = check
        .attributes
        .as_ref()
        .and_then(|attributes| attributes.request.as_ref()?.http.as_ref());
    let map = http.into_iter().flat_map(|http| http.headers.keys());
    let list = http
        .and_then(|http| http.header_map.as_ref())
        .into_iter()
        .flat_map(|list| &list.headers);
    let all = map
        .chain(list.map(|header| &header.key))
        .map(|name| name.to_ascii_lowercase());
    all.chain(["x-forwarded-client-cert".into(), ":authority".into()])
        .collect()
}

/// Returns everything that the engine can see.
fn visible(attributes: &Attributes<'_>, names: &BTreeSet<String>) -> impl Debug {
    let Attributes {
        source_principal,
        source_address,
        destination_principal,
        destination_address,
        listener_port,
        has_address,
        service,
        tls_sni,
        http,
    } = attributes;
    let peers = (
        source_principal.to_string(),
        *source_address,
        destination_principal.to_string(),
        *destination_address,
    );
    let rest = (
        *listener_port,
        *has_address,
        service.to_string(),
        tls_sni.map(str::to_owned),
    );
    let http = http.map(|http| {
        let texts = [
            http.method,
            http.path,
            http.host,
            http.stream_id,
            http.protocol,
        ]
        .map(str::to_owned);
        let values = |name: &String| {
            let mut values = Vec::new();
            http.headers
                .visit(name, &mut |value| values.push(value.into_owned()));
            values
        };
        (
            texts,
            names.iter().map(values).collect::<Vec<_>>(),
            http.headers.are_joined(),
        )
    });
    (peers, rest, http)
}
