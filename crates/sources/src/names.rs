//! What a file is according to its name or, failing that, its beginning: a policy, cases, or
//! something that only looks like a policy.
//!
//! The rule: `.yaml`, `.yml` and `.json` in any case are policies; names that start with a dot and
//! `*.cases.*` are left out. **Whatever looks like a policy and is not read is reported**: another
//! ending after one of these (`deny.yaml.bak`), an ending that is nearly one of them, and a file of
//! any name that begins as a policy document does, including one that is left out.

use customs_policy::suggestion::distance;

/// Endings of policy files, in lower case.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Endings that resemble one of these and mean something else.
const OTHERS: [&str; 3] = ["xml", "toml", "jsonl"];

/// Returns whether a name is that of a policy file.
pub(crate) fn is_policy_name(name: &str) -> bool {
    has_ending(name) && !is_left_out(name)
}

/// Returns whether a name is that of a file of cases.
pub(crate) fn is_cases_name(name: &str) -> bool {
    has_ending(name) && !name.starts_with('.') && has_cases_part(name)
}

/// Returns whether a name excludes its file from the policies, whatever it contains.
pub(crate) fn is_left_out(name: &str) -> bool {
    name.starts_with('.') || has_cases_part(name)
}

/// Returns whether a name ends as that of a policy file does.
pub(crate) fn has_ending(name: &str) -> bool {
    let ending = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty());
    ending.is_some_and(|(_, ending)| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

fn has_cases_part(name: &str) -> bool {
    let mut parts = name.split('.').skip(1).map(str::to_ascii_lowercase);
    parts.any(|part| part == "cases") && name.matches('.').count() > 1
}

/// Returns whether a name that is not that of a policy file looks as if it was meant to be one.
pub(crate) fn looks_like_policy_name(name: &str) -> bool {
    let lower = name.trim().to_lowercase();
    let mut last = "";
    for part in lower.split('.').skip(1) {
        let is_ending = |ending: &str| {
            let rest = part.strip_prefix(ending);
            rest.is_some_and(|rest| {
                !rest.starts_with(|c: char| c.is_alphanumeric() && !c.is_ascii_digit())
            })
        };
        if ENDINGS.iter().any(|ending| is_ending(ending)) {
            return true;
        }
        last = part;
    }
    !OTHERS.contains(&last) && ENDINGS.iter().any(|ending| is_nearly(last, ending))
}

/// Returns whether an ending has one typing mistake, or letters of another alphabet.
fn is_nearly(written: &str, ending: &str) -> bool {
    let sorted = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    distance(written, ending) == 1 && written.len() + 1 >= ending.len() && written.len() > 2
        || sorted(written) == sorted(ending)
        || !written.is_ascii() && written.chars().count() == ending.len()
}

/// How many bytes of a file decide whether it begins as a policy does.
pub(crate) const BEGINNING: usize = 4 * 1024;

/// What only policy documents contain.
const MARKS: [&str; 6] = [
    "egress.customs/",
    "security.istio.io/",
    "EgressPolicy",
    "AuthorizationPolicy",
    "DestinationSet",
    "PolicyGuard",
];

/// Returns whether a text begins as a policy document does, ignoring comments. Cases do not count.
pub(crate) fn looks_like_policy(beginning: &[u8]) -> bool {
    let text = String::from_utf8_lossy(beginning);
    let mut lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim_start);
    let mut next = || {
        lines.find(|line| {
            !(line.trim().is_empty() || line.starts_with(['#', '%']) || line.starts_with("---"))
        })
    };
    let begins = |line: &str| {
        let line = line.trim_start_matches(['-', '{', ' ', '"', '\'']);
        ["apiVersion", "kind", "metadata", "spec"]
            .iter()
            .any(|key| line.starts_with(key))
    };
    // JSON usually has its first key on the next line.
    let is_object = next()
        .is_some_and(|line| begins(line) || (line.trim_end() == "{" && next().is_some_and(begins)));
    is_object && MARKS.iter().any(|mark| text.contains(mark)) && !text.contains("PolicyTest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_is() {
        #[derive(Debug, PartialEq)]
        enum Is {
            Policy,
            Cases,
            Hidden,
            Lookalike,
            Other,
        }
        use Is::*;
        for (name, expected) in [
            ("a.yaml", Policy),
            ("a.yml", Policy),
            ("a.json", Policy),
            ("a.YAML", Policy),
            ("a.Yml", Policy),
            ("a.b.yaml", Policy),
            ("cases.yaml", Policy),
            ("a.cases.yaml", Cases),
            ("a.Cases.YML", Cases),
            ("a.cases.json", Cases),
            ("a.cases.yaml.bak", Hidden),
            (".hidden.yaml", Hidden),
            ("..data", Hidden),
            (".yaml", Hidden),
            ("a.yaml.txt", Lookalike),
            ("a.yaml.bak", Lookalike),
            ("a.yaml~", Lookalike),
            ("a.yaml ", Lookalike),
            (" a.yml\t", Lookalike),
            ("a.yaml_old", Lookalike),
            ("a.json.orig", Lookalike),
            ("a.yaml2", Lookalike),
            ("a.yaml-2026", Lookalike),
            ("a.ymal", Lookalike),
            ("a.yam", Lookalike),
            ("a.jsn", Lookalike),
            ("a.y\u{430}ml", Lookalike),
            ("yaml", Other),
            ("README.md", Other),
            ("Makefile", Other),
            ("a.xml", Other),
            ("a.toml", Other),
            ("a.js", Other),
            ("a.jsonnet", Other),
            ("a.html", Other),
            ("a.txt", Other),
            ("", Other),
        ] {
            let is = match name {
                _ if is_policy_name(name) => Policy,
                _ if is_cases_name(name) => Cases,
                _ if is_left_out(name) => Hidden,
                _ if looks_like_policy_name(name) => Lookalike,
                _ => Other,
            };
            assert_eq!(is, expected, "{name:?}");
            assert!(!(is_policy_name(name) && is_cases_name(name)), "{name:?}");
        }
    }

    #[test]
    fn a_beginning_says_whether_a_text_is_a_policy() {
        for (text, expected) in [
            (
                "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n",
                true,
            ),
            ("\u{feff}# why\n---\nkind: AuthorizationPolicy\n", true),
            (
                "{\"apiVersion\":\"security.istio.io/v1\",\"kind\":\"x\"}",
                true,
            ),
            ("{\n  \"kind\": \"DestinationSet\"}", true),
            ("- apiVersion: egress.customs/v1alpha1\n", true),
            (
                "# Policies\n\nAn EgressPolicy says:\n```yaml\nkind: EgressPolicy\n```\n",
                false,
            ),
            ("apiVersion: v1\nkind: ConfigMap\n", false),
            ("lint:\n\tcustoms lint # EgressPolicy\n", false),
            ("", false),
        ] {
            assert_eq!(looks_like_policy(text.as_bytes()), expected, "{text}");
        }
    }
}
