//! The manuals of the commands for policy authors.

use super::CommandManual;

/// The file of a policy directory.
const POLICY_FILES: (&str, &str) = (
    "DIR/*.yaml, DIR/*.yml, DIR/*.json",
    "Policies: EgressPolicy, DestinationSet, PolicyGuard and AuthorizationPolicy",
);

/// The test cases of a policy directory.
const CASES: (&str, &str) = (
    "DIR/*.cases.yaml",
    "Test cases: requests with the decisions that are expected",
);

/// The settings file of tools.
const SETTINGS: (&str, &str) = (
    "settings.yaml",
    "The settings of the server, which `--config` names",
);

/// A log of a server.
const RECORDS: (&str, &str) = (
    "audit.jsonl, audit.jsonl-*",
    "The audit log that a server writes with `--audit file:PATH`, and its rotated files",
);

/// The rows.
pub(super) const MANUALS: &[CommandManual] = &[
    CommandManual {
        path: "lint",
        examples: &[
            ("Read ./policies with the default settings", "customs lint"),
            (
                "Read the policies of two directories with the settings of the server",
                "customs lint --config settings.yaml ./baseline ./teams",
            ),
            (
                "Write the findings for the code scanning of a CI system",
                "customs lint --deny-warnings --format sarif policies",
            ),
            (
                "Print what can be fixed, as a diff",
                "customs lint --fix --diff policies",
            ),
            ("Fix it", "customs lint --fix policies"),
            ("Read one file from stdin", "customs lint -"),
        ],
        files: &[POLICY_FILES, SETTINGS],
        see_also: &["test", "prove", "schema", "explain"],
    },
    CommandManual {
        path: "test",
        examples: &[
            ("Run the cases of ./policies", "customs test"),
            (
                "Run the cases with the policies of both directories",
                "customs test --together ./baseline ./teams/shop",
            ),
            (
                "Write the results for a CI system",
                "customs test --format junit policies",
            ),
        ],
        files: &[POLICY_FILES, CASES, SETTINGS],
        see_also: &["check", "lint", "diff"],
    },
    CommandManual {
        path: "check",
        examples: &[
            (
                "Decide a request with the policies of ./policies",
                "customs check --from shop/web --to http://www.example.com/",
            ),
            (
                "Decide a connection without HTTP",
                "customs check --from shop/web --to tcp://db.example.com:5432 policies",
            ),
            (
                "Ask a running server",
                "customs check --admin 127.0.0.1:9192 --from shop/web \\\n      \
                 --to https://www.example.com/",
            ),
            (
                "Decide a request that Envoy sent",
                "customs check --request request.json policies",
            ),
        ],
        files: &[POLICY_FILES, SETTINGS],
        see_also: &["at", "test", "who-can", "can-reach"],
    },
    CommandManual {
        path: "diff",
        examples: &[
            (
                "Compare the policies of two directories",
                "customs diff main/policies branch/policies",
            ),
            (
                "Compare two sets of two directories each, with the settings of the server",
                "customs diff --config settings.yaml main/a,main/b branch/a,branch/b",
            ),
        ],
        files: &[POLICY_FILES, CASES, SETTINGS],
        see_also: &["replay", "prove", "test"],
    },
    CommandManual {
        path: "prove",
        examples: &[
            (
                "Prove the PolicyGuards that are beside the policies",
                "customs prove policies",
            ),
            (
                "Prove the guards of a file too",
                "customs prove --guard guards.yaml policies",
            ),
        ],
        files: &[POLICY_FILES, SETTINGS],
        see_also: &["diff", "can-reach", "lint"],
    },
    CommandManual {
        path: "replay",
        examples: &[
            (
                "Decide the requests of a log again with new policies",
                "customs replay audit.jsonl --policies branch/policies",
            ),
            (
                "Decide the requests of the last day, and fail on changes that are not expected",
                "customs replay /var/log/customs --since 1d --policies policies \\\n      \
                 --expect expected.yaml",
            ),
        ],
        files: &[RECORDS, POLICY_FILES, SETTINGS],
        see_also: &["diff", "suggest", "audit search"],
    },
    CommandManual {
        path: "suggest",
        examples: &[
            (
                "Print policies for the requests of the last week",
                "customs suggest audit.jsonl --since 7d",
            ),
            (
                "Write a file for each namespace",
                "customs suggest /var/log/customs --output suggested",
            ),
            (
                "Print the grants that the requests did not need",
                "customs suggest /var/log/customs --since 30d --tighten policies",
            ),
        ],
        files: &[RECORDS, POLICY_FILES, SETTINGS],
        see_also: &["replay", "can-reach", "audit stats"],
    },
    CommandManual {
        path: "explain",
        examples: &[
            ("Explain a problem code", "customs explain bad-host"),
            (
                "Explain the reason of a decision",
                "customs explain not_in_allow_list",
            ),
            ("Print every code", "customs explain --list"),
        ],
        files: &[],
        see_also: &["lint", "check", "doctor"],
    },
    CommandManual {
        path: "schema",
        examples: &[
            (
                "Write the schema of all kinds for an editor",
                "customs schema",
            ),
            (
                "Print the schema of one kind",
                "customs schema egresspolicy",
            ),
        ],
        files: &[],
        see_also: &["lint", "settings"],
    },
    CommandManual {
        path: "revision",
        examples: &[
            (
                "Print the revision of ./policies with the default settings",
                "customs revision",
            ),
            (
                "Check every revision of a policy archive",
                "customs revision --from-archive /var/lib/customs/policies",
            ),
        ],
        files: &[POLICY_FILES, SETTINGS],
        see_also: &["status", "at", "diff"],
    },
    CommandManual {
        path: "who-can",
        examples: &[
            (
                "Print the callers that may reach a host",
                "customs who-can --to https://www.example.com/ policies",
            ),
            (
                "Ask a running server for callers and their denials too",
                "customs who-can --to tcp://db.example.com:5432 --effect all \\\n      \
                 --admin 127.0.0.1:9192",
            ),
        ],
        files: &[POLICY_FILES, SETTINGS],
        see_also: &["can-reach", "check", "prove"],
    },
    CommandManual {
        path: "can-reach",
        examples: &[
            (
                "Print the destinations of one caller",
                "customs can-reach --from shop/web policies",
            ),
            (
                "Print the destinations of a namespace, by a running server",
                "customs can-reach --from-namespace shop --admin 127.0.0.1:9192",
            ),
        ],
        files: &[POLICY_FILES, SETTINGS],
        see_also: &["who-can", "check", "suggest"],
    },
    CommandManual {
        path: "at",
        examples: &[(
            "Decide a request as the servers decided it at that time",
            "customs at 2026-11-24T10:00 --from shop/web --to http://www.example.com/ \\\n      \
             --records /var/log/customs --policy-archive /var/lib/customs/policies",
        )],
        files: &[
            RECORDS,
            (
                "/var/lib/customs/policies",
                "The archive that a server writes with `--policy-archive DIR`",
            ),
        ],
        see_also: &["check", "audit search", "revision"],
    },
];
