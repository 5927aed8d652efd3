//! What a week holds, and that it is the same each time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;

use customs_engine::effect::Effect;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::{compile, source};
use customs_record::proto::Record;
use customs_record::record_reader::{Piece, RecordReader};
use customs_record::segment_name::is_index;
use customs_record::signing::Verifier;
use customs_record::verify::report::Outcome;
use customs_record::verify::{VerifyOptions, verify};
use customs_sources::policy_archive::PolicyArchive;

use super::crossings::{Crossings, LAUNCHED};
use super::policies::Edition;
use super::*;

fn made(options: &WeekOptions) -> (tempfile::TempDir, WeekPaths, WeekSummary) {
    let directory = tempfile::tempdir().unwrap();
    let summary = make(directory.path(), options).unwrap();
    let paths = WeekPaths::of(directory.path());
    (directory, paths, summary)
}

/// Calls `take` for every record of a week.
fn each(paths: &WeekPaths, mut take: impl FnMut(&Record)) {
    for path in paths.segments().unwrap() {
        let mut reader = RecordReader::unpack(File::open(&path).unwrap()).unwrap();
        while let Some(piece) = reader.next_piece().unwrap() {
            match piece {
                Piece::Record(raw) => take(&raw.decode().unwrap()),
                Piece::NoRecord(place, why) => panic!("{place:?}: {why}"),
            }
        }
        assert_eq!(reader.unfinished(), None, "{}", path.display());
    }
}

/// Returns every file below a directory with its bytes, without indices: a thread makes them
/// after a file is closed, and they hold when that was, by the real clock.
fn files(directory: &Path, into: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if !is_index(&path) {
            into.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
}

#[test]
fn the_same_options_make_the_same_bytes() {
    let options = WeekOptions::of(1_500);
    let all = || {
        let (directory, _, _) = made(&options);
        let mut all = BTreeMap::new();
        files(directory.path(), &mut all);
        let relative = all.into_iter().map(|(path, bytes)| {
            (
                path.strip_prefix(directory.path()).unwrap().to_owned(),
                bytes,
            )
        });
        relative.collect::<BTreeMap<_, _>>()
    };
    let first = all();
    assert!(first.len() > 40, "{:?}", first.keys());
    let second = all();
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        second.keys().collect::<Vec<_>>()
    );
    for (path, bytes) in &first {
        assert!(second[path] == *bytes, "{}", path.display());
    }
    let (_other, paths, _) = made(&WeekOptions { seed: 2, ..options });
    let name = Path::new("audit/audit.jsonl");
    assert_ne!(first[name], fs::read(paths.file(Format::Json)).unwrap());
}

#[test]
fn every_form_of_the_week_verifies_and_holds_what_its_summary_says() {
    for (format, gzip) in [
        (Format::Json, false),
        (Format::Json, true),
        (Format::Protobuf, false),
    ] {
        let (_kept, paths, summary) = made(&WeekOptions {
            format,
            gzip,
            ..WeekOptions::of(2_000)
        });
        let segments = paths.segments().unwrap();
        assert!(segments.len() > 5, "{segments:?}");
        let packed = segments
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "gz"));
        assert_eq!(packed.count(), if gzip { segments.len() - 1 } else { 0 });
        let report = verify(&VerifyOptions {
            files: segments,
            checkpoints: Some(paths.checkpoints()),
            keys: vec![Verifier::read(&paths.public_key()).unwrap()],
        })
        .unwrap();
        assert_eq!((report.outcome, &report.bad), (Outcome::Intact, &None));
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        each(&paths, |record| {
            *kinds.entry(record.kind.clone()).or_default() += 1
        });
        assert_eq!(kinds, summary.records);
        assert_eq!(
            kinds["decision"] + summary.lost,
            summary.crossings + summary.torn
        );
        assert_eq!(
            (summary.lost, summary.torn, summary.revisions.len()),
            (38, 1, 4)
        );
        assert_eq!(WeekSummary::read(&paths).unwrap(), summary);
        let archive = PolicyArchive::new(paths.archive());
        let mut revisions = summary.revisions.clone();
        revisions.sort();
        assert_eq!(archive.revisions().unwrap(), revisions);
        for revision in &revisions {
            archive.load(revision).unwrap();
        }
    }
}

