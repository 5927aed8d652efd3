//! Tables for comparing two sets: one thing changes, and these answers change.

use super::*;
use customs_engine::settings::Settings;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};

mod istio;
mod request;

use request::request;

const NOW: UnixNanos = UnixNanos(1_793_491_200_000_000_000); // 2026-11-01T00:00:00Z

fn snapshot(documents: &str) -> Snapshot {
    let settings = Settings::default();
    let file = PolicyFile {
        name: "p.yaml".into(),
        bytes: documents.as_bytes().into(),
    };
    let loaded = source::load(
        &Source {
            name: "p".into(),
            files: vec![file],
            ..Source::default()
        },
        &settings,
    );
    compile::compile(&[loaded], &settings)
        .unwrap_or_else(|why| panic!("{why:?}\n{documents}"))
        .snapshot
}

fn egress(namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: e, namespace: {namespace}}}\n\
         spec: {spec}\n"
    )
}

fn istio(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
         metadata: {{name: {name}, namespace: istio-system}}\nspec: {spec}\n"
    )
}

fn set(host: &str) -> String {
    format!(
        "---\napiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata: {{name: s, namespace: web}}\n\
         spec: {{hosts: [{host}]}}\n"
    )
}

fn between(old: &str, new: &str) -> Diff {
    diff(&snapshot(old), &snapshot(new), NOW)
}

fn shift(shift: Shift) -> &'static str {
    match shift {
        Shift::Allowed => "allowed",
        Shift::Denied => "denied",
        Shift::DryRun => "dry-run",
        Shift::Reason => "reason",
    }
}

/// The shift of the cell that a request is in; `None` if the sets answer it alike.
fn shift_of(old: &Snapshot, new: &Snapshot, sample: &SampleRequest) -> Option<Shift> {
    let space = Space::new(&[old, new], &[], NOW);
    sample.with(old.settings(), |request| {
        let asked = Shifted::between(&old.decide(request, NOW), &new.decide(request, NOW));
        let mut found = Vec::new();
        let outcome = space.explore_changes(BUDGET, |cell| {
            if cell.contains(request) {
                let [old, new] = cell.decisions() else {
                    panic!()
                };
                found.push(Shifted::between(old, new).map(|shifted| shifted.shift));
            }
            ControlFlow::Continue(())
        });
        assert!(outcome.is_complete(), "{:?}", outcome.left[0].to_string());
        let asked = asked.map(|shifted| shifted.shift);
        let found = found.pop().flatten();
        let is_effect = |shift: &Shift| *shift != Shift::Reason;
        assert_eq!(found.filter(is_effect), asked.filter(is_effect), "{sample}");
        asked
    })
}

/// Asserts that the answers of these requests change in this way, and of those do not. Of the latter,
/// a shift alone is one that no request has.
#[track_caller]
fn changes(old: &str, new: &str, expected: &[&str], not: &[&str]) {
    let (old, new) = (snapshot(old), snapshot(new));
    let difference = diff(&old, &new, NOW);
    assert_eq!(difference.left, []);
    for group in &difference.groups {
        assert!(
            !not.contains(&shift(group.answers.shift)),
            "{:#?}",
            group.regions
        );
        for region in &group.regions {
            let found = shift_of(&old, &new, &region.witness);
            assert_eq!(found, Some(group.answers.shift), "{region:?}");
        }
    }
    for line in expected {
        let (wanted, line) = line.split_once(' ').unwrap();
        let found = shift_of(&old, &new, &request(line)).map(shift);
        assert_eq!(found, Some(wanted), "{line}");
    }
    for line in not.iter().filter(|line| line.contains(" -> ")) {
        let (unwanted, line) = line.split_once(' ').unwrap();
        let found = shift_of(&old, &new, &request(line)).map(shift);
        assert!(
            found != Some(unwanted) && (unwanted != "any" || found.is_none()),
            "{line} {found:?}"
        );
    }
}

