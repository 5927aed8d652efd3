//! Divides a list of objects that is too large for one document, as `kubectl get -A` prints them in a
//! large cluster.
//!
//! It is not a reader of YAML: it cuts the text that kubectl writes, and the one reader parses each
//! part. The rule: a text that does not look like such a list stays whole, and is judged as it is.

use serde_json::Value;

/// The size from which a list is divided, in bytes; one document may have four times as many.
const LARGE: usize = 1024 * 1024;

/// Returns the items of a large list; `None` if the text is small or no list.
pub(super) fn items(text: &str) -> Option<Vec<String>> {
    if text.len() < LARGE {
        return None;
    }
    match text.trim_start().starts_with('{') {
        true => of_json(text),
        false => of_yaml(text),
    }
}

fn of_json(text: &str) -> Option<Vec<String>> {
    let document: Value = serde_json::from_str(text).ok()?;
    let items = document.get("items")?.as_array()?;
    // In several lines, since a line has a bound too.
    let items = items.iter().map(serde_json::to_string_pretty);
    items.collect::<Result<_, _>>().ok()
}

/// Cuts at the lines below `items:` that begin with `- `. What belongs to an item is indented.
fn of_yaml(text: &str) -> Option<Vec<String>> {
    let mut lines = text.lines();
    let mut head = lines.by_ref().take_while(|line| *line != "items:");
    let is_head = |line: &str| {
        ["apiVersion:", "kind:", "metadata:", "---", "#", " "]
            .iter()
            .any(|begin| line.starts_with(begin))
    };
    if !head.all(|line| line.is_empty() || is_head(line)) {
        return None;
    }
    let mut items: Vec<String> = Vec::new();
    for line in lines {
        if let Some(first) = line.strip_prefix("- ") {
            items.push(format!("{first}\n"));
        } else if line.is_empty() || line.starts_with("  ") {
            let item = items.last_mut()?;
            item.push_str(line.get(2..).unwrap_or_default());
            item.push('\n');
        } else {
            // The end of the list.
            break;
        }
    }
    (!items.is_empty()).then_some(items)
}
