//! The flags of `explain`. The codes are offered to the completion of shells.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Args, Command, Error};
use std::ffi::OsStr;

use crate::app::explained_codes::CodeFamily;

/// The flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A problem code, such as bad-host, a reason of a decision, such as not_in_allow_list, or a
    /// finding of the doctor, such as timeout-missing
    #[arg(
        value_name = "CODE",
        required_unless_present = "list",
        hide_possible_values = true,
        value_parser = CodeParser
    )]
    pub(crate) code: Option<String>,
    /// Print every code with what it means, one a line
    #[arg(long, conflicts_with = "code")]
    pub(crate) list: bool,
}

/// Accepts any text, so that the command can suggest the code that was meant, and names every code
/// to shells.
#[derive(Clone, Copy, Debug)]
struct CodeParser;

impl TypedValueParser for CodeParser {
    type Value = String;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        Ok(value.to_string_lossy().into_owned())
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let codes = CodeFamily::ALL.into_iter().flat_map(CodeFamily::codes);
        Some(Box::new(codes.map(|code| PossibleValue::new(code.name))))
    }
}
