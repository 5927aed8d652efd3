//! The commands that connect to a running server: `check --admin` and `audit tail --server`, over
//! TLS and with a certificate, and the message of each mistake.

use std::path::PathBuf;

use customs_test_support::ports;
use customs_test_support::server::{Ended, Server, run};
use customs_test_support::tls_files::{
    Authority, CERTIFICATE, CLIENT_CA, GATEWAY, Leaf, PRIVATE_KEY, PemPair, SERVER_NAME, TlsFolder,
    put,
};

use crate::{Site, plan};

const OPERATOR: &str = "spiffe://cluster.local/ns/customs-system/sa/operator";

/// A server whose address for operators and whose tail have the same TLS, and an operator.
struct Rig {
    site: Site,
    /// The operator's certificate and key, and the authority of the server.
    operator: TlsFolder,
    server: Server,
    tail: u16,
}

/// The part of a certificate that clients must have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clients {
    NeedNone,
    NeedOperator,
}

impl Rig {
    fn new(clients: Clients) -> Rig {
        let site = Site::new();
        let pair = site.mesh.issue(&Leaf::workload(OPERATOR));
        let operator = TlsFolder::new(&pair, &site.mesh.pem());
        let tail = ports::free().unwrap();
        let options = match clients {
            Clients::NeedOperator => format!("{},client_ids={OPERATOR}", site.folder.setting()),
            Clients::NeedNone => {
                let whole = site.folder.setting();
                whole.split(",client_ca=").next().unwrap().to_owned()
            }
        };
        let tail_options = options.replace(',', "&");
        let plan = plan(&format!(
            "--admin-tls {options} --audit tail:127.0.0.1:{tail}?{tail_options}"
        ));
        let server = plan.spawn();
        let rig = Rig {
            site,
            operator,
            server,
            tail,
        };
        // The server is ready once it answers by its policies.
        let ready = customs_test_support::wait_for(|| {
            let answer = rig.check(&rig.url(), &rig.whole());
            (answer.code != Some(2)).then_some(())
        });
        assert!(ready.is_some(), "{}", rig.server.folder.text("out/stderr"));
        rig
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.server.admin)
    }

    fn path(&self, name: &str) -> String {
        self.operator.path(name).display().to_string()
    }

    /// Returns the flags of an operator who does everything right.
    fn whole(&self) -> Vec<String> {
        let certificate = [
            ("--certificate", self.path(CERTIFICATE)),
            ("--private-key", self.path(PRIVATE_KEY)),
        ];
        let flags = certificate
            .into_iter()
            .flat_map(|(flag, path)| [flag.to_owned(), path]);
        flags.chain(self.trusting()).collect()
    }

    /// Returns the flags of a client that trusts the server and presents nothing.
    fn trusting(&self) -> Vec<String> {
        let pairs = [
            ("--ca", self.path(CLIENT_CA)),
            ("--server-name", SERVER_NAME.to_owned()),
        ];
        let pairs = pairs.into_iter();
        pairs
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect()
    }

    fn check(&self, admin: &str, flags: &[String]) -> Ended {
        let to = "http://www.aliyun.com/";
        let asked = [
            "check",
            "--from",
            "demo-frontend/sleep",
            "--to",
            to,
            "--admin",
            admin,
        ];
        self.run(&asked, flags)
    }

    /// Prints the record of the start.
    fn tail(&self, server: &str, flags: &[String]) -> Ended {
        let asked = [
            "audit",
            "tail",
            "--from-start",
            "--count",
            "1",
            "--format",
            "json",
        ];
        let asked: Vec<&str> = asked.into_iter().chain(["--server", server]).collect();
        self.run(&asked, flags)
    }

    fn run(&self, asked: &[&str], flags: &[String]) -> Ended {
        let all: Vec<&str> = asked
            .iter()
            .copied()
            .chain(flags.iter().map(|flag| &**flag))
            .collect();
        run(&self.server.folder.at(""), &all)
    }

    /// Asks both addresses with the same mistake, and returns what the user sees.
    fn mistake(&self, scheme: &str, flags: &[String]) -> [String; 2] {
        let ended = [
            self.check(&format!("{scheme}127.0.0.1:{}", self.server.admin), flags),
            self.tail(&format!("{scheme}127.0.0.1:{}", self.tail), flags),
        ];
        let codes = ended.each_ref().map(|one| one.code);
        assert_eq!(codes, [Some(2), Some(1)], "{ended:?}");
        ended.map(|one| {
            assert_eq!(one.stdout, "", "{one:?}");
            assert_eq!(one.stderr.lines().count(), 1, "{one:?}");
            one.stderr
        })
    }

    /// Writes files of another client, and returns the flags that present them.
    fn presenting(&self, pair: &PemPair) -> Vec<String> {
        let folder = self.operator.path("");
        let folder: PathBuf = folder.components().collect();
        put(&folder, "other.crt", &pair.certificate);
        put(&folder, "other.key", &pair.private_key);
        let other = [
            ("--certificate", self.path("other.crt")),
            ("--private-key", self.path("other.key")),
        ];
        let other = other
            .into_iter()
            .flat_map(|(flag, path)| [flag.to_owned(), path]);
        other.chain(self.trusting()).collect()
    }
}

