//! Recognises what was collected instead of the document that was asked for: a page of HTML, the
//! front page of Envoy's admin address, a file that ends in the middle.
//!
//! It reads no document. The rule: it says what was found, and what to give instead.

use std::fmt;

/// What a text is that should have been another document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForeignDocument {
    /// Nothing at all.
    Empty,
    /// A page of HTML.
    Html,
    /// An answer of Envoy's admin address.
    Envoy,
    /// An answer of customs' admin address.
    Customs,
    /// JSON that ends before it is complete.
    Truncated,
}

impl fmt::Display for ForeignDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForeignDocument::Empty => {
                "it is empty: collect it again, and look at the errors of the command that does"
            }
            ForeignDocument::Html => {
                "it is a page of HTML: give the address of the program itself, not of a proxy or \
                 a console in front of it"
            }
            ForeignDocument::Envoy => {
                "Envoy's admin address answers there: give it with --envoy, and with --admin the \
                 address of customs' setting `admin` (port 9192 by default)"
            }
            ForeignDocument::Customs => {
                "customs' admin address answers there: give it with --admin, and with --envoy the \
                 admin address of a gateway (port 15000 in Istio)"
            }
            ForeignDocument::Truncated => {
                "it ends in the middle: collect it again, into a file, and not through a terminal"
            }
        })
    }
}

/// Returns what a text is if it is none of the documents that are read here.
pub fn foreign(body: &[u8]) -> Option<ForeignDocument> {
    let text = String::from_utf8_lossy(body.get(..body.len().min(64 * 1024)).unwrap_or_default());
    let begin = text.trim_start().to_ascii_lowercase();
    if begin.is_empty() {
        return Some(ForeignDocument::Empty);
    }
    let is_envoy = begin.contains("invalid path. admin commands are")
        || begin.contains("<title>envoy admin</title>")
        || begin.starts_with("{\"error\":\"not_found\"") && begin.contains("envoy");
    if is_envoy {
        return Some(ForeignDocument::Envoy);
    }
    if begin.starts_with("not found; the paths are") {
        return Some(ForeignDocument::Customs);
    }
    if begin.starts_with('<') {
        return Some(ForeignDocument::Html);
    }
    let is_json = begin.starts_with('{') || begin.starts_with('[');
    let ends = serde_json::from_slice::<serde::de::IgnoredAny>(body);
    let is_cut = ends.is_err_and(|why| why.is_eof());
    (is_json && is_cut).then_some(ForeignDocument::Truncated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_collected_instead_is_recognised() {
        for (text, expected) in [
            ("", Some(ForeignDocument::Empty)),
            (" \n", Some(ForeignDocument::Empty)),
            ("<!DOCTYPE html><html>", Some(ForeignDocument::Html)),
            (
                "  <html><title>Envoy Admin</title>",
                Some(ForeignDocument::Envoy),
            ),
            (
                "invalid path. admin commands are:\n  /certs: print certs\n",
                Some(ForeignDocument::Envoy),
            ),
            ("{\"configs\": [{\"a\"", Some(ForeignDocument::Truncated)),
            ("{\"configs\": []}", None),
            (
                "not found; the paths are\n/healthz",
                Some(ForeignDocument::Customs),
            ),
            ("a: b\n", None),
        ] {
            assert_eq!(foreign(text.as_bytes()), expected, "{text}");
        }
    }
}
