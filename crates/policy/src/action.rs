//! The action of an AuthorizationPolicy. CUSTOM is not one of them: it configures when Istio asks,
//! and customs never evaluates it.

use super::metadata::Meta;
use super::problem::fix::same_in_another_case;
use super::problem::{Code, Fix, Problem};
use super::reader::Text;
use super::suggestion;

/// The actions that are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Grants.
    Allow,
    /// Denies.
    Deny,
    /// Marks the record.
    Audit,
}

impl Action {
    /// Reads the action. Returns `None` and records a problem if it is not one of these.
    pub(crate) fn read(
        action: Option<Text<'_>>,
        meta: &Meta,
        problems: &mut Vec<Problem>,
    ) -> Option<Action> {
        let Some(action) = action else {
            return Some(Action::Allow);
        };
        match action.text {
            "ALLOW" => return Some(Action::Allow),
            "DENY" => return Some(Action::Deny),
            "AUDIT" => return Some(Action::Audit),
            "CUSTOM" => {
                let what = format!(
                    "`{}` has action CUSTOM, which configures when Istio asks; customs does not evaluate it",
                    meta.path
                );
                problems.push(
                    action
                        .warning(Code::NotOurs, what)
                        .hint("keep it out of the policy directory"),
                );
            }
            other => {
                const ACTIONS: [&str; 4] = ["ALLOW", "DENY", "AUDIT", "CUSTOM"];
                let meant = same_in_another_case(other, &ACTIONS);
                let problem = action
                    .error(Code::BadValue, format!("invalid action `{other}`"))
                    .fix(meant.map(|meant| Fix::text(other, meant)));
                problems.push(match suggestion::nearest(other, &ACTIONS) {
                    Some(meant) => {
                        problem.hint(format!("did you mean `{meant}`? Actions are upper case"))
                    }
                    None => problem.hint("write `ALLOW`, `DENY` or `AUDIT`"),
                });
            }
        }
        None
    }
}
