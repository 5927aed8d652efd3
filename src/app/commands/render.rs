//! Renders a finding as text, like a compiler does, and as an annotation for GitHub. The only user
//! of the crate that draws source lines.
//!
//! All text from files is made [`printable`] here, so it cannot control a terminal or end a line of
//! a format.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet, Title};

use super::finding::Finding;
use super::source_map::{Marked, SourceMap};
use super::{print_document, print_lines};
use crate::app::terminal::{self, Line, Terminal};
use customs_policy::printable;
use customs_policy::problem::{Problem, Severity};

/// The fewest columns that a message is wrapped at.
const MESSAGE: usize = 30;

/// Where to learn more; printed once after problems.
pub(super) const MORE: &str = "For more about a problem, run `customs explain CODE`.";

/// Prints problems as text, each with its place underlined, and where to learn more.
pub(super) fn print_problems<'p>(
    source_map: &SourceMap,
    problems: impl IntoIterator<Item = &'p Problem>,
) {
    let painter = Painter::for_stdout(source_map);
    let mut any = false;
    for problem in problems {
        print_document(&painter.paint(&Finding::from(problem)));
        any = true;
    }
    if any {
        print_lines(&[Line::of(MORE)]);
    }
}

/// Renders findings as text.
pub(super) struct Painter<'t> {
    source_map: &'t SourceMap,
    renderer: Renderer,
    /// The columns at which messages are wrapped; `None` wraps none.
    width: Option<usize>,
}

impl<'t> Painter<'t> {
    /// Creates a painter for stdout.
    pub(super) fn for_stdout(source_map: &'t SourceMap) -> Painter<'t> {
        Painter::new(source_map, Terminal::of_stdout())
    }

    fn new(source_map: &'t SourceMap, terminal: Terminal) -> Painter<'t> {
        let renderer = if terminal.is_coloured() {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let width = terminal.width();
        Painter {
            source_map,
            renderer: match width {
                Some(width) => renderer.term_width(width),
                None => renderer,
            },
            width,
        }
    }

    /// Returns one finding, followed by an empty line.
    pub(super) fn paint(&self, finding: &Finding) -> String {
        let level = level(finding.severity);
        let label = format!("{}[{}]: ", finding.severity.as_str(), finding.code);
        let title = level
            .primary_title(self.wrapped(&finding.text, label.len()))
            .id(finding.code);
        let group = self.place(title, finding).elements(self.messages(finding));
        format!("{}\n\n", self.renderer.render(&[group]))
    }

    fn messages(&self, finding: &Finding) -> Vec<Element<'static>> {
        // The renderer puts them behind the column of line numbers and three more.
        let gutter = finding.place.line.to_string().len() + 3;
        let message = |level: Level<'static>, name: &str, text: &Option<String>| {
            let text = self.wrapped(text.as_deref()?, gutter + name.len() + 2);
            Some(Element::from(level.message(text)))
        };
        let messages = [
            message(Level::NOTE, "note", &finding.note),
            message(Level::HELP, "help", &finding.help),
        ];
        messages.into_iter().flatten().collect()
    }

    /// Returns a text escaped, and wrapped behind a label of so many columns, below which the
    /// renderer aligns the lines.
    fn wrapped(&self, text: &str, label: usize) -> String {
        let text = printable::line(text);
        match self.width {
            Some(width) => {
                let width = width.saturating_sub(label).max(MESSAGE);
                terminal::wrap("", &text, width, 0).join("\n")
            }
            None => text.into_owned(),
        }
    }

    fn place<'f>(&'f self, title: Title<'f>, finding: &'f Finding) -> Group<'f> {
        let place = &finding.place;
        let file = printable::line(&place.file);
        let Some(marked) = self.source_map.mark(place) else {
            let origin = Origin::path(file);
            let number = |n: u32| usize::try_from(n).unwrap_or_default();
            let origin = if place.line == 0 {
                origin
            } else {
                origin
                    .line(number(place.line))
                    .char_column(number(place.column))
            };
            return title.element(origin);
        };
        let (line, span) = drawn(&marked);
        let annotation = AnnotationKind::Primary.span(span);
        let snippet = Snippet::source(line)
            .path(file)
            .line_start(usize::try_from(place.line).unwrap_or(1))
            .annotation(annotation);
        title.element(snippet)
    }
}

