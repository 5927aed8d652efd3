//! The log, set up once: text on a terminal, JSON lines otherwise, always on stderr.
//!
//! The log is not the audit log: what must not be lost is recorded there. The filter comes from
//! `CUSTOMS_LOG`. An invalid filter is an error, so that a typing error does not silence anything.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt::format;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, registry::Registry};

use customs_policy::printable;
use customs_policy::suggestion::nearest;

/// The environment variable with the filter, such as `debug` or `info,customs_sources=trace`.
pub const VARIABLE: &str = "CUSTOMS_LOG";

/// The transport logs a line for each connection that it ends, also during a flood. customs logs
/// them itself, once per peer and minute, so the transport's lines are logged only if the filter
/// names the transport.
const TRANSPORT: &str = "h2";
const TRANSPORT_OFF: &str = "h2=off";

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogSetupError {
    /// The filter is invalid.
    #[error(
        "invalid {VARIABLE} `{text}`: {problem}; write a level (error, warn, info, debug, trace, off) or `info,customs_sources=debug`"
    )]
    Filter {
        /// Its text.
        text: String,
        /// What is wrong with it.
        #[source]
        problem: tracing_subscriber::filter::ParseError,
    },
    /// A part of the filter selects nothing, or something that was not meant.
    #[error("invalid {VARIABLE} `{text}`: {problem}")]
    Part {
        /// Its text.
        text: String,
        /// The part that is wrong, and what was meant.
        problem: String,
    },
    /// The log was set up before.
    #[error("the log is set up already")]
    Twice(#[source] TryInitError),
}

/// The format of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human {
        /// Whether levels are coloured.
        colour: bool,
    },
    /// One JSON object per line.
    Json,
}

/// Takes the log, beside stderr.
pub type LogLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// Sets up the log of this process: to stderr, filtered by `CUSTOMS_LOG`, and with colours on a
/// terminal if it takes them. What `export` returns, if it returns something, takes the same lines.
pub fn init(
    colour: bool,
    export: impl FnOnce(EnvFilter) -> Option<LogLayer>,
) -> Result<(), LogSetupError> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let format = if io::stderr().is_terminal() {
        Format::Human { colour }
    } else {
        Format::Json
    };
    let exported = export(filter(&text)?);
    subscriber(&text, format, io::stderr, exported)?
        .try_init()
        .map_err(LogSetupError::Twice)
}

/// The levels, as a filter spells them.
const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

/// The crates of customs that log.
pub const CRATES: [&str; 7] = [
    "customs",
    "customs_audit",
    "customs_extauthz",
    "customs_net",
    "customs_record",
    "customs_sources",
    "customs_telemetry",
];

/// The modules of the crate `customs` that log.
const MODULES: [&str; 2] = ["app", "ops"];

/// Returns the level that is similar to a word, or that the word begins with: `warning`.
fn level_meant(word: &str) -> Option<&'static str> {
    let begins = |level: &&&str| word.to_ascii_lowercase().starts_with(**level);
    nearest(word, &LEVELS).or_else(|| LEVELS.iter().find(begins).copied())
}

/// Returns what is wrong with a part of a filter that can be parsed. A word that is not a level is
/// taken as the name of a crate, so `verbose` would turn the whole log off; a misspelt name of
/// customs or of its modules would turn off the log that was meant.
fn wrong_part(part: &str) -> Option<String> {
    let (target, level) = part
        .split_once('=')
        .map_or((part, None), |(target, level)| (target, Some(level)));
    let is_level = |text: &str| text.parse::<LevelFilter>().is_ok();
    // Spans and fields in brackets are left to the filter's own parser.
    if target.is_empty() || part.contains('[') || (level.is_none() && is_level(part)) {
        return None;
    }
    let levels = || format!("the levels are {}", LEVELS.join(", "));
    if let Some(level) = level.filter(|level| !is_level(level)) {
        return Some(match level_meant(level) {
            Some(meant) => format!("invalid level `{level}`: did you mean `{meant}`?"),
            None => format!("invalid level `{level}`: {}", levels()),
        });
    }
    let mut path = target.split("::");
    match (path.next().unwrap_or_default(), path.next()) {
        (own, None) if CRATES.contains(&own) => None,
        ("customs", Some(module)) if MODULES.contains(&module) => None,
        ("customs", Some(module)) => {
            let meant = format!("customs_{module}");
            Some(match nearest(&meant, &CRATES) {
                Some(meant) => {
                    format!("customs has no module `{module}` that logs; did you mean `{meant}`?")
                }
                None => format!(
                    "customs has no module `{module}` that logs; what logs is {}",
                    CRATES.join(", ")
                ),
            })
        }
        (own, Some(_)) if CRATES.contains(&own) => None,
        (word, None) if level.is_none() => Some(match (level_meant(word), word) {
            (Some(meant), _) => format!("invalid level `{word}`: did you mean `{meant}`?"),
            (None, "verbose" | "all" | "on" | "true") => {
                format!("invalid level `{word}`: write `debug` or `trace`")
            }
            (None, "quiet" | "none" | "false" | "silent") => {
                format!("invalid level `{word}`: write `warn` or `off`")
            }
            (None, _) => format!(
                "invalid level `{word}`: {}; for one crate write `{word}=debug`",
                levels()
            ),
        }),
        (krate, _) => nearest(krate, &CRATES)
            .map(|meant| format!("`{krate}` logs nothing; did you mean `{meant}`?")),
    }
}

