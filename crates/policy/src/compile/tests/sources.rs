//! Problems that only several documents or sources show.

use super::*;

#[test]
fn sets_are_found_in_the_own_namespace_before_root() {
    let set = |namespace: &str, host: &str| {
        format!(
            "---\napiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata: {{name: s, namespace: {namespace}}}\n\
             spec: {{hosts: [{host}]}}\n"
        )
    };
    let policy = egress("{allow: [{name: a, destinations: [s]}]}");
    accepts(&format!("{policy}{}", set("istio-system", "a.example")));
    let both = format!(
        "{policy}{}{}",
        set("istio-system", "a.example"),
        set("web", "b.example")
    );
    assert_eq!(codes(&both, Severity::Warning), [Code::HiddenSet.as_str()]);
    refuses(
        &format!("{policy}{}", set("shop", "a.example")),
        Code::MissingSet,
    );
}

#[test]
fn a_set_without_hosts_is_refused_beside_a_warning_too() {
    let set = "---\napiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata: {name: s, namespace: web}\nspec: {}\n";
    let policy = egress("{allow: [{name: a, destinations: [s]}]}");
    let warning = istio("{selector: {matchLabels: {a: b}}, rules: [{}]}");
    for text in [
        format!("{policy}{set}"),
        format!("{warning}---\n{policy}{set}"),
    ] {
        let found = codes(&text, Severity::Error);
        assert!(found.contains(&"missing-field"), "{found:?}");
    }
}

#[test]
fn only_the_list_of_kubernetes_is_unwrapped() {
    accepts("apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems: []\n");
    refuses(
        "apiVersion: v1\nkind: List\nitems: []\nspec: {isolate: true}\n",
        Code::UnknownField,
    );
    refuses(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicyList\nitems: []\n",
        Code::UnknownKind,
    );
}

#[test]
fn a_second_source_may_not_repeat_a_policy() {
    let settings = Settings::default();
    let text = egress("{isolate: true}");
    let both = [
        load(&source("a", &text), &settings),
        load(&source("b", &text), &settings),
    ];
    let problems = compile(&both, &settings).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].text.contains("a/p.yaml") && problems[0].place.file.as_ref() == "b/p.yaml",
        "{}",
        problems[0]
    );
}

#[test]
fn the_revision_is_the_sources_in_order_and_the_settings_and_never_the_spelling_of_a_path() {
    let revision = |sources: &[Source], settings: &Settings| {
        let loaded: Vec<_> = sources.iter().map(|s| load(s, settings)).collect();
        compile(&loaded, settings)
            .unwrap()
            .snapshot
            .revision()
            .clone()
    };
    let (a, b) = (
        source("a", &egress("{isolate: true}")),
        source("b", &istio("{}")),
    );
    let settings = Settings::default();
    let one = revision(&[a.clone(), b.clone()], &settings);
    assert_ne!(one, revision(&[b.clone(), a.clone()], &settings));
    for (first, second) in [("./a", "b/"), ("/srv/a", "elsewhere"), ("a", "b")] {
        let respelled = [(&a, first), (&b, second)].map(|(s, name)| Source {
            name: name.into(),
            ..s.clone()
        });
        assert_eq!(one, revision(&respelled, &settings), "{first} {second}");
    }
    let renamed = |name: &str| {
        let files = a
            .files
            .iter()
            .map(|f| PolicyFile {
                name: name.into(),
                ..f.clone()
            })
            .collect();
        revision(&[Source { files, ..a.clone() }, b.clone()], &settings)
    };
    assert_eq!(
        (renamed("p.yaml") == one, renamed("q.yaml") == one),
        (true, false),
        "a file's own name counts"
    );
    let empty = Source {
        name: "c".into(),
        ..Source::default()
    };
    assert_eq!(
        one,
        revision(&[a.clone(), empty, b.clone()], &settings),
        "nothing is in force of it"
    );
    assert_ne!(one, revision(std::slice::from_ref(&a), &settings));
    assert_ne!(
        one,
        revision(
            &[a.clone(), source("b", &format!("{}# \n", istio("{}")))],
            &settings
        )
    );
    let mut accepting = settings.clone();
    accepting.trust_domains.accepted = Accepted::Any;
    assert_ne!(one, revision(&[a, b], &accepting));
    assert_eq!(one.as_str().len(), 32);
}

#[test]
fn text_that_is_not_utf8_is_told() {
    let settings = Settings::default();
    let mut binary = source("dir", "");
    binary.files[0].bytes = [0xff, 0xfe, 0x61].into();
    let loaded = load(&binary, &settings);
    assert!(loaded.has_errors() && loaded.problems()[0].place.to_string() == "dir/p.yaml");
}
