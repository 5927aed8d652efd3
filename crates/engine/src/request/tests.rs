//! Requests as they are normalised: which attributes give the host, the port, the SNI and the
//! identity.

use super::*;

/// Headers that were sent in the form of a list, so that repeated ones are not joined.
#[derive(Debug)]
pub(crate) struct Apart(pub(crate) Vec<(String, String)>);

impl Headers for Apart {
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
        self.0.visit(name, each);
    }

    fn visit_all<'s>(&'s self, each: &mut dyn FnMut(&'s str, Cow<'s, str>)) {
        self.0.visit_all(each);
    }

    fn are_joined(&self) -> bool {
        false
    }
}

fn tcp<'a>(service: &'a str, sni: Option<&'a str>) -> Attributes<'a> {
    Attributes {
        service,
        tls_sni: sni,
        has_address: true,
        listener_port: Some(8443),
        ..Default::default()
    }
}

fn http(host: &str) -> Attributes<'_> {
    Attributes {
        http: Some(HttpAttributes {
            host,
            method: "GET",
            path: "/",
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn read(attributes: &Attributes<'_>, settings: &Settings) -> (String, Port, Option<Reason>) {
    let request = attributes.normalise(settings);
    let host = match request.destination.host {
        DestinationHost::Known(host) => host.to_string(),
        other => format!("{other:?}"),
    };
    (host, request.destination.port, request.finding)
}

#[test]
fn tcp_takes_its_host_from_the_sni() {
    let settings = Settings::default();
    for (service, sni, expected) in [
        ("a.example", None, ("a.example", Port::Unknown, None)),
        ("", None, ("Unnamed", Port::Unknown, None)),
        ("", Some("A.example."), ("a.example", Port::Unknown, None)),
        (
            "a.example",
            Some("A.Example."),
            ("a.example", Port::Unknown, None),
        ),
        (
            "outbound_.443_._.a.example",
            Some("a.example"),
            ("a.example", Port::Known(443), None),
        ),
        (
            "a.example",
            Some("b.example"),
            (
                "Unreadable",
                Port::Unknown,
                Some(Reason::ContradictoryAttributes),
            ),
        ),
        (
            "a..example",
            None,
            ("Unreadable", Port::Unknown, Some(Reason::MalformedSni)),
        ),
        (
            "a.example",
            Some("b..example"),
            ("Unreadable", Port::Unknown, Some(Reason::MalformedSni)),
        ),
        ("10.0.0.1", None, ("10.0.0.1", Port::Unknown, None)),
    ] {
        let (host, port, finding) = expected;
        assert_eq!(
            read(&tcp(service, sni), &settings),
            (host.to_owned(), port, finding),
            "{service} {sni:?}"
        );
    }
}

#[test]
fn a_wrapper_that_names_the_gateway_does_not_say_where_the_connection_goes() {
    let hosts = vec![Host::Name("egress.corp.example".into())];
    let cluster_domains = vec!["cluster.local".into(), "corp.internal".into()];
    let settings = Settings {
        cluster_domains,
        gateway_hosts: hosts,
        ..Default::default()
    };
    let gateway = "istio-egressgateway.istio-system.svc.cluster.local";
    for (sni, is_unknown) in [
        (format!("outbound_.443_._.{gateway}"), true),
        (format!("outbound_.443_.wrapped_.{gateway}"), true),
        (
            format!("OUTBOUND_.15443_.V1_.{}.", gateway.to_uppercase()),
            true,
        ),
        ("outbound_.443_._.other.shop.svc.cluster.local".into(), true),
        (
            "outbound_.443_._.istio-egressgateway.istio-system.svc".into(),
            true,
        ),
        (
            "outbound_.443_._.gw.istio-system.svc.corp.internal".into(),
            true,
        ),
        ("outbound_.443_._.egress.corp.example".into(), true),
        ("outbound_.443_._.www.svc.example".into(), false),
        ("outbound_.443_._.svc.cluster.local.example".into(), false),
        ("outbound_.443_._.notsvc.cluster.local".into(), false),
        ("outbound_.443_._.api.egress.corp.example".into(), false),
        ("outbound_.443_._.www.example".into(), false),
        (gateway.into(), false),
    ] {
        let bare = tcp(&sni, None);
        let (host, port, finding) = read(&bare, &settings);
        assert_eq!(
            (host == "MeshWrapper", finding),
            (is_unknown, None),
            "{sni}"
        );
        assert!(!is_unknown || port == Port::Unknown, "{sni} {port:?}");
        assert_eq!(
            matches!(bare.normalise(&settings).sni, Sni::MeshWrapper { .. }),
            is_unknown,
            "{sni}"
        );
        let in_session = tcp("", Some(&sni));
        assert_eq!(
            read(&in_session, &settings).0 == "MeshWrapper",
            is_unknown,
            "{sni}"
        );
    }
    let wrapper = format!("outbound_.443_._.{gateway}");
    let listener = crate::settings::Listener {
        port: 8443,
        host: Host::Name("db.example".into()),
        target_port: Some(5432),
    };
    let declared = Settings {
        listeners: vec![listener],
        ..settings.clone()
    };
    assert_eq!(
        read(&tcp(&wrapper, None), &declared),
        ("db.example".into(), Port::Known(5432), None)
    );
    let contradicted = read(&tcp(&wrapper, Some("www.example")), &settings);
    assert_eq!(contradicted.2, Some(Reason::ContradictoryAttributes));
}

#[test]
fn a_wrapper_that_names_the_gateway_is_no_match_of_sni_and_host() {
    let settings = Settings {
        require_sni_host_match: true,
        ..Default::default()
    };
    let gateway = "gw.istio-system.svc.cluster.local";
    let wrapped = format!("outbound_.80_._.{gateway}");
    let attributes = Attributes {
        tls_sni: Some(&wrapped),
        ..http(gateway)
    };
    assert_eq!(
        read(&attributes, &settings).2,
        Some(Reason::SniHostMismatch)
    );
    // On HTTP the session's SNI is taken as it is.
    assert!(matches!(
        attributes.normalise(&settings).sni,
        Sni::Known { .. }
    ));
    assert_eq!(
        read(
            &Attributes {
                tls_sni: Some(gateway),
                ..http(gateway)
            },
            &settings
        )
        .2,
        None
    );
}

#[test]
fn without_a_port_the_port_of_the_listener_is_known() {
    let attributes = Attributes {
        listener_port: Some(8443),
        ..http("a.example")
    };
    assert_eq!(
        read(&attributes, &Settings::default()).1,
        Port::Absent(Some(8443))
    );
}

#[test]
fn a_chosen_header_is_the_only_one_and_agrees_with_the_principal() {
    let id = "spiffe://cluster.local/ns/a/sa/b";
    let header = |value: &str| (CLIENT_CERTIFICATE.to_owned(), value.to_owned());
    let unreadable = Principal::Invalid(InvalidIdentity::XfccUnreadable);
    for (headers, principal, expected) in [
        (
            vec![header("Hash=1;URI=spiffe://cluster.local/ns/a/sa/b")],
            "",
            Principal::parse(id),
        ),
        (
            vec![header("Hash=1;URI=spiffe://cluster.local/ns/a/sa/b")],
            id,
            Principal::parse(id),
        ),
        (
            vec![header("Hash=1;URI=spiffe://cluster.local/ns/a/sa/b")],
            "spiffe://cluster.local/ns/a/sa/c",
            Principal::Invalid(InvalidIdentity::XfccMismatch),
        ),
        (
            vec![header("URI=spiffe://cluster.local/ns/a/sa/b"); 2],
            "",
            unreadable,
        ),
        (vec![header("")], "", unreadable),
        (vec![], id, Principal::Absent),
    ] {
        let mut attributes = http("a.example");
        attributes.source_principal = principal;
        attributes.http = attributes.http.map(|http| HttpAttributes {
            headers: &headers,
            ..http
        });
        let settings = Settings {
            identity_source: IdentitySource::Xfcc,
            ..Default::default()
        };
        assert_eq!(
            attributes.normalise(&settings).principal,
            expected,
            "{headers:?} {principal}"
        );
    }
}

#[test]
fn a_declared_listener_fixes_the_destination() {
    let host = Host::Name("db.example".into());
    let listeners = vec![crate::settings::Listener {
        port: 8443,
        host,
        target_port: Some(5432),
    }];
    let settings = Settings {
        listeners,
        ..Default::default()
    };
    for sni in ["", "anything.example"] {
        assert_eq!(
            read(&tcp(sni, None), &settings),
            ("db.example".into(), Port::Known(5432), None)
        );
    }
}

#[test]
fn http_takes_its_host_from_the_authority() {
    let settings = Settings::default();
    assert_eq!(
        read(&http("A.example:8443"), &settings),
        ("a.example".into(), Port::Known(8443), None)
    );
    assert_eq!(read(&http(""), &settings).2, Some(Reason::MalformedHost));
    let headers = vec![(":authority".to_owned(), "A.example".to_owned())];
    let mut odd = http("a.example");
    odd.http = odd.http.map(|http| HttpAttributes {
        headers: &headers,
        ..http
    });
    assert_eq!(
        read(&odd, &settings).2,
        Some(Reason::ContradictoryAttributes)
    );
}

#[test]
fn sni_and_host_must_match_where_that_is_asked() {
    let settings = Settings {
        require_sni_host_match: true,
        ..Default::default()
    };
    for (sni, finding) in [
        (Some("A.example"), None),
        (Some("b.example"), Some(Reason::SniHostMismatch)),
        (Some(""), Some(Reason::SniHostMismatch)),
        (None, Some(Reason::SniHostMismatch)),
    ] {
        let attributes = Attributes {
            tls_sni: sni,
            ..http("a.example")
        };
        assert_eq!(
            read(&attributes, &settings),
            ("a.example".into(), Port::Absent(None), finding),
            "{sni:?}"
        );
    }
}

#[test]
fn the_forwarded_address_is_counted_from_the_right() {
    let headers = vec![
        (
            "x-forwarded-for".to_owned(),
            "10.0.0.1, 10.0.0.2".to_owned(),
        ),
        ("X-Forwarded-For".to_owned(), "10.0.0.3".to_owned()),
    ];
    for (hops, expected) in [
        (0, Some("10.0.0.3")),
        (1, Some("10.0.0.2")),
        (2, Some("10.0.0.1")),
        (3, None),
    ] {
        assert_eq!(
            forwarded_for(&headers, hops),
            expected.map(|ip| ip.parse().unwrap()),
            "{hops}"
        );
    }
    assert_eq!(
        forwarded_for(&vec![("x-forwarded-for".to_owned(), "x".to_owned())], 0),
        None
    );
}

#[test]
fn nothing_at_all_is_an_empty_request() {
    let empty = Attributes {
        service: "a.example",
        ..Default::default()
    };
    assert_eq!(
        read(&empty, &Settings::default()).2,
        Some(Reason::EmptyRequest)
    );
}
