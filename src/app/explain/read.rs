//! Parses a question: the fields of a test case, the body that is posted to a server, or a file
//! that holds a check.
//!
//! All of them share one reader, so a question means the same in each of them, and each problem has
//! a place.

use std::net::IpAddr;

use jiff::Timestamp;

use super::query::{self, ExplainQuery, QueryInput, ShorthandQuery, Target};
use customs_engine::time::UnixNanos;
use customs_extauthz::json::{self, Check};
use customs_policy::document::{self, Node, Value};
use customs_policy::mapping;
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::reader::{FromNode, Mapping, Placed, Text};
use customs_policy::spec::{Shape, forms};

mapping! {
    /// The request to explain: in shorthand fields, or as a whole check.
    pub(crate) struct Question<'n> = "the question" {
        /// A whole CheckRequest of Envoy as JSON or YAML, instead of the shorthand fields.
        request: Option<&'n Node> = "request" as Shape::Map(&Shape::Any),
        /// The time of the request.
        #[default("the current time")]
        now: Option<Text<'n>> = "now" as Shape::Form(&forms::TIME),
        shorthand: Shorthand<'n> = flatten,
    }
}

mapping! {
    /// The shorthand fields; a whole check replaces all of them.
    pub(crate) struct Shorthand<'n> = "the question" {
        /// The caller.
        from: Option<&'n Node> = "from" as Shape::Form(&forms::CALLER),
        /// The destination.
        to: Option<&'n Node> = "to" as Shape::Form(&forms::DESTINATION_URL),
        /// The method of HTTP.
        #[default("`GET`")]
        method: Option<&'n Node> = "method" as Shape::Text,
        /// Headers of the request.
        #[default("none")]
        headers: Option<&'n Node> = "headers" as Shape::Map(&Shape::Text),
        /// The port on which the gateway listens.
        #[default("unknown")]
        listener_port: Option<&'n Node> = "listenerPort" as Shape::Port,
        /// The address of the connection's peer.
        #[default("unknown")]
        source_ip: Option<&'n Node> = "sourceIp" as Shape::Form(&forms::IP_ADDRESS),
        /// The SNI of the TLS session.
        #[default("unknown")]
        sni: Option<&'n Node> = "sni" as Shape::Text,
    }
}

/// The file name in the places of a posted question.
const POSTED: &str = "question";

/// Parses the question that is posted to a server as JSON, and returns it with the notes about it.
///
/// # Errors
/// Returns everything that is wrong with it.
pub(crate) fn posted(body: &[u8]) -> Result<(ExplainQuery, Vec<Problem>), Vec<Problem>> {
    let node = posted_node(body).map_err(|problem| vec![*problem])?;
    let mut problems = Vec::new();
    let question: Option<Placed<'_, Question<'_>>> = Placed::from_node(&node, "", &mut problems);
    let query = question.and_then(|whole| query(&whole.fields, &whole, &mut problems));
    match query {
        Some(query) if !problems.iter().any(Problem::is_error) => Ok((query, problems)),
        _ => Err(problems),
    }
}

pub(super) fn posted_node(body: &[u8]) -> Result<Node, Box<Problem>> {
    let wrong = |line: usize, column: usize, what: String| {
        let number = |n| u32::try_from(n).unwrap_or(0);
        let place = Place {
            file: POSTED.into(),
            line: number(line),
            column: number(column),
        };
        let hint =
            "send one JSON object: {\"from\": \"NAMESPACE/ACCOUNT\", \"to\": \"http://HOST/\"}";
        Box::new(Problem::error(Code::BadValue, place, what).hint(hint))
    };
    // Every JSON text is YAML, and the YAML reader knows places; text that is not JSON is rejected
    // first.
    if let Err(why) = serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        let text = why.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        return Err(wrong(
            why.line(),
            why.column(),
            format!("invalid JSON: {what}"),
        ));
    }
    let text =
        std::str::from_utf8(body).map_err(|why| wrong(0, 0, format!("invalid UTF-8: {why}")))?;
    whole(POSTED, text)?.ok_or_else(|| wrong(1, 1, "`null` is not a question".to_owned()))
}

/// A file with one check, in JSON or YAML.
#[derive(Debug)]
pub(crate) struct CheckFile {
    /// The check.
    pub check: Check,
    /// The check as it was written, for callers that pass it on.
    pub node: Node,
    /// The notes about it.
    pub notes: Vec<Problem>,
}

/// Parses a file with one check.
///
/// # Errors
/// Returns what is wrong with it.
pub(crate) fn check_file(name: &str, bytes: &[u8]) -> Result<CheckFile, Vec<Problem>> {
    let wrong = |code, what: &str| {
        let problem = Problem::error(code, Place::whole(name), what);
        problem.hint("the file holds one CheckRequest as JSON: an object with `attributes`")
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| vec![wrong(Code::YamlSyntax, "the file is not UTF-8 text")])?;
    let node = whole(name, text).map_err(|problem| vec![*problem])?;
    let node = node.ok_or_else(|| vec![wrong(Code::EmptyValue, "the file is empty")])?;
    let mut notes = Vec::new();
    match json::read(&node, &mut notes) {
        Some(check) => Ok(CheckFile { check, node, notes }),
        None => Err(notes),
    }
}

