//! `customs check`: one question, answered as `serve` would, with the reasons stage by stage; by policy files, or by a
//! running server.
//!
//! The exit code is the answer that Envoy would get: 0 for allow, 1 for deny. 2 says that there is no answer, because
//! the question is none, the policies do not load, or the server does not answer.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::finding::Finding;
use super::lint::ProblemLine;
use super::render::Painter;
use super::sources::{self, Found};
use super::{BAD_SETTING, print, print_document, print_error, print_json, verdict, with_settings};
use crate::app::cli::{AskedArgs, CheckArgs, CheckFormat};
use crate::app::client;
use crate::app::explain::answer::{self, Explanation};
use crate::app::explain::query::{self, ExplainQuery, QueryInput, ShorthandQuery, Target};
use crate::app::explain::read::{self, CheckFile};
use crate::app::settings::Resolved;
use customs_engine::time::UnixNanos;
use customs_policy::document::{self, Node};
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::reader::Text;
use customs_record::clock;

/// Asks the question and tells the answer.
pub fn run(args: CheckArgs) -> ExitCode {
    let CheckArgs {
        read,
        asked,
        admin,
        format,
    } = args;
    let prepared = match prepare(&asked) {
        Ok(prepared) => prepared,
        Err(problems) => {
            problems
                .iter()
                .for_each(|problem| print_error(&problem.to_string()));
            return ExitCode::from(BAD_SETTING);
        }
    };
    match admin {
        None => with_settings(read, |settings| by_policies(settings, &prepared, format)),
        Some(admin) => by_server(&admin, &prepared, format),
    }
}

/// A question that can be asked here and there.
struct PreparedQuery {
    query: ExplainQuery,
    /// The same as a server takes it.
    body: Map<String, Value>,
    notes: Vec<Problem>,
}

fn by_policies(settings: &Resolved, prepared: &PreparedQuery, format: CheckFormat) -> ExitCode {
    let found = sources::load(&settings.policies, &settings.engine);
    let Some(snapshot) = &found.snapshot else {
        print_problems(&found, format);
        print_error("the policies do not load, so there is no answer");
        return ExitCode::from(BAD_SETTING);
    };
    // With a set in force, an error is one of a source that is bound to a namespace, or of where a file lies.
    found
        .problems
        .iter()
        .filter(|p| p.is_error())
        .for_each(|problem| print_error(&problem.to_string()));
    let explanation = answer::ask(
        &prepared.query,
        snapshot,
        clock::now(),
        |_, _, _, explanation| explanation,
    );
    print_answer(explanation.noting(&prepared.notes), format)
}

fn by_server(admin: &str, prepared: &PreparedQuery, format: CheckFormat) -> ExitCode {
    match client::ask(admin, &json!(prepared.body)) {
        // The server notes places of the body; those of the file are of more use.
        Ok(explanation) => print_answer(explanation.noting(&prepared.notes), format),
        Err(why) => {
            // A server tells each thing that is wrong in a line of its own.
            why.to_string().lines().for_each(print_error);
            ExitCode::from(BAD_SETTING)
        }
    }
}

fn print_answer(explanation: Explanation, format: CheckFormat) -> ExitCode {
    match format {
        CheckFormat::Human => print(&explanation.to_string()),
        CheckFormat::Json => print_json(&explanation),
    }
    verdict(explanation.allows())
}

/// The question that the flags ask; what is wrong is told with its place, or with its flag.
fn prepare(asked: &AskedArgs) -> Result<PreparedQuery, Vec<Problem>> {
    let mut prepared = match &asked.request {
        Some(path) => PreparedQuery::of_file(path)?,
        None => PreparedQuery::of_shorthand(shorthand(asked).map_err(|problem| vec![*problem])?),
    };
    if let Some(moment) = asked.now {
        prepared.query.now = Some(UnixNanos(moment.as_nanosecond()));
        prepared
            .body
            .insert("now".into(), moment.to_string().into());
    }
    Ok(prepared)
}

impl PreparedQuery {
    fn of_shorthand(shorthand: ShorthandQuery) -> PreparedQuery {
        let body = body(&shorthand);
        PreparedQuery {
            query: ExplainQuery {
                input: QueryInput::Shorthand(Box::new(shorthand)),
                now: None,
            },
            body,
            notes: Vec::new(),
        }
    }

