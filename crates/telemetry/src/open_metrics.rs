//! Reads metrics as they are shown to Prometheus, in OpenMetrics.
//!
//! It declares no metric: each is declared once, where it is counted, and this reads the text that
//! every scraper gets. It reads what customs writes, and skips nothing else: a line that it cannot
//! read is returned as such.

use std::time::SystemTime;

/// A family of series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) help: String,
    /// `counter`, `gauge`, `histogram` or `info`.
    pub(crate) kind: String,
    pub(crate) samples: Vec<Sample>,
}

/// One line with a number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// What follows the name of the family: `_total`, `_bucket`, or nothing.
    pub(crate) suffix: String,
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    pub(crate) exemplar: Option<Exemplar>,
}

/// Names and values.
pub(crate) type Labels = Vec<(String, String)>;

/// One observation, as an example of others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
    pub(crate) time: Option<SystemTime>,
}

/// A text that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OpenMetrics {
    pub(crate) families: Vec<Family>,
    /// The lines that could not be read.
    pub(crate) unread: Vec<String>,
}

/// Reads a text.
pub(crate) fn parse(text: &str) -> OpenMetrics {
    let mut metrics = OpenMetrics::default();
    let mut help: Option<(&str, &str)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            let words = help.take().filter(|(of, _)| *of == name);
            metrics.families.push(Family {
                name: name.to_owned(),
                help: words
                    .map_or("", |(_, words)| words.trim_end_matches('.'))
                    .to_owned(),
                kind: kind.to_owned(),
                samples: Vec::new(),
            });
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            let family = metrics.families.last_mut();
            let sample = family
                .as_ref()
                .and_then(|family| sample(line, &family.name));
            match (family, sample) {
                (Some(family), Some(sample)) => family.samples.push(sample),
                _ => metrics.unread.push(line.to_owned()),
            }
        }
    }
    metrics
}

fn sample(line: &str, family: &str) -> Option<Sample> {
    let rest = line.strip_prefix(family)?;
    let (suffix, rest) = rest.split_at(rest.find(['{', ' '])?);
    let (labels, rest) = labelled(rest)?;
    let (value, exemplar) = match rest.split_once(" # ") {
        None => (rest, None),
        Some((value, exemplar)) => (value, Some(exemplar)),
    };
    let exemplar = match exemplar {
        None => None,
        Some(text) => Some(read_exemplar(text)?),
    };
    Some(Sample {
        suffix: suffix.to_owned(),
        labels,
        value: number(value.trim())?,
        exemplar,
    })
}

fn read_exemplar(text: &str) -> Option<Exemplar> {
    let (labels, rest) = labelled(text)?;
    let mut words = rest.split_whitespace();
    let value = number(words.next()?)?;
    let time = match words.next() {
        None => None,
        Some(seconds) => {
            let seconds: f64 = seconds.parse().ok()?;
            let after = std::time::Duration::try_from_secs_f64(seconds).ok()?;
            Some(SystemTime::UNIX_EPOCH + after)
        }
    };
    Some(Exemplar {
        labels,
        value,
        time,
    })
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        text => text.parse().ok(),
    }
}

/// Reads `{name="value",...}` if it is there, and returns what follows.
fn labelled(text: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    let Some(mut rest) = text.strip_prefix('{') else {
        return Some((labels, text));
    };
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquoted(quoted)?;
        labels.push((name.to_owned(), value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// Reads a value up to its closing quote, and returns what follows.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(place + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn every_part_of_a_line_is_read() {
        let text = "# HELP a Help, with words.\n# TYPE a counter\n\
                    a_total{x=\"b # {c=\\\"d\\\"} 1\",y=\"\\\\ \\n\"} 7\na_total 0\n\
                    # HELP h H.\n# TYPE h histogram\n# UNIT h seconds\nh_sum 0.5\nh_count 2\n\
                    h_bucket{le=\"0.25\"} 1 # {trace_id=\"ab\",span_id=\"cd\"} 0.125 12.5\n\
                    h_bucket{le=\"+Inf\"} 2 # {trace_id=\"ef\"} 0.375\n# EOF\n";
        let metrics = parse(text);
        assert_eq!(metrics.unread, [""; 0]);
        let [counter, histogram] = &metrics.families[..] else {
            panic!("{metrics:?}")
        };
        assert_eq!(
            (counter.name.as_str(), counter.kind.as_str()),
            ("a", "counter")
        );
        assert_eq!(counter.help, "Help, with words");
        assert_eq!(
            counter.samples[0].labels,
            labels(&[("x", "b # {c=\"d\"} 1"), ("y", "\\ \n")])
        );
        assert_eq!(
            (counter.samples[0].value, counter.samples[1].value),
            (7.0, 0.0)
        );
        let names: Vec<_> = histogram
            .samples
            .iter()
            .map(|s| s.suffix.as_str())
            .collect();
        assert_eq!(names, ["_sum", "_count", "_bucket", "_bucket"]);
        let exemplar = histogram.samples[2].exemplar.clone().unwrap();
        assert_eq!(
            exemplar.labels,
            labels(&[("trace_id", "ab"), ("span_id", "cd")])
        );
        assert_eq!(exemplar.value, 0.125);
        let at = exemplar
            .time
            .unwrap()
            .duration_since(SystemTime::UNIX_EPOCH);
        assert_eq!(at.unwrap().as_millis(), 12_500);
        let last = histogram.samples[3].exemplar.clone().unwrap();
        assert_eq!((last.value, last.time), (0.375, None));
        assert_eq!(histogram.samples[3].labels, labels(&[("le", "+Inf")]));
    }

    #[test]
    fn what_cannot_be_read_is_returned() {
        for line in [
            "b_total 1",
            "a_total",
            "a_total x",
            "a_total{x=\"y} 1",
            "a_total{x} 1",
            "a_total 1 # {x=\"y\"}",
            "a_total 1 # {x=\"y\"} 1 -1",
        ] {
            let metrics = parse(&format!("# TYPE a counter\n{line}\n"));
            assert_eq!(metrics.unread, [line], "{metrics:?}");
        }
    }
}
