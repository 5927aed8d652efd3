//! customs is gone: the gateway must refuse every request, and recover by itself.

use anyhow::Result;

use crate::rig_with;
use customs_test_support::policies::SEED;
use customs_test_support::tls::Attempt;

#[test]
fn killed_customs_closes_the_gateway_until_it_is_back() -> Result<()> {
    let mut rig = rig_with(&[SEED])?;
    assert_eq!(rig.other.get("www.aliyun.com")?.status, 301);

    let outside = rig.requests_outside()?;
    rig.customs.kill();
    for host in ["www.aliyun.com", "unheard-of.example"] {
        let refused = rig.other.get(host)?;
        assert_eq!(refused.status, 503, "{host}: {refused:?}");
        assert_eq!(
            refused.header("x-customs-reason"),
            None,
            "this is not a verdict of customs"
        );
    }
    assert_eq!(
        rig.requests_outside()?,
        outside,
        "nothing may leave the mesh"
    );
    let recovered = customs_test_support::wait_for(|| {
        rig.gateway_log().contains("ext_authz_error").then_some(())
    });
    assert!(
        recovered.is_some(),
        "the gateway's log says whose 503 it is: {}",
        rig.gateway_log()
    );
    let attempt = rig.get_tls(&rig.other, "api.partner.example")?;
    assert!(matches!(attempt, Attempt::Closed(_)), "{attempt:?}");

    rig.customs.start()?;
    let back = customs_test_support::wait_for(|| {
        rig.other
            .get("www.aliyun.com")
            .ok()
            .filter(|answer| answer.status == 301)
    });
    assert!(back.is_some(), "the gateway found customs again");
    assert_eq!(rig.demo_frontend.get("www.aliyun.com")?.status, 403);
    Ok(())
}