/// `allowed web/* -> http://a.example` for each region whose answer changes.
fn reported(diff: &Diff) -> Vec<String> {
    let line = |group: &Group, region: &Region| {
        let callers: Vec<&str> = region.callers.iter().map(String::as_str).collect();
        let shift = shift(group.answers.shift);
        format!("{shift} {} -> {}", callers.join(", "), region.destination)
    };
    let of = |group: &Group| -> Vec<String> {
        let regions = group.regions.iter();
        regions.map(|region| line(group, region)).collect()
    };
    diff.groups.iter().flat_map(of).collect()
}

fn rules(old: &str, new: &str) -> Vec<String> {
    let line = |change: &RuleChange| match &change.change {
        Change::Added => format!("+ {}", change.id),
        Change::Removed => format!("- {}", change.id),
        Change::Changed(parts) => format!("~ {} {}", change.id, parts.join(",")),
    };
    between(old, new).rules.iter().map(line).collect()
}

#[test]
fn a_set_does_not_differ_from_itself_wherever_it_stands() {
    let web = egress(
        "web",
        "{isolate: true, allow: [{name: a, hosts: [a.example]}], deny: [{name: d, hosts: [b.a]}]}",
    );
    let root = istio(
        "gate",
        "{rules: [{to: [{operation: {hosts: [a.example], ports: ['443']}}]}]}",
    );
    let one = between(
        &format!("{web}{root}"),
        &format!("# moved\n{root}\n\n{web}"),
    );
    assert_eq!((one.rules, one.groups, one.left), (vec![], vec![], vec![]));
    assert_eq!(one.asked, 0, "no request can have another answer");
}

#[test]
fn a_deny_that_is_added_stops_whom_it_names() {
    changes(
        &egress("web", "{deny: [{name: d, hosts: [a.example]}]}"),
        &egress(
            "web",
            "{deny: [{name: d, hosts: [a.example]}, {name: e, hosts: ['*.bad.example'], methods: [POST]}]}",
        ),
        &[
            "denied web/made-up -> POST http://made-up.bad.example/",
            "denied unauthenticated -> POST http://made-up.bad.example:8443/",
            "denied web/made-up -> tcp://made-up.bad.example",
        ],
        &[
            "allowed",
            "any made-up/made-up -> POST http://made-up.bad.example/",
            "any web/made-up -> POST http://a.example/",
            "any web/made-up -> http://made-up.bad.example/",
        ],
    );
}

#[test]
fn a_host_that_is_widened_lets_its_members_through() {
    let old = egress(
        "web",
        "{isolate: true, allow: [{name: a, hosts: [pay.example]}]}",
    );
    let new = egress(
        "web",
        "{isolate: true, allow: [{name: a, hosts: [pay.example, '*.pay.example:*']}]}",
    );
    changes(
        &old,
        &new,
        &[
            "allowed web/made-up -> http://made-up.pay.example/",
            "allowed web/made-up -> http://made-up.pay.example:8443/",
            "allowed web/made-up -> tcp://made-up.pay.example",
        ],
        &[
            "denied",
            "any web/made-up -> http://pay.example/",
            "any unauthenticated -> http://made-up.pay.example/",
            "any web/made-up -> http://made-up.invalid/",
            "any made-up/made-up -> http://made-up.pay.example/",
        ],
    );
    changes(
        &new,
        &old,
        &["denied web/made-up -> http://made-up.pay.example/"],
        &["allowed"],
    );
    assert_eq!(rules(&old, &new), ["~ ep:web/e#a destinations"]);
}

#[test]
fn an_end_counts_from_its_moment_on() {
    let entry = |expires: &str| {
        egress(
            "web",
            &format!("{{isolate: true, allow: [{{name: a, hosts: [a.example]{expires}}}]}}"),
        )
    };
    let past = entry(", expires: '2026-10-01T00:00:00Z'");
    let future = entry(", expires: '2026-12-01T00:00:00Z'");
    changes(
        &entry(""),
        &past,
        &["denied web/made-up -> http://a.example/"],
        &["allowed"],
    );
    assert_eq!(
        reported(&between(&entry(""), &future)),
        [""; 0],
        "the end has not come"
    );
    assert_eq!(rules(&entry(""), &future), ["~ ep:web/e#a expires"]);
    let later = diff(
        &snapshot(&entry("")),
        &snapshot(&future),
        UnixNanos(NOW.0 * 2),
    );
    let denied = "denied web/* -> http://a.example, no port, port 80, port 443".to_owned();
    assert!(reported(&later).contains(&denied), "{:?}", reported(&later));
}

