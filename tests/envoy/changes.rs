//! Policy files that appear, change and disappear while traffic flows.

use anyhow::Result;

use crate::rig_with;
use customs_test_support::policies::SEED;

#[test]
fn removed_file_opens_the_way_again() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    assert_eq!(rig.demo_frontend.get("www.aliyun.com")?.status, 403);
    let revision = rig.customs.revision()?;
    rig.customs.policies.remove(SEED)?;
    rig.customs.revision_after(&revision)?;
    assert_eq!(rig.demo_frontend.get("www.aliyun.com")?.status, 301);
    Ok(())
}

#[test]
fn broken_file_leaves_the_last_good_answers() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let revision = rig.customs.revision()?;
    rig.customs
        .policies
        .put("broken.yaml", "kind: [this is not a policy\n")?;
    rig.customs.status_mentions("broken.yaml")?;

    assert_eq!(
        rig.customs.revision()?,
        revision,
        "a set with a broken file is not in force"
    );
    assert_eq!(rig.demo_frontend.get("www.aliyun.com")?.status, 403);
    assert_eq!(rig.other.get("www.aliyun.com")?.status, 301);

    // The deny is gone from the directory, but the set without it cannot be read either.
    rig.customs.policies.remove(SEED)?;
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(
        rig.demo_frontend.get("www.aliyun.com")?.status,
        403,
        "the last good set still holds"
    );

    rig.customs.policies.remove("broken.yaml")?;
    rig.customs.revision_after(&revision)?;
    assert_eq!(
        rig.demo_frontend.get("www.aliyun.com")?.status,
        301,
        "a repaired set is in force by itself"
    );
    Ok(())
}

#[test]
fn connection_kept_open_meets_the_new_policy() -> Result<()> {
    let rig = rig_with(&[])?;
    // The sidecars keep their connections to the gateway, and the gateway its own to customs: only
    // the directory changes.
    assert_eq!(rig.demo_frontend.get("www.aliyun.com")?.status, 301);
    for round in 0..3 {
        let revision = rig.customs.revision()?;
        rig.customs.policies.add(SEED)?;
        let denying = rig.customs.revision_after(&revision)?;
        assert_eq!(
            rig.demo_frontend.get("www.aliyun.com")?.status,
            403,
            "round {round}"
        );
        rig.customs.policies.remove(SEED)?;
        let back = rig.customs.revision_after(&denying)?;
        assert_eq!(back, revision, "the same files make the same revision");
        assert_eq!(
            rig.demo_frontend.get("www.aliyun.com")?.status,
            301,
            "round {round}"
        );
    }
    Ok(())
}
