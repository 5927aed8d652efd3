//! Istio's path templates: `{*}` is one segment, `{**}` any run of characters.
//!
//! A template looks at one reading of a path. The ends of a reading's segments are found once per
//! check and not once per template, so a long segment costs the same whatever the number of
//! templates.

use std::fmt;

use crate::work_count;

/// How many segment ends of a reading are found in advance. A template with more segments finds the
/// others itself.
const ENDS: usize = 16;

/// What is wrong with the text of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It does not begin with a slash.
    #[error("a template begins with `/`")]
    NoSlash,
    /// An operator follows `{**}`.
    #[error("no operator may follow `{{**}}`")]
    OperatorBehindTail,
    /// Braces that are not an operator, or not a whole segment.
    #[error("braces hold only `{{*}}` and `{{**}}`, as whole segments")]
    Braces,
    /// A segment that cannot be part of a path.
    #[error("a segment of a template is not empty and holds no `*` or other special character")]
    Segment,
}

/// Where the first segments of one reading of a path end.
#[derive(Clone, Copy, Debug)]
pub struct SegmentEnds {
    ends: [u16; ENDS],
    known: usize,
    /// How many segments there are.
    count: usize,
}

impl SegmentEnds {
    /// Finds the ends of the segments. A reading is at most one slash longer than
    /// [`MAX_PATH`](super::MAX_PATH), so positions in it are small numbers.
    pub fn of(reading: &str) -> SegmentEnds {
        work_count::bytes(reading.len());
        let slashes = reading.bytes().skip(1).filter(|byte| *byte == b'/').count();
        let mut found = SegmentEnds {
            ends: [0; ENDS],
            known: 0,
            count: slashes + 1,
        };
        let slashes = reading
            .bytes()
            .enumerate()
            .skip(1)
            .filter(|(_, byte)| *byte == b'/');
        for (place, (at, _)) in found.ends.iter_mut().zip(slashes) {
            *place = u16::try_from(at).unwrap_or(u16::MAX);
            found.known += 1;
        }
        found
    }

    /// Returns where segment number `number` of `reading`, which begins at `from`, ends before
    /// another one; `None` if it is the last.
    fn end(&self, number: usize, reading: &str, from: usize) -> Option<usize> {
        if number < self.known {
            return self.ends.get(number).map(|end| usize::from(*end));
        }
        if self.known < ENDS {
            return None;
        }
        work_count::bytes(reading.len() - from);
        reading.get(from..)?.find('/').map(|at| from + at)
    }
}

/// A path template of Istio: `{*}` is one segment; `{**}`, the last operator, is any run of
/// characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The segments before `{**}`, or all of them.
    segments: Vec<Segment>,
    /// What follows `{**}`, if the template has one: nothing, or text that begins with `/`.
    tail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One,
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => write!(f, "/{literal}")?,
                Segment::One => f.write_str("/{*}")?,
            }
        }
        self.tail
            .as_ref()
            .map_or(Ok(()), |tail| write!(f, "/{{**}}{tail}"))
    }
}

impl Template {
    /// Returns whether `text` is to be read as a template at all.
    pub fn is_template(text: &str) -> bool {
        text.contains('{') || text.contains('}')
    }

    /// Parses a template.
    ///
    /// # Errors
    /// [`TemplateError`], as istiod refuses them: braces other than the two operators, an operator
    /// after `{**}`, or a segment with a character that a path segment cannot have.
    pub fn parse(text: &str) -> Result<Template, TemplateError> {
        let body = text.strip_prefix('/').ok_or(TemplateError::NoSlash)?;
        let mut template = Template {
            segments: Vec::new(),
            tail: None,
        };
        for part in body.split('/') {
            let literal = !part.is_empty() && part.bytes().all(|b| is_pchar(b) && b != b'*');
            match (part, &mut template.tail) {
                ("{*}" | "{**}", Some(_)) => return Err(TemplateError::OperatorBehindTail),
                ("{*}", None) => template.segments.push(Segment::One),
                ("{**}", None) => template.tail = Some(String::new()),
                (other, Some(tail)) if literal => {
                    tail.push('/');
                    tail.push_str(other);
                }
                (other, None) if literal => {
                    template.segments.push(Segment::Literal(other.to_owned()))
                }
                (other, _) if Template::is_template(other) => return Err(TemplateError::Braces),
                _ => return Err(TemplateError::Segment),
            }
        }
        Ok(template)
    }