#[test]
fn a_trial_that_ends_is_a_denial_and_a_trial_that_starts_only_would_be() {
    let other = "{name: x, hosts: [x.example]}";
    let deny = |mode: &str| {
        egress(
            "web",
            &format!("{{deny: [{other}, {{name: d, hosts: [a.example]{mode}}}]}}"),
        )
    };
    let (none, report, enforce) = (
        egress("web", &format!("{{deny: [{other}]}}")),
        deny(", mode: Report"),
        deny(""),
    );
    changes(
        &report,
        &enforce,
        &["denied web/made-up -> http://a.example/"],
        &["allowed", "dry-run"],
    );
    changes(
        &none,
        &report,
        &["dry-run web/made-up -> http://a.example/"],
        &["denied", "allowed"],
    );
    assert_eq!(rules(&report, &enforce), ["~ ep:web/e#d mode"]);
    assert!(
        !between(&none, &report).changes_verdicts()
            && between(&report, &enforce).changes_verdicts()
    );
}

#[test]
fn isolation_stops_everything_that_is_not_allowed() {
    let spec = |isolate: bool| {
        let other = egress("shop", "{deny: [{name: d, hosts: [shop.example]}]}");
        egress(
            "web",
            &format!("{{isolate: {isolate}, allow: [{{name: a, hosts: [a.example]}}]}}"),
        ) + &other
    };
    changes(
        &spec(false),
        &spec(true),
        &[
            "denied web/made-up -> http://made-up.invalid/",
            "denied web/made-up -> http://shop.example/",
            "denied unauthenticated -> http://a.example/",
            "reason web/made-up -> http://a.example/",
        ],
        &[
            "denied web/made-up -> http://a.example/",
            "any made-up/made-up -> http://a.example/",
            "any shop/made-up -> http://a.example/",
            "allowed",
        ],
    );
    assert_eq!(rules(&spec(false), &spec(true)), ["+ ep:web/e"]);
}

#[test]
fn an_exception_that_is_removed_closes_its_opening() {
    let deny = |except: &str| {
        let subjects = "subjects: [{namespaces: ['**']}]";
        egress(
            "istio-system",
            &format!("{{{subjects}, deny: [{{name: d, hosts: ['*.bad.example']{except}}}]}}"),
        )
    };
    let except = ", except: [{subjects: [{serviceAccounts: [web/app]}], hosts: [ok.bad.example], methods: [GET]}]";
    changes(
        &deny(except),
        &deny(""),
        &["denied web/app -> http://ok.bad.example/"],
        &[
            "any web/made-up -> http://ok.bad.example/",
            "any web/app -> POST http://ok.bad.example/",
            "allowed",
            "any web/app -> http://made-up.bad.example/",
        ],
    );
    assert_eq!(
        rules(&deny(except), &deny("")),
        ["~ ep:istio-system/e#d except"]
    );
}

#[test]
fn a_rule_for_everybody_is_asked_about_whom_others_name() {
    let web = egress(
        "web",
        "{subjects: [{serviceAccounts: [app]}], deny: [{name: d, hosts: [x.example]}]}",
    );
    let root = egress(
        "istio-system",
        "{subjects: [{namespaces: ['**']}], deny: [{name: d, hosts: [y.example]}]}",
    );
    let both = format!("{web}{root}");
    changes(
        &web,
        &both,
        &["denied web/app -> http://y.example/"],
        &[
            "any web/app -> http://x.example/",
            "any web/app -> http://made-up.invalid/",
        ],
    );
    let allow = "{subjects: [{namespaces: ['**']}], isolate: true, allow: [{name: a, hosts: ['*.example']}]}";
    let expected = [
        "denied web/app -> http://made-up.invalid/",
        "reason made-up/made-up -> http://x.example/",
    ];
    changes(
        &web,
        &format!("{web}{}", egress("istio-system", allow)),
        &expected,
        &["denied web/app -> http://x.example/"],
    );
}

