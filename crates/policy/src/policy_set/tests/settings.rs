//! Reloads in which the settings file changes, alone or together with policies.

use super::super::*;
use crate::problem::{Code, Place};
use crate::source::PolicyFile;
use customs_engine::enforcement::Enforcement;
use customs_engine::identity::Accepted;
use customs_engine::settings::DefaultEffect;

const NOW: UnixNanos = UnixNanos(0);
const FILE: &str = "settings.yaml";
const BROKEN: &str = "kind: [";

/// A policy of a namespace that denies some hosts.
fn denies(namespace: &str, hosts: usize) -> String {
    let entries: String = (0..hosts)
        .map(|n| format!("  - {{name: no-{n}, hosts: [h{n}.example]}}\n"))
        .collect();
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: p, namespace: {namespace}}}\n\
         spec:\n  deny:\n{entries}"
    )
}

/// The same with a subject that only some settings allow.
fn partners(hosts: usize) -> String {
    denies("a", hosts).replace(
        "spec:\n",
        "spec:\n  subjects: [{trustDomains: [partner.td]}]\n",
    )
}

fn settings(default_effect: DefaultEffect, partner: bool) -> Box<Settings> {
    let mut settings = Box::new(Settings {
        default_effect,
        ..Settings::default()
    });
    settings.trust_domains.accepted = Accepted::Only(
        partner
            .then(|| "partner.td".to_owned())
            .into_iter()
            .collect(),
    );
    settings
}

fn allow() -> Box<Settings> {
    settings(DefaultEffect::Allow, false)
}

fn deny() -> Box<Settings> {
    settings(DefaultEffect::Deny, false)
}

fn partner() -> Box<Settings> {
    settings(DefaultEffect::Allow, true)
}

/// The content of the settings file.
enum Holds {
    Same,
    Settings(Box<Settings>),
    Mistake,
}

/// Sources `a` and `b`, and a settings file.
struct Rounds {
    set: PolicySet,
    in_force: Option<Snapshot>,
    count: u8,
}

impl Rounds {
    fn new() -> Rounds {
        let declarations = ["a", "b"].map(SourceDeclaration::any_namespace);
        let set = PolicySet::new(declarations, *allow()).with_settings_source(FILE);
        Rounds {
            set,
            in_force: None,
            count: 0,
        }
    }

    /// A good first set.
    fn begun() -> Rounds {
        let mut rounds = Rounds::new();
        rounds.round(Holds::Settings(allow()), &denies("a", 1), &denies("b", 1));
        rounds
    }

    fn round(&mut self, holds: Holds, a: &str, b: &str) -> PolicyChange {
        self.try_round(holds, a, b).expect("a record")
    }

    fn try_round(&mut self, holds: Holds, a: &str, b: &str) -> Option<PolicyChange> {
        self.count += 1;
        let bytes = Ok(vec![self.count]);
        let parsed = match holds {
            Holds::Same => None,
            Holds::Settings(settings) => Some(Ok(ParsedSettings {
                settings: *settings,
                warnings: Vec::new(),
            })),
            Holds::Mistake => {
                let problem = Problem::error(Code::BadSetting, Place::whole(FILE), "no setting");
                Some(Err(vec![problem]))
            }
        };
        let settings = parsed.map(|parsed| SettingsReading { bytes, parsed });
        let source = |name: &str, text: &str| {
            let file = PolicyFile {
                name: "p.yaml".into(),
                bytes: text.as_bytes().into(),
            };
            let source = Source {
                name: name.into(),
                files: vec![file],
                ..Source::default()
            };
            (SourceId::from(name), Ok(source))
        };
        let read = [source("a", a), source("b", b)].into_iter();
        let policies = read
            .filter(|(id, reading)| !self.set.is_unchanged(id, reading))
            .collect();
        let ReloadOutcome {
            snapshot, change, ..
        } = self.set.reload(SourceReadings { policies, settings }, NOW);
        self.in_force = snapshot.or(self.in_force.take());
        change
    }

    /// The default effect, whether partners are accepted, and how many hosts are denied.
    fn in_force(&self) -> (DefaultEffect, bool, usize) {
        let snapshot = self.in_force.as_ref().unwrap();
        assert_eq!(snapshot.settings(), self.set.settings().as_ref());
        assert_eq!(snapshot.revision(), self.set.revision());
        let settings = snapshot.settings();
        let partner = settings.trust_domains.accepted != Accepted::Only(Default::default());
        (
            settings.default_effect,
            partner,
            snapshot.counts().egress_deny,
        )
    }

    fn file(&self) -> SourceStatus {
        let status = self.set.statuses().pop().unwrap();
        assert_eq!(status.name, FILE);
        status
    }
}

const ALLOW: DefaultEffect = DefaultEffect::Allow;
const DENY: DefaultEffect = DefaultEffect::Deny;