/// Returns the only document of a text; `None` if it does not have one.
fn whole(name: &str, text: &str) -> Result<Option<Node>, Box<Problem>> {
    let mut documents = document::parse(name, text);
    let first = documents.next().transpose()?;
    match documents.next().transpose()? {
        None => Ok(first),
        Some(second) => {
            let problem =
                Problem::error(Code::YamlSyntax, second.place, "there is a second document");
            Err(Box::new(problem.hint("keep one of them")))
        }
    }
}

/// Parses a question from the fields of a mapping that may also have other fields.
pub(crate) fn query<'n, T: Mapping<'n>>(
    question: &Question<'n>,
    whole: &Placed<'n, T>,
    problems: &mut Vec<Problem>,
) -> Option<ExplainQuery> {
    let now = question.now.and_then(|text| put(timestamp(text), problems));
    let fields = &question.shorthand;
    let input = match question.request {
        Some(node) => {
            request_alone(node, fields, problems).map(|check| QueryInput::Request(Box::new(check)))
        }
        None => shorthand_query(fields, whole, problems)
            .map(|shorthand| QueryInput::Shorthand(Box::new(shorthand))),
    };
    Some(ExplainQuery { input: input?, now })
}

/// Parses a whole check and rejects shorthand fields beside it.
fn request_alone(
    node: &Node,
    fields: &Shorthand<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Check> {
    // Destructured completely, so that a new field is not forgotten here.
    let Shorthand {
        from,
        to,
        method,
        headers,
        listener_port,
        source_ip,
        sni,
    } = fields;
    let fields = [from, to, method, headers, listener_port, source_ip, sni];
    for (spec, node) in Shorthand::SPEC.fields().iter().zip(fields) {
        let (Some(node), name) = (node, spec.name) else {
            continue;
        };
        let what = format!("`{name}` cannot be combined with `request`, which is a whole check");
        let problem = Problem::error(Code::Conflict, node.place.clone(), what);
        problems.push(problem.hint(format!(
            "remove one of the two; a whole check has its own `{name}`"
        )));
    }
    json::read(node, problems)
}

fn shorthand_query<'n, T: Mapping<'n>>(
    fields: &Shorthand<'n>,
    whole: &Placed<'n, T>,
    problems: &mut Vec<Problem>,
) -> Option<ShorthandQuery> {
    let mut required = |node, name| match node {
        Some(node) => Text::from_node(node, name, problems),
        None => {
            problems.extend(whole.missing(name));
            None
        }
    };
    let (from, to) = (required(fields.from, "from"), required(fields.to, "to"));
    let caller = from.and_then(|text| put(query::caller(text), problems));
    let target = to.and_then(|text| put(query::target(text), problems));
    let mut text = |node: Option<&'n Node>, name| Text::from_node(node?, name, problems);
    let method = text(fields.method, "method").map(|text| text.text.to_owned());
    let sni = text(fields.sni, "sni").map(|text| text.text.to_owned());
    let source_ip = text(fields.source_ip, "sourceIp");
    let source_ip = source_ip.and_then(|text| put(self::source_ip(text), problems));
    let headers = fields.headers.map(|node| headers(node, problems));
    let listener_port = fields
        .listener_port
        .and_then(|node| listener_port(node, problems));
    let (from, to) = (from?.text.to_owned(), to?.text.to_owned());
    let (caller, target) = (caller?, target?);
    let shorthand = ShorthandQuery {
        from,
        to,
        caller,
        target,
        method,
        headers: headers.unwrap_or_default(),
        listener_port,
        source_ip,
        sni,
    };
    only_http(&shorthand, whole.place, problems);
    Some(shorthand)
}

/// Rejects a method and headers for a TCP connection.
fn only_http(shorthand: &ShorthandQuery, place: &Place, problems: &mut Vec<Problem>) {
    if let Target::Tcp { .. } = shorthand.target {
        let named = [
            ("method", shorthand.method.is_some()),
            ("headers", !shorthand.headers.is_empty()),
        ];
        for (name, _) in named.iter().filter(|(_, is_there)| *is_there) {
            let what = format!("`{name}` belongs to HTTP, and `to` is a TCP connection");
            let problem = Problem::error(Code::Conflict, place.clone(), what);
            problems
                .push(problem.hint(format!("remove `{name}`, or write `to: http://HOST/PATH`")));
        }
    }
}

/// Adds a problem to the others.
pub(crate) fn put<T>(read: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

fn source_ip(text: Text<'_>) -> Result<IpAddr, Problem> {
    let what = || {
        text.error(
            Code::BadAddress,
            format!("invalid IP address `{}`", text.text),
        )
    };
    text.text
        .parse()
        .map_err(|_| what().hint("write `192.0.2.1` or `2001:db8::1`"))
}

pub(super) fn timestamp(text: Text<'_>) -> Result<UnixNanos, Problem> {
    let what = |why: jiff::Error| {
        text.error(
            Code::BadValue,
            format!("invalid time `{}`: {why}", text.text),
        )
    };
    let read = text
        .text
        .parse::<Timestamp>()
        .map_err(|why| what(why).hint("write `2026-12-31T00:00:00Z`"))?;
    Ok(UnixNanos(read.as_nanosecond()))
}

/// Parses a port of the gateway: a number, or a text with a number.
fn listener_port(node: &Node, problems: &mut Vec<Problem>) -> Option<u16> {
    let port = match &node.value {
        Value::Number(number) | Value::Text(number) => number.parse().ok(),
        _ => None,
    };
    if port.is_none() {
        let problem = Problem::error(Code::BadPort, node.place.clone(), "invalid `listenerPort`");
        problems.push(problem.hint("write a number from 0 to 65535"));
    }
    port
}

fn headers(node: &Node, problems: &mut Vec<Problem>) -> Vec<(String, String)> {
    let Value::Map(pairs) = &node.value else {
        let what = format!("`headers` is {}, and must be a mapping", node.value.kind());
        problems.push(Problem::error(Code::WrongType, node.place.clone(), what));
        return Vec::new();
    };
    let read = |(key, value): &(document::Key, Node)| {
        let text = Text::from_node(value, "headers", problems)?;
        Some((key.name.to_ascii_lowercase(), text.text.to_owned()))
    };
    pairs.iter().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(body: &str) -> Vec<String> {
        match posted(body.as_bytes()) {
            Ok((_, notes)) => notes
                .iter()
                .map(|note| format!("{}: {}", note.place, note.code.as_str()))
                .collect(),
            Err(problems) => problems.iter().map(Problem::to_string).collect(),
        }
    }

    #[test]
    fn a_posted_question_is_read_as_a_case_is() {
        let all = r#"{"from": "a/b", "to": "http://h.example/x", "method": "POST", "headers": {"X-A": "b"},
            "listenerPort": 8443, "sourceIp": "192.0.2.1", "sni": "s.example", "now": "2026-12-31T00:00:00Z"}"#;
        let (query, notes) = posted(all.as_bytes()).unwrap();
        assert_eq!(notes, []);
        assert_eq!(query.now, Some(UnixNanos(1_798_675_200_000_000_000)));
        let QueryInput::Shorthand(shorthand) = query.input else {
            panic!("not a shorthand query")
        };
        assert_eq!(shorthand.headers, [("x-a".to_owned(), "b".to_owned())]);
        assert_eq!(
            (shorthand.listener_port, shorthand.sni.as_deref()),
            (Some(8443), Some("s.example"))
        );
    }

    #[test]
    fn what_cannot_be_asked_is_reported_with_its_place() {
        for (body, expected) in [
            ("", "question:1:0: error[bad-value]: invalid JSON"),
            (
                "{\"from\": \"a/b\",\n from: 1}",
                "question:2:2: error[bad-value]: invalid JSON",
            ),
            ("from: a/b", "question:1:2: error[bad-value]: invalid JSON"),
            (
                "null",
                "question:1:1: error[bad-value]: `null` is not a question",
            ),
            ("[]", "question:1:1: error[wrong-type]"),
            (
                "{}",
                "error[missing-field]: `from` is missing in the question",
            ),
            (
                "{\"from\": \"shop\", \"to\": \"http://a/\"}",
                "question:1:10: error[bad-identity]: invalid caller `shop`",
            ),
            (
                "{\"from\": \"a/b\", \"to\": \"http://a/\", \"too\": 1}",
                "question:1:36: error[unknown-field]",
            ),
            (
                "{\"from\": \"a/b\", \"from\": \"a/b\"}",
                "error[duplicate-key]",
            ),
            (
                "{\"request\": {}, \"from\": \"a/b\"}",
                "question:1:25: error[conflict]: `from` cannot be combined with `request`",
            ),
            (
                "{\"request\": {\"attributes\": 1}}",
                "question:1:28: error[bad-value]: invalid CheckRequest",
            ),
        ] {
            let problems = problems(body).join("\n");
            assert!(problems.contains(expected), "{body}: {problems}");
        }
        assert_eq!(
            problems("{\"request\": {\"attribute\": 1}}"),
            ["question:1:14: unknown-field"],
            "a note"
        );
    }

    #[test]
    fn a_file_holds_one_check() {
        assert!(check_file("f", b"{\"attributes\": {}}").is_ok());
        for (bytes, expected) in [
            (&b""[..], "f: error[empty-value]: the file is empty"),
            (b"\xff", "f: error[yaml-syntax]: the file is not UTF-8 text"),
            (
                b"{}\n---\n{}\n",
                "f:3:1: error[yaml-syntax]: there is a second document",
            ),
            (b"{\"attributes\": ", "error[yaml-syntax]"),
        ] {
            let problems = check_file("f", bytes).unwrap_err();
            assert!(problems[0].to_string().contains(expected), "{problems:?}");
        }
    }
}
