//! What is granted for what crossed, and what is not.

use super::*;
use customs_engine::identity::{Caller, IdentityState, Principal, TrustDomains};
use customs_engine::request::{Attributes, HttpAttributes};
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;

const SECOND: i128 = 1_000_000_000;

/// Crossings of accounts of the namespace shop.
#[derive(Default)]
struct Record(Crossings);

impl Record {
    fn http(&mut self, account: &str, url: &str, second: i128) {
        self.method(account, "GET", url, second);
    }

    fn method(&mut self, account: &str, method: &str, url: &str, second: i128) {
        let (host, path) = url.split_at(url.find('/').unwrap_or(url.len()));
        let principal = format!("spiffe://cluster.local/ns/shop/sa/{account}");
        let http = HttpAttributes {
            method,
            path,
            host,
            ..HttpAttributes::default()
        };
        let attributes = Attributes {
            source_principal: &principal,
            http: Some(http),
            ..Attributes::default()
        };
        self.add(&attributes, second, false);
    }

    fn add(&mut self, attributes: &Attributes<'_>, second: i128, is_denied: bool) {
        let request = attributes.normalise(&Settings::default());
        let crossing = Crossing {
            time: UnixNanos(second * SECOND),
            caller: TrustDomains::default().classify(request.principal),
            is_account_known: true,
            request: &request,
            is_path_known: true,
            is_method_known: true,
        };
        match is_denied {
            true => self.0.deny(&crossing),
            false => self.0.add(&crossing),
        }
    }

    fn grants(&self, account: &str, options: &PlanOptions) -> Vec<PlannedGrant> {
        let plan = plan(&self.0, options);
        plan.namespaces["shop"].accounts[account].grants.clone()
    }
}

fn hosts(grants: &[PlannedGrant]) -> Vec<Vec<&str>> {
    grants
        .iter()
        .map(|grant| grant.hosts.iter().map(String::as_str).collect())
        .collect()
}

#[test]
fn a_grant_covers_the_hosts_and_ports_that_crossed() {
    let mut record = Record::default();
    for url in [
        "a.example/",
        "b.example:8443/",
        "B.example.:443/",
        "c.example:443/",
        "c.example/",
        "c.example:9000/",
        "192.0.2.1:8080/",
        "[2001:db8::1]/",
        "[::ffff:192.0.2.2]/",
    ] {
        record.http("cart", url, 1);
    }
    let grants = record.grants("cart", &PlanOptions::default());
    assert_eq!(
        hosts(&grants),
        [
            vec!["192.0.2.1:8080"],
            vec!["[2001:db8::1]"],
            vec!["[::ffff:192.0.2.2]"],
            vec!["a.example"],
            vec!["b.example:443", "b.example:8443"],
            // Without a port it covers 443 too.
            vec!["c.example", "c.example:9000"],
        ]
    );
}

#[test]
fn hosts_are_grouped_only_where_that_is_asked_for() {
    let mut record = Record::default();
    for host in [
        "a.x.example",
        "b.x.example",
        "c.y.example",
        "x.example",
        "d.com",
        "e.com",
        "192.0.2.1",
    ] {
        record.http("cart", &format!("{host}/"), 1);
    }
    let grouped = |options: PlanOptions| {
        let grants = record.grants("cart", &options);
        let grants: Vec<String> = grants.into_iter().flat_map(|grant| grant.hosts).collect();
        grants.join(" ")
    };
    let all = "192.0.2.1 a.x.example b.x.example c.y.example d.com e.com x.example";
    assert_eq!(grouped(PlanOptions::default()), all);
    let by_count = PlanOptions {
        group_suffix: Some(2),
        ..PlanOptions::default()
    };
    // Neither a top-level domain nor a part of an address is a suffix.
    assert_eq!(
        grouped(by_count),
        "*.x.example 192.0.2.1 c.y.example d.com e.com x.example"
    );
    let by_name = PlanOptions {
        suffixes: vec!["example".into(), "x.example".into()],
        ..PlanOptions::default()
    };
    assert_eq!(
        grouped(by_name),
        "*.example *.x.example 192.0.2.1 d.com e.com"
    );
}