#[test]
fn a_destination_set_changes_the_entries_that_use_it() {
    let policy = egress(
        "web",
        "{isolate: true, allow: [{name: a, destinations: [s]}]}",
    );
    let (old, new) = (
        format!("{policy}{}", set("a.example")),
        format!("{policy}{}", set("b.example")),
    );
    let expected = [
        "denied web/made-up -> http://a.example/",
        "allowed web/made-up -> http://b.example/",
    ];
    let not = [
        "any unauthenticated -> http://a.example/",
        "any unauthenticated -> http://b.example/",
    ];
    changes(&old, &new, &expected, &not);
    assert_eq!(rules(&old, &new), ["~ ep:web/e#a destinations"]);
    let unused = egress("web", "{isolate: true}");
    assert_eq!(
        between(
            &format!("{unused}{}", set("a.example")),
            &format!("{unused}{}", set("b.example"))
        )
        .rules,
        []
    );
}

#[test]
fn words_and_order_change_no_verdict() {
    let deny = |words: &str| {
        egress(
            "web",
            &format!("{{deny: [{{name: d, hosts: [a.example]{words}}}]}}"),
        )
    };
    let (old, new) = (deny(""), deny(", ticket: T-1, reason: because"));
    assert_eq!(reported(&between(&old, &new)), [""; 0]);
    assert_eq!(rules(&old, &new), ["~ ep:web/e#d reason,ticket"]);
    let renamed = old.replace("name: d", "name: e");
    assert_eq!(rules(&old, &renamed), ["- ep:web/e#d", "+ ep:web/e#e"]);
    let renamed = between(&old, &renamed);
    assert!(
        !renamed.changes_verdicts()
            && reported(&renamed)
                .iter()
                .all(|line| line.starts_with("reason "))
    );
}

#[test]
fn equal_changes_are_one_group() {
    let deny = |hosts: &str| egress("web", &format!("{{deny: [{{name: d, hosts: [{hosts}]}}]}}"));
    let diff = between(&deny("x.x"), &deny("x.x, a.example, b.example"));
    assert_eq!(diff.groups.len(), 1, "{:#?}", diff.groups);
    let group = &diff.groups[0];
    assert_eq!(
        (
            group.answers.new.rule.to_string().as_str(),
            group.answers.shift
        ),
        ("ep:web/e#d", Shift::Denied)
    );
    let both =
        "denied callers without a valid identity, web/* -> http://a.example, b.example".to_owned();
    assert!(reported(&diff).contains(&both), "{:#?}", reported(&diff));
}

#[test]
fn a_large_change_says_what_it_did_not_compare() {
    let set = |suffix: &str| {
        let hosts = |index: usize| {
            (0..6)
                .map(|host| format!("h{host}.n{index}.{suffix}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let policy = |index: usize| {
            let spec = format!(
                "{{isolate: true, allow: [{{name: a, hosts: [{}]}}]}}",
                hosts(index)
            );
            egress(&format!("ns{index}"), &spec)
        };
        (0..60).map(policy).collect::<String>()
    };
    let (old, new) = (snapshot(&set("old")), snapshot(&set("new")));
    let whole = diff(&old, &new, NOW);
    assert_eq!((whole.rules.len(), whole.left.len()), (60, 0));
    for shift in [Shift::Allowed, Shift::Denied] {
        let of_shift = |group: &&Group| group.answers.shift == shift;
        let rules = whole.groups.iter().filter(of_shift).count();
        assert_eq!(rules, 60, "each rule has its regions: {shift:?}");
    }
    let cut = diff_within(&old, &new, NOW, 50);
    assert_eq!(cut.asked, 50);
    assert!(!cut.is_proved() && cut.left.iter().all(|left| left.words.contains("limit")));
    // Whatever differs is reported or left.
    let space = Space::new(&[&old, &new], &[], NOW);
    let mut cells = Vec::new();
    let outcome = space.explore_changes(50, |cell| {
        cells.push(cell.witness().unwrap().clone());
        ControlFlow::Continue(())
    });
    for region in whole.groups.iter().flat_map(|group| &group.regions) {
        let is_known = region.witness.with(old.settings(), |request| {
            cells.contains(&region.witness)
                || outcome.left.iter().any(|left| left.contains(request))
        });
        assert!(is_known, "{region:?}");
    }
}
