//! The terminal that the results of a command may go to: its width and its colours. The only module
//! that knows either.
//!
//! The rules: a [`Line`] is escaped here, so foreign text cannot control the terminal; lines are
//! wrapped on a terminal only, so that a script reads the same lines whatever `COLUMNS` says; and a
//! line that a reader copies, such as a command, is never broken.

use std::io;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

use super::cli::Color;
use customs_policy::printable;

/// The narrowest width that lines are wrapped at. A narrower terminal breaks them itself.
const NARROWEST: usize = 40;

/// Applies `--color` to this process. `auto` leaves the choice to the environment.
pub(crate) fn set_color(color: Color) {
    let choice = match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    };
    choice.write_global();
}

/// Returns whether a stream takes colours: as `--color` says, or else `NO_COLOR`, `CLICOLOR_FORCE`
/// and `CLICOLOR`, in this order. Without any of them a terminal does, unless `TERM` is `dumb` or
/// not set, and `CI` is not set either.
pub(crate) fn takes_colours(stream: &impl anstream::stream::RawStream) -> bool {
    AutoStream::choice(stream) != ColorChoice::Never
}

/// What a part of a line says, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing in particular.
    Plain,
    /// An allow, or a success.
    Good,
    /// A denial, or a failure.
    Bad,
    /// Something to look at.
    Mark,
    /// A heading or a total.
    Strong,
    /// Something beside the point, such as a place in a file.
    Quiet,
}

impl Tone {
    /// Returns the tone of the word of an effect.
    pub(crate) fn of_effect(effect: &str) -> Tone {
        match effect {
            "allow" => Tone::Good,
            "deny" => Tone::Bad,
            _ => Tone::Plain,
        }
    }

    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Bad => AnsiColor::Red.on_default().bold(),
            Tone::Mark => AnsiColor::Yellow.on_default().bold(),
            Tone::Strong => Style::new().bold(),
            Tone::Quiet => Style::new().dimmed(),
        }
    }
}

/// A line of output, in parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    parts: Vec<(Tone, String)>,
    /// The column at which it continues if it is wrapped.
    hang: usize,
    is_whole: bool,
}

impl Line {
    /// Creates a line without colours, which continues at its beginning if it is wrapped.
    pub(crate) fn of(text: impl Into<String>) -> Line {
        Line::default().then(Tone::Plain, text)
    }

    /// Adds a part.
    pub(crate) fn then(mut self, tone: Tone, text: impl Into<String>) -> Line {
        self.parts.push((tone, text.into()));
        self
    }

    /// Lets the line continue at this column if it is wrapped.
    pub(crate) fn hanging(self, hang: usize) -> Line {
        Line { hang, ..self }
    }

    /// Keeps the line in one piece, so that it can be copied.
    pub(crate) fn whole(self) -> Line {
        Line {
            is_whole: true,
            ..self
        }
    }
}

/// What is known of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// The columns at which lines are wrapped; `None` wraps none.
    width: Option<usize>,
    is_coloured: bool,
}

impl Terminal {
    /// No terminal: lines without colours, as long as they are.
    pub(crate) const NONE: Terminal = Terminal {
        width: None,
        is_coloured: false,
    };

    /// Returns what stdout is.
    pub(crate) fn of_stdout() -> Terminal {
        let stdout = io::stdout();
        let is_terminal = io::IsTerminal::is_terminal(&stdout);
        let named = std::env::var("COLUMNS").ok();
        let measured = terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0);
        Terminal {
            width: width(is_terminal, named.as_deref(), measured),
            is_coloured: takes_colours(&stdout),
        }
    }

    /// Returns the columns at which lines are wrapped; `None` if they are not.
    pub(crate) fn width(self) -> Option<usize> {
        self.width
    }

    /// Returns whether colours are used.
    pub(crate) fn is_coloured(self) -> bool {
        self.is_coloured
    }

    /// Returns lines as they are printed: escaped, coloured and wrapped, each with its line end.
    pub(crate) fn render(self, lines: &[Line]) -> String {
        lines.iter().fold(String::new(), |mut text, line| {
            text.push_str(&self.line(line));
            text.push('\n');
            text
        })
    }

    fn line(self, line: &Line) -> String {
        let part = |(tone, text): &(Tone, String)| {
            let (text, style) = (printable::line(text), tone.style());
            match self.is_coloured {
                true => format!("{style}{text}{style:#}"),
                false => text.into_owned(),
            }
        };
        let text: String = line.parts.iter().map(part).collect();
        match self.width {
            Some(width) if !line.is_whole => wrap("", &text, width, line.hang).join("\n"),
            _ => text,
        }
    }
}

/// Returns the width to wrap at: none if there is no terminal. `COLUMNS` beats what the terminal
/// says of itself.
fn width(is_terminal: bool, named: Option<&str>, measured: Option<u16>) -> Option<usize> {
    let named = named.and_then(|text| text.trim().parse::<u16>().ok());
    let width = named.or(measured).filter(|width| *width > 0)?;
    is_terminal.then(|| usize::from(width).max(NARROWEST))
}

/// Breaks a text behind a label between words, so that no line is wider. Lines after the first are
/// indented. A word that is longer than a line stays whole.
pub(crate) fn wrap(label: &str, text: &str, width: usize, hang: usize) -> Vec<String> {
    let indent = " ".repeat(hang.min(width / 2));
    let options = Options::new(width)
        .initial_indent(label)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(text, options)
        .into_iter()
        .map(|line| line.into_owned())
        .collect()
}

#[cfg(test)]
mod tests;
