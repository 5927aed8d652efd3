//! The sheet of a plot: its title, what it shows, its legend and its notes, around an area in which
//! the plot itself is drawn.
//!
//! The rule: text is wrapped before it is placed, and everything has its own height, so that nothing
//! overlaps whatever the text is.

use anyhow::{Context, Result};
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::theme::{Ink, style_sheet};

/// The width of a plot in pixels.
pub const WIDTH: u32 = 720;
/// plotters places everything at whole units, of which a pixel has two.
const UNITS: u32 = 2;

const MARGIN: u32 = 14;
const TITLE: Lines = Lines::new(18, 25, 68);
const SUBTITLE: Lines = Lines::new(14, 20, 98);
const NOTES: Lines = Lines::new(13, 18, 104);
/// The size of labels in plots.
pub const LABEL: u32 = 14;
/// The height of a row of the legend.
const LEGEND_ROW: u32 = 24;
const LEGEND_COLUMNS: usize = 2;
/// The width of the sample before a name.
const SAMPLE: u32 = 34;

/// Where a plot is drawn. Units, not pixels.
pub type Area<'s> = DrawingArea<SVGBackend<'s>, Shift>;

/// A size of text, the height of a line, and how many characters fit.
#[derive(Clone, Copy, Debug)]
struct Lines {
    size: u32,
    height: u32,
    length: usize,
}

impl Lines {
    const fn new(size: u32, height: u32, length: usize) -> Lines {
        Lines {
            size,
            height,
            length,
        }
    }
}

/// The shape at a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
}

/// The sample beside a name in the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    Line {
        dashed: bool,
        marker: Option<Marker>,
        hollow: bool,
    },
    Point {
        marker: Marker,
        hollow: bool,
    },
    Tick,
}

/// A name in the legend.
#[derive(Clone, Debug)]
pub struct Key {
    pub name: String,
    pub ink: Ink,
    pub sample: Sample,
}

/// What is around a plot.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    /// The finding.
    pub title: String,
    /// What is shown, in which unit.
    pub subtitle: String,
    pub legend: Vec<Key>,
    /// What the marks mean, and where the values come from.
    pub notes: Vec<String>,
    /// The values in words, for readers who cannot see the plot.
    pub description: Vec<String>,
    /// The height of the plot itself, in pixels.
    pub height: u32,
}

/// Returns units for pixels.
pub const fn px(pixels: u32) -> i32 {
    (pixels * UNITS) as i32
}

/// Returns the style of a text.
pub fn text_style(size: u32, ink: Ink, horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    styled(size, ink, FontStyle::Normal).pos(Pos::new(horizontal, vertical))
}

fn styled(size: u32, ink: Ink, style: FontStyle) -> TextStyle<'static> {
    // The backend divides the size by this factor, for which plotters gives no name.
    const TO_FONT: f64 = 1.24;
    let size = f64::from(size * UNITS) * TO_FONT;
    TextStyle {
        font: ("sans-serif", size, style).into_font(),
        color: ink.colour().to_backend_color(),
        pos: Pos::new(HPos::Left, VPos::Top),
    }
}

/// Returns the style of a line or of a filled shape.
pub fn stroke(ink: Ink, pixels: f64) -> ShapeStyle {
    ShapeStyle::from(ink.colour()).stroke_width((pixels * f64::from(UNITS)).round() as u32)
}

impl Sheet {
    /// Draws the sheet, and lets `content` draw the plot into an area of the wanted height.
    ///
    /// # Errors
    /// If the backend cannot draw.
    pub fn draw(&self, content: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
        let parts = [
            (TITLE, balance(&self.title, TITLE.length)),
            (SUBTITLE, balance(&self.subtitle, SUBTITLE.length)),
        ];
        let notes: Vec<String> = self
            .notes
            .iter()
            .flat_map(|note| balance(note, NOTES.length))
            .collect();
        let text_height = |lines: Lines, count: usize| lines.height * count as u32;
        let head: u32 = parts
            .iter()
            .map(|(lines, text)| text_height(*lines, text.len()))
            .sum();
        let legend = LEGEND_ROW * self.legend.len().div_ceil(LEGEND_COLUMNS) as u32;
        let foot = text_height(NOTES, notes.len());
        let height = 3 * MARGIN + head + legend + self.height + foot;
        let mut svg = String::new();
        let backend = SVGBackend::with_string(&mut svg, (WIDTH * UNITS, height * UNITS));
        let root = backend.into_drawing_area();
        root.fill(&Ink::Page.colour())?;
        let mut top = MARGIN;
        for (place, (lines, text)) in parts.iter().enumerate() {
            let (ink, style) = match place {
                0 => (Ink::Text, FontStyle::Bold),
                _ => (Ink::Muted, FontStyle::Normal),
            };
            top = write_lines(&root, *lines, text, styled(lines.size, ink, style), top)?;
        }
        for (row, keys) in self.legend.chunks(LEGEND_COLUMNS).enumerate() {
            for (column, key) in keys.iter().enumerate() {
                let left = MARGIN + (WIDTH - 2 * MARGIN) / LEGEND_COLUMNS as u32 * column as u32;
                draw_key(&root, key, left, top + 4 + LEGEND_ROW * row as u32)?;
            }
        }
        top += legend + MARGIN / 2;
        let area = root.clone().shrink(
            (px(MARGIN), px(top)),
            (px(WIDTH - 2 * MARGIN), px(self.height)),
        );
        content(&area)?;
        top += self.height + MARGIN / 2;
        let style = styled(NOTES.size, Ink::Muted, FontStyle::Normal);
        write_lines(&root, NOTES, &notes, style, top)?;
        root.present()?;
        drop((root, area));
        self.finish(&svg, height)
    }

