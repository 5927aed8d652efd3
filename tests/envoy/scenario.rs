//! The scenario customs exists for, from the first 301 to the audit lines.

use anyhow::Result;

use crate::rig_with;
use customs_test_support::policies::SEED;

#[test]
fn dropped_file_denies_one_namespace_without_a_restart() -> Result<()> {
    let rig = rig_with(&[])?;
    let process = rig.customs.id();
    let mark = rig.customs.audit.mark();

    let outside = rig.requests_outside()?;
    let before = rig.demo_frontend.get("www.aliyun.com")?;
    assert_eq!(before.status, 301, "{before:?}");
    assert_eq!(before.header("x-customs-reason"), None, "no denial");
    assert_eq!(
        rig.requests_outside()?,
        outside + 1,
        "the origin itself must have answered"
    );

    let revision = rig.customs.revision()?;
    rig.customs.policies.add(SEED)?;
    rig.customs.revision_after(&revision)?;
    assert_eq!(rig.customs.id(), process, "no restart");

    let denied = rig.demo_frontend.get("www.aliyun.com")?;
    assert_eq!(denied.status, 403, "{denied:?}");
    assert_eq!(denied.status_line, "HTTP/1.1 403 Forbidden");
    assert_eq!(denied.header("x-customs-reason"), Some("denied_by_rule"));
    assert_eq!(
        rig.requests_outside()?,
        outside + 1,
        "the denied request must not have left the mesh"
    );
    assert_eq!(rig.other.get("www.aliyun.com")?.status, 301);
    assert_eq!(
        rig.requests_outside()?,
        outside + 2,
        "that of the other namespace must have"
    );

    let lines = rig.customs.audit.decisions_since(mark, 3)?;
    let effects: Vec<String> = lines.iter().map(|line| line.effect()).collect();
    assert_eq!(effects, ["allow", "deny", "allow"], "{lines:#?}");
    Ok(())
}

#[test]
fn denial_explains_itself_to_the_client() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let mark = rig.customs.audit.mark();
    let denied = rig.demo_frontend.get("www.aliyun.com")?;

    assert_eq!(denied.status, 403);
    assert_eq!(denied.header("x-customs-reason"), Some("denied_by_rule"));
    assert_eq!(
        denied.header("content-type"),
        Some("application/problem+json")
    );
    let problem: serde_json::Value = serde_json::from_str(&denied.body)?;
    assert_eq!(
        problem.get("reason").and_then(|it| it.as_str()),
        Some("denied_by_rule"),
        "{}",
        denied.body
    );
    assert_eq!(
        problem.get("host").and_then(|it| it.as_str()),
        Some("www.aliyun.com"),
        "{}",
        denied.body
    );
    assert!(
        denied.body.contains("ep:demo-frontend/egress#no-aliyun"),
        "{}",
        denied.body
    );

    let id = denied.header("x-customs-decision-id").unwrap_or_default();
    assert!(!id.is_empty(), "{denied:?}");
    assert!(
        denied.body.contains(id),
        "header and body name the same decision: {}",
        denied.body
    );
    for line in rig.customs.audit.decisions_since(mark, 1)? {
        assert!(
            line.text.contains(id),
            "the record of decision {id} is not this one: {}",
            line.text
        );
        assert_eq!(line.reason(), "denied_by_rule", "{}", line.text);
        assert_eq!(
            line.rule(),
            "ep:demo-frontend/egress#no-aliyun",
            "{}",
            line.text
        );
    }
    Ok(())
}

#[test]
fn server_header_is_the_same_on_the_sites_answer_and_on_a_denial() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let (passed, denied) = (
        rig.other.get("www.aliyun.com")?,
        rig.demo_frontend.get("www.aliyun.com")?,
    );
    assert_eq!(
        (passed.status, passed.header("server")),
        (301, Some("envoy")),
        "the sidecar overwrites the site's"
    );
    assert_eq!(
        (denied.status, denied.header("server")),
        (403, Some("envoy")),
        "{denied:?}"
    );
    assert_eq!(
        passed.header("x-customs-reason"),
        None,
        "only this distinguishes them"
    );
    assert_eq!(denied.header("x-customs-reason"), Some("denied_by_rule"));

    // Without a sidecar in front, the gateway's own overwriting shows.
    assert_eq!(
        rig.get_plaintext("unheard-of.example")?.header("server"),
        Some("istio-envoy")
    );
    Ok(())
}

#[test]
fn gateway_log_names_the_same_decision() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let denied = rig.demo_frontend.get("www.aliyun.com")?;
    let id = denied
        .header("x-customs-decision-id")
        .unwrap_or_default()
        .to_owned();
    let line = customs_test_support::wait_for(|| {
        let log = rig.gateway_log();
        log.lines()
            .find(|line| line.contains(&id))
            .map(str::to_owned)
    });
    let line = line.unwrap_or_default();
    for part in [
        "ext_authz_denied",
        "UAEX",
        "denied_by_rule",
        "ns/demo-frontend/sa/sleep",
    ] {
        assert!(
            line.contains(part),
            "{part} is missing in the gateway's log line of {id}: {line}"
        );
    }
    Ok(())
}

#[test]
fn host_that_no_policy_names_passes() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let mark = rig.customs.audit.mark();
    for sidecar in [&rig.demo_frontend, &rig.other] {
        assert_eq!(sidecar.get("unheard-of.example")?.status, 200);
    }
    for line in rig.customs.audit.decisions_since(mark, 2)? {
        assert_eq!(line.reason(), "default_allow", "{}", line.text);
    }
    Ok(())
}