    /// Returns a path of this shape, with `text` for every operator.
    pub fn member(&self, text: &str) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(literal) => format!("/{literal}"),
            Segment::One => format!("/{text}"),
        };
        let head: String = self.segments.iter().map(segment).collect();
        self.tail
            .as_ref()
            .map_or(head.clone(), |tail| format!("{head}/{text}{tail}"))
    }

    /// Returns whether a reading has the template's number of segments and its end, which rules
    /// most readings out.
    fn may_match(&self, text: &str, ends: &SegmentEnds) -> bool {
        match &self.tail {
            None => ends.count == self.segments.len(),
            Some(tail) => ends.count > self.segments.len() && text.ends_with(tail.as_str()),
        }
    }

    /// Returns whether one reading of a path, whose segments end at `ends`, has this shape.
    pub fn matches(&self, text: &str, ends: &SegmentEnds) -> bool {
        work_count::steps(1);
        if !self.may_match(text, ends) {
            return false;
        }
        let mut from = text.starts_with('/').then_some(1);
        for (number, segment) in self.segments.iter().enumerate() {
            work_count::steps(1);
            let Some(begin) = from else { return false };
            let end = ends.end(number, text, begin);
            let part = text
                .get(begin..end.unwrap_or(text.len()))
                .unwrap_or_default();
            let fits = match segment {
                Segment::Literal(literal) => part == literal,
                Segment::One => !part.is_empty(),
            };
            if !fits {
                return false;
            }
            from = end.map(|end| end + 1);
        }
        match (&self.tail, from) {
            (None, rest) => rest.is_none(),
            (Some(tail), Some(begin)) => text
                .get(begin..)
                .is_some_and(|rest| rest.ends_with(tail.as_str())),
            (Some(_), None) => false,
        }
    }
}

/// Returns whether Envoy's template matcher lets an operator match every character of a path. The
/// literal parts of a template consist of such characters, so a path of its shape matches there if
/// and only if this holds for the whole path.
pub(crate) fn operators_match(path: &str) -> bool {
    work_count::bytes(path.len());
    path.bytes().all(|byte| is_pchar(byte) || byte == b'/')
}

/// Returns whether a byte is a character of a path segment in RFC 3986, `%` included.
fn is_pchar(byte: u8) -> bool {
    super::is_unreserved(byte) || b"%!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_match_whole_segments() {
        for (template, path, expected) in [
            ("/one/{*}", "/one/a", true),
            ("/one/{*}", "/one/a%2fb", true),
            ("/one/{*}", "/one/a/b", false),
            ("/one/{*}", "/one/", false),
            ("/one/{*}", "/one", false),
            ("/one/{*}", "/one/a/", false),
            ("/any/{**}", "/any/a/b", true),
            ("/any/{**}", "/any/", true),
            ("/any/{**}", "/any//", true),
            ("/any/{**}", "/any", false),
            ("/m/{*}/bar/{**}", "/m/x/bar/", true),
            ("/m/{*}/bar/{**}", "/m/x/bar/y/z", true),
            ("/m/{*}/bar/{**}", "/m/x/bar", false),
            ("/m/{*}/bar/{**}", "/m//bar/y", false),
            ("/v1/{*}/admin", "/v1/a*b/admin", true),
            ("/{**}/end", "/a/b/end", true),
            ("/{**}/end", "//end", true),
            ("/{**}/end", "/end", false),
            ("/{**}/end", "/a/end/x", false),
            ("/{*}/{**}/x/y", "/a/b/x/y", true),
            ("/{*}/{**}/x/y", "/a/x/y", false),
            ("/{**}", "/", true),
            ("/{**}", "a", false),
            ("/{*}", "", false),
        ] {
            let template = Template::parse(template).unwrap();
            assert_eq!(
                template.matches(path, &SegmentEnds::of(path)),
                expected,
                "{template:?} {path}"
            );
            let member = template.member("x");
            let matches = template.matches(&member, &SegmentEnds::of(&member));
            assert!(matches && operators_match(&member), "{template:?} {member}");
        }
    }

    #[test]
    fn segments_beyond_those_found_ahead_are_looked_for() {
        for count in [ENDS - 1, ENDS, ENDS + 1, ENDS + 2, 3 * ENDS] {
            let template = Template::parse(&"/{*}".repeat(count)).unwrap();
            let with_tail =
                Template::parse(&format!("{}/x/{{**}}/y", "/{*}".repeat(count))).unwrap();
            for segments in [count - 1, count, count + 1] {
                let path = "/segment".repeat(segments);
                assert_eq!(
                    template.matches(&path, &SegmentEnds::of(&path)),
                    segments == count,
                    "{count} {segments}"
                );
                let path = format!("{path}/x/z/y");
                assert_eq!(
                    with_tail.matches(&path, &SegmentEnds::of(&path)),
                    segments == count,
                    "{count} {segments}"
                );
            }
        }
    }

    #[test]
    fn operators_match_what_envoys_matcher_lets_them_match() {
        assert!(operators_match("/a%2f/b;c=1,d:e@f!$&'()*+~_-."));
        for path in ["/one/a\"b", "/a b", "/\u{fc}", "/a\\b", "/{a}"] {
            assert!(!operators_match(path), "{path}");
        }
    }

    #[test]
    fn broken_templates_are_refused() {
        for text in [
            "/{a}",
            "/a{*}",
            "/{**}/{*}",
            "/{**}/",
            "/{**}/{**}",
            "/{*}/a*",
            "/{*}//a",
            "{*}",
            "/{",
            "/{*}/\u{fc}",
        ] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
