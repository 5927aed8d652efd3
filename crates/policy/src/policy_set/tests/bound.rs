//! Reloads in which some sources are bound to a namespace: which are isolated, which continue, and
//! what is reported.

use super::super::*;
use crate::problem::{Code, Place};
use crate::source::PolicyFile;
use customs_engine::reason::Reason;
use customs_engine::request::{Attributes, HttpAttributes};

const NOW: UnixNanos = UnixNanos(0);

/// A policy of a namespace.
fn policy(namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: egress, namespace: {namespace}}}\n\
         spec: {spec}\n"
    )
}

/// A policy of a namespace that denies one host.
fn denies(namespace: &str) -> String {
    policy(namespace, "{deny: [{name: a, hosts: [a.example]}]}")
}

/// The policy of the root namespace: it denies `never.example` to all callers, and grants
/// `all.example` to isolated ones.
fn root() -> String {
    let spec = "{subjects: [{namespaces: ['**']}, {unauthenticated: true}], isolate: false, \
                deny: [{name: a, hosts: [never.example]}], allow: [{name: b, hosts: [all.example]}]}";
    policy("istio-system", spec)
}

const BROKEN: &str = "kind: [";

/// The source `root`, and the namespace root `teams` with some namespaces.
struct Site {
    set: PolicySet,
    snapshot: Option<Snapshot>,
}

impl Site {
    fn new() -> Site {
        let declarations = [
            SourceDeclaration::any_namespace("root"),
            SourceDeclaration::namespace_root("teams"),
        ];
        Site {
            set: PolicySet::new(declarations, Settings::default()),
            snapshot: None,
        }
    }

    /// One reload: each namespace with the text of its only file. An empty text is a directory
    /// without a file.
    fn round(&mut self, root: &str, teams: &[(&str, &str)]) -> Option<&'static str> {
        let namespaces = teams.iter().map(|(name, _)| (*name).to_owned()).collect();
        self.listed(
            root,
            Ok(NamespaceListing {
                namespaces,
                problems: Vec::new(),
            }),
            teams,
        )
    }

    fn listed(
        &mut self,
        root: &str,
        listing: Result<NamespaceListing, Vec<Problem>>,
        teams: &[(&str, &str)],
    ) -> Option<&'static str> {
        self.set.discover_namespaces(&"teams".into(), listing);
        let read = |(id, scope): (&SourceId, &SourceScope)| {
            let reading = match scope {
                SourceScope::NamespaceRoot => return None,
                SourceScope::AnyNamespace => Ok(source("root", root, None)),
                SourceScope::Namespace { namespace, .. } => {
                    match teams.iter().find(|(name, _)| name == namespace) {
                        Some((_, text)) => Ok(source(id.as_str(), text, Some(namespace.clone()))),
                        None => Err(vec![unreadable(id.as_str())]),
                    }
                }
            };
            (!self.set.is_unchanged(id, &reading)).then(|| (id.clone(), reading))
        };
        let policies = self.set.sources().filter_map(read).collect();
        let ReloadOutcome {
            snapshot, change, ..
        } = self.set.reload(
            SourceReadings {
                policies,
                settings: None,
            },
            NOW,
        );
        let published = change
            .as_ref()
            .is_some_and(|change| change.revision != change.previous_revision);
        assert_eq!(
            snapshot.is_some(),
            published,
            "a new revision and a new set go together"
        );
        self.snapshot = snapshot.or(self.snapshot.take());
        change.map(|change| change.outcome.as_str())
    }

    /// Returns the sources that are not good, with their state.
    fn states(&self) -> Vec<String> {
        let bad = self
            .set
            .statuses()
            .into_iter()
            .filter(|source| source.state != SourceHealth::Good);
        bad.map(|source| format!("{} {}", source.name, source.state.as_str()))
            .collect()
    }

    /// Returns the reason and the rule of the answer to a caller of this namespace.
    fn ask(&self, namespace: &str, host: &str) -> String {
        let principal = format!("spiffe://cluster.local/ns/{namespace}/sa/web");
        let attributes = http(&principal, host);
        let settings = Settings::default();
        let request = attributes.normalise(&settings);
        let verdict = self
            .snapshot
            .as_ref()
            .unwrap()
            .decide(&request, NOW)
            .verdict;
        format!("{} {}", verdict.reason.as_str(), verdict.rule)
    }
}

fn source(name: &str, text: &str, namespace: Option<String>) -> Source {
    let file = PolicyFile {
        name: "a.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    let files = if text.is_empty() {
        Vec::new()
    } else {
        vec![file]
    };
    Source {
        name: name.into(),
        files,
        namespace,
        ..Source::default()
    }
}