/// Returns a line of a file as it is drawn, with the marked part. Columns count characters, so each
/// character that is not printable is replaced by exactly one; the message next to it contains the
/// escape.
fn drawn(marked: &Marked<'_>) -> (String, Range<usize>) {
    let part = |range: Range<usize>| printable::masked(marked.line.get(range).unwrap_or_default());
    let Range { start, end } = marked.span.clone();
    let [before, meant, behind] = [0..start, start..end, end..marked.line.len()].map(part);
    let span = before.len()..before.len() + meant.len();
    (format!("{before}{meant}{behind}"), span)
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

/// Returns a finding as a workflow command of GitHub, which shows it next to the line.
pub(super) fn github(finding: &Finding, source_map: &SourceMap) -> String {
    let command = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let place = &finding.place;
    let file = place.file.trim_start_matches("./");
    // A finding about no file has only a title.
    let mut properties = match file {
        "" => String::new(),
        file => format!("file={},", github_property(file)),
    };
    if place.line > 0 {
        properties.push_str(&format!("line={},col={},", place.line, place.column));
        if let Some(end) = source_map.mark(place).map(|marked| marked.end_column()) {
            properties.push_str(&format!("endColumn={end},"));
        }
    }
    let title = github_property(&format!("customs: {}", finding.code));
    format!(
        "::{command} {properties}title={title}::{}\n",
        github_text(&finding.paragraph())
    )
}

fn github_text(text: &str) -> String {
    printable::page(text)
        .replace('%', "%25")
        .replace('\n', "%0A")
}

fn github_property(text: &str) -> String {
    github_text(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_policy::problem::{Code, Place, Problem};

    fn finding(column: u32, text: &str) -> (SourceMap, Finding) {
        let mut source_map = SourceMap::default();
        source_map.add(
            "p/a.yaml".into(),
            b"kind: X\n  hosts: [\"https://a.example\", b]  # c\n".as_slice(),
        );
        let place = Place {
            file: "p/a.yaml".into(),
            line: 2,
            column,
        };
        let problem = Problem::error(Code::BadHost, place, text).hint("write `a.example`");
        (source_map, Finding::from(&problem))
    }

    #[test]
    fn a_finding_is_drawn_with_its_line() {
        let (source_map, finding) = finding(11, "`https://a.example`: a URL");
        let drawn = Painter::new(&source_map, Terminal::NONE).paint(&finding);
        let expected = "\
error[bad-host]: `https://a.example`: a URL
 --> p/a.yaml:2:11
  |
2 |   hosts: [\"https://a.example\", b]  # c
  |           ^^^^^^^^^^^^^^^^^^^
  |
  = help: write `a.example`

";
        assert_eq!(drawn, expected);
    }

    #[test]
    fn no_control_character_reaches_the_terminal() {
        let (source_map, mut finding) = finding(999, "a \u{1b}[31mred\u{7} text");
        finding.help = Some("\u{1b}]0;title\u{7}".into());
        finding.note = Some("\u{1b}[1m\r".into());
        let drawn = Painter::new(&source_map, Terminal::NONE).paint(&finding);
        assert!(
            printable::is_printable(&drawn.replace('\n', "")),
            "{drawn:?}"
        );
        finding.place = Place::whole("\u{1b}[2J");
        let drawn = Painter::new(&source_map, Terminal::NONE).paint(&finding);
        assert!(
            printable::is_printable(&drawn.replace('\n', "")),
            "{drawn:?}"
        );
    }

    #[test]
    fn a_file_as_a_whole_has_no_line() {
        let (source_map, mut finding) = finding(1, "is a directory");
        finding.place = Place::whole("p");
        let drawn = Painter::new(&source_map, Terminal::NONE).paint(&finding);
        assert_eq!(
            drawn,
            "error[bad-host]: is a directory\n--> p\n = help: write `a.example`\n\n"
        );
        assert_eq!(
            github(&finding, &source_map),
            "::error file=p,title=customs%3A bad-host::is a directory; write `a.example`\n"
        );
    }

    #[test]
    fn an_annotation_is_escaped() {
        let (source_map, mut finding) = finding(11, "100%: a\nb");
        finding.place.file = "./p:1,2.yaml".into();
        assert_eq!(
            github(&finding, &source_map),
            "::error file=p%3A1%2C2.yaml,line=2,col=11,title=customs%3A bad-host::100%25: a%0Ab; write `a.example`\n"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_drawn_at_any_place(text in "[ -~\t\r\n\u{0}-\u{9f}äß漢\u{301}\u{feff}\u{202e}]{0,60}", line in 0_u32..5, column in 0_u32..30) {
            let mut source_map = SourceMap::default();
            source_map.add("f".into(), text.as_bytes());
            let place = Place { file: "f".into(), line, column };
            let finding = Finding::from(&Problem::error(Code::BadHost, place, text.clone()).hint(text));
            let painter = Painter::new(&source_map, Terminal::NONE);
            let drawn = painter.paint(&finding);
            proptest::prop_assert!(printable::is_printable(&drawn.replace('\n', "")), "{:?}", drawn);
            proptest::prop_assert_eq!(github(&finding, &source_map).lines().count(), 1);
        }
    }
}
