//! What crosses the gateway in the week: who calls what, how often, and at which hours.
//!
//! A [`Route`] is a caller with a destination and the share of each hour that it takes; a
//! [`Crossing`] is one call of it. It decides nothing. The rule: all chance comes from the
//! generator that is passed in.

use std::net::{IpAddr, Ipv4Addr};

use fastrand::Rng;

use super::organisation::{
    Account, AccountKind, CLOCK, LAUNCH, LEGACY_HOST, MIGRATION, Namespace, PASTE_SITE,
    SHARED_HOSTS, TRACKER, namespaces,
};
use super::{DAY, HOUR, HOURS};

/// When the launch of [`LAUNCH`] is used from: after the policies know it.
pub(super) const LAUNCHED: i128 = DAY + 11 * HOUR;

/// When a route is used.
#[derive(Clone, Copy, Debug)]
enum Schedule {
    /// At every hour alike.
    Always,
    /// By day, and less at the weekend.
    Day,
    /// From one to five at night.
    Night,
    /// As by day, from an hour of the week on.
    From(usize),
}

impl Schedule {
    /// Returns the share of an hour of the week.
    fn share(self, hour: usize) -> f64 {
        let (of_day, is_weekend) = (hour % 24, hour / 24 >= 5);
        let by_day = match of_day {
            8..=19 => 1.0,
            6 | 7 | 20..=22 => 0.5,
            _ => 0.15,
        };
        let by_day = by_day * if is_weekend { 0.6 } else { 1.0 };
        match self {
            Schedule::Always => 0.5,
            Schedule::Day => by_day,
            Schedule::Night if (1..5).contains(&of_day) => 1.0,
            Schedule::Night => 0.0,
            Schedule::From(first) if hour >= first => by_day,
            Schedule::From(_) => 0.0,
        }
    }
}

/// How a route calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    /// The same few paths.
    Steady,
    /// Paths with numbers in them.
    Objects,
    /// Uploads.
    Uploads,
    /// A page, by a person.
    Page,
    /// TCP with an SNI.
    Tcp,
    /// A host that no name can be read from.
    Unreadable,
}

/// A caller with a destination.
#[derive(Clone, Debug)]
struct Route {
    principal: String,
    /// What its pods' addresses begin with.
    network: u8,
    pods: u8,
    host: String,
    calls: Calls,
    schedule: Schedule,
    weight: f64,
}

/// One call.
#[derive(Clone, Debug, Default)]
pub(super) struct Crossing {
    /// The caller's principal; empty if it has no identity.
    pub(super) principal: String,
    /// The address of the pod.
    pub(super) source: Option<IpAddr>,
    /// The authority, or the SNI on TCP.
    pub(super) host: String,
    /// The method; empty on TCP.
    pub(super) method: &'static str,
    /// The path with its query; empty on TCP.
    pub(super) path: String,
    /// Whether it is TCP.
    pub(super) is_tcp: bool,
}

/// Everything that crosses.
#[derive(Debug)]
pub(super) struct Crossings {
    routes: Vec<Route>,
    /// For the hour at hand: the routes in use, each with the sum of the weights up to it.
    sums: Vec<(f64, usize)>,
    /// Calls that happen once, in order: when, and which.
    single: std::vec::IntoIter<(i128, Route)>,
    next_single: Option<(i128, Route)>,
}

impl Crossings {
    /// Returns what crosses in a week; the calls that happen once are drawn at once.
    pub(super) fn draw(rng: &mut Rng) -> Crossings {
        let routes: Vec<Route> = namespaces()
            .flat_map(of_namespace)
            .chain(strangers())
            .collect();
        let mut single: Vec<(i128, Route)> = namespaces()
            .flat_map(|namespace| once(namespace, rng))
            .collect();
        single.sort_by_key(|(time, _)| *time);
        let mut single = single.into_iter();
        Crossings {
            routes,
            sums: Vec::new(),
            next_single: single.next(),
            single,
        }
    }