fn http<'a>(source_principal: &'a str, host: &'a str) -> Attributes<'a> {
    let http = HttpAttributes {
        host,
        method: "GET",
        path: "/",
        ..HttpAttributes::default()
    };
    Attributes {
        source_principal,
        has_address: true,
        http: Some(http),
        ..Attributes::default()
    }
}

fn unreadable(path: &str) -> Problem {
    Problem::error(Code::Unreadable, Place::whole(path), "gone")
}

const ISOLATED: &str = "not_in_allow_list builtin#namespace_unloaded";
const FREE: &str = "default_allow builtin#default_allow";

#[test]
fn one_that_was_never_good_isolates_its_own_namespace_and_nobody_else() {
    let mut site = Site::new();
    let outcome = site.round(&root(), &[("batch", &denies("batch")), ("shop", BROKEN)]);
    assert_eq!(
        (outcome, site.states()),
        (
            Some("published_in_part"),
            vec!["teams/shop never_loaded".to_owned()]
        )
    );
    for (namespace, host, expected) in [
        ("shop", "other.example", ISOLATED),
        (
            "shop",
            "never.example",
            "denied_by_rule ep:istio-system/egress#a",
        ),
        (
            "shop",
            "all.example",
            "allowed_by_rule ep:istio-system/egress#b",
        ),
        ("batch", "other.example", FREE),
        ("batch", "a.example", "denied_by_rule ep:batch/egress#a"),
        ("elsewhere", "other.example", FREE),
    ] {
        assert_eq!(site.ask(namespace, host), expected, "{namespace} to {host}");
    }
    let problems = site.set.statuses().pop().unwrap().problems;
    assert!(
        problems[0].text.contains("namespace `shop` is isolated") && !problems[0].is_error(),
        "{problems:?}"
    );
    assert!(
        problems[1].is_error()
            && problems[1]
                .place
                .to_string()
                .starts_with("teams/shop/a.yaml:1:")
    );
    assert_eq!(
        site.round(
            &root(),
            &[("batch", &denies("batch")), ("shop", &denies("shop"))]
        ),
        Some("published")
    );
    assert_eq!(
        (
            site.ask("shop", "other.example").as_str(),
            site.states().len()
        ),
        (FREE, 0)
    );
}

#[test]
fn a_namespace_goes_through_its_life() {
    let (good, other) = (
        denies("shop"),
        policy("shop", "{deny: [{name: b, hosts: [a.example]}]}"),
    );
    let (mine, yours) = (
        "denied_by_rule ep:shop/egress#a",
        "denied_by_rule ep:shop/egress#b",
    );
    let mut site = Site::new();
    assert_eq!(
        site.round(&root(), &[]),
        Some("published"),
        "no namespace yet"
    );
    for (step, shop, outcome, state, expected) in [
        (
            "appears broken",
            Some(BROKEN),
            Some("published_in_part"),
            "never_loaded",
            ISOLATED,
        ),
        ("broken still", Some(BROKEN), None, "never_loaded", ISOLATED),
        (
            "broken otherwise",
            Some("kind: {"),
            Some("refused"),
            "never_loaded",
            ISOLATED,
        ),
        (
            "emptied, never good",
            Some(""),
            Some("refused"),
            "never_loaded",
            ISOLATED,
        ),
        (
            "gone, never good",
            None,
            Some("refused"),
            "never_loaded",
            ISOLATED,
        ),
        ("good", Some(good.as_str()), Some("published"), "", mine),
        ("broken", Some(BROKEN), Some("refused"), "refused", mine),
        (
            "of another namespace",
            Some(&denies("batch")),
            Some("refused"),
            "refused",
            mine,
        ),
        ("good again", Some(&good), Some("recovered"), "", mine),
        ("changed", Some(&other), Some("published"), "", yours),
        ("emptied", Some(""), Some("refused"), "emptied", yours),
        ("gone", None, Some("refused"), "refused", yours),
        ("gone still", None, None, "refused", yours),
        ("back", Some(&good), Some("published"), "", mine),
    ] {
        let teams: Vec<_> = shop.iter().map(|text| ("shop", *text)).collect();
        assert_eq!(site.round(&root(), &teams), outcome, "{step}");
        let states: Vec<String> = [state]
            .iter()
            .filter(|s| !s.is_empty())
            .map(|s| format!("teams/shop {s}"))
            .collect();
        assert_eq!(
            (site.states(), site.ask("shop", "a.example").as_str()),
            (states, expected),
            "{step}"
        );
    }
}