#[test]
fn methods_and_paths_are_listed_only_if_they_are_steady() {
    let few = PlanOptions {
        steady: SteadyRule { crossings: 4 },
        ..PlanOptions::default()
    };
    let crossed = |urls: &[(&str, &str, i128)]| {
        let mut record = Record::default();
        for (method, path, second) in urls {
            record.method("cart", method, &format!("a.example{path}"), *second);
        }
        let grant = record.grants("cart", &few).remove(0);
        (grant.methods.join(" "), grant.paths.join(" "))
    };
    let said = |methods: &str, paths: &str| (methods.to_owned(), paths.to_owned());
    let steady = [
        ("GET", "/a", 0),
        ("POST", "/b", 1),
        ("GET", "/a", 8),
        ("GET", "/b", 9),
    ];
    assert_eq!(crossed(&steady), said("GET POST", "/a /b"));
    assert_eq!(
        crossed(&steady[..3]),
        said("", ""),
        "three crossings say little"
    );
    let new = [
        ("GET", "/a", 0),
        ("GET", "/a", 1),
        ("GET", "/a", 8),
        ("PUT", "/c", 9),
    ];
    assert_eq!(crossed(&new), said("", ""), "one was new at the end");
    let many: Vec<String> = (0..20).map(|n| format!("/v1/{n}")).collect();
    let many: Vec<(&str, &str, i128)> = many.iter().map(|path| ("GET", path.as_str(), 1)).collect();
    assert_eq!(crossed(&many), said("GET", "/v1/*"));
    for odd in ["/a/../b", "/%61", "/a*", "/{x}", "", "/a;b"] {
        let odd = [
            ("GET", "/a", 0),
            ("GET", odd, 0),
            ("GET", "/a", 8),
            ("GET", "/a", 9),
        ];
        assert_eq!(crossed(&odd).1, "", "{odd:?}");
    }
    let lower = [
        ("GET", "/a", 0),
        ("get", "/a", 0),
        ("GET", "/a", 8),
        ("GET", "/a", 9),
    ];
    assert_eq!(crossed(&lower), said("", "/a"), "no policy can name it");
}

#[test]
fn what_no_policy_can_say_gets_no_grant() {
    let mut record = Record::default();
    let http = |host: &'static str| HttpAttributes {
        method: "GET",
        path: "/",
        host,
        ..HttpAttributes::default()
    };
    let own = "spiffe://cluster.local/ns/shop/sa/cart";
    for (principal, attributes) in [
        (
            "",
            Attributes {
                http: Some(http("a.example")),
                ..Attributes::default()
            },
        ),
        (
            "spiffe://x.td/ns/shop/sa/cart",
            Attributes {
                http: Some(http("a.example")),
                ..Attributes::default()
            },
        ),
        (
            own,
            Attributes {
                http: Some(http("bad..host")),
                ..Attributes::default()
            },
        ),
        (
            own,
            Attributes {
                has_address: true,
                ..Attributes::default()
            },
        ),
        (
            own,
            Attributes {
                has_address: true,
                service: "outbound_.443_._.gateway.istio-system.svc.cluster.local",
                ..Attributes::default()
            },
        ),
    ] {
        let attributes = Attributes {
            source_principal: principal,
            ..attributes
        };
        record.add(&attributes, 1, false);
    }
    let causes: Vec<_> = record
        .0
        .left_out()
        .keys()
        .map(|row| row.cause.as_str())
        .collect();
    // A foreign domain is not accepted here, so its caller has no valid identity either.
    assert_eq!(
        causes,
        [
            "noIdentity",
            "noIdentity",
            "noHost",
            "meshWrapper",
            "unreadableHost"
        ]
    );
    assert!(
        plan(&record.0, &PlanOptions::default())
            .namespaces
            .is_empty()
    );
    let unknown = Caller::Unknown(IdentityState::Unauthenticated);
    assert_eq!(TrustDomains::default().classify(Principal::Absent), unknown);
}

