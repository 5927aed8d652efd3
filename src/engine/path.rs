//! What a path may mean: its readings (rule R7), and the patterns a policy writes.
//!
//! Servers differ in what they decode and resolve, so one path has several readings. A denial matches if any reading
//! does, a grant only if every reading does. A path that cannot be read safely is *unknown*: it satisfies a path field
//! of a DENY and of no ALLOW. This module never decides which of the two is asked.

use std::borrow::Cow;

use super::short_text;

/// The longest path that is read, in bytes, without its query (rule R7).
pub const MAX_PATH: usize = 8 * 1024;

/// The distinct readings of one path; the first is the path as sent, without its query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readings<'a> {
    /// A plain path, which nobody reads otherwise.
    One(&'a str),
    /// Several readings.
    Many(Vec<Cow<'a, str>>),
    /// The path is absent or cannot be read.
    Unknown,
}

/// The path without its query.
pub fn without_query(path: &str) -> &str {
    short_text::split_once(path, b'?').map_or(path, |(path, _)| path)
}

impl<'a> Readings<'a> {
    /// Makes every reading of `path`, which may still carry a query.
    pub fn of(path: &'a str) -> Readings<'a> {
        let raw = without_query(path);
        if raw.is_empty() || raw.len() > MAX_PATH || raw.contains('#') {
            return Readings::Unknown;
        }
        if is_plain(raw) {
            return Readings::One(raw);
        }
        let Some(decoded) = percent_decode(raw, |_| true) else { return Readings::Unknown };
        if decoded.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Readings::Unknown;
        }
        let mut all: Vec<Cow<'a, str>> = vec![Cow::Borrowed(raw)];
        let mut add = |reading: String| {
            if !all.iter().any(|known| *known == reading) {
                all.push(Cow::Owned(reading));
            }
        };
        for base in [raw.to_owned(), decoded.into_owned()] {
            for base in [base.clone(), without_parameters(&base)] {
                add(normalise(&base));
                add(base);
            }
        }
        if let Some(unreserved) = percent_decode(raw, is_unreserved) {
            add(normalise(&unreserved));
            add(unreserved.into_owned());
        }
        match all.len() {
            1 => Readings::One(raw),
            _ => Readings::Many(all),
        }
    }
}

/// Whether no step changes a path: nothing encoded, no parameters, no backslash or control character, and no empty or
/// dot segment but an empty last one.
fn is_plain(path: &str) -> bool {
    let (mut before, mut has_dot) = (0, false);
    for byte in path.bytes() {
        match (before, byte) {
            (_, b'%' | b';' | b'\\' | ..0x20 | 0x7f) | (b'/', b'/') => return false,
            (b'/', b'.') => has_dot = true,
            _ => {}
        }
        before = byte;
    }
    path.starts_with('/') && !(has_dot && path.split('/').any(|segment| segment == "." || segment == ".."))
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Decodes each `%XX` whose byte `keep` accepts, once. `None` if a `%` has no two hex digits or the outcome is no UTF-8.
fn percent_decode(text: &str, decode: impl Fn(u8) -> bool) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (high, low) = (bytes.next()?, bytes.next()?);
        let value = hex(high)? << 4 | hex(low)?;
        if decode(value) {
            out.push(value);
        } else {
            out.extend([b'%', high, low]);
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Cuts each segment at its first `;`.
fn without_parameters(path: &str) -> String {
    path.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
}

/// Turns `\` into `/`, merges slashes, and resolves `.` and `..` (RFC 3986, 5.2.4).
fn normalise(path: &str) -> String {
    let path = path.replace('\\', "/");
    let ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") || path == "." || path == "..";
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    for segment in &kept {
        out.push('/');
        out.push_str(segment);
    }
    if ends_open || out.is_empty() {
        out.push('/');
    }
    out
}

/// A path template of Istio: `{*}` is one segment; `{**}`, the last operator, is any run of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The segments before `{**}`, or all of them.
    segments: Vec<Segment>,
    /// What stands behind `{**}`, if there is one: nothing, or text that begins with `/`.
    tail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One,
}

impl Template {
    /// Whether `text` asks to be read as a template at all.
    pub fn is_template(text: &str) -> bool {
        text.contains('{') || text.contains('}')
    }

    /// Parses a template; `Err` says what is wrong with it, in words.
    ///
    /// # Errors
    /// As istiod refuses them: braces other than the two operators, an operator behind `{**}`, or a segment with a
    /// character that a path segment cannot have.
    pub fn parse(text: &str) -> Result<Template, &'static str> {
        let body = text.strip_prefix('/').ok_or("a template begins with `/`")?;
        let mut template = Template { segments: Vec::new(), tail: None };
        for part in body.split('/') {
            let literal = !part.is_empty() && part.bytes().all(|b| is_pchar(b) && b != b'*');
            match (part, &mut template.tail) {
                ("{*}" | "{**}", Some(_)) => return Err("no operator may follow `{**}`"),
                ("{*}", None) => template.segments.push(Segment::One),
                ("{**}", None) => template.tail = Some(String::new()),
                (other, Some(tail)) if literal => {
                    tail.push('/');
                    tail.push_str(other);
                }
                (other, None) if literal => template.segments.push(Segment::Literal(other.to_owned())),
                (other, _) if Template::is_template(other) => {
                    return Err("braces hold only `{*}` and `{**}`, as whole segments");
                }
                _ => return Err("a segment of a template is not empty and holds no `*` or other special character"),
            }
        }
        Ok(template)
    }

    /// A path of this shape, with `text` for every operator.
    pub fn member(&self, text: &str) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(literal) => format!("/{literal}"),
            Segment::One => format!("/{text}"),
        };
        let head: String = self.segments.iter().map(segment).collect();
        self.tail.as_ref().map_or(head.clone(), |tail| format!("{head}/{text}{tail}"))
    }

    /// Whether one reading of a path has this shape. With `strict`, operators match only the characters that Envoy's
    /// template matcher lets them match.
    pub fn matches(&self, reading: &str, strict: bool) -> bool {
        let allowed = |text: &str| !strict || text.bytes().all(|b| is_pchar(b) || b == b'/');
        let Some(mut rest) = reading.strip_prefix('/').map(Some) else { return false };
        for segment in &self.segments {
            let Some(text) = rest else { return false };
            let (part, tail) = text.split_once('/').map_or((text, None), |(part, tail)| (part, Some(tail)));
            let fits = match segment {
                Segment::Literal(literal) => part == literal,
                Segment::One => !part.is_empty() && allowed(part),
            };
            if !fits {
                return false;
            }
            rest = tail;
        }
        match (&self.tail, rest) {
            (None, rest) => rest.is_none(),
            (Some(tail), Some(rest)) => rest.strip_suffix(tail.as_str()).is_some_and(allowed),
            (Some(_), None) => false,
        }
    }
}

