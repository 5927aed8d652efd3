//! Callers without a proven identity: no mesh TLS, or TLS that the gateway does not open. A deny
//! about one namespace applies to them too, since they might be of it; no other rule does.

use anyhow::Result;

use crate::rig_with;
use customs_test_support::certificates::EGRESS_GATEWAY;
use customs_test_support::http;
use customs_test_support::policies::SEED;
use customs_test_support::tls::Attempt;

#[test]
fn plaintext_client_is_held_by_every_deny() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let mark = rig.customs.audit.mark();
    let denied = rig.get_plaintext("www.aliyun.com")?;
    assert_eq!(denied.status, 403, "{denied:?}");
    assert_eq!(denied.header("x-customs-reason"), Some("denied_by_rule"));
    assert!(
        !denied.body.contains("no-aliyun"),
        "an unknown caller learns no rule: {}",
        denied.body
    );
    assert_eq!(rig.get_plaintext("unheard-of.example")?.status, 200);
    rig.customs.audit.decisions_since(mark, 2)?;
    Ok(())
}

#[test]
fn identity_that_a_client_writes_itself_counts_for_nothing() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let forged = format!("By={EGRESS_GATEWAY};URI=spiffe://cluster.local/ns/other/sa/sleep");
    for port in [rig.plaintext_port, rig.demo_frontend.http_port] {
        let answer = http::get_with(
            port,
            "www.aliyun.com",
            "/",
            &[("x-forwarded-client-cert", &forged)],
        )?;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    Ok(())
}

#[test]
fn tls_passthrough_to_the_denied_name_is_closed() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let mark = rig.customs.audit.mark();
    for sni in ["www.aliyun.com", "WWW.Aliyun.com"] {
        let attempt = rig.get_tls(&rig.demo_frontend, sni)?;
        assert!(matches!(attempt, Attempt::Closed(_)), "{sni}: {attempt:?}");
    }
    for line in rig.customs.audit.decisions_since(mark, 2)? {
        assert_eq!(line.effect(), "deny", "{}", line.text);
    }
    Ok(())
}

#[test]
fn tls_passthrough_to_another_name_reaches_the_site() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let mark = rig.customs.audit.mark();
    let attempt = rig.get_tls(&rig.demo_frontend, "api.partner.example")?;
    assert!(
        matches!(&attempt, Attempt::Answered(answer) if answer.status == 200),
        "{attempt:?}"
    );
    for line in rig.customs.audit.decisions_since(mark, 1)? {
        assert_eq!(line.effect(), "allow", "{}", line.text);
    }
    Ok(())
}
