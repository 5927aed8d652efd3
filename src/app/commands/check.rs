//! `customs check`: explains the decision for one request stage by stage, as `serve` would make it,
//! from policy files or from a running server.
//!
//! The exit code is the answer that Envoy would get: 0 for allow, 1 for deny. It is 2 if there is
//! no answer, because the question is invalid, the policies do not load, or the server does not
//! answer.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::lint::ProblemLine;
use super::render;
use super::sources::{self, Found};
use super::{BAD_SETTING, print_error, print_json, print_lines, verdict, with_settings};
use crate::app::cli::{CheckArgs, CheckFormat, CheckQueryArgs};
use crate::app::client;
use crate::app::explain::answer::{self, Explanation};
use crate::app::explain::query::{self, ExplainQuery, QueryInput, ShorthandQuery, Target};
use crate::app::explain::read::{self, CheckFile};
use crate::app::server_connection::{ServerAddress, ServerPort};
use crate::app::settings::Resolved;
use crate::ops::questions::QuestionKind;
use customs_engine::time::UnixNanos;
use customs_policy::document::{self, Node};
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::reader::Text;
use customs_record::clock;

/// Asks the question and prints the answer.
pub(super) fn run(args: CheckArgs) -> ExitCode {
    let CheckArgs {
        read,
        query,
        now,
        admin,
        format,
        tls,
    } = args;
    let prepared = match PreparedQuery::of(&query) {
        Ok(prepared) => prepared.at(now),
        Err(problems) => return refuse(&problems),
    };
    match (admin, tls.given()) {
        (Some(admin), _) => match ServerAddress::open(ServerPort::Admin, &admin, &tls) {
            Ok(server) => by_server(&server, &prepared, format),
            Err(why) => {
                print_error(&why.to_string());
                ExitCode::from(BAD_SETTING)
            }
        },
        (None, None) => with_settings(read, |settings| by_policies(settings, &prepared, format)),
        (None, Some(option)) => {
            print_error(&format!(
                "{option} is for a running server: write `--admin https://HOST:PORT`, or remove it"
            ));
            ExitCode::from(BAD_SETTING)
        }
    }
}

/// Prints why a question is invalid.
pub(super) fn refuse(problems: &[Problem]) -> ExitCode {
    problems
        .iter()
        .for_each(|problem| print_error(&problem.to_string()));
    ExitCode::from(BAD_SETTING)
}

/// A question in the forms for the engine and for a server.
pub(super) struct PreparedQuery {
    pub(super) query: ExplainQuery,
    /// The body to send to a server.
    pub(super) body: Map<String, Value>,
    pub(super) notes: Vec<Problem>,
}

fn by_policies(settings: &Resolved, prepared: &PreparedQuery, format: CheckFormat) -> ExitCode {
    let found = sources::load(&settings.policies, &settings.engine);
    let Some(snapshot) = &found.snapshot else {
        print_problems(&found, format);
        print_error("the policies do not load, so there is no answer");
        return ExitCode::from(BAD_SETTING);
    };
    // If a set is in force, an error belongs to a source that is bound to a namespace, or to the
    // location of a file.
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

fn by_server(server: &ServerAddress, prepared: &PreparedQuery, format: CheckFormat) -> ExitCode {
    match client::ask::<Explanation>(server, QuestionKind::Explain, &json!(prepared.body)) {
        // The server's notes have places in the body; places in the file are more useful.
        Ok(explanation) => print_answer(explanation.noting(&prepared.notes), format),
        Err(why) => {
            // A server reports one problem per line.
            why.to_string().lines().for_each(print_error);
            ExitCode::from(BAD_SETTING)
        }
    }
}

fn print_answer(explanation: Explanation, format: CheckFormat) -> ExitCode {
    match format {
        CheckFormat::Human => print_lines(&explanation.lines()),
        CheckFormat::Json => print_json(&explanation),
    }
    verdict(explanation.allows())
}

impl PreparedQuery {
    /// Returns the question of the flags.
    ///
    /// # Errors
    /// Its problems, each with its place or its flag.
    pub(super) fn of(query: &CheckQueryArgs) -> Result<PreparedQuery, Vec<Problem>> {
        match &query.request {
            Some(path) => PreparedQuery::of_file(path),
            None => {
                let shorthand = shorthand(query).map_err(|problem| vec![*problem])?;
                Ok(PreparedQuery::of_shorthand(shorthand))
            }
        }
    }

    /// Returns the same question at this time, if one is given.
    pub(super) fn at(mut self, time: Option<Timestamp>) -> PreparedQuery {
        if let Some(time) = time {
            self.query.now = Some(UnixNanos(time.as_nanosecond()));
            self.body.insert("now".into(), time.to_string().into());
        }
        self
    }

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

    /// Reads the check in a file; `-` reads stdin.
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
    // Reads one byte more than is allowed, so that a file that is too large is reported as such.
    std::io::stdin()
        .take(document::MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn shorthand(query: &CheckQueryArgs) -> Result<ShorthandQuery, Box<Problem>> {
    let [from, to] = [&query.from, &query.to].map(|text| text.clone().unwrap_or_default());
    let caller = query::caller(Text {
        text: &from,
        quoted: true,
        place: &Place::whole("--from"),
    })?;
    let target = query::target(Text {
        text: &to,
        quoted: true,
        place: &Place::whole("--to"),
    })?;
    if let Target::Tcp { .. } = target {
        only_http("--method", query.method.is_some())?;
        only_http("--header", !query.header.is_empty())?;
    }
    let CheckQueryArgs {
        method,
        header: headers,
        listener_port,
        source_ip,
        sni,
        ..
    } = query.clone();
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

/// Rejects a method and headers for a TCP connection.
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

/// Returns a shorthand question as a server accepts it, without the fields that were not given.
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

/// Converts a node to JSON. Numbers that JSON does not have become strings, which protobuf reads as
/// well.
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
            render::print_problems(&found.source_map, errors);
        }
        CheckFormat::Json => {
            let problems: Vec<_> = errors
                .map(|problem| ProblemLine::of(problem, &found.source_map))
                .collect();
            print_json(&json!({ "version": 1, "problems": problems }));
        }
    }
}
