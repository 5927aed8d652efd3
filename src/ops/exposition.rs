//! The two text formats of Prometheus, and the choice between them by a scraper's `Accept` header.
//!
//! The classic format (0.0.4) is the default; OpenMetrics is used if the scraper asks for it. Both
//! contain the same series. They differ in the names of families: OpenMetrics names a counter
//! without `_total` and has the type `info`; the classic format names each family like its series
//! and has four types.

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// `text/plain`, version 0.0.4.
    Classic,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
    /// The same under the version that older scrapers ask for.
    OpenMetricsDraft,
}

/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text";

impl Exposition {
    /// Returns the format that an `Accept` header prefers: the one with the higher quality, or
    /// OpenMetrics if both are equal. A wildcard selects the classic format, because every scraper
    /// reads it; so does a header that accepts neither.
    pub fn preferred(accept: &str) -> Exposition {
        let (mut classic, mut open, mut draft) = (None, None, None);
        for range in accept.split(',').filter_map(Range::parse) {
            let place = match (range.media.as_str(), range.version.as_deref()) {
                ("text/plain", None | Some("0.0.4" | "1.0.0")) | ("text/*" | "*/*", _) => {
                    &mut classic
                }
                (OPEN_METRICS, None | Some("1.0.0")) => &mut open,
                (OPEN_METRICS, Some("0.0.1")) => &mut draft,
                _ => continue,
            };
            *place = Some(range.quality.max(place.unwrap_or(0)));
        }
        let [classic, open, draft] = [classic, open, draft].map(|quality| quality.unwrap_or(0));
        match (open, draft) {
            (1.., _) if open >= draft && open >= classic => Exposition::OpenMetrics,
            (_, 1..) if draft >= open && draft >= classic => Exposition::OpenMetricsDraft,
            _ => Exposition::Classic,
        }
    }

    /// Returns the content type of a text in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Exposition::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Exposition::OpenMetricsDraft => {
                "application/openmetrics-text; version=0.0.1; charset=utf-8"
            }
        }
    }

    /// Converts an OpenMetrics text to this format.
    pub fn of(self, open_metrics: String) -> String {
        match self {
            Exposition::Classic => classic(&open_metrics),
            Exposition::OpenMetrics | Exposition::OpenMetricsDraft => open_metrics,
        }
    }
}

/// A part of an `Accept` header.
struct Range {
    media: String,
    version: Option<String>,
    /// In thousandths.
    quality: u16,
}

impl Range {
    fn parse(text: &str) -> Option<Range> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts
            .next()
            .filter(|media| media.contains('/'))?
            .to_ascii_lowercase();
        let (mut version, mut quality) = (None, 1000);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => version = Some(value.to_owned()),
                "q" => quality = thousandths(value)?,
                _ => {}
            }
        }
        Some(Range {
            media,
            version,
            quality,
        })
    }
}

/// Parses a quality from 0 to 1 into thousandths.
fn thousandths(text: &str) -> Option<u16> {
    let quality: f32 = text
        .parse()
        .ok()
        .filter(|quality| (0.0..=1.0).contains(quality))?;
    // Between 0 and 1000, so nothing is cut off.
    Some((quality * 1000.0).round() as u16)
}

/// Converts OpenMetrics to the classic format: families are named like their series, types are
/// those that it has, and the end mark is removed.
fn classic(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 256);
    let mut help = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest);
        } else if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "stateset" => ("", "gauge"),
                "gaugehistogram" => ("", "histogram"),
                "unknown" => ("", "untyped"),
                known => ("", known),
            };
            let help = help
                .take()
                .and_then(|help| help.strip_prefix(name))
                .unwrap_or_default();
            out.push_str(&format!(
                "# HELP {name}{suffix}{help}\n# TYPE {name}{suffix} {kind}\n"
            ));
        } else if !line.starts_with('#') {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_is_given_the_format_that_it_asks_for() {
        use Exposition::{Classic, OpenMetrics, OpenMetricsDraft};
        for (accept, expected) in [
            ("", Classic),
            ("*/*", Classic),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Classic),
            ("text/plain;version=0.0.4", Classic),
            ("text/plain", Classic),
            ("application/json", Classic),
            ("application/openmetrics-text", OpenMetrics),
            (
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                OpenMetrics,
            ),
            (
                "Application/OpenMetrics-Text;version=\"1.0.0\"",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=0.0.1",
                OpenMetricsDraft,
            ),
            ("application/openmetrics-text;version=2.0.0", Classic),
            ("application/openmetrics-text;q=0", Classic),
            ("application/openmetrics-text;q=0,text/plain;q=0", Classic),
            ("application/openmetrics-text,text/plain", OpenMetrics),
            (
                "application/openmetrics-text;q=0.3,text/plain;version=0.0.4;q=0.9",
                Classic,
            ),
            (
                "text/plain;q=0.2, application/openmetrics-text;q=0.5",
                OpenMetrics,
            ),
            ("application/openmetrics-text;q=2", Classic),
            // What Prometheus 2 and 3 send, and what other collectors do.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
                 application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                 application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
                 text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                OpenMetrics,
            ),
            ("text/plain; version=0.0.4; q=0.5, */*; q=0.1", Classic),
            (";;;,,/", Classic),
        ] {
            assert_eq!(Exposition::preferred(accept), expected, "{accept}");
        }
    }

    #[test]
    fn the_classic_format_names_families_as_their_series() {
        let open = "# HELP a Help, with words.\n# TYPE a counter\na_total{x=\"# TYPE y info\"} 1\n# HELP b B.\n# TYPE b info\n\
                    b_info{v=\"1\"} 1\n# HELP c C.\n# TYPE c histogram\n# UNIT c seconds\nc_sum 0\n# HELP d D.\n# TYPE d unknown\nd 1\n# EOF\n";
        let expected = "# HELP a_total Help, with words.\n# TYPE a_total counter\na_total{x=\"# TYPE y info\"} 1\n\
                        # HELP b_info B.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n# HELP c C.\n# TYPE c histogram\nc_sum 0\n\
                        # HELP d D.\n# TYPE d untyped\nd 1\n";
        assert_eq!(Exposition::Classic.of(open.to_owned()), expected);
        assert_eq!(Exposition::OpenMetrics.of(open.to_owned()), open);
    }
}
