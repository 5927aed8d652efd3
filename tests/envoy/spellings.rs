//! One host, many spellings. Envoy passes the Host header on as the client wrote it and routes it
//! all the same, so each spelling is a way around a policy that compares text.

use anyhow::Result;

use crate::rig_with;
use customs_test_support::policies::SEED;

const SPELLINGS: [&str; 8] = [
    "WWW.ALIYUN.COM",
    "Www.Aliyun.Com",
    "www.aliyun.com:80",
    "www.aliyun.com:443",
    "www.aliyun.com:8443",
    "www.aliyun.com:",
    "www.aliyun.com.",
    "WWW.aliyun.com.:80",
];

#[test]
fn every_spelling_of_the_denied_host_is_denied() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let (mark, outside) = (rig.customs.audit.mark(), rig.requests_outside()?);
    for host in SPELLINGS {
        let answer = rig.demo_frontend.get(host)?;
        assert_eq!(answer.status, 403, "{host}: {answer:?}");
        assert_eq!(
            answer.header("x-customs-reason"),
            Some("denied_by_rule"),
            "{host}"
        );
    }
    assert_eq!(
        rig.requests_outside()?,
        outside,
        "none of them may leave the mesh"
    );
    rig.customs.audit.decisions_since(mark, SPELLINGS.len())?;
    Ok(())
}

#[test]
fn every_spelling_passes_for_a_namespace_the_policy_does_not_name() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    let (mark, outside) = (rig.customs.audit.mark(), rig.requests_outside()?);
    for host in SPELLINGS {
        let answer = rig.other.get(host)?;
        assert_eq!(answer.status, 301, "{host}: {answer:?}");
    }
    assert_eq!(
        rig.requests_outside()?,
        outside + SPELLINGS.len() as u64,
        "all of them are the site's own answers"
    );
    rig.customs.audit.decisions_since(mark, SPELLINGS.len())?;
    Ok(())
}

#[test]
fn malformed_host_is_denied_to_everybody() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    for host in [
        "www.aliyun.com@other.example",
        "a%2ecom",
        "www.aliyun.com..",
        "a.example:notaport",
        "",
    ] {
        let answer = rig.other.get(host)?;
        assert_eq!(answer.status, 403, "{host:?}: {answer:?}");
        assert_eq!(
            answer.header("x-customs-reason"),
            Some("malformed_host"),
            "{host:?}"
        );
    }
    Ok(())
}

#[test]
fn neighbouring_names_are_not_the_denied_host() -> Result<()> {
    let rig = rig_with(&[SEED])?;
    for host in [
        "aliyun.com",
        "ww.aliyun.com",
        "a.www.aliyun.com",
        "www.aliyun.com.example",
        "xwww.aliyun.com",
    ] {
        assert_eq!(rig.demo_frontend.get(host)?.status, 200, "{host}");
    }
    Ok(())
}