    /// Gives the document a title, a description and its style.
    fn finish(&self, svg: &str, height: u32) -> Result<String> {
        let (_, content) = svg.split_once('\n').context("the backend wrote no head")?;
        let (title, description) = (escape(&self.title), escape(&self.description.join("\n")));
        Ok(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {} {}\" role=\"img\" \
             aria-labelledby=\"title description\">\n<title id=\"title\">{title}</title>\n\
             <desc id=\"description\">{description}</desc>\n<style>\n{}</style>\n{content}",
            WIDTH * UNITS,
            height * UNITS,
            style_sheet()
        ))
    }
}

/// Writes lines of text, and returns where the next one begins.
fn write_lines(
    root: &Area<'_>,
    lines: Lines,
    text: &[String],
    style: TextStyle<'static>,
    top: u32,
) -> Result<u32> {
    for (number, line) in (0..).zip(text) {
        let at = (px(MARGIN), px(top + lines.height * number));
        root.draw_text(line, &style, at)?;
    }
    Ok(top + lines.height * text.len() as u32)
}

fn draw_key(root: &Area<'_>, key: &Key, left: u32, top: u32) -> Result<()> {
    let middle = px(top + LEGEND_ROW / 2);
    let (begin, end) = (px(left), px(left + SAMPLE - 8));
    let centre = ((begin + end) / 2, middle);
    match key.sample {
        Sample::Line {
            dashed,
            marker,
            hollow,
        } => {
            draw_line(root, vec![(begin, middle), (end, middle)], key.ink, dashed)?;
            if let Some(marker) = marker {
                draw_marker(root, centre, marker, key.ink, hollow)?;
            }
        }
        Sample::Point { marker, hollow } => draw_marker(root, centre, marker, key.ink, hollow)?,
        Sample::Tick => {
            let (x, half) = (centre.0, px(8));
            let line = vec![(x, middle - half), (x, middle + half)];
            root.draw(&PathElement::new(line, stroke(key.ink, 2.0)))?;
        }
    }
    let style = text_style(LABEL, Ink::Text, HPos::Left, VPos::Center);
    root.draw_text(&key.name, &style, (px(left + SAMPLE), middle))?;
    Ok(())
}

/// Draws a line through places of an area.
///
/// # Errors
/// If the backend cannot draw.
pub fn draw_line(area: &Area<'_>, places: Vec<(i32, i32)>, ink: Ink, dashed: bool) -> Result<()> {
    let style = stroke(ink, 2.0);
    if dashed {
        let dashes = DashedPathElement::new(places, px(6), px(4), style);
        area.draw(&dashes)?;
    } else {
        area.draw(&PathElement::new(places, style))?;
    }
    Ok(())
}

/// Draws the shape at a place of an area; a hollow one has the colour of the page inside.
///
/// # Errors
/// If the backend cannot draw.
pub fn draw_marker(
    area: &Area<'_>,
    (x, y): (i32, i32),
    marker: Marker,
    ink: Ink,
    hollow: bool,
) -> Result<()> {
    let around = |half: i32| -> Vec<(i32, i32)> {
        match marker {
            // A polygon of one place: the circle is drawn for itself.
            Marker::Circle => vec![(x, y)],
            Marker::Square => vec![
                (x - half, y - half),
                (x + half, y - half),
                (x + half, y + half),
                (x - half, y + half),
            ],
            Marker::Triangle => vec![
                (x, y - half - half / 4),
                (x + half + half / 4, y + half),
                (x - half - half / 4, y + half),
            ],
            Marker::Diamond => {
                let half = half + half / 3;
                vec![(x, y - half), (x + half, y), (x, y + half), (x - half, y)]
            }
        }
    };
    let fill = |half: i32, ink: Ink| -> Result<()> {
        if marker == Marker::Circle {
            area.draw(&Circle::new((x, y), half, stroke(ink, 1.0).filled()))?;
        } else {
            area.draw(&Polygon::new(around(half), stroke(ink, 1.0).filled()))?;
        }
        Ok(())
    };
    fill(px(4) + 1, ink)?;
    if hollow {
        fill(px(2) + 1, Ink::Page)?;
    }
    Ok(())
}

/// Breaks a text into lines of at most so many characters, between words; a number keeps its unit.
pub fn wrap(text: &str, length: usize) -> Vec<String> {
    const UNITS: [&str; 5] = ["µs", "ms", "s", "%", "MiB"];
    let is_unit = |word: &str| UNITS.contains(&word.trim_end_matches([',', ';', '.', ':']));
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(number) if is_unit(word) && number.ends_with(|c: char| c.is_ascii_digit()) => {
                number.push(' ');
                number.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= length => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Breaks a text into as few lines as [`wrap`] does, of about the same length.
pub fn balance(text: &str, length: usize) -> Vec<String> {
    let widest = wrap(text, length);
    let shorter = (1..length).map(|shorter| wrap(text, shorter));
    let fits = |lines: &Vec<String>| lines.len() == widest.len();
    shorter.into_iter().find(fits).unwrap_or(widest.clone())
}

/// Escapes text for XML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