#[test]
fn new_settings_are_a_new_revision_and_are_told() {
    let (mut rounds, a, b) = (Rounds::begun(), denies("a", 1), denies("b", 1));
    let entry = rounds.round(Holds::Settings(deny()), &a, &b);
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::Published, (DENY, false, 2))
    );
    assert_ne!(entry.revision, entry.previous_revision);
    let reported = entry
        .problems
        .iter()
        .find(|p| p.code == Code::SettingChanged)
        .unwrap();
    assert!(
        reported
            .text
            .contains("`default=Allow` is now `default=Deny`"),
        "{reported}"
    );
    let entry = rounds.round(Holds::Same, &a, &denies("b", 2));
    assert!(
        entry.problems.is_empty(),
        "news are reported once: {:?}",
        entry.problems
    );
    assert!(
        rounds
            .try_round(Holds::Settings(deny()), &a, &denies("b", 2))
            .is_none(),
        "another text, the same settings"
    );
}

#[test]
fn a_bad_settings_file_is_refused_and_the_last_settings_stay() {
    let (mut rounds, a, b) = (Rounds::begun(), denies("a", 1), denies("b", 1));
    let entry = rounds.round(Holds::Mistake, &a, &b);
    assert_eq!(
        (entry.outcome, entry.refused_sources),
        (ChangeOutcome::Refused, vec![FILE.to_owned()])
    );
    assert_eq!(
        (rounds.file().state, rounds.in_force()),
        (SourceHealth::Refused, (ALLOW, false, 2))
    );
    let entry = rounds.round(Holds::Same, &a, &denies("b", 2));
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::PublishedInPart, (ALLOW, false, 3))
    );
    let entry = rounds.round(Holds::Settings(allow()), &a, &denies("b", 2));
    assert_eq!(
        (entry.outcome, rounds.file().state),
        (ChangeOutcome::Recovered, SourceHealth::Good)
    );
}

#[test]
fn settings_that_would_break_a_source_wait_for_it() {
    let b = denies("b", 1);
    let mut rounds = Rounds::new();
    rounds.round(Holds::Settings(partner()), &partners(1), &b);
    let entry = rounds.round(Holds::Settings(deny()), &partners(1), &b);
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::Refused, (ALLOW, true, 2))
    );
    let problems = rounds.file().problems;
    assert!(
        problems[0]
            .text
            .contains("with these settings `a` would not load"),
        "{}",
        problems[0]
    );
    assert_eq!(
        (problems[1].code, problems[1].place.file.as_ref()),
        (Code::BadIdentity, "a/p.yaml")
    );
    let entry = rounds.round(Holds::Same, &denies("a", 3), &b);
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::Published, (DENY, false, 4)),
        "tried again"
    );
    assert_eq!(rounds.file().state, SourceHealth::Good);
}

#[test]
fn settings_and_policies_that_need_each_other_are_taken_together() {
    let (mut rounds, b) = (Rounds::begun(), denies("b", 1));
    let entry = rounds.round(Holds::Settings(partner()), &partners(3), &b);
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::Published, (ALLOW, true, 4)),
        "there"
    );
    let entry = rounds.round(Holds::Settings(deny()), &denies("a", 1), &b);
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::Published, (DENY, false, 2)),
        "and back"
    );
}

#[test]
fn new_settings_are_never_in_force_with_the_old_policies_of_the_same_change() {
    let (mut rounds, b) = (Rounds::begun(), denies("b", 1));
    let entry = rounds.round(Holds::Settings(deny()), BROKEN, &denies("b", 2));
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::PublishedInPart, (ALLOW, false, 3))
    );
    assert_eq!(entry.refused_sources, ["a", FILE]);
    assert!(
        rounds.file().problems[0]
            .text
            .contains("`a` changed at the same time and is refused")
    );
    rounds.round(Holds::Same, BROKEN, &b);
    assert_eq!(rounds.in_force(), (ALLOW, false, 2), "still waiting");
    let entry = rounds.round(Holds::Same, &denies("a", 2), &b);
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::Published, (DENY, false, 3))
    );
}

#[test]
fn a_source_that_was_refused_before_holds_no_settings_up() {
    let (mut rounds, b) = (Rounds::begun(), denies("b", 1));
    rounds.round(Holds::Same, BROKEN, &b);
    let entry = rounds.round(Holds::Settings(deny()), BROKEN, &b);
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::PublishedInPart, (DENY, false, 2))
    );
}

#[test]
fn before_the_first_set_settings_take_effect_at_once() {
    let mut rounds = Rounds::new();
    let report = Box::new(Settings {
        enforcement: Enforcement::Report,
        ..*partner()
    });
    rounds.round(Holds::Settings(allow()), BROKEN, &denies("b", 1));
    assert!(rounds.in_force.is_none());
    rounds.round(Holds::Settings(report), BROKEN, &denies("b", 1));
    let unloaded = rounds.in_force.as_ref().unwrap();
    assert!(!unloaded.is_loaded() && unloaded.settings().enforcement == Enforcement::Report);
    let entry = rounds.round(Holds::Same, &partners(2), &denies("b", 1));
    assert_eq!(
        (entry.outcome, rounds.in_force()),
        (ChangeOutcome::Published, (ALLOW, true, 3))
    );
}
