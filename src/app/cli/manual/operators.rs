//! The manuals of customs itself and of the commands for operators.

use super::CommandManual;

/// The settings file.
const SETTINGS: (&str, &str) = (
    "settings.yaml",
    "The settings, which `--config` names; `customs settings` prints one with the defaults",
);

/// The rows.
pub(super) const MANUALS: &[CommandManual] = &[
    CommandManual {
        path: "",
        examples: &[
            ("Check the policies of a directory", "customs lint policies"),
            (
                "Explain a decision",
                "customs check --from shop/web --to http://www.example.com/ policies",
            ),
            (
                "Answer Envoy's checks",
                "customs serve --policies ./policies",
            ),
        ],
        files: &[SETTINGS],
        see_also: &[],
    },
    CommandManual {
        path: "serve",
        examples: &[
            (
                "Serve the policies of a directory, with the audit log on stdout",
                "customs serve --policies ./policies",
            ),
            (
                "Serve with a settings file, and keep the audit log in a file",
                "customs serve --config settings.yaml \\\n      \
                 --audit 'file:/var/log/customs/audit.jsonl?rotate_size=100MiB&keep=10'",
            ),
            (
                "Try policies without enforcing them, and read the decisions in a terminal",
                "customs serve --enforcement report --audit 'stdout?format=pretty'",
            ),
        ],
        files: &[
            (
                "DIR/*.yaml, DIR/*.yml, DIR/*.json",
                "Policies: EgressPolicy, DestinationSet, PolicyGuard and AuthorizationPolicy",
            ),
            SETTINGS,
        ],
        see_also: &["settings", "status", "check", "audit tail"],
    },
    CommandManual {
        path: "settings",
        examples: &[("Print a settings file to begin with", "customs settings")],
        files: &[SETTINGS],
        see_also: &["serve", "schema"],
    },
    CommandManual {
        path: "status",
        examples: &[
            (
                "Compare two replicas",
                "customs status --admin 10.0.0.1:9192,10.0.0.2:9192",
            ),
            (
                "Wait until every replica has a revision in force",
                "customs status --admin customs-admin:9192 --wait 1f2e3d4c5b6a --timeout 2m",
            ),
        ],
        files: &[],
        see_also: &["doctor", "revision", "serve"],
    },
    CommandManual {
        path: "doctor",
        examples: &[
            (
                "Compare a server with the Envoy that asks it",
                "customs doctor --admin localhost:9192 --envoy http://localhost:15000",
            ),
            (
                "Look at files alone",
                "customs doctor --mesh-config mesh.yaml --objects objects.yaml \\\n      \
                 --policies ./policies",
            ),
        ],
        files: &[
            (
                "mesh.yaml",
                "Istio's mesh configuration: alone, in its ConfigMap, or in Helm values",
            ),
            (
                "objects.yaml",
                "Objects of Istio and Kubernetes, as `kubectl get -o yaml` prints them",
            ),
        ],
        see_also: &["status", "mesh", "lint"],
    },
    CommandManual {
        path: "mesh",
        examples: &[
            (
                "Print what Istio needs",
                "customs mesh istio --gateway-namespace egress",
            ),
            (
                "Print the filters of an Envoy without a control plane",
                "customs mesh envoy --service customs.example",
            ),
        ],
        files: &[],
        see_also: &["doctor", "serve"],
    },
    CommandManual {
        path: "mesh istio",
        examples: &[
            (
                "Print the provider and the CUSTOM policy for the default names",
                "customs mesh istio",
            ),
            (
                "Print the route of a host through the gateway too",
                "customs mesh istio --host www.example.com --https originated",
            ),
        ],
        files: &[],
        see_also: &["mesh gateway-api", "doctor"],
    },
    CommandManual {
        path: "mesh gateway-api",
        examples: &[(
            "Print the CUSTOM policy of a Gateway",
            "customs mesh gateway-api --gateway egress --gateway-namespace egress",
        )],
        files: &[],
        see_also: &["mesh istio", "doctor"],
    },
    CommandManual {
        path: "mesh envoy",
        examples: &[(
            "Print the filters and the cluster",
            "customs mesh envoy --service customs.example --port 9191",
        )],
        files: &[],
        see_also: &["mesh envoy-gateway", "doctor"],
    },
    CommandManual {
        path: "mesh envoy-gateway",
        examples: &[(
            "Print the SecurityPolicy of a Gateway",
            "customs mesh envoy-gateway --gateway egress",
        )],
        files: &[],
        see_also: &["mesh envoy", "doctor"],
    },
    CommandManual {
        path: "man",
        examples: &[
            ("Print the page of customs itself", "customs man"),
            ("Print the page of one command", "customs man audit verify"),
            (
                "Write every page, for `man` to find",
                "customs man --output /usr/local/share/man/man1",
            ),
        ],
        files: &[(
            "/usr/local/share/man/man1/customs*.1",
            "The pages, where `--output` writes them",
        )],
        see_also: &["completions"],
    },
    CommandManual {
        path: "completions",
        examples: &[
            ("Print the script of bash", "customs completions bash"),
            ("Print the script of zsh", "customs completions zsh"),
            ("Print the script of fish", "customs completions fish"),
        ],
        files: &[
            (
                "~/.local/share/bash-completion/completions/customs",
                "Where bash reads the script, with the package bash-completion",
            ),
            (
                "~/.zfunc/_customs",
                "Where zsh reads the script, if fpath has the directory",
            ),
            (
                "~/.config/fish/completions/customs.fish",
                "Where fish reads the script",
            ),
        ],
        see_also: &["man"],
    },
];