#[test]
fn an_empty_directory_is_good_and_may_go_as_it_came() {
    let mut site = Site::new();
    site.round(&root(), &[]);
    assert_eq!(
        site.round(&root(), &[("shop", "")]),
        None,
        "nothing is in force that was not before"
    );
    assert_eq!(
        (
            site.ask("shop", "a.example").as_str(),
            site.set.statuses().len()
        ),
        (FREE, 3)
    );
    assert_eq!(
        (site.round(&root(), &[]), site.set.statuses().len()),
        (None, 2)
    );
}

#[test]
fn what_only_the_set_shows_is_the_namespaces_own_fault_too() {
    let needs = policy("shop", "{allow: [{name: a, destinations: [none]}]}");
    let twice = format!("{}---\n{}", root(), denies("shop"));
    for (step, root, shop, code) in [
        ("a set that is missing", root(), needs, Code::MissingSet),
        (
            "a policy that the root has too",
            twice,
            denies("shop"),
            Code::Duplicate,
        ),
    ] {
        let mut site = Site::new();
        let outcome = site.round(&root, &[("batch", &denies("batch")), ("shop", &shop)]);
        assert_eq!(
            (outcome, site.states()),
            (
                Some("published_in_part"),
                vec!["teams/shop never_loaded".into()]
            ),
            "{step}"
        );
        assert_eq!(
            (
                site.ask("shop", "x.example").as_str(),
                site.ask("batch", "x.example").as_str()
            ),
            (ISOLATED, FREE)
        );
        assert_eq!(
            site.set.statuses().pop().unwrap().problems[1].code,
            code,
            "{step}"
        );
    }
}

#[test]
fn too_large_a_set_is_the_fault_of_the_largest_namespace() {
    let mut site = Site::new();
    let large = format!("{}#{}", denies("shop"), " ".repeat(MAX_SET));
    let outcome = site.round(&root(), &[("batch", &denies("batch")), ("shop", &large)]);
    assert_eq!(
        (outcome, site.states()),
        (
            Some("published_in_part"),
            vec!["teams/shop never_loaded".into()]
        )
    );
    assert_eq!(
        site.ask("batch", "a.example"),
        "denied_by_rule ep:batch/egress#a"
    );
}

#[test]
fn callers_without_a_valid_identity_could_be_of_an_isolated_namespace() {
    let mut site = Site::new();
    let silent = policy(
        "istio-system",
        "{deny: [{name: a, hosts: [never.example]}]}",
    );
    site.round(&silent, &[("shop", BROKEN)]);
    let attributes = http("", "x.example");
    let settings = Settings::default();
    let verdict = site
        .snapshot
        .unwrap()
        .decide(&attributes.normalise(&settings), NOW)
        .verdict;
    assert_eq!(
        (verdict.reason, verdict.rule.to_string().as_str()),
        (Reason::NotInAllowList, "builtin#unauthenticated")
    );
}

#[test]
fn a_mistake_beside_the_directories_is_told_and_holds_nothing_up() {
    let mut site = Site::new();
    let teams = [("shop", denies("shop"))];
    let teams: Vec<_> = teams
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let listing = |stray: bool| {
        let stray = stray
            .then(|| Problem::error(Code::Misplaced, Place::whole("teams/stray.yaml"), "stray"));
        Ok(NamespaceListing {
            namespaces: ["shop".into()].into(),
            problems: stray.into_iter().collect(),
        })
    };
    assert_eq!(
        site.listed(&root(), listing(true), &teams),
        Some("published_in_part")
    );
    assert_eq!(site.states(), ["teams refused"]);
    assert_eq!(site.listed(&root(), listing(true), &teams), None);
    assert_eq!(
        site.listed(&root(), listing(false), &teams),
        Some("recovered")
    );
    assert_eq!(site.listed(&root(), listing(true), &teams), Some("refused"));
}

#[test]
fn a_directory_of_namespaces_that_was_never_listed_holds_everything_up() {
    let gone = || Err(vec![unreadable("teams")]);
    let mut site = Site::new();
    assert_eq!(site.listed(&root(), gone(), &[]), Some("refused"));
    assert_eq!(
        (site.states(), site.set.is_ready()),
        (vec!["teams never_loaded".to_owned()], false)
    );
    assert_eq!(
        site.round(&root(), &[("shop", &denies("shop"))]),
        Some("published")
    );
    assert_eq!(site.listed(&root(), gone(), &[]), Some("refused"));
    assert_eq!(site.states(), ["teams refused", "teams/shop refused"]);
    assert_eq!(
        site.ask("shop", "a.example"),
        "denied_by_rule ep:shop/egress#a",
        "the last good content stays"
    );
}