    /// Returns how busy each hour is.
    pub(super) fn shares(&self) -> Vec<f64> {
        let share = |hour| {
            self.routes
                .iter()
                .map(|route| route.weight * route.schedule.share(hour))
                .sum()
        };
        (0..HOURS).map(share).collect()
    }

    /// Begins an hour of the week.
    pub(super) fn begin_hour(&mut self, hour: usize) {
        let mut sum = 0.0;
        self.sums.clear();
        for (place, route) in self.routes.iter().enumerate() {
            let weight = route.weight * route.schedule.share(hour);
            if weight > 0.0 {
                sum += weight;
                self.sums.push((sum, place));
            }
        }
    }

    /// Draws the crossing at a time, counted from the beginning of the week.
    pub(super) fn next(&mut self, time: i128, rng: &mut Rng) -> Crossing {
        if let Some((due, route)) = self.next_single.take() {
            if due <= time {
                self.next_single = self.single.next();
                return route.call(rng);
            }
            self.next_single = Some((due, route));
        }
        let (whole, _) = *self.sums.last().expect("some route is always in use");
        let point = rng.f64() * whole;
        let place = self.sums.partition_point(|(sum, _)| *sum <= point);
        let (_, place) = self.sums[place.min(self.sums.len() - 1)];
        self.routes[place].call(rng)
    }
}

impl Route {
    fn of(
        namespace: Namespace,
        account: Account,
        host: String,
        calls: Calls,
        weight: f64,
    ) -> Route {
        let pods = match account.kind {
            AccountKind::Service => 3,
            AccountKind::Batch | AccountKind::Operator => 1,
        };
        Route {
            principal: format!(
                "spiffe://cluster.local/ns/{}/sa/{}",
                namespace.name, account.name
            ),
            network: u8::try_from(namespace.index).expect("there are 30"),
            pods,
            host,
            calls,
            schedule: match account.kind {
                AccountKind::Service | AccountKind::Operator => Schedule::Day,
                AccountKind::Batch => Schedule::Night,
            },
            weight,
        }
    }

    fn call(&self, rng: &mut Rng) -> Crossing {
        let source = Ipv4Addr::new(10, 8, self.network, 10 + rng.u8(..self.pods));
        let (method, path) = self.method_and_path(rng);
        Crossing {
            principal: self.principal.clone(),
            source: Some(source.into()),
            // Clients spell hosts as they like.
            host: match (self.calls, rng.u8(..50)) {
                (Calls::Tcp, _) => self.host.clone(),
                (_, 0) => format!("{}:443", self.host),
                (_, 1) => self.host.to_uppercase(),
                _ => self.host.clone(),
            },
            method,
            path,
            is_tcp: self.calls == Calls::Tcp,
        }
    }

    fn method_and_path(&self, rng: &mut Rng) -> (&'static str, String) {
        match self.calls {
            Calls::Steady => {
                let (method, path) = [
                    ("POST", "/v1/token"),
                    ("GET", "/v1/status"),
                    ("POST", "/v1/events"),
                ][rng.usize(..3)];
                (method, path.to_owned())
            }
            Calls::Objects => {
                let id = rng.u32(..100_000);
                match rng.u8(..10) {
                    0 => ("DELETE", format!("/v2/objects/{id}")),
                    1..=3 => ("PUT", format!("/v2/objects/{id}?part={}", rng.u8(..9))),
                    _ => ("GET", format!("/v2/objects/{id}")),
                }
            }
            Calls::Uploads => ("PUT", format!("/exports/{}.ndjson", rng.u32(..1_000_000))),
            Calls::Page => ("GET", "/".to_owned()),
            Calls::Unreadable => ("GET", "/x".to_owned()),
            Calls::Tcp => ("", String::new()),
        }
    }
}

