//! Whether something takes effect: a rule (by its policy's `mode`), the built-in rules, or the
//! server as a whole.

/// Whether something takes effect or is only recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Enforcement {
    /// It takes effect.
    Enforce,
    /// It is evaluated and recorded, and changes nothing.
    Report,
}

impl Enforcement {
    /// Returns the name in settings and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Enforcement::Enforce => "enforce",
            Enforcement::Report => "report",
        }
    }
}
