//! A text with slots: lines of the form `{{name}}`, which are replaced by generated text.

/// A slot's name, and its text.
pub(super) type Slot = (&'static str, String);

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// A slot that nothing fills.
    #[error("{page}: nothing fills the slot `{slot}`")]
    Unknown {
        /// The page.
        page: &'static str,
        /// The slot.
        slot: String,
    },
    /// A generated text without a slot.
    #[error("{page}: there is no slot `{slot}`")]
    Unused {
        /// The page.
        page: &'static str,
        /// The slot.
        slot: &'static str,
    },
}

/// Replaces each slot by its text.
///
/// # Errors
/// Returns the first slot that has no text, or the first text that has no slot.
pub(super) fn fill(
    page: &'static str,
    template: &str,
    slots: &[Slot],
) -> Result<String, TemplateError> {
    let (mut text, mut used) = (String::new(), Vec::new());
    for line in template.lines() {
        let slot = line
            .strip_prefix("{{")
            .and_then(|rest| rest.strip_suffix("}}"));
        let Some(slot) = slot else {
            text.push_str(line);
            text.push('\n');
            continue;
        };
        let Some((name, filling)) = slots.iter().find(|(name, _)| *name == slot) else {
            let slot = slot.to_owned();
            return Err(TemplateError::Unknown { page, slot });
        };
        used.push(*name);
        text.push_str(filling.trim_end());
        text.push('\n');
    }
    match slots.iter().find(|(name, _)| !used.contains(name)) {
        Some((slot, _)) => Err(TemplateError::Unused { page, slot }),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_is_filled_and_each_filling_is_used() {
        let slots = [("a", "1\n2\n".to_owned())];
        let filled = |text| fill("p", text, &slots).map_err(|why| why.to_string());
        assert_eq!(
            filled("x\n{{a}}\ny {{a}}\n"),
            Ok("x\n1\n2\ny {{a}}\n".into())
        );
        assert_eq!(
            filled("{{a}}\n{{b}}\n"),
            Err("p: nothing fills the slot `b`".into())
        );
        assert_eq!(filled("x\n"), Err("p: there is no slot `a`".into()));
    }
}