#[test]
fn a_week_has_what_a_gateway_sees() {
    let (_kept, paths, summary) = made(&WeekOptions::of(10_000));
    let mut found = BTreeSet::new();
    let (mut namespaces, mut streams, mut days) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut lost, mut last) = (0, 0);
    each(&paths, |record| {
        let time = record.time.unwrap();
        let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
        assert!(nanos >= last, "{record:?}");
        last = nanos;
        assert!((MONDAY..=MONDAY + 7 * DAY).contains(&nanos), "{record:?}");
        streams.insert(record.stream.clone());
        days.insert((nanos - MONDAY) / DAY);
        found.extend([
            record.kind.clone(),
            record.reason.clone(),
            record.identity.clone(),
        ]);
        found.extend([
            record.protocol.clone(),
            record.outcome.clone(),
            record.owner.clone(),
        ]);
        if record.verdict != record.dry_run {
            found.insert(format!("{} but {}", record.verdict, record.dry_run));
            found.insert(format!("dry run of {}", record.dry_run_owner));
        }
        if !record.namespace.is_empty() {
            namespaces.insert(record.namespace.clone());
        }
        lost += record
            .lost
            .map_or(0, |lost| lost.allows + lost.denials + lost.differing);
    });
    for word in [
        "decision",
        "policyChange",
        "question",
        "grantEnd",
        "start",
        "stop",
        "withheld",
        "callerGone",
        "refusals",
        "stream",
        "gap",
        "checkpoint",
        "allowed_by_rule",
        "denied_by_rule",
        "not_in_allow_list",
        "expired_exception",
        "malformed_host",
        "default_allow",
        "unauthenticated",
        "invalid_identity",
        "untrusted_domain",
        "valid",
        "http",
        "tcp",
        "published",
        "refused",
        "recovered",
        "team-security",
        "team-billing",
        "allow but deny",
        "dry run of team-security",
        "dry run of team-archive",
    ] {
        assert!(found.contains(word), "{word}: {found:?}");
    }
    assert_eq!((namespaces.len(), streams.len(), days.len()), (30, 4, 7));
    assert_eq!(lost + summary.torn, summary.lost);
}

/// Returns the set of an edition, as a server compiles it.
fn snapshot(edition: Edition) -> Snapshot {
    let settings = Settings::default();
    let loaded = source::load(&policies::source(edition, MONDAY), &settings);
    compile::compile(&[loaded], &settings).unwrap().snapshot
}

#[test]
fn later_policies_answer_every_crossing_as_those_of_its_time_did() {
    let launched = policies::MIGRATION_ENDS.min(DAY + 10 * HOUR);
    assert!(launched < LAUNCHED);
    let sets: Vec<Snapshot> = [
        Edition::First,
        Edition::Launched,
        Edition::Trimmed,
        Edition::Annotated,
    ]
    .map(snapshot)
    .into();
    let mut rng = fastrand::Rng::with_seed(7);
    let mut crossings = Crossings::draw(&mut rng);
    let (mut allowed, mut denied) = (0, 0);
    for hour in 0..HOURS {
        crossings.begin_hour(hour);
        for nth in 0..60 {
            let since = hour as i128 * HOUR + nth * (HOUR / 60);
            let crossing = crossings.next(since, &mut rng);
            let headers = Vec::new();
            let attributes = server::attributes(&crossing, &headers);
            let of_its_time = usize::from(since >= launched)
                + usize::from(since >= 3 * DAY + 10 * HOUR)
                + usize::from(since >= 4 * DAY + 15 * HOUR);
            let answers = sets[of_its_time..].iter().map(|set| {
                let request = attributes.normalise(set.settings());
                let decision = set.decide(&request, UnixNanos(MONDAY + since));
                (
                    decision.verdict.effect(),
                    decision.dry_run.effect(),
                    decision.verdict.reason,
                )
            });
            let answers: Vec<_> = answers.collect();
            assert!(
                answers.iter().all(|answer| *answer == answers[0]),
                "{crossing:?}: {answers:?}"
            );
            match answers[0].0 {
                Effect::Allow => allowed += 1,
                Effect::Deny => denied += 1,
            }
        }
    }
    assert!(
        allowed > 8_000 && denied > 100,
        "{allowed} allowed, {denied} denied"
    );
}

#[test]
fn what_is_there_already_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("mine"), "").unwrap();
    let why = make(directory.path(), &WeekOptions::of(10))
        .unwrap_err()
        .to_string();
    assert!(why.ends_with("is not empty"), "{why}");
}
