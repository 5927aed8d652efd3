//! A kind of document as a later version might declare it: with a field, values and an `apiVersion`
//! that came later, and with some that are deprecated.

#![expect(dead_code, reason = "only the declarations of the fields are used")]

use super::*;
use crate::mapping;
use crate::problem::Severity;
use crate::reader::{List, Placed, Required, Text};
use crate::spec::{EGRESS_POLICY, Word};

const COLOUR: Shape = Shape::OneOf(&[
    Word::new("Red"),
    Word::new("Green").since(0, 2),
    Word::new("Blue").deprecated(0, 3, "write `Green`"),
]);

mapping! {
    /// What both entries have.
    struct Common<'n> = "common" {
        /// Since always.
        old: Option<Text<'n>> = "old",
        /// Of the second version.
        #[since(0, 2)]
        newer: Option<Text<'n>> = "newer",
    }
}

mapping! {
    /// An entry.
    struct Entry<'n> = "an entry of `entries`" {
        common: Common<'n> = flatten,
        /// Of the third version, and already deprecated by the fourth.
        #[since(0, 3)]
        #[deprecated(0, 4, "write `old`")]
        short_lived: Option<Text<'n>> = "shortLived",
        colour: Option<Text<'n>> = "colour" as COLOUR,
        colours: List<'n, Text<'n>> = "colours" as Shape::list(&COLOUR),
        named: Option<&'n Node> = "named" as Shape::Map(&COLOUR),
    }
}

mapping! {
    /// The document.
    struct Thing<'n> = "the document" {
        api_version: Required<Text<'n>> = "apiVersion" as Shape::OneOf(VERSIONS),
        kind: Required<Text<'n>> = "kind",
        entries: List<'n, Placed<'n, Entry<'n>>> = "entries",
    }
    read over ["metadata"]
}

const VERSIONS: &[Word] = &[
    Word::new("example/v1").deprecated(0, 2, "write `example/v2`"),
    Word::new("example/v2").since(0, 2),
];

fn thing() -> KindSpec {
    KindSpec {
        name: "Thing",
        versions: VERSIONS,
        document: <Thing<'_> as crate::reader::Mapping<'_>>::SPEC,
    }
}

fn at(minor: u16) -> LanguageVersion {
    LanguageVersion::new(0, minor)
}

/// Returns the errors of a text for a target, each as one line.
fn newer(target: LanguageVersion, text: &str) -> Vec<String> {
    let problems = newer_in(&[thing(), EGRESS_POLICY], target, "f", text);
    problems.iter().map(Problem::to_string).collect()
}

fn deprecated(text: &str) -> Vec<Problem> {
    let documents = document::parse("f", text).map(Result::unwrap);
    documents
        .flat_map(|node| deprecated_in(&thing(), &node))
        .collect()
}

#[test]
fn what_the_target_does_not_have_is_an_error_at_its_place() {
    let text =
        "apiVersion: example/v1\nkind: Thing\nentries:\n- old: a\n  newer: b\n  shortLived: c\n";
    assert_eq!(
        newer(at(1), text),
        [
            "f:5:3: error[newer-than-target]: `newer` in an entry of `entries` exists since 0.2, and the \
             target is 0.1; customs 0.1 would refuse the file: leave it out until every server runs 0.2",
            "f:6:3: error[newer-than-target]: `shortLived` in an entry of `entries` exists since 0.3, and \
             the target is 0.1; customs 0.1 would refuse the file: leave it out until every server runs \
             0.3",
        ]
    );
    let counts = [1, 2, 3, 4].map(|minor| newer(at(minor), text).len());
    assert_eq!(
        counts,
        [2, 1, 0, 0],
        "each version has what it brought and what was before"
    );
    assert_eq!(newer(LanguageVersion::new(1, 0), text), [""; 0]);
}

#[test]
fn a_newer_value_is_found_in_fields_lists_and_maps() {
    for entry in [
        "colour: Green",
        "colours: [Red, Green]",
        "named: {a: Red, b: Green}",
    ] {
        let text = format!("{{kind: Thing, entries: [{{{entry}}}]}}");
        let found = newer(at(1), &text);
        assert_eq!(found.len(), 1, "{entry}: {found:?}");
        let column = 1 + text.find("Green").unwrap();
        let place = format!("f:1:{column}: error[newer-than-target]: `Green` as the value of");
        assert!(found[0].starts_with(&place), "{entry}: {found:?}");
        assert_eq!(newer(at(2), &text), [""; 0], "{entry}");
    }
}

#[test]
fn a_newer_api_version_is_found() {
    let found = newer(at(1), "apiVersion: example/v2\nkind: Thing\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(
            "f:1:13: error[newer-than-target]: `example/v2` as the value of `apiVersion`"
        ),
        "{found:?}"
    );
}

#[test]
fn each_document_and_each_item_of_a_list_is_looked_at() {
    let one = "{apiVersion: example/v1, kind: Thing, entries: [{newer: a}]}";
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {one}\n- {one}\n");
    let text =
        format!("{one}\n---\n{list}---\n{{kind: Other, entries: [{{newer: a}}]}}\n---\n{one}\n");
    assert_eq!(newer(at(1), &text).len(), 4);
}

#[test]
fn other_mistakes_hide_nothing_and_are_not_reported_here() {
    let text = "{kind: Thing, nonsense: 1, entries: [7, {newer: {a: b}, old: [], colours: Green, named: 7}]}\n---\n- a\n---\n{{{\n";
    let found = newer(at(1), text);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("`newer` in an entry of `entries`"),
        "{found:?}"
    );
}