/// The characters of a path segment in RFC 3986, `%` included.
fn is_pchar(byte: u8) -> bool {
    is_unreserved(byte) || b"%!$&'()*+,;=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(path: &str) -> Vec<String> {
        match Readings::of(path) {
            Readings::One(one) => vec![one.to_owned()],
            Readings::Many(all) => all.into_iter().map(Cow::into_owned).collect(),
            Readings::Unknown => Vec::new(),
        }
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        assert_eq!(readings("/v1/x"), ["/v1/x"]);
        assert_eq!(readings("/v1/x?y=/../z#f"), ["/v1/x"]);
        assert_eq!(readings("/"), ["/"]);
    }

    #[test]
    fn the_short_cut_is_right() {
        for path in
            ["/", "/a", "/a/", "/a/b.c", "/a//b", "/a/./b", "/a/..", "/a;b", "/a%2e", "/.a", "/...", "/a\\b", "a", "//"]
        {
            let raw = path.to_owned();
            let several = readings(path).len() > 1;
            assert_eq!(is_plain(&raw), !several, "{path}: {:?}", readings(path));
        }
    }

    #[test]
    fn tricks_are_among_the_readings() {
        for (path, reading) in [
            ("/x/../admin", "/admin"),
            ("//admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/%5cadmin", "/admin"),
            ("/x/..%2fadmin", "/admin"),
            ("/v1/%2e%2e/admin", "/admin"),
            ("/admin;x=1", "/admin"),
            ("/v1/..;/admin", "/admin"),
            ("/a%3b/admin", "/a/admin"),
            ("/admin/.", "/admin/"),
            ("/a\\..\\admin", "/admin"),
            ("/v1/%2e%2e/%2e%2e/x%2fy", "/x%2fy"),
        ] {
            assert!(readings(path).iter().any(|r| r == reading), "{path}: {:?}", readings(path));
        }
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let long = format!("/{}", "a".repeat(MAX_PATH));
        for path in ["", "?x", "/%zz", "/%4", "/%", "/..%c0%afadmin", "/a%00", "/a%0a", "/a\u{7f}", "/a#b", &long] {
            assert_eq!(Readings::of(path), Readings::Unknown, "{path:?}");
        }
    }

    #[test]
    fn normalising_twice_changes_nothing() {
        for path in ["/a//b/../c/.", "a/b", "..", "/..", "/a/b/", "\\a\\b", "/a/./b/../../c//"] {
            assert_eq!(normalise(&normalise(path)), normalise(path), "{path}");
        }
    }

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
        ] {
            let template = Template::parse(template).unwrap();
            assert_eq!(template.matches(path, false), expected, "{template:?} {path}");
            assert_eq!(template.matches(path, true), expected, "strict {template:?} {path}");
            let member = template.member("x");
            assert!(template.matches(&member, true), "{template:?} {member}");
        }
        assert!(!Template::parse("/one/{*}").unwrap().matches("/one/a\"b", true));
    }

    #[test]
    fn broken_templates_are_refused() {
        for text in
            ["/{a}", "/a{*}", "/{**}/{*}", "/{**}/", "/{**}/{**}", "/{*}/a*", "/{*}//a", "{*}", "/{", "/{*}/\u{fc}"]
        {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
