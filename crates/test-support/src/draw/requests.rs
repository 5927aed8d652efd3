//! Requests about what the policies name, and about what they do not.

use customs_engine::request::{Attributes, HttpAttributes};

use super::Choices;

/// The mesh's wrapper of the gateway's own name.
const OWN_WRAPPER: &str = "outbound_.443_._.gateway.istio-system.svc.cluster.local";

/// A request, owning its text.
#[derive(Clone, Debug)]
pub struct Ask {
    principal: &'static str,
    host: &'static str,
    path: &'static str,
    method: &'static str,
    sni: Option<&'static str>,
    http: bool,
    headers: Vec<(String, String)>,
    known: bool,
}

impl Ask {
    /// Calls `with` with the attributes.
    pub fn with<T>(&self, with: impl FnOnce(&Attributes<'_>) -> T) -> T {
        let http = HttpAttributes {
            method: self.method,
            path: self.path,
            host: self.host,
            headers: &self.headers,
            ..HttpAttributes::default()
        };
        with(&Attributes {
            source_principal: self.principal,
            source_address: self.known.then(|| "10.1.2.3".parse().unwrap()),
            listener_port: self.known.then_some(8443),
            has_address: true,
            service: if self.http {
                ""
            } else {
                self.sni
                    .filter(|sni| sni.contains(".svc"))
                    .unwrap_or(self.host)
            },
            tls_sni: self.sni,
            http: self.http.then_some(http),
            ..Attributes::default()
        })
    }
}

/// Draws any request.
pub fn ask(choices: &mut Choices<'_>) -> Ask {
    const KNOWN: &[&str] = &[
        "spiffe://cluster.local/ns/web/sa/app",
        "spiffe://cluster.local/ns/web/sa/job",
        "spiffe://cluster.local/ns/web-2/sa/app",
        "spiffe://cluster.local/ns/web-2/sa/job",
        "spiffe://cluster.local/ns/shop/sa/app",
        "spiffe://cluster.local/ns/shop/sa/job",
        "spiffe://cluster.local/ns/istio-system/sa/app",
        "spiffe://cluster.local/ns/istio-system/sa/job",
    ];
    const ODD: &[&str] = &[
        "spiffe://x.td/ns/web/sa/app",
        "",
        "spiffe://cluster.local/ns/web",
    ];
    const ASKED: &[&str] = &[
        "a.example",
        "A.example.",
        "b.a.example",
        "b.a.example:8443",
        "a.example:443",
        "a.example:8443",
        "example",
        "c.test",
        "10.0.0.1",
        "[::ffff:10.0.0.1]",
        "[::ffff:0:10.0.0.1]",
        "[::10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[64:ff9b:1::a00:1]",
        "[64:ff9b:1:a00:0:100::]:443",
        "[2002:a00:1::]",
        "[2001:0:c000:201::f5ff:fffe]",
        "[2001:0:a00:1::3fff:fdfe]:8443",
        "[fe80::5efe:10.0.0.1]",
        "127.0.0.1",
        "0.0.0.0",
        "[::]:443",
        "a.example:",
        "10.9.9.9:5432",
        "[2001:db8::1]",
        "x.y.z.example",
        "bad..host",
        "",
        "b.a.org",
    ];
    const SENT: &[&str] = &[
        "/",
        "/admin",
        "/v1/x",
        "/v1/a/x",
        "/v1/../admin",
        "/%61dmin",
        "/v1/%2e%2e/admin",
        "",
        "/a;b//c",
        "/v1%2fx",
        "/v1/a%2fb/x",
        "/x;%2fy/..;/%61dmin",
        "/admin/.",
        "/v1/x;%2f../admin",
    ];
    const ROLES: &[&[&str]] = &[
        &[],
        &["admin"],
        &["user,admin"],
        &["user", "admin"],
        &["admin, admin"],
        &[""],
    ];
    let roles = choices
        .pick(ROLES)
        .iter()
        .map(|role| ("x-role".to_owned(), (*role).to_owned()));
    let mut headers: Vec<(String, String)> = roles.collect();
    if choices.chance(5) {
        headers.push((
            "X-Role".to_owned(),
            "admin,".repeat(choices.pick(&[1_022, 1_023, 1_024])),
        ));
    }
    if choices.chance(30) {
        headers.push((
            ":scheme".to_owned(),
            choices.pick(&["http", "https"]).to_owned(),
        ));
    }
    Ask {
        headers,
        principal: if choices.chance(27) {
            choices.pick(ODD)
        } else {
            choices.pick(KNOWN)
        },
        host: choices.pick(ASKED),
        path: choices.pick(SENT),
        method: choices.pick(&["GET", "get", "DELETE", ""]),
        sni: choices.pick(&[
            None,
            Some(""),
            Some("a.example"),
            Some("outbound_.443_._.a.example"),
            Some(OWN_WRAPPER),
        ]),
        http: !choices.chance(20),
        known: !choices.chance(10),
    }
}
