//! The demo: what customs is for, on a real Envoy, in half a minute. `make demo` runs it.
//!
//! It plays one scenario step by step and checks every answer, so it is a test as well: it exits
//! with 0 only if every step went as described. It starts everything on loopback and removes
//! everything it started, also when it is interrupted.
//!
//! Not a way to run customs: for that see the README.
//!
//! ```text
//! demo [--keep] [--tls] [PATH-OF-CUSTOMS]
//! ```
//!
//! With `--tls` the gateway and customs authenticate each other: mutual TLS with certificates of
//! the mesh, which are made for the occasion.

mod stage;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use customs_test_support::audit::Line;
use customs_test_support::http::Response;
use customs_test_support::policies::SEED;
use customs_test_support::rig::{Hop, Rig, Routes};
use customs_test_support::tls::{self, Reception};
use customs_test_support::tools;
use stage::{Stage, curl_words, shown};

const TRAFFIC: &str = "\
demo-frontend/sleep -- sidecar --+
                                 +-- mutual TLS --> egress gateway --> outside (answers for www.aliyun.com)
other/sleep ---------- sidecar --+                       |
                                                         +-- may it? --> customs <-- policy directory";

fn main() -> ExitCode {
    let mut stage = Stage::new();
    match options().and_then(|options| play(&mut stage, &options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            stage.failed(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// What the command line says.
struct Options {
    /// The customs binary to run.
    customs: PathBuf,
    /// Whether to leave everything running.
    keep: bool,
    hop: Hop,
}

fn options() -> Result<Options> {
    let (mut customs, mut keep, mut hop) = (None, false, Hop::Plain);
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--keep" => keep = true,
            "--tls" => hop = Hop::MutualTls,
            option if option.starts_with('-') => {
                bail!("unknown option {option}; known: --keep, --tls")
            }
            path => customs = Some(PathBuf::from(path)),
        }
    }
    let customs = match customs {
        Some(path) => path,
        // Cargo puts the example one folder below the binary.
        None => std::env::current_exe()?
            .parent()
            .and_then(|it| it.parent())
            .context("no folder")?
            .join("customs"),
    };
    ensure!(
        customs.is_file(),
        "there is no {}; build it with: cargo build --release --bin customs",
        customs.display()
    );
    let customs = std::path::absolute(customs)?;
    Ok(Options { customs, keep, hop })
}

fn play(stage: &mut Stage, options: &Options) -> Result<()> {
    let rig = open(stage, options)?;
    if options.hop == Hop::MutualTls {
        know_the_gateway(stage, &rig)?;
    }
    let mark = rig.customs.audit.mark();
    let first = passes(
        stage,
        &rig,
        "A pod of namespace demo-frontend goes to www.aliyun.com",
        rig.demo_frontend.http_port,
    )?;
    drop_the_policy(stage, &rig)?;
    let refused = is_refused(stage, &rig)?;
    let other = passes(
        stage,
        &rig,
        "A pod of namespace other sends it too",
        rig.other.http_port,
    )?;
    let lines = rig.customs.audit.decisions_since(mark, 3)?;
    show_the_record(stage, &rig, &lines, &[first, refused, other])?;
    meet_no_route(stage, &rig)?;
    pass_tls_through(stage, &rig)?;
    if options.keep {
        stay(stage, &rig, options.hop)?;
    }
    drop(rig);
    stage.say("");
    stage.good(
        "301, then 403 without a restart, then 301 for the other namespace. Everything started here is gone again.",
    );
    Ok(())
}

/// Starts everything and shows what is running.
fn open(stage: &mut Stage, options: &Options) -> Result<Rig> {
    stage.step("An egress gateway, two pods' sidecars, the outside, and customs");
    let envoy = tools::envoy()?;
    let start = Instant::now();
    let rig = Rig::start_with(&options.customs, &envoy, Routes::OneHost, options.hop)?;
    stage.say(TRAFFIC);
    stage.say("");
    stage.say(&format!(
        "Envoy {} at {}",
        envoy.version,
        envoy.path.display()
    ));
    stage.say(&format!(
        "customs, process {}, started as:",
        rig.customs.id().unwrap_or_default()
    ));
    stage.command(&rig.customs.command_line());
    stage.good(&format!(
        "all five processes are ready after {} ms",
        start.elapsed().as_millis()
    ));
    stage.say("The policy directory holds another team's baseline and nothing else:");
    stage.command(&format!("ls {}", rig.customs.policies.folder().display()));
    stage.output(&rig.customs.policies.names()?.join("\n"));
    Ok(rig)
}

/// Shows who may ask customs: the gateway, and no other workload of the mesh.
fn know_the_gateway(stage: &mut Stage, rig: &Rig) -> Result<()> {
    stage.step("The gateway and customs authenticate each other");
    stage.say("deploy/local/customs-tls.yaml is in the gateway's cluster for customs. Who connects with which certificate of the mesh:");
    for (who, name) in [
        ("the egress gateway", Some("egress-gateway")),
        ("demo-frontend/sleep", Some("demo-frontend-sleep")),
        ("a client without a certificate", None),
    ] {
        let files = name.map(|name| rig.certificates.of(name));
        let files = files
            .as_ref()
            .map(|(certificate, key)| (&**certificate, &**key));
        let reception = tls::knock(rig.customs.port, files)?;
        let is_accepted = matches!(reception, Reception::Accepted(_));
        ensure!(
            is_accepted == (name == Some("egress-gateway")),
            "{who}: {reception:?}"
        );
        let said = match reception {
            Reception::Accepted(_) => "accepted".to_owned(),
            Reception::Refused(why) => format!("refused ({why})"),
        };
        stage.output(&format!("{who}: {said}"));
    }
    stage.good("only the gateway may ask, and so say who the caller is");
    Ok(())
}

/// Checks that the request gets the origin's own answer.
fn passes(stage: &mut Stage, rig: &Rig, title: &str, port: u16) -> Result<Response> {
    stage.step(title);
    let before = rig.requests_outside()?;
    let answer = stage.get(port)?;
    ensure!(
        answer.status == 301,
        "301 was expected; customs' last lines:\n{}",
        rig.customs.last_words()
    );
    ensure!(
        answer.header("x-customs-reason").is_none(),
        "the site's answer was expected, this is a denial"
    );
    ensure!(
        rig.requests_outside()? == before + 1,
        "the site outside did not see the request"
    );
    stage.good(
        "301, the site's own answer, without x-customs-reason: the request left the mesh, and the site counted it",
    );
    Ok(answer)
}

/// Adds a file to the directory. Nothing is restarted or notified.
fn drop_the_policy(stage: &mut Stage, rig: &Rig) -> Result<()> {
    stage.step("A policy file is dropped into the directory");
    let (before, process) = (rig.customs.revision()?, rig.customs.id());
    stage.command(&format!(
        "cp policies/{SEED} {}/",
        rig.customs.policies.folder().display()
    ));
    rig.customs.policies.add(SEED)?;
    let start = Instant::now();
    let after = rig.customs.revision_after(&before)?;
    let waited = start.elapsed().as_millis();
    stage.command(&format!(
        "curl http://127.0.0.1:{}/status",
        rig.customs.admin_port
    ));
    stage.output(&format!("revision {before}\n      -> {after}"));
    ensure!(rig.customs.id() == process, "customs was restarted");
    stage.good(&format!("in force after {waited} ms, in the same process"));
    Ok(())
}

/// Checks that the gateway refuses the same request as before, with a reason.
fn is_refused(stage: &mut Stage, rig: &Rig) -> Result<Response> {
    stage.step("The same pod sends the same request");
    let before = rig.requests_outside()?;
    let answer = stage.get(rig.demo_frontend.http_port)?;
    ensure!(
        answer.status == 403,
        "403 was expected; customs' last lines:\n{}",
        rig.customs.last_words()
    );
    ensure!(
        answer.header("x-customs-reason") == Some("denied_by_rule"),
        "the reason denied_by_rule was expected"
    );
    ensure!(
        rig.requests_outside()? == before,
        "the site outside has seen the request"
    );
    stage.good("403 with x-customs-reason, and the site counted nothing: the request did not leave the mesh");
    stage.say("(`server: envoy` proves nothing: the sidecar writes it on every answer, on the site's 301 above too.)");
    Ok(answer)
}

/// Shows that each request has one record, which says what happened.
fn show_the_record(
    stage: &mut Stage,
    rig: &Rig,
    lines: &[Line],
    answers: &[Response],
) -> Result<()> {
    stage.step("Each of the three crossings is one line of audit");
    stage.command(&format!(
        "grep '\"kind\":\"decision\"' {}",
        rig.customs.audit.path().display()
    ));
    for (line, answer) in lines.iter().zip(answers) {
        stage.output(&line.text);
        let expected = if answer.status == 403 {
            "deny"
        } else {
            "allow"
        };
        ensure!(
            line.effect() == expected,
            "the record of the {} should say {expected}",
            answer.status
        );
        let id = answer.header("x-customs-decision-id").unwrap_or_default();
        ensure!(
            line.text.contains(id),
            "the record should name decision {id}"
        );
    }
    stage.good("allow, deny, allow; the denied client received the id of its record");
    Ok(())
}

/// Shows that the gateway answers by itself if it has no route.
fn meet_no_route(stage: &mut Stage, rig: &Rig) -> Result<()> {
    stage.step("The same name with a dot at its end");
    stage.say("istiod writes a route for the host of the VirtualService, not for each of its spellings. The sidecar takes this one,");
    stage.say("the gateway has no route for it: it answers 404 itself and does not ask customs.");
    let (mark, before) = (rig.customs.audit.mark(), rig.requests_outside()?);
    let answer = stage.get_as(rig.demo_frontend.http_port, "www.aliyun.com.")?;
    ensure!(answer.status == 404, "404 was expected");
    ensure!(
        answer.header("x-customs-reason").is_none(),
        "customs was not to be asked"
    );
    rig.customs.audit.decisions_since(mark, 0)?;
    ensure!(
        rig.requests_outside()? == before,
        "the site outside has seen the request"
    );
    stage.good("404 without x-customs-reason: not asked, not on record, and not out");
    stage.say(
        "(A gateway for every host, `*`, has a route for it. Then customs is asked, and takes it for the same name.)",
    );
    Ok(())
}

/// Shows that TLS that the gateway does not open has no caller, only a name.
fn pass_tls_through(stage: &mut Stage, rig: &Rig) -> Result<()> {
    stage.step("The application's own TLS, which the gateway does not open");
    stage.say("The gateway sees a name (SNI) and no proof of the caller's identity. The caller might be of demo-frontend, so the deny holds,");
    stage.say("even for namespace other. There is no HTTP to answer in: the connection is closed.");
    stage.get_tls(rig.other.tls_port, &rig.certificates.outside_authority())?;
    stage.good("closed before the handshake");
    Ok(())
}

/// Leaves everything running and prints how to use it, until Ctrl-C, SIGTERM or the end of stdin.
fn stay(stage: &mut Stage, rig: &Rig, hop: Hop) -> Result<()> {
    stage.step("Yours to play with; end it with Ctrl-C (or close its stdin)");
    let folder = rig.customs.policies.folder().display();
    stage.say("as demo-frontend, and as other:");
    for port in [rig.demo_frontend.http_port, rig.other.http_port] {
        stage.command(&shown(&curl_words(port, None, "http://www.aliyun.com/")));
    }
    stage.say("edit, add or remove policies, and see what is in force or what is wrong with them:");
    stage.command(&format!("ls {folder}"));
    stage.command(&format!("rm {folder}/{SEED}"));
    stage.command(&format!(
        "curl http://127.0.0.1:{}/status",
        rig.customs.admin_port
    ));
    stage.say("watch the record, the gateway's log and customs' own:");
    stage.command(&format!("tail -f {}", rig.customs.audit.path().display()));
    stage.command(&format!("tail -f {}", rig.access_log.display()));
    stage.command(&format!("tail -f {}", customs_log(rig)));
    if let Ok(grpcurl) = tools::grpcurl() {
        let (certificate, key) = rig.certificates.of("egress-gateway");
        let transport = match hop {
            Hop::Plain => "-plaintext".to_owned(),
            // The certificate of customs has a SPIFFE id and no name, so it cannot be verified here.
            Hop::MutualTls => format!(
                "-insecure -cert {} -key {}",
                certificate.display(),
                key.display()
            ),
        };
        stage.say("ask customs yourself:");
        stage.command(&format!(
            "{} {transport} 127.0.0.1:{} list",
            grpcurl.path.display(),
            rig.customs.port
        ));
    }
    wait_for_the_end()
}

fn customs_log(rig: &Rig) -> String {
    rig.customs.log().display().to_string()
}

/// Returns at Ctrl-C, SIGTERM or the end of stdin.
fn wait_for_the_end() -> Result<()> {
    let (closed, stdin_closed) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Typed input is discarded; an unreadable stdin counts as closed.
        let _ = std::io::copy(&mut std::io::stdin().by_ref(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            _ = stdin_closed => {}
        }
        Ok(())
    })
}
