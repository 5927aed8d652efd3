//! Requests that are made to be expensive: long paths, many headers, many values.

use customs_engine::request::CLIENT_CERTIFICATE;

pub(crate) struct Sent {
    pub host: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

pub(crate) fn requests() -> Vec<(&'static str, Sent)> {
    let header = |name: &str, value: String| (name.to_owned(), value);
    let sent = |path: String, headers: Vec<(String, String)>| Sent {
        host: "www.example.com".into(),
        path,
        headers,
    };
    let values = |text: &dyn Fn(usize) -> String, count: usize| -> String {
        (0..count).map(text).collect::<Vec<String>>().join(",")
    };
    let matching = |part: usize| match part % 3 {
        0 => format!("r{part}x0"),
        1 => format!("r{part}p1tail"),
        _ => format!("heads{part}y2"),
    };
    vec![
        ("plain", sent("/".into(), Vec::new())),
        (
            "a path of tricks",
            sent(format!("/{}", "%2e;/%2f\\..".repeat(740)), Vec::new()),
        ),
        (
            "a path of tricks that are all different",
            sent(
                format!("/{}", "a;%2f/%2e%2e;b/..%5cc;/./".repeat(320)),
                Vec::new(),
            ),
        ),
        (
            "a path of dots",
            sent(format!("/{}", "a/../".repeat(1_600)), Vec::new()),
        ),
        (
            "a path of one long segment",
            sent(format!("/;{}", "a".repeat(8_000)), Vec::new()),
        ),
        (
            "a path of many segments",
            sent("/a".repeat(4_000), Vec::new()),
        ),
        (
            "a path of 60 KiB",
            sent(format!("/{}", "a".repeat(60_000)), Vec::new()),
        ),
        (
            "a header of commas",
            sent("/".into(), vec![header("x-role", ",".repeat(55_000))]),
        ),
        (
            "a header of 1,023 commas",
            sent("/".into(), vec![header("x-role", ",".repeat(1_023))]),
        ),
        (
            "a header of 27,000 values",
            sent("/".into(), vec![header("x-role", "v,".repeat(27_500))]),
        ),
        (
            "a header of 1,024 values",
            sent(
                "/".into(),
                vec![header("x-role", values(&|part| format!("no{part}"), 1_024))],
            ),
        ),
        (
            "a header of 1,024 values that match",
            sent("/".into(), vec![header("x-role", values(&matching, 1_024))]),
        ),
        (
            "a header of as many runs as are compared",
            sent(
                "/".into(),
                vec![header("x-role", values(&|_| "v".into(), 129))],
            ),
        ),
        (
            "a header of runs as long as are compared",
            sent(
                "/".into(),
                vec![header("x-role", values(&|_| "v".repeat(340), 128))],
            ),
        ),
        (
            "a header of shorter runs, of every number of commas",
            sent(
                "/".into(),
                vec![header("x-role", values(&|_| "v".repeat(27), 128))],
            ),
        ),
        (
            "a header whose runs match",
            sent(
                "/".into(),
                vec![header(
                    "x-role",
                    values(
                        &|part| {
                            if part % 9 == 8 {
                                matching(part)
                            } else {
                                "v".into()
                            }
                        },
                        1_024,
                    ),
                )],
            ),
        ),
        (
            "a header of one long value",
            sent("/".into(), vec![header("x-role", "r1p2".repeat(15_000))]),
        ),
        (
            "1,000 headers",
            sent(
                "/".into(),
                (0..1_000)
                    .map(|at| header(&format!("X-{at}"), "v".repeat(40)))
                    .collect(),
            ),
        ),
        (
            "1,000 headers of one name",
            sent(
                "/".into(),
                (0..1_000)
                    .map(|at| header("x-role", format!("r{at}x1")))
                    .collect(),
            ),
        ),
        (
            "20,000 headers of one name",
            sent(
                "/".into(),
                (0..20_000)
                    .map(|at| header("x-role", format!("{at}")))
                    .collect(),
            ),
        ),
        (
            "20,000 paths",
            sent(
                "/".into(),
                (0..20_000)
                    .map(|at| header(":path", format!("/{at}")))
                    .collect(),
            ),
        ),
        (
            "20,000 times the path",
            sent(
                "/".into(),
                (0..20_000).map(|_| header(":path", "/".into())).collect(),
            ),
        ),
        (
            "20,000 times the host",
            sent(
                "/".into(),
                (0..20_000)
                    .map(|_| header("host", "www.example.com".into()))
                    .collect(),
            ),
        ),
        (
            "20,000 times the authority",
            sent(
                "/".into(),
                (0..20_000)
                    .map(|_| header(":authority", "www.example.com".into()))
                    .collect(),
            ),
        ),
        (
            "a certificate of quotes",
            sent(
                "/".into(),
                vec![header(CLIENT_CERTIFICATE, "a=\"b\",".repeat(9_000))],
            ),
        ),
        (
            "30,000 addresses",
            sent(
                "/".into(),
                vec![header("x-forwarded-for", "1,".repeat(30_000))],
            ),
        ),
        (
            "a host of 120 labels",
            Sent {
                host: ["a"; 120].join("."),
                ..sent("/".into(), Vec::new())
            },
        ),
    ]
}
