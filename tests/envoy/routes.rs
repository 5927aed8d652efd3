//! The routes that istiod writes for one host. A request without a route is answered on the way,
//! and customs is never asked: such a request is neither decided nor recorded, and it does not
//! leave the mesh.

use anyhow::Result;

use customs_test_support::policies::SEED;
use customs_test_support::rig::{Rig, Routes};
use customs_test_support::tls::Attempt;
use customs_test_support::tools;

/// Starts a rig with the seed's policy in force.
fn rig() -> Result<Rig> {
    let mut rig = Rig::start(
        env!("CARGO_BIN_EXE_customs").as_ref(),
        &tools::envoy()?,
        Routes::OneHost,
    )?;
    rig.reset(&[SEED])?;
    Ok(rig)
}

#[test]
fn what_has_no_route_does_not_leave_the_mesh_and_is_not_on_record() -> Result<()> {
    let rig = rig()?;
    let (mark, outside) = (rig.customs.audit.mark(), rig.requests_outside()?);
    for sidecar in [&rig.demo_frontend, &rig.other] {
        let dotted = sidecar.get("www.aliyun.com.")?;
        assert_eq!(
            dotted.status, 404,
            "the sidecar takes the dot, the gateway has no route for it: {dotted:?}"
        );
        assert_eq!(
            dotted.header("x-customs-reason"),
            None,
            "customs was not asked"
        );
        let unknown = sidecar.get("unheard-of.example")?;
        assert_eq!(
            (unknown.status, unknown.header("x-customs-reason")),
            (502, None),
            "{unknown:?}"
        );
    }
    // The gateway itself, without a sidecar.
    assert_eq!(rig.get_plaintext("unheard-of.example")?.status, 404);
    let attempt = rig.get_tls(&rig.other, "files.example")?;
    assert!(matches!(attempt, Attempt::Closed(_)), "{attempt:?}");

    rig.customs.audit.decisions_since(mark, 0)?;
    assert_eq!(rig.requests_outside()?, outside);
    Ok(())
}

#[test]
fn what_has_a_route_is_asked_about_over_http2_too() -> Result<()> {
    let rig = rig()?;
    let mark = rig.customs.audit.mark();
    let spellings = [
        "www.aliyun.com",
        "WWW.aliyun.com",
        "www.aliyun.com:80",
        "www.aliyun.com:443",
    ];
    for host in spellings {
        let denied = rig.demo_frontend.get(host)?;
        assert_eq!(
            (denied.status, denied.header("x-customs-reason")),
            (403, Some("denied_by_rule")),
            "{host}"
        );
        let passed = rig.other.get(host)?;
        assert_eq!(
            (passed.status, passed.header("x-customs-reason")),
            (301, None),
            "{host}"
        );
    }
    rig.customs
        .audit
        .decisions_since(mark, 2 * spellings.len())?;
    let crossings = || {
        rig.gateway_log()
            .lines()
            .filter(|line| line.contains(r#""protocol":"HTTP/2""#))
            .count()
    };
    let seen =
        customs_test_support::wait_for(|| (crossings() == 2 * spellings.len()).then_some(()));
    assert!(
        seen.is_some(),
        "the sidecars use HTTP/2 to the gateway here: {}",
        rig.gateway_log()
    );
    Ok(())
}
