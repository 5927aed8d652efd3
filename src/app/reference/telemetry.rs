//! The page of the log and the traces.

use super::markdown::{cell, code, codes, table};
use super::template::Slot;
use crate::ops::log_fields::FIELDS;
use crate::ops::telemetry::CRATES;
use customs_extauthz::CheckStage;
use customs_telemetry::{check_span, environment};

pub(super) fn slots() -> Vec<Slot> {
    let fields = FIELDS.map(|(name, meaning)| [code(name), cell(meaning)]);
    let variables = environment::VARIABLES.map(|variable| {
        [
            code(variable.name),
            cell(variable.default),
            cell(variable.meaning),
        ]
    });
    let attributes =
        check_span::ATTRIBUTES.map(|attribute| [code(attribute.name), cell(attribute.meaning)]);
    let stages = CheckStage::ALL.map(|stage| [code(stage.as_str()), cell(stage.meaning())]);
    vec![
        ("fields", table(["field", "what it holds"], &fields)),
        ("crates", format!("The modules are {}.", codes(CRATES))),
        (
            "variables",
            table(["variable", "default", "meaning"], &variables),
        ),
        ("attributes", table(["attribute", "meaning"], &attributes)),
        ("stages", table(["event", "meaning"], &stages)),
    ]
}
