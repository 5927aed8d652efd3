//! The sum of what `gap` records declare.

use customs_record::proto::Loss;

/// Adds losses to others.
pub(in crate::app::commands) fn add_losses(sum: &mut Loss, more: Loss) {
    let Loss {
        allows,
        denials,
        differing,
        withheld,
        events,
    } = sum;
    for (sum, lost) in [
        (allows, more.allows),
        (denials, more.denials),
        (differing, more.differing),
        (withheld, more.withheld),
        (events, more.events),
    ] {
        *sum = sum.saturating_add(lost);
    }
}
