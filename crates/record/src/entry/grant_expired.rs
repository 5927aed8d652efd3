//! Makes the entry for a grant that expired.

use super::GrantExpiredEntry;
use customs_engine::rule_info::RuleInfo;
use customs_engine::snapshot::Revision;
use customs_engine::time::UnixNanos;

impl GrantExpiredEntry {
    /// Records that a grant expired.
    pub fn of(
        info: &RuleInfo,
        expires: UnixNanos,
        time: UnixNanos,
        revision: &Revision,
    ) -> GrantExpiredEntry {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        GrantExpiredEntry {
            time,
            rule: info.id.to_string(),
            origin: info.origin(),
            owner: text(info.owner()),
            ticket: text(info.ticket()),
            rule_reason: text(info.reason()),
            expires,
            revision: revision.to_string(),
        }
    }
}
