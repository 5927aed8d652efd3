//! Policy sets that make a check expensive: many patterns of one header, of many headers, and of
//! paths.

const HEADS: [&str; 2] = [
    "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: NAME, namespace: istio-system}\n",
    "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: NAME, namespace: istio-system}\n",
];

fn istio(name: &str, action: &str, rules: &str) -> String {
    format!(
        "{}spec:\n  action: {action}\n  rules:\n{rules}",
        HEADS[0].replace("NAME", name)
    )
}

fn egress(name: &str, spec: &str) -> String {
    format!(
        "{}spec:\n  subjects: [{{namespaces: ['**']}}]\n{spec}",
        HEADS[1].replace("NAME", name)
    )
}

/// The number of rules that Istio accepts in one policy.
const OF_POLICY: usize = 500;

/// Policies with rules about headers of one host, with patterns of every kind.
pub(crate) fn header_policies(
    action: &str,
    count: usize,
    lists: &[&str],
    name: &dyn Fn(usize) -> String,
) -> Vec<String> {
    policies_of(
        action,
        count,
        lists,
        name,
        &|rule, value, at| match (rule + value + at) % 4 {
            0 => format!("'v{value}'"),
            1 => format!("'r{rule}x{value}'"),
            2 => format!("'r{rule}p{value}*'"),
            _ => format!("'*s{rule}y{value}'"),
        },
    )
}

/// The same with patterns that contain commas: as many as are compared, and one more.
fn comma_policies(action: &str, count: usize) -> Vec<String> {
    policies_of(
        action,
        count,
        &["values"],
        &|_| "x-role".to_owned(),
        &|rule, value, _| {
            let parts = vec!["v"; value % 9 + 1].join(",");
            match (rule + value) % 4 {
                0 => format!("'{parts},v'"),
                1 => format!("'{parts},r{rule}x{value}'"),
                2 => format!("'{parts},r{rule}p{value}*'"),
                _ => format!("'*s{rule}y{value},{parts}'"),
            }
        },
    )
}

fn policies_of(
    action: &str,
    count: usize,
    lists: &[&str],
    name: &dyn Fn(usize) -> String,
    pattern: &dyn Fn(usize, usize, usize) -> String,
) -> Vec<String> {
    let list = |rule: usize, (at, list): (usize, &&str)| {
        let value = |value: usize| pattern(rule, value, at);
        format!(
            "{list}: [{}]",
            (0..10).map(value).collect::<Vec<_>>().join(", ")
        )
    };
    let rule = |rule: &usize| {
        let lists: Vec<String> = lists
            .iter()
            .enumerate()
            .map(|named| list(*rule, named))
            .collect();
        format!(
            "  - to: [{{operation: {{hosts: ['www.example.com']}}}}]\n    when: [{{key: 'request.headers[{}]', {}}}]\n",
            name(*rule),
            lists.join(", ")
        )
    };
    let rules: Vec<usize> = (0..count).collect();
    let policies = rules.chunks(OF_POLICY).enumerate();
    policies
        .map(|(at, rules)| {
            istio(
                &format!("p{at}"),
                action,
                &rules.iter().map(rule).collect::<String>(),
            )
        })
        .collect()
}

/// Rules about other hosts.
pub(crate) fn others(count: usize) -> String {
    let deny: String = (0..count)
        .map(|at| format!("  - {{name: o{at}, hosts: ['h{at}.other.example']}}\n"))
        .collect();
    egress("others", &format!("  deny:\n{deny}"))
}

pub(crate) fn sets() -> Vec<(&'static str, Vec<String>)> {
    let one_name = |_: usize| "x-role".to_owned();
    let paths = |count: usize, each: &dyn Fn(usize, usize) -> String| -> String {
        (0..count)
            .map(|rule| {
                let paths: Vec<String> = (0..10)
                    .map(|path| format!("'{}'", each(rule, path)))
                    .collect();
                format!(
                    "  - {{name: e{rule}, hosts: [www.example.com], paths: [{}]}}\n",
                    paths.join(", ")
                )
            })
            .collect()
    };
    vec![
        (
            "1,000 denies by one header",
            header_policies("DENY", 1_000, &["values"], &one_name),
        ),
        (
            "1,000 denies by what it lacks",
            header_policies("DENY", 1_000, &["notValues"], &one_name),
        ),
        (
            "1,000 allows by one header",
            header_policies("ALLOW", 1_000, &["values", "notValues"], &one_name),
        ),
        (
            "1,000 audits by one header",
            header_policies("AUDIT", 1_000, &["values"], &one_name),
        ),
        (
            "1,000 denies by values with commas",
            comma_policies("DENY", 1_000),
        ),
        (
            "1,000 allows by values with commas",
            comma_policies("ALLOW", 1_000),
        ),
        (
            "1,000 denies by a pseudo-header",
            header_policies("DENY", 1_000, &["values"], &|_| ":path".to_owned()),
        ),
        (
            "1,000 denies by the host",
            header_policies("DENY", 1_000, &["values"], &|_| "host".to_owned()),
        ),
        (
            "1,000 denies by 1,000 headers",
            header_policies("DENY", 1_000, &["values"], &|rule| format!("x-{rule}")),
        ),
        (
            "100 denies of 10 templates",
            vec![egress(
                "e",
                &format!(
                    "  deny:\n{}",
                    paths(100, &|rule, path| format!("/{{**}}/p{rule}/q{path}"))
                ),
            )],
        ),
        (
            "100 denies of 10 templates with segments",
            vec![egress(
                "e",
                &format!(
                    "  deny:\n{}",
                    paths(100, &|rule, path| format!("/{{*}}/{{*}}/p{rule}/q{path}"))
                ),
            )],
        ),
        (
            "100 grants of 10 paths",
            vec![egress(
                "e",
                &format!(
                    "  allow:\n{}",
                    paths(100, &|rule, path| format!("/p{rule}/q{path}/*"))
                ),
            )],
        ),
        (
            "namespaces with stars",
            vec![istio(
                "n",
                "DENY",
                "  - from: [{source: {notNamespaces: ['a*b*c*d*e']}}]\n    to: [{operation: {hosts: ['*']}}]\n",
            )],
        ),
    ]
}
