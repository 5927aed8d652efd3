//! The paths of the address for operators, as a table for the answer to an unknown path and for the
//! reference. A test holds it to the router.

/// A path.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The method of HTTP.
    pub method: &'static str,
    /// The path.
    pub path: &'static str,
    /// What it answers, in a few words.
    pub summary: &'static str,
    /// The type of the content.
    pub content: &'static str,
    /// Each status with its cause, as Markdown.
    pub statuses: &'static [(u16, &'static str)],
}

const QUESTION: &[(u16, &str)] = &[
    (200, "The answer."),
    (
        400,
        "The query is invalid. The body lists one problem per line, with its place.",
    ),
    (
        403,
        "The peer is neither `127.0.0.1` nor `::1` nor a user of the unix socket, or the request has \
         `origin` (a browser) or `forwarded`, `x-forwarded-for`, `x-forwarded-client-cert` (a proxy).",
    ),
    (405, "The method is not POST."),
    (408, "The query did not arrive within `request_timeout`."),
    (413, "The query is larger than 256 KiB."),
    (
        415,
        "The header `content-type: application/json` is missing.",
    ),
    (500, "customs failed; the log may say why."),
    (
        503,
        "The server is answering two queries already, or the audit log does not take this one.",
    ),
];

/// Every path, in the order of the answer for an unknown one.
pub const ENDPOINTS: [Endpoint; 8] = [
    Endpoint {
        method: "GET",
        path: "/healthz",
        summary: "200 while the process is alive",
        content: "text",
        statuses: &[(200, "The process is alive, whatever its policies are.")],
    },
    Endpoint {
        method: "GET",
        path: "/readyz",
        summary: "200 while checks are wanted, else 503 and why",
        content: "text: `ready`, or one line with the reason",
        statuses: &[
            (200, "A check would be answered by policy now."),
            (503, "It would not. The body says why."),
        ],
    },
    Endpoint {
        method: "GET",
        path: "/status",
        summary: "what is in force, as JSON",
        content: "JSON",
        statuses: &[(200, "The state of the server.")],
    },
    Endpoint {
        method: "GET",
        path: "/metrics",
        summary: "numbers for Prometheus",
        content: "the text format that `Accept` asks for",
        statuses: &[(200, "The [metrics](metrics.md).")],
    },
    Endpoint {
        method: "GET",
        path: "/rules",
        summary: "how often each rule in force was hit, as JSON; /rules?unused lists those that never were",
        content: "JSON",
        statuses: &[
            (200, "The rules."),
            (400, "The query is another than `unused`."),
        ],
    },
    Endpoint {
        method: "POST",
        path: "/explain",
        summary: "answers a question that is posted on loopback, as JSON",
        content: "JSON",
        statuses: QUESTION,
    },
    Endpoint {
        method: "POST",
        path: "/who-can",
        summary: "answers which callers may go to a destination, likewise",
        content: "JSON",
        statuses: QUESTION,
    },
    Endpoint {
        method: "POST",
        path: "/can-reach",
        summary: "answers where callers may go, likewise",
        content: "JSON",
        statuses: QUESTION,
    },
];

/// Returns the paths, one a line.
pub(super) fn listed() -> String {
    let line = |endpoint: &Endpoint| format!("{:<10} {}\n", endpoint.path, endpoint.summary);
    ENDPOINTS.iter().map(line).collect()
}