/// Reads a filter. An empty one means `info`.
fn filter(text: &str) -> Result<EnvFilter, LogSetupError> {
    if let Some(problem) = text.split(',').map(str::trim).find_map(wrong_part) {
        return Err(LogSetupError::Part {
            text: text.to_owned(),
            problem,
        });
    }
    let read = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(text)
        .map_err(|problem| LogSetupError::Filter {
            text: text.to_owned(),
            problem,
        })?;
    Ok(match Directive::from_str(TRANSPORT_OFF) {
        Ok(off) if !text.contains(TRANSPORT) => read.add_directive(off),
        _ => read,
    })
}

/// Returns a subscriber that writes lines of this format, and that has the lines taken by `exported`
/// too.
///
/// The text of a line may come from a policy, a file name or a request, so it is made [`printable`]
/// in both formats: each field in text, apart from the colours that are added here, and the whole
/// line in JSON.
fn subscriber<W, O>(
    text: &str,
    format: Format,
    writer: W,
    exported: Option<LogLayer>,
) -> Result<impl Subscriber + Send + Sync + use<W, O>, LogSetupError>
where
    W: Fn() -> O + Send + Sync + 'static,
    O: io::Write + 'static,
{
    let filter = filter(text)?;
    let layer = tracing_subscriber::fmt::layer();
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Human { colour } => {
            let fields = format::debug_fn(|out, field, value| {
                let text = format!("{value:?}");
                let text = printable::line(&text);
                match field.name() {
                    "message" => write!(out, "{text}"),
                    name => write!(out, "{name}={text}"),
                }
            });
            let layer = layer
                .with_writer(writer)
                .with_ansi(colour)
                .with_target(false);
            Box::new(layer.fmt_fields(fields.delimited(" ")))
        }
        Format::Json => {
            let layer = layer.with_writer(move || PrintableJson(writer()));
            Box::new(
                layer
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false),
            )
        }
    };
    let mut layers: Vec<LogLayer> = vec![Box::new(layer.with_filter(filter))];
    layers.extend(exported);
    Ok(Registry::default().with(layers))
}

/// Writes lines of JSON, each in one write, and escapes every character that is not printable.
struct PrintableJson<O>(O);

