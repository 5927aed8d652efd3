//! The log: set up once, to stderr; for people on a terminal, JSON lines otherwise.
//!
//! It is no record: what must not be lost goes to the audit. The level comes from `CUSTOMS_LOG`, and a text there that
//! cannot be read is an error, so that a typing error does not silence anything.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, registry::Registry};

/// The environment variable that says what is logged, such as `debug` or `info,customs::files=trace`.
pub const VARIABLE: &str = "CUSTOMS_LOG";

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadLog {
    /// The filter cannot be read.
    #[error(
        "{VARIABLE}=`{text}` cannot be read: {problem}; write a level (error, warn, info, debug, trace, off) or `info,customs::files=debug`"
    )]
    Filter {
        /// What it said.
        text: String,
        /// What is wrong with it.
        problem: tracing_subscriber::filter::ParseError,
    },
    /// The log was set up before.
    #[error("the log is set up already")]
    Twice,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human {
        /// Whether levels are coloured.
        colour: bool,
    },
    /// One JSON object a line.
    Json,
}

/// Sets up the log of this process: to stderr, by `CUSTOMS_LOG`.
pub fn init() -> Result<(), BadLog> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let format = if io::stderr().is_terminal() { Format::Human { colour } } else { Format::Json };
    subscriber(&text, format, io::stderr)?.try_init().map_err(|_| BadLog::Twice)
}

/// A subscriber that writes lines of a format. An empty filter means `info`.
fn subscriber<W>(filter: &str, format: Format, writer: W) -> Result<impl Subscriber + Send + Sync + use<W>, BadLog>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(filter)
        .map_err(|problem| BadLog::Filter { text: filter.to_owned(), problem })?;
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Human { colour } => Box::new(layer.with_ansi(colour).with_target(false)),
        Format::Json => Box::new(layer.json().flatten_event(true).with_current_span(false).with_span_list(false)),
    };
    Ok(Registry::default().with(layer.with_filter(filter)))
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
        tracing::subscriber::with_default(subscriber(filter, format, move || writer.clone()).unwrap(), event);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_filter_says_what_is_logged() {
        let event = || {
            tracing::info!("told");
            tracing::debug!("detail");
        };
        for (filter, lines) in [("", 1), ("info", 1), ("debug", 2), ("warn", 0), ("off", 0), ("warn,customs=debug", 2)]
        {
            assert_eq!(logged(filter, Format::Json, event).lines().count(), lines, "{filter}");
        }
    }

    #[test]
    fn a_line_of_json_holds_its_fields() {
        let line = logged("", Format::Json, || tracing::warn!(source = "policies", "refused\nkept"));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["level"], &value["message"], &value["source"]),
            (&"WARN".into(), &"refused\nkept".into(), &"policies".into())
        );
        assert!(value["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn people_get_plain_lines() {
        let line = logged("", Format::Human { colour: false }, || tracing::warn!(source = "policies", "refused"));
        assert!(line.trim_end().ends_with("WARN refused source=\"policies\""), "{line}");
    }

    #[test]
    fn text_of_a_client_cannot_colour_a_terminal() {
        let line = logged("", Format::Human { colour: false }, || tracing::warn!(host = "\u{1b}[2J\n", "x"));
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_told() {
        let problem = subscriber("info,=loud=", Format::Json, io::sink).err().unwrap().to_string();
        assert!(problem.starts_with("CUSTOMS_LOG=`info,=loud=` cannot be read"), "{problem}");
    }
}