/// What the accounts of a namespace do all week.
fn of_namespace(namespace: Namespace) -> Vec<Route> {
    // A few namespaces are busy, and most are not.
    let size = 40.0 / (1.0 + ((namespace.index * 11) % 30) as f64);
    let mut routes = Vec::new();
    for &account in namespace.accounts() {
        let mut add = |host: &str, calls, weight: f64| {
            routes.push(Route::of(
                namespace,
                account,
                host.to_owned(),
                calls,
                weight * size,
            ));
        };
        match account.kind {
            AccountKind::Service => {
                add(SHARED_HOSTS[0], Calls::Steady, 2.0);
                for host in namespace.own_hosts(account) {
                    add(&host, Calls::Steady, 3.0);
                }
                for host in namespace.shared_hosts(account) {
                    add(host, Calls::Objects, 2.0);
                }
                add(TRACKER, Calls::Page, 0.05);
                add(PASTE_SITE, Calls::Page, 0.02);
                add(LEGACY_HOST, Calls::Steady, 0.15);
                add("news.social.example", Calls::Page, 0.04);
            }
            AccountKind::Batch => {
                for host in namespace.own_hosts(account) {
                    add(&host, Calls::Uploads, 6.0);
                }
                for host in namespace.shared_hosts(account) {
                    add(host, Calls::Objects, 1.0);
                }
            }
            // What a person does is drawn once.
            AccountKind::Operator => {}
        }
    }
    let account = |name: &str| {
        let accounts = namespace.accounts().iter();
        *accounts
            .clone()
            .find(|account| account.name == name)
            .unwrap_or(&namespace.accounts()[0])
    };
    if namespace.has_database() {
        routes.push(Route::of(
            namespace,
            account("worker"),
            namespace.database(),
            Calls::Tcp,
            size,
        ));
    }
    if namespace.name == MIGRATION.0 {
        let route = Route::of(
            namespace,
            account("worker"),
            MIGRATION.1.to_owned(),
            Calls::Steady,
            0.5 * size,
        );
        routes.push(Route {
            schedule: Schedule::Always,
            ..route
        });
    }
    if namespace.name == LAUNCH.0 {
        let route = Route::of(
            namespace,
            account("api"),
            LAUNCH.1.to_owned(),
            Calls::Steady,
            size,
        );
        let first = usize::try_from(LAUNCHED / HOUR).expect("it is in the week");
        routes.push(Route {
            schedule: Schedule::From(first),
            ..route
        });
    }
    routes
}

/// Callers without a valid identity, and hosts that cannot be read.
fn strangers() -> Vec<Route> {
    let stranger = |principal: &str, host: &str, calls, weight| Route {
        principal: principal.to_owned(),
        network: 200,
        pods: 9,
        host: host.to_owned(),
        calls,
        schedule: Schedule::Always,
        weight,
    };
    vec![
        stranger("", CLOCK, Calls::Page, 30.0),
        stranger("", SHARED_HOSTS[4], Calls::Objects, 10.0),
        stranger(
            "spiffe://cluster.local/not-a-workload",
            SHARED_HOSTS[0],
            Calls::Steady,
            3.0,
        ),
        stranger(
            "spiffe://partner.td/ns/shop/sa/api",
            SHARED_HOSTS[3],
            Calls::Steady,
            5.0,
        ),
        stranger(
            "spiffe://cluster.local/ns/chat/sa/api",
            "two hosts.example",
            Calls::Unreadable,
            2.0,
        ),
    ]
}

/// What operators do once: a few vendors each, at some hour of some working day.
fn once(namespace: Namespace, rng: &mut Rng) -> Vec<(i128, Route)> {
    let operator = namespace
        .accounts()
        .iter()
        .find(|account| account.kind == AccountKind::Operator);
    let Some(operator) = operator else {
        return Vec::new();
    };
    let mut one = |nth: usize| {
        let time = i128::from(rng.u8(..5)) * DAY
            + i128::from(rng.u8(9..17)) * HOUR
            + i128::from(rng.u32(..3_600)) * 1_000_000_000;
        let host = format!("tool-{nth}.{}.vendor.example", namespace.name);
        (
            time,
            Route::of(namespace, *operator, host, Calls::Page, 0.0),
        )
    };
    (0..3).map(&mut one).collect()
}
