//! The policy sets that the benchmarks use: rules of mixed kinds, in 100 files.
//!
//! Of every ten rules, two are Istio denies by namespace and host, six are grants of a team to one
//! of its accounts (exact hosts, suffixes, a network), and two are its denials of a popular domain.

use customs_policy::source::{PolicyFile, Source};

/// How rules are spread over policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Ten rules are in two policies, as teams write them.
    Teams,
    /// Each rule is a policy of its own: the most text and the most names that this number of rules
    /// can have.
    Single,
}

/// Returns a source with this many rules, a multiple of ten.
pub fn source(shape: Shape, rules: usize) -> Source {
    let tens: Vec<usize> = (0..rules / 10).collect();
    let file = |(index, tens): (usize, &[usize])| {
        let text = tens
            .iter()
            .map(|ten| policies(shape, *ten))
            .collect::<Vec<_>>()
            .join("---\n");
        PolicyFile {
            name: format!("{index:03}.yaml"),
            bytes: text.into_bytes().into(),
        }
    };
    let per_file = tens.len().div_ceil(100);
    Source {
        name: "bench".into(),
        files: tens.chunks(per_file).enumerate().map(file).collect(),
        ..Source::default()
    }
}

/// Returns the policies of ten rules.
fn policies(shape: Shape, ten: usize) -> String {
    let team = ten % 1_000;
    let rule = |n: usize| {
        let (ten, i) = (ten % 65_536, ten * 10 + n);
        match n {
            0 | 1 => {
                format!(
                    "{{from: [{{source: {{namespaces: [team-{team}]}}}}], to: [{{operation: {{hosts: [h{i}.bad.example]}}}}]}}"
                )
            }
            2..=4 => format!("{{name: a{n}, hosts: [h{i}.ok.example]}}"),
            5 | 6 => format!("{{name: a{n}, hosts: ['*.s{i}.ok.example']}}"),
            7 => format!(
                "{{name: a{n}, hosts: [10.{}.{}.0/24]}}",
                ten / 256,
                ten % 256
            ),
            8 => format!("{{name: d{n}, hosts: ['*.saas.example']}}"),
            _ => format!("{{name: d{n}, hosts: [h{i}.saas.example]}}"),
        }
    };
    let istio = |name: String, rules: String| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
             metadata: {{name: {name}, namespace: istio-system}}\nspec: {{action: DENY, rules: [{rules}]}}\n"
        )
    };
    let egress = |name: String, entries: String| {
        format!(
            "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}, namespace: team-{team}}}\n\
             spec: {{subjects: [{{serviceAccounts: [app-{}]}}], {entries}}}\n",
            ten % 7
        )
    };
    let list =
        |numbers: std::ops::Range<usize>| numbers.map(rule).collect::<Vec<_>>().join(",\n  ");
    let documents = match shape {
        Shape::Teams => vec![
            istio(format!("t{ten}"), list(0..2)),
            egress(
                format!("t{ten}"),
                format!("allow: [{}],\n  deny: [{}]", list(2..8), list(8..10)),
            ),
        ],
        Shape::Single => (0..10)
            .map(|n| match n {
                0 | 1 => istio(format!("t{ten}-{n}"), rule(n)),
                2..=7 => egress(format!("t{ten}-{n}"), format!("allow: [{}]", rule(n))),
                _ => egress(format!("t{ten}-{n}"), format!("deny: [{}]", rule(n))),
            })
            .collect(),
    };
    documents.join("---\n")
}