#[test]
fn what_is_deprecated_is_a_warning_that_says_what_to_write() {
    let text = "apiVersion: example/v1\nkind: Thing\nentries: [{shortLived: a, colour: Blue}]\n";
    let problems = deprecated(text);
    assert!(
        problems
            .iter()
            .all(|problem| problem.severity == Severity::Warning)
    );
    let lines: Vec<_> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(
        lines,
        [
            "f:1:13: warning[deprecated]: `example/v1` as the value of `apiVersion` is deprecated since \
             0.2; write `example/v2`; a later version refuses it",
            "f:3:12: warning[deprecated]: `shortLived` in an entry of `entries` is deprecated since 0.4; \
             write `old`; a later version refuses it",
            "f:3:35: warning[deprecated]: `Blue` as the value of `colour` is deprecated since 0.3; write \
             `Green`; a later version refuses it",
        ]
    );
    assert_eq!(
        deprecated("apiVersion: example/v2\nkind: Thing\nentries: [{newer: a, colour: Red}]\n"),
        []
    );
}

#[test]
fn what_has_a_new_name_can_be_fixed() {
    let text = "apiVersion: example/v1\nkind: Thing\nentries: [{shortLived: a}, {colour: Blue}]\n";
    let fixes: Vec<_> = deprecated(text)
        .into_iter()
        .map(|problem| problem.fix.map(|fix| *fix))
        .collect();
    let renamed = |from: &str, to: &str| Some(Fix::text(from, to));
    let expected = [
        renamed("example/v1", "example/v2"),
        renamed("shortLived", "old"),
        renamed("Blue", "Green"),
    ];
    assert_eq!(fixes, expected);
}

#[test]
fn a_declaration_says_whether_anything_in_it_is_deprecated() {
    assert!(thing().document.deprecates());
    assert!(!<Common<'_> as crate::reader::Mapping<'_>>::SPEC.deprecates());
    assert!(<Entry<'_> as crate::reader::Mapping<'_>>::SPEC.deprecates());
}

#[test]
fn the_reference_says_which_versions_have_a_field() {
    let entry = <Entry<'_> as crate::reader::Mapping<'_>>::SPEC;
    let about = |name: &str| {
        let field = entry.fields().into_iter().find(|field| field.name == name);
        field.unwrap().about()
    };
    assert_eq!(about("old"), "Since always.");
    assert_eq!(about("newer"), "Of the second version. Since 0.2.");
    assert_eq!(
        about("shortLived"),
        "Of the third version, and already deprecated by the fourth. Since 0.3. Deprecated since 0.4: \
         write `old`."
    );
    let schema = crate::spec::json_schema("urn:test", &[thing().document]);
    let described = &schema["definitions"]["Entry"]["properties"];
    assert_eq!(described["shortLived"]["deprecated"], true);
    assert_eq!(
        described["newer"]["description"],
        "Of the second version. Since 0.2."
    );
    assert!(described["newer"].get("deprecated").is_none());
}

#[test]
fn a_version_is_named_by_its_release_or_its_line() {
    for text in ["0.1", "0.1.0", "0.1.17"] {
        assert_eq!(text.parse(), Ok(LanguageVersion::FIRST), "{text}");
    }
    for text in [
        "", "0", "1", "0.", ".1", "0.1.", "0.1.2.3", "v0.1", "00.1", "0.01", "+0.1", "0.1 ", "9.9",
        "0.1.x", "latest",
    ] {
        let refused = text.parse::<LanguageVersion>().unwrap_err().to_string();
        assert_eq!(
            refused,
            format!("unknown version `{text}`: this customs knows the policy languages of 0.1"),
        );
    }
}

#[test]
fn versions_ascend_and_nothing_is_declared_for_one_that_is_not_known() {
    assert!(LanguageVersion::ALL.is_sorted());
    assert_eq!(LanguageVersion::ALL[0], LanguageVersion::FIRST);
    fn in_shape(shape: Shape, seen: &mut Vec<LanguageVersion>) {
        match shape {
            Shape::OneOf(words) => words
                .iter()
                .for_each(|word| declared(word.availability, seen)),
            Shape::List { of, .. } | Shape::Map(of) => in_shape(*of, seen),
            Shape::Mapping(mapping) => in_spec(mapping, seen),
            _ => {}
        }
    }
    fn in_spec(spec: &MappingSpec, seen: &mut Vec<LanguageVersion>) {
        for field in spec.fields() {
            declared(field.availability, seen);
            in_shape(field.shape, seen);
        }
    }
    fn declared(availability: Availability, seen: &mut Vec<LanguageVersion>) {
        seen.push(availability.since);
        seen.extend(availability.deprecated.map(|end| end.since));
    }
    let mut seen = Vec::new();
    KINDS
        .iter()
        .for_each(|kind| in_spec(kind.document, &mut seen));
    seen.extend(Code::ALL.iter().map(|code| code.since()));
    assert!(seen.len() > 150, "only {} declarations", seen.len());
    let unknown = seen
        .iter()
        .find(|version| !LanguageVersion::ALL.contains(version));
    assert_eq!(unknown, None, "add it to LanguageVersion::ALL");
}

#[test]
fn this_version_is_the_last_one_that_is_known() {
    let version = concat!(
        env!("CARGO_PKG_VERSION_MAJOR"),
        ".",
        env!("CARGO_PKG_VERSION_MINOR")
    );
    let last = LanguageVersion::ALL.last().unwrap();
    assert_eq!(
        last.to_string(),
        version,
        "add the version to LanguageVersion::ALL"
    );
}
