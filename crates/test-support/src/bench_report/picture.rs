//! Pictures as SVG, written by hand: bars with their intervals, curves over
//! sizes, and values over time.
//!
//! It computes no statistics. The rule: a picture has its own background, light or dark as its
//! reader prefers, so that it can be read on any page.

pub mod bars;
pub mod curves;
pub mod timeline;

pub const WIDTH: f64 = 760.0;

/// One colour for each bar or curve, in turn.
const COLOURS: [&str; 6] = [
    "#2f81f7", "#d9742b", "#2da44e", "#a371f7", "#8b949e", "#cf3a8c",
];

const STYLE: &str = "<style>
.page { fill: #ffffff; }
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.small { font-size: 12px; }
.grid { stroke: #1f2328; stroke-opacity: 0.15; }
.interval { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; }
  text { fill: #e6edf3; }
  .grid, .interval { stroke: #e6edf3; }
}
</style>
";

pub fn colour(index: usize) -> &'static str {
    COLOURS
        .get(index % COLOURS.len())
        .copied()
        .unwrap_or("#2f81f7")
}

/// Returns a picture of this height: its title, its content, and a description for readers who
/// cannot see it.
pub fn document(height: f64, title: &str, content: &str) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\">\n<title>{title}</title>\n{STYLE}<rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n\
         <text class=\"title\" x=\"10\" y=\"22\">{title}</text>\n{content}</svg>\n"
    )
}

/// Returns text that begins, ends or is centred (`start`, `end`, `middle`) at a position.
pub fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!(
        "<text class=\"small\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n",
        escape(text)
    )
}

pub fn line(class: &str, [x1, y1, x2, y2]: [f64; 4]) -> String {
    format!(
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
    )
}

/// Escapes text for XML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// How values are spread over a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Logarithmic,
}

impl Scale {
    /// Returns the position of a value between two others, from 0 to 1.
    pub fn place(self, value: f64, from: f64, to: f64) -> f64 {
        match self {
            Scale::Linear => (value - from) / (to - from),
            Scale::Logarithmic => (value / from).ln() / (to / from).ln(),
        }
    }

    /// Returns round values that enclose all of these, with a few between them.
    pub fn ticks(self, smallest: f64, largest: f64) -> Vec<f64> {
        match self {
            Scale::Linear => {
                let step = round_step(largest / 5.0);
                (0..=(largest / step).ceil() as u32)
                    .map(|count| f64::from(count) * step)
                    .collect()
            }
            Scale::Logarithmic => {
                let (first, last) = (
                    smallest.log10().floor() as i32,
                    largest.log10().ceil() as i32,
                );
                (first..=last.max(first + 1))
                    .map(|power| 10.0_f64.powi(power))
                    .collect()
            }
        }
    }
}

/// Returns the next of 1, 2, 5, 10, 20, 50 ... that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10.0_f64.powf(step.log10().floor());
    let round = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= step);
    round.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests;