    /// The check that a file holds; `-` is the standard input.
    fn of_file(path: &Path) -> Result<PreparedQuery, Vec<Problem>> {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin {
            "stdin".to_owned()
        } else {
            path.display().to_string()
        };
        let read = if is_stdin {
            stdin()
        } else {
            sources::bytes(path)
        };
        let bytes = read.map_err(|why| {
            let what = format!("the request cannot be read: {why}");
            vec![Problem::error(
                Code::Unreadable,
                Place::whole(name.as_str()),
                what,
            )]
        })?;
        let CheckFile { check, node, notes } = read::check_file(&name, &bytes)?;
        let body = Map::from_iter([("request".to_owned(), as_json(&node))]);
        Ok(PreparedQuery {
            query: ExplainQuery {
                input: QueryInput::Request(Box::new(check)),
                now: None,
            },
            body,
            notes,
        })
    }
}

fn stdin() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than may be read, so that what is too large is told as such.
    std::io::stdin()
        .take(document::MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn shorthand(asked: &AskedArgs) -> Result<ShorthandQuery, Box<Problem>> {
    let [from, to] = [&asked.from, &asked.to].map(|text| text.clone().unwrap_or_default());
    let caller = query::caller(Text {
        text: &from,
        place: &Place::whole("--from"),
    })?;
    let target = query::target(Text {
        text: &to,
        place: &Place::whole("--to"),
    })?;
    if let Target::Tcp { .. } = target {
        only_http("--method", asked.method.is_some())?;
        only_http("--header", !asked.header.is_empty())?;
    }
    let AskedArgs {
        method,
        header: headers,
        listener_port,
        source_ip,
        sni,
        ..
    } = asked.clone();
    Ok(ShorthandQuery {
        from,
        to,
        caller,
        target,
        method,
        headers,
        listener_port,
        source_ip,
        sni,
    })
}

/// A connection has neither a method nor headers.
fn only_http(flag: &str, is_there: bool) -> Result<(), Box<Problem>> {
    let what = "this belongs to HTTP, and `--to` is a TCP connection";
    if is_there {
        Err(Box::new(Problem::error(
            Code::Conflict,
            Place::whole(flag),
            what,
        )))
    } else {
        Ok(())
    }
}

/// A question in words as a server takes it: what is not there is left out.
fn body(shorthand: &ShorthandQuery) -> Map<String, Value> {
    let ShorthandQuery {
        from,
        to,
        caller: _,
        target: _,
        method,
        headers,
        listener_port,
        source_ip,
        sni,
    } = shorthand;
    let headers: Map<String, Value> = headers
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().into()))
        .collect();
    let fields = [
        ("from", json!(from)),
        ("to", json!(to)),
        ("method", json!(method)),
        (
            "headers",
            if headers.is_empty() {
                Value::Null
            } else {
                headers.into()
            },
        ),
        ("listenerPort", json!(listener_port)),
        ("sourceIp", json!(source_ip)),
        ("sni", json!(sni)),
    ];
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A node as it is passed on. Numbers that JSON has not are passed on as text, which protobuf reads as well.
fn as_json(node: &Node) -> Value {
    match &node.value {
        document::Value::Null => Value::Null,
        document::Value::Bool(value) => (*value).into(),
        document::Value::Number(number) => number
            .parse::<serde_json::Number>()
            .map_or_else(|_| json!(number), Value::from),
        document::Value::Text(text) => json!(text),
        document::Value::List(items) => items.iter().map(as_json).collect(),
        document::Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| (key.name.clone(), as_json(value)))
            .collect(),
    }
}

fn print_problems(found: &Found, format: CheckFormat) {
    let errors = found.problems.iter().filter(|problem| problem.is_error());
    match format {
        CheckFormat::Human => {
            let painter = Painter::for_stdout(&found.source_map);
            errors.for_each(|problem| print_document(&painter.paint(&Finding::from(problem))));
        }
        CheckFormat::Json => {
            let problems: Vec<_> = errors
                .map(|problem| ProblemLine::of(problem, &found.source_map))
                .collect();
            print_json(&json!({ "problems": problems }));
        }
    }
}
