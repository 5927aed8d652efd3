//! Mutual TLS between the real gateway and customs: who may ask, whom the gateway takes for
//! customs, and certificates that change meanwhile.
//!
//! customs runs with the arguments of `deploy/istio/mutual-tls/mesh-certificates`, the gateway with
//! `deploy/local/customs-tls.yaml`.

use std::fs;

use anyhow::{Context, Result, bail};
use customs_test_support::certificates::EGRESS_GATEWAY;
use customs_test_support::policies::SEED;
use customs_test_support::rig::{Hop, Rig, Routes};
use customs_test_support::tls::{self, Attempt, Reception};
use customs_test_support::{tools, wait_for};

fn rig() -> Result<Rig> {
    let customs = env!("CARGO_BIN_EXE_customs").as_ref();
    Rig::start_with(customs, &tools::envoy()?, Routes::OneHost, Hop::MutualTls)
}

/// Connects to customs with the certificate of this workload.
fn knock(rig: &Rig, name: Option<&str>) -> Result<Reception> {
    let files = name.map(|name| rig.certificates.of(name));
    let files = files
        .as_ref()
        .map(|(certificate, key)| (&**certificate, &**key));
    tls::knock(rig.customs.port, files)
}

#[test]
fn checks_are_answered_over_mutual_tls_while_certificates_change() -> Result<()> {
    let rig = rig()?;
    let mark = rig.customs.audit.mark();
    assert_eq!(rig.demo_frontend.get("www.aliyun.com")?.status, 301);
    // The record says who asked.
    let line = rig.customs.audit.decisions_since(mark, 1)?.remove(0);
    let expected = format!(r#""peerIdentity":"{EGRESS_GATEWAY}""#);
    assert!(line.text.contains(&expected), "{}", line.text);
    let before = rig.customs.revision()?;
    rig.customs.policies.add(SEED)?;
    rig.customs.revision_after(&before)?;
    let refused = rig.demo_frontend.get("www.aliyun.com")?;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("x-customs-reason"), Some("denied_by_rule"));
    assert_eq!(rig.other.get("www.aliyun.com")?.status, 301);
    let attempt = rig.get_tls(&rig.other, "www.aliyun.com")?;
    assert!(matches!(attempt, Attempt::Closed(_)), "{attempt:?}");

    for _ in 0..3 {
        let Reception::Accepted(first) = knock(&rig, Some("egress-gateway"))? else {
            bail!("the gateway is refused");
        };
        rig.certificates.renew_customs()?;
        let is_renewed = || match knock(&rig, Some("egress-gateway")) {
            Ok(Reception::Accepted(now)) => (now != first).then_some(()),
            _ => None,
        };
        wait_for(is_renewed).context("customs keeps its old certificate")?;
        assert_eq!(rig.demo_frontend.get("www.aliyun.com")?.status, 403);
        assert_eq!(rig.other.get("www.aliyun.com")?.status, 301);
    }
    Ok(())
}

#[test]
fn only_the_gateway_may_ask() -> Result<()> {
    let rig = rig()?;
    for name in [Some("demo-frontend-sleep"), Some("other-sleep"), None] {
        let reception = knock(&rig, name)?;
        assert!(
            matches!(reception, Reception::Refused(_)),
            "{name:?}: {reception:?}"
        );
    }
    // A certificate of another authority, and no TLS at all.
    let reception = knock(&rig, Some("origin"))?;
    assert!(matches!(reception, Reception::Refused(_)), "{reception:?}");
    let plain = customs_test_support::http::get(rig.customs.port, "localhost", "/");
    assert!(plain.is_err(), "{plain:?}");
    assert!(matches!(
        knock(&rig, Some("egress-gateway"))?,
        Reception::Accepted(_)
    ));
    assert_eq!(rig.demo_frontend.get("www.aliyun.com")?.status, 301);
    Ok(())
}

#[test]
fn a_server_that_is_not_customs_is_asked_nothing_and_nothing_passes() -> Result<()> {
    let mut rig = rig()?;
    assert_eq!(rig.other.get("www.aliyun.com")?.status, 301);
    // Another workload of the mesh answers at the address of customs.
    rig.customs.kill();
    let (certificate, key) = rig.certificates.of("other-sleep");
    let folder = rig.certificates.of_customs();
    fs::copy(certificate, folder.join("cert-chain.pem"))?;
    fs::copy(key, folder.join("key.pem"))?;
    rig.customs.start()?;
    let (mark, outside) = (rig.customs.audit.mark(), rig.requests_outside()?);
    for _ in 0..5 {
        assert_eq!(rig.other.get("www.aliyun.com")?.status, 503);
    }
    rig.customs.audit.decisions_since(mark, 0)?;
    assert_eq!(rig.requests_outside()?, outside);

    rig.customs.kill();
    rig.certificates.renew_customs()?;
    rig.customs.start()?;
    let is_back = || {
        rig.other
            .get("www.aliyun.com")
            .ok()
            .filter(|answer| answer.status == 301)
    };
    wait_for(is_back).context("the gateway does not find customs again")?;
    Ok(())
}
