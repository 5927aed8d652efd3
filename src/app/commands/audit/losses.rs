//! What `gap` records declare: its sum, and how reports spell it.

use serde_json::{Value, json};

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

/// Returns losses as reports in JSON spell them.
pub(in crate::app::commands) fn losses_json(lost: Loss) -> Value {
    let Loss {
        allows,
        denials,
        differing,
        withheld,
        events,
    } = lost;
    json!({
        "allows": allows, "denials": denials, "differing": differing, "withheld": withheld, "events": events,
    })
}
