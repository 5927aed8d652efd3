//! Warnings for unregistered methods. A policy may name any token, but a misspelt one never
//! matches.

use super::problem::{Code, Problem};
use super::reader::Text;
use super::suggestion::nearest;

/// The registered methods of HTTP, and those that proxies and caches use besides.
const METHODS: [&str; 42] = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "CONNECT",
    "TRACE",
    "QUERY",
    "ACL",
    "BASELINE-CONTROL",
    "BIND",
    "CHECKIN",
    "CHECKOUT",
    "COPY",
    "LABEL",
    "LINK",
    "LOCK",
    "MERGE",
    "MKACTIVITY",
    "MKCALENDAR",
    "MKCOL",
    "MKREDIRECTREF",
    "MKWORKSPACE",
    "MOVE",
    "ORDERPATCH",
    "PRI",
    "PROPFIND",
    "PROPPATCH",
    "PURGE",
    "REBIND",
    "REPORT",
    "SEARCH",
    "UNBIND",
    "UNCHECKOUT",
    "UNLINK",
    "UNLOCK",
    "UPDATE",
    "UPDATEREDIRECTREF",
    "VERSION-CONTROL",
    "NOTIFY",
];

/// Returns whether a method in upper case is registered.
pub(super) fn is_registered(method: &str) -> bool {
    METHODS.contains(&method)
}

/// Warns about a method that is not registered. Patterns with a `*` are not checked.
pub(super) fn unregistered(text: Text<'_>) -> Option<Problem> {
    let upper = text.text.to_ascii_uppercase();
    if text.text.contains('*') || is_registered(&upper) {
        return None;
    }
    let problem = text.warning(
        Code::BadMethod,
        format!("`{}` is not a registered HTTP method", text.text),
    );
    Some(match nearest(&upper, &METHODS) {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem.hint("keep it if a client sends it; methods are GET, POST and so on"),
    })
}
