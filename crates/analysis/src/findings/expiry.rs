//! Grants and exceptions that have expired, or expire within the horizon.

use super::{Horizon, id, warning};
use customs_engine::rule_info::RuleInfo;
use customs_engine::rules::Rules;
use customs_engine::time::UnixNanos;
use customs_policy::problem::{Code, Problem};

const DAY: i128 = 86_400 * 1_000_000_000;

/// Finds expired and expiring grants.
pub(crate) fn look(rules: &Rules, horizon: Horizon, found: &mut Vec<Problem>) {
    let Some(now) = horizon.now else { return };
    let grants = rules.grants.iter().map(|rule| &rule.info);
    let exceptions = rules
        .denies
        .iter()
        .flat_map(|rule| rule.except.iter().map(|except| &except.info));
    found.extend(
        grants
            .chain(exceptions)
            .filter_map(|info| expiration(info, now, horizon.days)),
    );
}

fn expiration(info: &RuleInfo, now: UnixNanos, days: u32) -> Option<Problem> {
    let end = info.expires()?;
    if info.is_expired(now) {
        let what = format!("`{}` ended at {}", id(info), timestamp(end));
        return Some(
            warning(Code::Expired, info, what).hint("remove it, or give it a later `expires`"),
        );
    }
    let left = end.0 - now.0;
    if left > i128::from(days) * DAY {
        return None;
    }
    let in_days = match left / DAY {
        0 => "in less than a day".to_owned(),
        1 => "in a day".to_owned(),
        days => format!("in {days} days"),
    };
    let what = format!("`{}` ends {in_days}, at {}", id(info), timestamp(end));
    Some(
        warning(Code::ExpiresSoon, info, what)
            .hint("give it a later `expires`, or make sure that no caller needs it then"),
    )
}

fn timestamp(end: UnixNanos) -> String {
    jiff::Timestamp::from_nanosecond(end.0).map_or_else(
        |_| "a time beyond the calendar".to_owned(),
        |at| at.to_string(),
    )
}
