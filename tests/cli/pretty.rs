//! `--audit stdout?format=pretty`: lines for people on a terminal, and nothing else.

use customs_test_support::pty::Pty;
use customs_test_support::server::Plan;

use crate::denying;

#[test]
fn a_terminal_shows_a_line_for_each_record() {
    for (variables, deny) in [
        (&[("TERM", "xterm")][..], "\u{1b}[1;31mdeny"),
        (&[("TERM", "xterm"), ("NO_COLOR", "1")], "Z deny    "),
    ] {
        let terminal = Pty::open(120);
        let plan = Plan::with("--audit stdout?format=pretty")
            .without("NO_COLOR")
            .file("policies/a.yaml", &denying("a", "x.example"));
        let plan = variables
            .iter()
            .fold(plan, |plan, (name, value)| plan.environment(name, value));
        let mut server = plan.spawn_on(terminal.stdout());
        server.until("ready", || {
            server.get("/readyz").filter(|ready| ready.0 == 200)
        });
        assert_eq!(server.check("x.example").reason(), "denied_by_rule");
        let ended = server.stop();
        assert!(
            ended.stderr.contains("the audit log is kept nowhere"),
            "{}",
            ended.stderr
        );
        drop(server);
        let text = terminal.text();
        assert!(
            text.starts_with("# These lines are for people: no tool can read or verify them."),
            "{text}"
        );
        let line = text.lines().find(|line| line.contains("denied_by_rule"));
        let line = line.unwrap_or_else(|| panic!("no denial: {text}"));
        assert!(line.contains(deny), "{line:?}");
        assert!(
            line.contains("demo-frontend/sleep -> x.example GET "),
            "{line:?}"
        );
        let is_record = |line: &str| line.starts_with('{') || line.contains("chain");
        assert!(!text.lines().any(is_record), "{text}");
    }
}

#[test]
fn what_is_no_terminal_gets_no_lines_for_people() {
    let ended = Plan::with("--audit stdout?format=pretty")
        .file("policies/a.yaml", &denying("a", "x.example"))
        .fails();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    for part in [
        "cannot print the audit log for people: stdout is not a terminal",
        "write `--audit stdout` for records that tools read and verify",
        "pipe them to `customs audit tail -`",
    ] {
        assert!(ended.stderr.contains(part), "no {part} in {}", ended.stderr);
    }
}

#[test]
fn only_stdout_has_lines_for_people() {
    let ended = Plan::with("--audit file:out/audit?format=pretty").fails();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended
            .stderr
            .contains("`format=pretty` is for `stdout` only"),
        "{}",
        ended.stderr
    );
}