fn assert_says(said: &[String], expected: &[&str]) {
    for one in said {
        for words in expected {
            assert!(one.contains(words), "{words}: {one}");
        }
    }
}

#[test]
fn an_operator_with_a_certificate_is_answered_over_tls() {
    let rig = Rig::new(Clients::NeedOperator);
    let answered = rig.check(&rig.url(), &rig.whole());
    assert_eq!(answered.code, Some(1), "{answered:?}");
    assert!(
        answered.stdout.contains("ep:demo-frontend/no-aliyun#www"),
        "{answered:?}"
    );
    let read = rig.tail(&format!("https://127.0.0.1:{}", rig.tail), &rig.whole());
    assert_eq!(read.code, Some(0), "{read:?}");
    assert!(read.stdout.contains(r#""kind":"stream""#), "{read:?}");
}

#[test]
fn where_clients_need_no_certificate_the_authority_is_enough() {
    let rig = Rig::new(Clients::NeedNone);
    let answered = rig.check(&rig.url(), &rig.trusting());
    assert_eq!(answered.code, Some(1), "{answered:?}");
    let read = rig.tail(&format!("https://127.0.0.1:{}/", rig.tail), &rig.trusting());
    assert_eq!(read.code, Some(0), "{read:?}");
}

#[test]
fn each_mistake_of_a_client_has_a_message_that_says_what_to_write() {
    let rig = Rig::new(Clients::NeedOperator);
    let without = |dropped: &str| {
        let whole = rig.whole();
        let kept = whole.chunks(2).filter(|pair| pair[0] != dropped).flatten();
        kept.cloned().collect::<Vec<String>>()
    };
    let replaced = |flag: &str, value: String| {
        let mut flags = without(flag);
        flags.extend([flag.to_owned(), value]);
        flags
    };
    let elsewhere = Authority::new();
    put(&rig.operator.path(""), "elsewhere.crt", &elsewhere.pem());

    let said = rig.mistake("https://", &replaced("--ca", rig.path("elsewhere.crt")));
    assert_says(
        &said,
        &[
            "none of the trusted authorities vouches for the server's certificate",
            "the file of `--ca` needs the authority that issued it",
        ],
    );
    let said = rig.mistake("https://", &without("--server-name"));
    assert_says(
        &said,
        &[
            "the server's certificate is for `customs.example`, not for `127.0.0.1`",
            "write `--server-name` with a name of its certificate",
        ],
    );
    let said = rig.mistake("https://", &rig.trusting());
    assert_says(
        &said,
        &[
            "the server asks for a client certificate",
            "present one with `--certificate FILE --private-key FILE`",
        ],
    );
    for (pair, expected) in [
        (
            elsewhere.issue(&Leaf::workload(OPERATOR)),
            "it comes from none of the server's authorities",
        ),
        (
            rig.site.mesh.issue(&Leaf::workload(GATEWAY)),
            "the server does not permit its identity",
        ),
    ] {
        let said = rig.mistake("https://", &rig.presenting(&pair));
        assert_says(
            &said,
            &[
                "the server refuses the client certificate: ",
                expected,
                "present another one with `--certificate` and `--private-key`",
            ],
        );
    }
    // Without TLS at an address that has it.
    let [admin, tail] = rig.mistake("", &[]);
    assert!(
        admin.contains("did not answer")
            && admin.contains(&format!("write `--admin {}`", rig.url())),
        "{admin}"
    );
    let url = format!("write `--server https://127.0.0.1:{}`", rig.tail);
    assert!(
        tail.contains("did not answer") && tail.contains(&url),
        "{tail}"
    );
    // One address for the other: both have TLS, and another protocol within.
    let swapped = rig.check(&format!("https://127.0.0.1:{}", rig.tail), &rig.whole());
    assert!(
        swapped
            .stderr
            .contains("does not offer `http/1.1` (ALPN); is this the address of `admin`"),
        "{swapped:?}"
    );
    let swapped = rig.tail(&rig.url(), &rig.whole());
    assert!(
        swapped
            .stderr
            .contains("does not offer `h2` (ALPN); is this the address of a `tail:` sink"),
        "{swapped:?}"
    );
    // Nothing of this keeps the next operator out.
    assert_eq!(rig.check(&rig.url(), &rig.whole()).code, Some(1));
}

#[test]
fn tls_at_an_address_without_it_is_reported_as_that() {
    let tail = ports::free().unwrap();
    let server = plan(&format!("--audit tail:127.0.0.1:{tail}")).start();
    let site = Site::new();
    let ca = site.folder.path(CLIENT_CA).display().to_string();
    let asked = [
        "check",
        "--from",
        "a/b",
        "--to",
        "http://c.example/",
        "--ca",
        &ca,
        "--admin",
    ];
    let (admin, tail) = (
        format!("127.0.0.1:{}", server.admin),
        format!("127.0.0.1:{tail}"),
    );
    let folder = server.folder.at("");
    let url = format!("https://{admin}");
    let ended = run(&folder, &[&asked[..], &[&url]].concat());
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let hint = format!("if the server has no TLS there, write `--admin {admin}`");
    assert!(ended.stderr.contains(&hint), "{ended:?}");
    let url = format!("https://{tail}");
    let ended = run(&folder, &["audit", "tail", "--ca", &ca, "--server", &url]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let hint = format!("if the server has no TLS there, write `--server {tail}`");
    assert!(ended.stderr.contains(&hint), "{ended:?}");
}

#[test]
fn a_flag_of_tls_that_would_not_be_used_is_refused() {
    let site = Site::new();
    let ca = site.folder.path(CLIENT_CA).display().to_string();
    let folder = site.folder.path("");
    let asked = [
        "check",
        "--from",
        "a/b",
        "--to",
        "http://c.example/",
        "--ca",
        &ca,
    ];
    let tail = ["audit", "tail", "--ca", &ca];
    for (arguments, code, expected) in [
        (
            asked.to_vec(),
            2,
            "--ca is for a running server: write `--admin https://HOST:PORT`",
        ),
        (
            [&asked[..], &["--admin", "localhost:1"]].concat(),
            2,
            "--ca needs TLS: write `--admin https://HOST:PORT`",
        ),
        (
            [
                &asked[..],
                &["--admin", "https://localhost:1", "--certificate", "x"],
            ]
            .concat(),
            2,
            "--private-key <FILE>",
        ),
        (
            [&tail[..], &["a.jsonl"]].concat(),
            1,
            "--ca is for a running server: write `--server https://HOST:PORT`",
        ),
        (
            [&tail[..], &["--server", "unix:/x"]].concat(),
            1,
            "--ca needs TLS: write `--server https://HOST:PORT`",
        ),
    ] {
        let ended = run(&folder, &arguments);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(expected), "{expected}: {ended:?}");
    }
}
