//! The hosts, methods and paths of an EgressPolicy. Each has one spelling; any other is an error.

use super::methods;
use super::problem::{Code, Fix, Problem};
use super::reader::{self, Text};
use customs_engine::operation::PathPattern;
use customs_engine::path::Template;
use customs_engine::pattern::{self, HostPattern, Spelling, TextPattern};

pub(super) fn hosts(texts: &[Text<'_>], problems: &mut Vec<Problem>) -> Vec<HostPattern> {
    let read = |text: &Text<'_>| host(*text, problems);
    texts.iter().filter_map(read).collect()
}

/// Reads a host, which must have its canonical spelling (rule R3).
fn host(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<HostPattern> {
    let problem = match pattern::parse_host_pattern(text.text) {
        Err(why) => text
            .error(Code::BadHost, format!("`{}`: {why}", text.text))
            .advised(why.advice(text.text)),
        Ok((pattern, _)) if pattern.is_lone_star() => text
            .error(Code::BadHost, "invalid host `*`")
            .hint("write `**` for anywhere"),
        Ok((pattern, spellings)) => match spellings.first() {
            None => {
                problems.extend(reader::yaml_word(text));
                return Some(pattern);
            }
            Some(Spelling::Folded(meant) | Spelling::Unicode(meant)) => text
                .error(
                    Code::HostSpelling,
                    format!("`{}` is not the canonical spelling", text.text),
                )
                .hint(format!("write `{meant}`"))
                .fix(Fix::text(text.text, meant)),
            Some(Spelling::Loose) => text
                .error(
                    Code::HostSpelling,
                    format!("`{}` would match more than whole labels", text.text),
                )
                .hint(whole_labels(
                    text.text,
                    "a `*` matches the first labels of a name: ",
                )),
        },
    };
    problems.push(problem);
    None
}

/// Appends to `words` the pattern that was meant by a star without a dot after it.
pub(super) fn whole_labels(text: &str, words: &str) -> String {
    let suffix = text
        .strip_prefix('*')
        .filter(|suffix| !suffix.contains('*'))
        .unwrap_or("example.com");
    format!("{words}`*.{suffix}`")
}

pub(super) fn method(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<TextPattern> {
    if text
        .text
        .bytes()
        .all(|b| b.is_ascii_uppercase() || matches!(b, b'-' | b'_'))
    {
        problems.extend(methods::unregistered(text));
        return Some(TextPattern::Exact(text.text.to_owned()));
    }
    let what = format!("invalid method `{}`", text.text);
    problems.push(
        text.error(Code::BadMethod, what)
            .hint(format!("write it exactly: `{}`", text.text.to_uppercase()))
            .fix(upper_case(text.text)),
    );
    None
}

/// Returns the fix of a registered method in another case.
fn upper_case(method: &str) -> Option<Fix> {
    let upper = method.to_ascii_uppercase();
    methods::is_registered(&upper).then(|| Fix::text(method, upper))
}

pub(super) fn path(text: Text<'_>, problems: &mut Vec<Problem>) -> Option<PathPattern> {
    let refuse = |what: String, hint: &str| {
        Problem::error(Code::BadPath, text.place.clone(), what).hint(hint)
    };
    let problem = if !text.text.starts_with('/') {
        refuse(
            format!("`{}` does not begin with `/`", text.text),
            "paths are exact, `/prefix*`, or templates",
        )
    } else if text.text.contains(['?', '#']) {
        refuse(
            format!("`{}` has a query or a fragment", text.text),
            "the query is cut off before paths are compared",
        )
    } else if Template::is_template(text.text) {
        match Template::parse(text.text) {
            Ok(template) => return Some(PathPattern::Template(template)),
            Err(why) => refuse(
                format!("`{}`: {why}", text.text),
                "`{*}` is one segment, `{**}` any run of characters",
            ),
        }
    } else if text.text.trim_end_matches('*').len() + 1 < text.text.len()
        || text.text.trim_end_matches('*').contains('*')
    {
        refuse(
            format!("`{}` has a `*` that is not at its end", text.text),
            "write `/prefix*` or a template with `{*}`",
        )
    } else {
        return Some(PathPattern::Text(TextPattern::parse(text.text)));
    };
    problems.push(problem);
    None
}