impl<O: io::Write> io::Write for PrintableJson<O> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        self.0.write_all(printable::json(&line).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: Format, event: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        tracing::subscriber::with_default(
            subscriber(filter, format, move || writer.clone(), None).unwrap(),
            event,
        );
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_filter_says_what_is_logged() {
        let event = || {
            tracing::info!("an event");
            tracing::debug!("detail");
        };
        for (filter, lines) in [
            ("", 1),
            ("info", 1),
            ("debug", 2),
            ("warn", 0),
            ("off", 0),
            ("warn,customs=debug", 2),
        ] {
            assert_eq!(
                logged(filter, Format::Json, event).lines().count(),
                lines,
                "{filter}"
            );
        }
    }

    #[test]
    fn the_transport_is_logged_only_if_the_filter_names_it() {
        let event = || {
            tracing::warn!(target: "h2::proto::streams::recv", "a connection of a flood is ended");
            tracing::warn!(target: "crate::ops", "the flood");
        };
        for (filter, lines) in [
            ("", 1),
            ("info", 1),
            ("debug", 1),
            ("debug,h2=warn", 2),
            ("h2=warn", 1),
            ("off", 0),
        ] {
            assert_eq!(
                logged(filter, Format::Json, event).lines().count(),
                lines,
                "{filter}"
            );
        }
    }

    #[test]
    fn a_line_of_json_holds_its_fields() {
        let line = logged("", Format::Json, || {
            tracing::warn!(source = "policies", "refused\nkept")
        });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["level"], &value["message"], &value["source"]),
            (&"WARN".into(), &"refused\nkept".into(), &"policies".into())
        );
        assert!(value["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn people_get_plain_lines() {
        let line = logged("", Format::Human { colour: false }, || {
            tracing::warn!(source = "policies", "refused")
        });
        assert!(
            line.trim_end()
                .ends_with("WARN refused source=\"policies\""),
            "{line}"
        );
    }

    #[test]
    fn text_of_a_client_cannot_colour_a_terminal() {
        let text = "\u{1b}[2J\n\u{9b}1m\u{202e}\u{2028}\u{e0041}\u{7f}";
        for format in [Format::Human { colour: false }, Format::Json] {
            let line = logged(
                "",
                format,
                || tracing::warn!(host = text, path = %text, field = ?text, "said {text}"),
            );
            assert!(
                printable::is_printable(line.trim_end_matches('\n')),
                "{line:?}"
            );
        }
    }

    #[test]
    fn colours_are_those_that_are_put_there_here() {
        let line = |text: &'static str| {
            logged(
                "",
                Format::Human { colour: true },
                || tracing::warn!(host = %text, "{text}"),
            )
        };
        let escapes = |line: &str| line.matches('\u{1b}').count();
        assert!(escapes(&line("x")) > 0);
        assert_eq!(
            escapes(&line("\u{1b}[8m\u{1b}]0;x\u{7}")),
            escapes(&line("x"))
        );
    }

    #[test]
    fn a_filter_that_would_turn_the_log_off_by_mistake_is_told_with_what_was_meant() {
        for (filter, expected) in [
            (
                "verbose",
                "invalid level `verbose`: write `debug` or `trace`",
            ),
            ("Verbose,info", "invalid level `Verbose`"),
            ("infos", "did you mean `info`?"),
            ("warning", "did you mean `warn`?"),
            ("info,custom=debug", "did you mean `customs`?"),
            ("info,customs::file=debug", "no module `file`"),
            ("info,customs::audit=debug", "did you mean `customs_audit`?"),
            (
                "info,customs_source=debug",
                "did you mean `customs_sources`?",
            ),
            ("info,customs=verbose", "`verbose`"),
            ("nonsense", "the levels are error, warn, info"),
        ] {
            let problem = subscriber(filter, Format::Json, io::sink, None)
                .err()
                .map(|why| why.to_string())
                .unwrap_or_default();
            assert!(problem.contains(expected), "{filter}: {problem}");
        }
        for filter in [
            "",
            "INFO",
            "3",
            "info,customs_sources=debug",
            "off,customs=warn",
            "h2=debug",
            "customs[x]=info",
        ] {
            assert!(
                subscriber(filter, Format::Json, io::sink, None).is_ok(),
                "{filter}"
            );
        }
    }

    #[test]
    fn whatever_logs_can_be_named_in_a_filter() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let logs = |folder: &std::path::Path| {
            let mut folders = vec![folder.to_owned()];
            let mut texts = String::new();
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder)
                    .unwrap()
                    .map(|entry| entry.unwrap().path())
                {
                    match entry.is_dir() {
                        true => folders.push(entry),
                        false => texts.push_str(
                            std::fs::read_to_string(entry)
                                .unwrap()
                                .split("#[cfg(test)]")
                                .next()
                                .unwrap(),
                        ),
                    }
                }
            }
            let levels = ["trace", "debug", "info", "warn", "error"];
            levels
                .iter()
                .any(|level| texts.contains(&format!("tracing::{level}!(")))
        };
        let those_that_log = |of: &str| {
            let folders = std::fs::read_dir(root.join(of))
                .unwrap()
                .map(|entry| entry.unwrap().path());
            let folders = folders.filter(|path| path.is_dir() && logs(path));
            let mut names: Vec<_> = folders
                .map(|path| {
                    path.file_name()
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .replace('-', "_")
                })
                .collect();
            names.sort();
            names
        };
        assert_eq!(those_that_log("src"), MODULES);
        let crates = those_that_log("crates")
            .into_iter()
            .map(|name| format!("customs_{name}"));
        assert_eq!(
            std::iter::once("customs".to_owned())
                .chain(crates)
                .collect::<Vec<_>>(),
            CRATES
        );
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_told() {
        let problem = subscriber("info,=loud=", Format::Json, io::sink, None)
            .err()
            .unwrap()
            .to_string();
        assert!(
            problem.starts_with("invalid CUSTOMS_LOG `info,=loud=`"),
            "{problem}"
        );
    }
}
