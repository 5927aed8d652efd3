//! The most that a check costs, in counted steps: whatever a client sends, a check costs what it
//! takes to read the request and to ask the rules about it, and never the product of both.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod policies;
mod requests;

use std::borrow::Cow;
use std::cell::Cell;

use customs_engine::request::{Attributes, Headers, HttpAttributes};
use customs_engine::settings::{DefaultEffect, Settings};
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_engine::work_count::counted;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_record::{DecisionRecord, Occasion};

use policies::{header_policies, others, sets};
use requests::{Sent, requests};

fn snapshot(documents: &[String]) -> Snapshot {
    let settings = Settings {
        default_effect: DefaultEffect::Deny,
        trusted_hops: Some(1),
        ..Settings::default()
    };
    let file = |(number, text): (usize, &String)| PolicyFile {
        name: format!("{number}.yaml"),
        bytes: text.as_bytes().into(),
    };
    let files = documents.iter().enumerate().map(file).collect();
    let loaded = source::load(
        &Source {
            name: "p".into(),
            files,
            ..Source::default()
        },
        &settings,
    );
    match compile::compile(&[loaded], &settings) {
        Ok(compiled) => compiled.snapshot,
        Err(problems) => panic!("{problems:?}"),
    }
}

/// Decides and records, as a server does.
fn work(snapshot: &Snapshot, principal: &str, sent: &Sent, headers: &dyn Headers) -> usize {
    let http = HttpAttributes {
        method: "GET",
        path: &sent.path,
        host: &sent.host,
        headers,
        ..HttpAttributes::default()
    };
    let attributes = Attributes {
        source_principal: principal,
        http: Some(http),
        has_address: true,
        ..Attributes::default()
    };
    let work = || {
        let request = attributes.normalise(snapshot.settings());
        let decision = snapshot.decide(&request, UnixNanos(0));
        let occasion = Occasion {
            time: UnixNanos(0),
            duration_micros: 0,
            decision_id: "",
            decision_number: 1,
            recorded_headers: &["x-role".to_owned()],
            peer_identity: "",
            trace_context: None,
        };
        DecisionRecord::of(&attributes, &request, &decision, snapshot, occasion)
    };
    counted(work).1
}

/// A step takes some nanoseconds: a comparison mostly fewer than 10, the evaluation of a rule fewer
/// than 50. This many steps stay below a millisecond.
const MOST: usize = 60_000;

#[test]
fn no_request_costs_the_product_of_its_parts_and_the_rules() {
    let mut largest = 0;
    for (set, documents) in sets() {
        let snapshot = snapshot(&documents);
        for (name, sent) in &requests() {
            for principal in ["spiffe://cluster.local/ns/web/sa/app", ""] {
                let steps = work(&snapshot, principal, sent, &sent.headers);
                assert!(steps <= MOST, "{set}, {name}, {principal:?}: {steps} steps");
                largest = largest.max(steps);
            }
        }
    }
    assert!(largest > 2_000, "nothing was counted");
    println!("the most expensive check takes {largest} of {MOST} steps");
}

#[test]
fn rules_about_other_hosts_cost_a_check_nothing() {
    let beside = |count| {
        let mut documents = header_policies("DENY", 100, &["values"], &|_| "x-role".to_owned());
        documents.push(others(count));
        snapshot(&documents)
    };
    let (few, many) = (beside(10), beside(3_000));
    for (name, sent) in &requests() {
        let of = |snapshot| {
            work(
                snapshot,
                "spiffe://cluster.local/ns/web/sa/app",
                sent,
                &sent.headers,
            )
        };
        assert_eq!(of(&few), of(&many), "{name}");
    }
}

/// Headers that count their reads.
#[derive(Debug)]
struct CountedHeaders<'h>(&'h Vec<(String, String)>, Cell<usize>);

impl Headers for CountedHeaders<'_> {
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
        self.1.set(self.1.get() + 1);
        self.0.visit(name, each);
    }

    fn visit_all<'s>(&'s self, each: &mut dyn FnMut(&'s str, Cow<'s, str>)) {
        self.1.set(self.1.get() + 1);
        self.0.visit_all(each);
    }
}

#[test]
fn headers_are_read_as_often_for_a_thousand_rules_as_for_one() {
    let set = |count, name: &dyn Fn(usize) -> String| {
        snapshot(&header_policies("DENY", count, &["values"], name))
    };
    let one = |_: usize| "x-role".to_owned();
    let sets = [
        set(1, &one),
        set(1_000, &one),
        set(1_000, &|rule| format!("x-{rule}")),
    ];
    for (name, sent) in &requests() {
        let [first, more, names] = [0, 1, 2].map(|at| {
            let counted = CountedHeaders(&sent.headers, Cell::new(0));
            work(
                &sets[at],
                "spiffe://cluster.local/ns/web/sa/app",
                sent,
                &counted,
            );
            counted.1.get()
        });
        assert_eq!(first, more, "{name}");
        assert!(names <= first + 1, "{name}: {names} {first}");
    }
}
