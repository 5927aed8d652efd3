//! Requests as the tables write them.

use crate::regions::{SampleHttp, SampleRequest, SampleTarget};

/// Reads `web/app -> POST http://a.example/x (x-role: admin, listener port 443, SNI b.example)`.
pub(super) fn request(line: &str) -> SampleRequest {
    let (caller, rest) = line.split_once(" -> ").unwrap();
    let (to, more) = rest.split_once(" (").unwrap_or((rest, ""));
    let principal = match caller.split_once('/') {
        Some((namespace, account)) => {
            format!("spiffe://cluster.local/ns/{namespace}/sa/{account}")
        }
        None => String::new(),
    };
    let (method, url) = to.split_once(' ').unwrap_or(("GET", to));
    let target = match url.strip_prefix("http://") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap());
            SampleTarget::Http(SampleHttp {
                method: method.into(),
                authority: authority.into(),
                path: path.into(),
                headers: Vec::new(),
            })
        }
        None => SampleTarget::Tcp(url.strip_prefix("tcp://").unwrap().into()),
    };
    let mut sample = SampleRequest {
        principal,
        source_address: None,
        destination_address: None,
        listener_port: None,
        session_sni: None,
        target,
    };
    for part in more
        .trim_end_matches(')')
        .split(", ")
        .filter(|part| !part.is_empty())
    {
        if let Some(port) = part.strip_prefix("listener port ") {
            sample.listener_port = Some(port.parse().unwrap());
        } else if let Some(sni) = part.strip_prefix("SNI ") {
            sample.session_sni = Some(sni.into());
        } else if let Some(ip) = part.strip_prefix("from ") {
            sample.source_address = Some(ip.parse().unwrap());
        } else if let (Some((name, value)), SampleTarget::Http(http)) =
            (part.split_once(": "), &mut sample.target)
        {
            http.headers.push((name.into(), value.into()));
        } else {
            panic!("{part}");
        }
    }
    sample
}