#[test]
fn shared_hosts_grant_no_account_more_than_it_used() {
    let mut record = Record::default();
    for account in ["a", "b", "c"] {
        for url in ["one.example/", "two.example/"] {
            record.http(account, url, 1);
            record.http(account, url, 2);
        }
    }
    record.http("a", "three.example/", 1);
    record.http("b", "three.example/", 1);
    record.http("a", "three.example/", 2);
    record.http("b", "three.example/", 2);
    let options = PlanOptions {
        share_threshold: Some(2),
        one_off: 1,
        ..PlanOptions::default()
    };
    let plan = plan(&record.0, &options);
    let shared: Vec<_> = plan
        .shared
        .iter()
        .map(|set| (set.hosts.join(" "), set.accounts.len()))
        .collect();
    assert_eq!(
        shared,
        [
            ("three.example".to_owned(), 2),
            ("one.example two.example".to_owned(), 3)
        ]
    );
    let sets = |account: &str| -> Vec<Option<usize>> {
        let grants = &plan.namespaces["shop"].accounts[account].grants;
        grants.iter().map(|grant| grant.shared).collect()
    };
    assert_eq!(sets("a"), [Some(0), Some(1)]);
    assert_eq!(sets("c"), [Some(1)]);
}

#[test]
fn one_offs_are_marked_or_left_out() {
    let mut record = Record::default();
    record.http("cart", "a.example/", 1);
    record.http("cart", "b.example/", 1);
    record.http("cart", "b.example/", 2);
    let mut options = PlanOptions {
        one_off: 1,
        ..PlanOptions::default()
    };
    let marks: Vec<bool> = record
        .grants("cart", &options)
        .iter()
        .map(|grant| grant.is_one_off)
        .collect();
    assert_eq!(marks, [true, false]);
    options.leaves_one_offs_out = true;
    assert_eq!(hosts(&record.grants("cart", &options)), [["b.example"]]);
    assert_eq!(plan(&record.0, &options).one_offs_left_out.len(), 1);
}

#[test]
fn a_grant_says_that_other_requests_to_its_host_were_denied() {
    let mut record = Record::default();
    record.http("cart", "a.x.example/", 1);
    for host in ["b.x.example", "a.x.example"] {
        let http = HttpAttributes {
            method: "GET",
            path: "/admin",
            host,
            ..HttpAttributes::default()
        };
        let attributes = Attributes {
            source_principal: "spiffe://cluster.local/ns/shop/sa/cart",
            http: Some(http),
            ..Attributes::default()
        };
        record.add(&attributes, 5, true);
    }
    let denied = |options: &PlanOptions| {
        let denied = record.grants("cart", options)[0].denied;
        denied.map(|uses| uses.count)
    };
    assert_eq!(denied(&PlanOptions::default()), Some(1));
    let grouped = PlanOptions {
        suffixes: vec!["x.example".into()],
        ..PlanOptions::default()
    };
    assert_eq!(denied(&grouped), Some(2));
}

#[test]
fn parts_of_a_record_can_be_merged_in_any_order() {
    let mut parts: Vec<Record> = Vec::new();
    let mut whole = Record::default();
    for part in 0..4_i128 {
        let mut record = Record::default();
        for n in 0..6_i128 {
            let url = format!("h{}.example/p{}", (part + n) % 3, part * n);
            record.http("cart", &url, part * 10 + n);
            whole.http("cart", &url, part * 10 + n);
        }
        parts.push(record);
    }
    let merged = |order: [usize; 4]| {
        let mut all = Crossings::default();
        for index in order {
            all.merge(parts[index].0.clone());
        }
        all
    };
    assert_eq!(merged([0, 1, 2, 3]), whole.0);
    assert_eq!(merged([3, 1, 0, 2]), whole.0);
}
