//! Compares the recorder's translation with istiod's own: the policies of the Istio project's tests
//! and the configuration that istiod makes from them, if they are on the machine.

use std::path::Path;

use serde_json::{Map, Value};

use crate::recorder::translate;

/// Trust domain and aliases of the pairs that have some.
const DOMAINS: [(&str, &[&str]); 4] = [
    ("simple-policy-principal-with-wildcard", &["td1", "foobar"]),
    (
        "simple-policy-multiple-td-aliases",
        &["td1", "cluster.local", "some-td"],
    ),
    ("simple-policy-td-aliases", &["td1", "cluster.local"]),
    (
        "td-aliases-source-principal",
        &["new-td", "old-td", "some-trustdomain"],
    ),
];

/// Written for an old Istio, which matched hosts by regular expressions.
const OF_OLD: &str = "allow-host-before-111";

/// Compares every pair and returns how many there were.
pub(crate) fn compare(folder: &Path) -> usize {
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    let names = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter_map(|name| name.strip_suffix("-in.yaml").map(str::to_owned))
        .collect();
    names.retain(|name| name != OF_OLD);
    for name in &names {
        let domains = DOMAINS
            .iter()
            .find(|(pair, _)| pair == name)
            .map_or(&["cluster.local"][..], |(_, domains)| domains);
        let domains: Vec<String> = domains.iter().map(ToString::to_string).collect();
        let mut policies: Vec<Value> =
            serde_saphyr::from_multiple(&read(&format!("{name}-in.yaml")).unwrap()).unwrap();
        policies.iter_mut().for_each(without_tokens);
        let filters = translate::translate(&policies, &domains, false)
            .unwrap_or_else(|why| panic!("{name}: {why:#}"));
        let ours: Vec<Value> = filters.configurations(false).iter().map(plain).collect();
        let outs = ["-out.yaml", "-out1.yaml", "-out2.yaml"]
            .into_iter()
            .filter_map(|end| read(&format!("{name}{end}")).ok());
        let theirs = outs.map(|text| plain(&serde_saphyr::from_str::<Value>(&text).unwrap()));
        let mut theirs: Vec<Value> = theirs.collect();
        theirs.iter_mut().for_each(without_metadata);
        let (ours, theirs) = (Value::from(ours), Value::from(theirs));
        assert!(
            ours == theirs,
            "{name}:
{ours}
{theirs}"
        );
    }
    names.len()
}

/// Removes from a policy what no check can answer and the recorder therefore refuses.
fn without_tokens(policy: &mut Value) {
    let asks_token =
        |key: &str| key.starts_with("request.auth.") || key.starts_with("experimental.");
    for rule in policy
        .pointer_mut("/spec/rules")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(when) = rule.get_mut("when").and_then(Value::as_array_mut) {
            when.retain(|condition| !asks_token(condition["key"].as_str().unwrap()));
        }
        for from in rule
            .get_mut("from")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let source = from["source"].as_object_mut().unwrap();
            source.retain(|field, _| !field.to_ascii_lowercase().ends_with("requestprincipals"));
        }
    }
}

/// Removes the same on istiod's side, where tokens are metadata.
fn without_metadata(filter: &mut Value) {
    for part in ["rules", "shadowRules"] {
        let policies = filter
            .pointer_mut(&format!("/typedConfig/{part}/policies"))
            .and_then(Value::as_object_mut);
        for policy in policies
            .into_iter()
            .flat_map(|policies| policies.values_mut())
        {
            for (side, all) in [
                ("permissions", "/andRules/rules"),
                ("principals", "/andIds/ids"),
            ] {
                for one in policy[side].as_array_mut().into_iter().flatten() {
                    if let Some(list) = one.pointer_mut(all).and_then(Value::as_array_mut) {
                        list.retain(|matcher| !matcher.to_string().contains("\"metadata\":"));
                        if list.is_empty() {
                            list.push(serde_json::json!({"any": true}));
                        }
                    }
                }
            }
        }
    }
}

/// Returns the value with keys in camel case, and without what both may leave out: the default
/// action and the prefix of statistics.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let left_out = |key: &str, value: &Value| {
                key == "shadowRulesStatPrefix"
                    || (key == "action" && value == "ALLOW")
                    || value.is_null()
            };
            let fields = fields
                .iter()
                .map(|(key, value)| (camel_case(key), plain(value)));
            Value::Object(
                fields
                    .filter(|(key, value)| !left_out(key, value))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn camel_case(key: &str) -> String {
    let mut words = key.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |all, word| {
        let (head, tail) = word.split_at(1);
        all + &head.to_ascii_uppercase() + tail
    })
}
