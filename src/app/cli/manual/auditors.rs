//! The manuals of the commands for readers of the audit log.

use super::CommandManual;

/// A log of a server.
const RECORDS: (&str, &str) = (
    "audit.jsonl, audit.jsonl-*",
    "The audit log that a server writes with `--audit file:PATH`, and its rotated files",
);

/// The checkpoints of a server.
const CHECKPOINTS: (&str, &str) = (
    "checkpoints.jsonl",
    "The checkpoints that a server writes with `audit_log.checkpoint_file`",
);

/// The public key of checkpoints.
const KEY: (&str, &str) = (
    "audit.pub",
    "The public key of `audit_log.signing_key`, as PEM",
);

/// The rows.
pub(super) const MANUALS: &[CommandManual] = &[
    CommandManual {
        path: "audit",
        examples: &[
            (
                "Print the denials of the last hour",
                "customs audit search /var/log/customs --since 1h --effect deny",
            ),
            (
                "Follow a log as it is written",
                "customs audit tail --follow /var/log/customs/audit.jsonl",
            ),
            (
                "Verify that a log is complete and unchanged",
                "customs audit verify /var/log/customs/audit.jsonl",
            ),
        ],
        files: &[RECORDS],
        see_also: &["replay", "suggest", "at"],
    },
    CommandManual {
        path: "audit verify",
        examples: &[
            (
                "Verify all files of one sink",
                "customs audit verify audit.jsonl-20261124 audit.jsonl",
            ),
            (
                "Verify the signatures too, and that nothing is cut off at the end",
                "customs audit verify audit.jsonl --checkpoints checkpoints.jsonl \\\n      \
                 --key audit.pub",
            ),
            (
                "Verify a bundle of audit extract",
                "customs audit verify --bundle incident --key audit.pub",
            ),
        ],
        files: &[RECORDS, CHECKPOINTS, KEY],
        see_also: &["audit extract", "audit search"],
    },
    CommandManual {
        path: "audit extract",
        examples: &[(
            "Cut two hours out of a log, with the policies of that time",
            "customs audit extract /var/log/customs --output incident \\\n      \
             --since 2026-11-24T10:00 --until 2026-11-24T12:00 \\\n      \
             --key audit.pub --policy-archive /var/lib/customs/policies",
        )],
        files: &[RECORDS, CHECKPOINTS, KEY],
        see_also: &["audit verify", "at"],
    },
    CommandManual {
        path: "audit tail",
        examples: &[
            (
                "Follow a file across rotations",
                "customs audit tail --follow /var/log/customs/audit.jsonl",
            ),
            (
                "Follow the denials of a namespace on a running server",
                "customs audit tail --server 127.0.0.1:9193 --namespace shop --effect deny",
            ),
        ],
        files: &[RECORDS],
        see_also: &["audit search", "audit stats"],
    },
    CommandManual {
        path: "audit search",
        examples: &[
            (
                "Print the denials of the last hour",
                "customs audit search /var/log/customs --since 1h --effect deny",
            ),
            (
                "Print the record of one decision as it was written",
                "customs audit search audit.jsonl --format json \\\n      \
                 --decision-id 0193a8f2-5c1e-7c3b-9a4d-2f6b8e1d7c50",
            ),
            (
                "Count the requests of a caller to a host",
                "customs audit search /var/log/customs --account shop/web \\\n      \
                 --host www.example.com --count",
            ),
        ],
        files: &[RECORDS],
        see_also: &["audit stats", "audit tail", "at"],
    },
    CommandManual {
        path: "audit stats",
        examples: &[(
            "Count the records of yesterday",
            "customs audit stats /var/log/customs --since yesterday --until today",
        )],
        files: &[RECORDS],
        see_also: &["audit search", "suggest"],
    },
    CommandManual {
        path: "audit export",
        examples: &[
            (
                "Write one file",
                "customs audit export audit.jsonl --parquet audit.parquet",
            ),
            (
                "Write a directory for each day",
                "customs audit export /var/log/customs --parquet lake --partition day",
            ),
        ],
        files: &[RECORDS],
        see_also: &["audit stats", "audit search"],
    },
];
