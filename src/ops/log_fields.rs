//! The fields of the log, for the reference. They do not decide what is logged.

/// The fields that several lines of the log have beside time, level, target and message, each with
/// what it holds.
pub const FIELDS: [(&str, &str); 14] = [
    (
        "problem",
        "what is wrong, as a sentence or an error of the operating system",
    ),
    ("path", "a file or a directory"),
    ("source", "a source of policies, or the settings file"),
    ("revision", "a revision of the policy set"),
    ("sink", "a sink of the audit log, as the settings name it"),
    ("on_full", "the option of that sink"),
    (
        "address",
        "an address that customs listens on, by its setting or as written",
    ),
    (
        "peer",
        "the address of a client, or the user of a unix socket",
    ),
    (
        "cause",
        "why a client was refused ([the causes](refusal-causes.md))",
    ),
    ("example", "what the first of several refusals was"),
    ("remedy", "what to do about it"),
    ("not_after", "when a certificate expires"),
    ("signal", "`traces`, `metrics` or `logs`"),
    ("decision_id", "the id of a decision, as in the audit log"),
];
