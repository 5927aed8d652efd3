//! Reads a CheckRequest from JSON: the proto3 mapping, as Envoy's own tools and logs write it. The
//! only home of reflection.
//!
//! It uses the descriptors of the very types that the wire is read with, and the same function
//! turns it into attributes, so a captured check is answered as it was on the wire. Unknown fields
//! are ignored, as on the wire, and noted: a newer Envoy sends some, and a typing mistake looks the
//! same.

use std::cell::RefCell;
use std::sync::LazyLock;

use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};

use super::DESCRIPTORS;
use super::attributes::{self, borrowed};
use super::node_deserializer::NodeDeserializer;
use customs_policy::document::Node;
use customs_policy::problem::{Code, Problem};

/// A check that was read from JSON: the bytes that Envoy would have sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Check(Vec<u8>);

impl Check {
    /// Reads it as a check from the wire is read.
    pub fn read(&self) -> borrowed::Check<'_> {
        borrowed::read(&self.0).unwrap_or_default()
    }
}

/// Why the built-in descriptors have no CheckRequest, which would be a broken build.
#[derive(Debug, thiserror::Error)]
enum DescriptorError {
    #[error(transparent)]
    Decode(#[from] prost_reflect::DescriptorError),
    #[error("there is no descriptor of {0}")]
    Missing(&'static str),
}

static CHECK_REQUEST: LazyLock<Result<MessageDescriptor, DescriptorError>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    let name = "envoy.service.auth.v3.CheckRequest";
    pool.get_message_by_name(name)
        .ok_or(DescriptorError::Missing(name))
});

/// Reads a check. Whatever cannot be read, and whatever is ignored, is added to `problems`.
pub fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<Check> {
    let ignored = RefCell::default();
    let read = message(node, NodeDeserializer::whole(node, &ignored));
    problems.extend(ignored.take().into_iter().map(|key| {
        let what = format!("unknown field `{}`: it is ignored", key.name);
        let problem = Problem::note(Code::UnknownField, key.place.clone(), what);
        problem.hint("a decision never depends on it; check its spelling unless Envoy wrote it")
    }));
    read.map_err(|problem| problems.push(*problem)).ok()
}

fn message(node: &Node, deserializer: NodeDeserializer<'_>) -> Result<Check, Box<Problem>> {
    let wrong = |(place, why)| {
        let problem = Problem::error(
            Code::BadValue,
            place,
            format!("invalid CheckRequest in JSON: {why}"),
        );
        Box::new(
            problem.hint("write it as Envoy does: an object that holds `attributes`, as proto3's JSON mapping has it"),
        )
    };
    let descriptor = CHECK_REQUEST
        .as_ref()
        .map_err(|why| wrong((node.place.clone(), why.to_string())))?;
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let dynamic =
        DynamicMessage::deserialize_with_options(descriptor.clone(), deserializer, &options)
            .map_err(|why| wrong(why.at(&node.place)))?;
    let check: CheckRequest = dynamic
        .transcode_to()
        .map_err(|why| wrong((node.place.clone(), why.to_string())))?;
    Ok(Check(attributes::encode_plain(check)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::document;

    fn read_text(text: &str) -> (Option<Check>, Vec<String>) {
        let document = document::parse("f", text).next().unwrap().unwrap();
        let mut problems = Vec::new();
        let check = read(&document, &mut problems);
        (
            check,
            problems
                .iter()
                .map(|p| format!("{}: {}: {}", p.place, p.severity.as_str(), p.text))
                .collect(),
        )
    }

    #[test]
    fn json_and_yaml_in_both_spellings_are_the_same_check() {
        let json = r#"{"attributes":{"source":{"principal":"spiffe://td/ns/a/sa/b","address":{"socket_address":
            {"address":"192.0.2.1","port_value":40000}}},"request":{"time":"2026-11-23T15:57:08.456075Z","http":{
            "host":"h.example","headers":{"x-a":"\ud83d\ude00 \u00e9\/"},"size":"9007199254740993"}},
            "contextExtensions":null}}"#;
        let yaml = "attributes:\n  source: {principal: 'spiffe://td/ns/a/sa/b', address: {socketAddress: \
                    {address: 192.0.2.1, portValue: '40000'}}}\n  request:\n    time: 2026-11-23T15:57:08.456075Z\n    \
                    http: {host: h.example, headers: {x-a: \"\u{1f600} \u{e9}/\"}, size: 9007199254740993}\n";
        let (first, problems) = read_text(json);
        assert_eq!(problems, [] as [&str; 0]);
        assert_eq!(first, read_text(yaml).0);
        let check = first.unwrap();
        let read = check.read();
        let attributes = read.attributes();
        assert_eq!(attributes.source_principal, "spiffe://td/ns/a/sa/b");
        assert_eq!(
            attributes.source_address,
            Some("192.0.2.1".parse().unwrap())
        );
        assert_eq!(attributes.http.unwrap().host, "h.example");
        assert_eq!(
            read_text(&json.replace("            ", "\t")).1,
            [] as [&str; 0]
        );
    }

    #[test]
    fn every_mistake_has_its_place() {
        for (text, expected) in [
            (
                "{\"attributes\": 7}",
                "f:1:16: error: invalid CheckRequest in JSON: invalid type: integer `7`",
            ),
            (
                "{\"attributes\": {\"source\":\n  {\"principal\": 7}}}",
                "f:2:17: error: ",
            ),
            (
                "{\"attributes\": {\"request\": {\"time\": \"noon\"}}}",
                "f:1:37: error: ",
            ),
            (
                "{\"attributes\": {\"source\": {\"address\": {\"socketAddress\": {\"portValue\": 4294967296}}}}}",
                "f:1:71: error: ",
            ),
            (
                "{\"attributes\": {\"request\": {\"http\": {\"rawBody\": \"!\"}}}}",
                "invalid base64",
            ),
            ("[]", "f:1:1: error: "),
            ("attributes", "f:1:1: error: "),
        ] {
            let (check, problems) = read_text(text);
            assert!(
                check.is_none() && problems.len() == 1 && problems[0].contains(expected),
                "{text}: {problems:?}"
            );
        }
    }

    #[test]
    fn fields_that_do_not_exist_are_ignored_and_noted() {
        let (check, problems) = read_text(
            "{\"attributes\": {\"source\": {\"principle\": \"a\"},\n \"new\": {\"x\": []}}}",
        );
        assert_eq!(check, read_text("{\"attributes\": {\"source\": {}}}").0);
        assert_eq!(
            problems,
            [
                "f:1:28: note: unknown field `principle`: it is ignored",
                "f:2:2: note: unknown field `new`: it is ignored"
            ]
        );
    }

    #[test]
    fn metadata_of_unknown_types_is_skipped() {
        let metadata = "{\"attributes\": {\"metadataContext\": {\"typedFilterMetadata\": {\"x\": {\"@type\": \
                        \"type.googleapis.com/a.B\", \"c\": 1}}}}}";
        assert_eq!(read_text(metadata).1, [] as [&str; 0]);
    }
}
