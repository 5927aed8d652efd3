//! The shape of `customs test --format junit`: the elements, attributes and types that the schema of
//! Jenkins allows, in its order. GitLab reads a part of them.

use super::{Folder, policy};

/// An element of a document.
#[derive(Debug)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads a document, as far as JUnit needs XML: elements, attributes, text and character entities.
fn parse(text: &str) -> Element {
    let body = text
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
        .expect("a declaration");
    let (root, rest) = element(body);
    assert_eq!(rest.trim(), "", "one element is the whole document");
    root
}

fn element(text: &str) -> (Element, &str) {
    let text = text.strip_prefix('<').expect("an element");
    let end = text.find('>').unwrap();
    let (head, mut rest) = (text[..end].trim_end_matches('/'), &text[end + 1..]);
    let is_empty = text[..end].ends_with('/');
    let (name, attributes) = head.split_once(' ').unwrap_or((head, ""));
    let mut element_ = Element {
        name: name.to_owned(),
        attributes: pairs(attributes),
        children: Vec::new(),
        text: String::new(),
    };
    if is_empty {
        return (element_, rest);
    }
    loop {
        let next = rest.find('<').unwrap();
        element_.text += &plain(&rest[..next]);
        rest = &rest[next..];
        if let Some(behind) = rest.strip_prefix(&format!("</{name}>")) {
            return (element_, behind);
        }
        let (child, behind) = element(rest);
        element_.children.push(child);
        rest = behind;
    }
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let mut rest = text.trim();
    let mut found = Vec::new();
    while let Some((name, behind)) = rest.split_once("=\"") {
        let (value, behind) = behind.split_once('"').unwrap();
        found.push((name.trim().to_owned(), plain(value)));
        rest = behind;
    }
    assert_eq!(rest, "", "{text}");
    found
}

/// Returns text without entities; what XML forbids fails.
fn plain(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#10;", "\n"),
        ("&amp;", "&"),
    ];
    let mut rest = text;
    let mut found = String::new();
    while let Some(c) = rest.chars().next() {
        let entity = entities.iter().find(|(name, _)| rest.starts_with(name));
        assert!(c != '&' || entity.is_some(), "{rest}");
        assert!(c != '<' && (c >= ' ' || c == '\n'), "{rest:?}");
        let length = entity.map_or(c.len_utf8(), |(name, _)| name.len());
        found += entity.map_or(&rest[..length], |(_, c)| c);
        rest = &rest[length..];
    }
    found
}

/// A type of an attribute.
#[derive(Clone, Copy, Debug)]
enum Type {
    Text,
    Number,
    Seconds,
    /// `2026-11-30T05:00:00`
    TimeOfDay,
}

impl Type {
    fn accepts(self, text: &str) -> bool {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match self {
            Type::Text => true,
            Type::Number => digits(text),
            Type::Seconds => match text.split_once('.') {
                Some((whole, part)) => digits(whole) && digits(part),
                None => digits(text),
            },
            Type::TimeOfDay => {
                let pattern: String = text
                    .chars()
                    .map(|c| if c.is_ascii_digit() { '0' } else { c })
                    .collect();
                pattern == "0000-00-00T00:00:00"
            }
        }
    }
}

/// An attribute: its name, its type, and whether it is required.
type Attribute = (&'static str, Type, bool);

/// An element: its name, its attributes, and the elements in it, in their order.
type Declaration = (&'static str, &'static [Attribute], &'static [&'static str]);

use Type::{Number, Seconds, Text, TimeOfDay};

const SCHEMA: &[Declaration] = &[
    (
        "testsuites",
        &[
            ("name", Text, false),
            ("time", Seconds, false),
            ("tests", Number, false),
            ("failures", Number, false),
            ("disabled", Number, false),
            ("errors", Number, false),
        ],
        &["testsuite"],
    ),
    (
        "testsuite",
        &[
            ("name", Text, true),
            ("tests", Number, true),
            ("failures", Number, false),
            ("errors", Number, false),
            ("time", Seconds, false),
            ("disabled", Number, false),
            ("skipped", Number, false),
            ("timestamp", TimeOfDay, false),
            ("hostname", Text, false),
            ("id", Text, false),
            ("package", Text, false),
        ],
        &["properties", "testcase", "system-out", "system-err"],
    ),
    ("properties", &[], &["property"]),
    (
        "property",
        &[("name", Text, true), ("value", Text, true)],
        &[],
    ),
    (
        "testcase",
        &[
            ("name", Text, true),
            ("assertions", Text, false),
            ("time", Seconds, false),
            ("classname", Text, false),
            ("status", Text, false),
            ("class", Text, false),
            ("file", Text, false),
            ("line", Number, false),
        ],
        &["skipped", "error", "failure", "system-out", "system-err"],
    ),
    (
        "failure",
        &[("type", Text, false), ("message", Text, false)],
        &[],
    ),
    (
        "error",
        &[("type", Text, false), ("message", Text, false)],
        &[],
    ),
];

fn check(element: &Element) {
    let Element {
        name,
        attributes,
        children,
        ..
    } = element;
    let declared = SCHEMA.iter().find(|(known, ..)| known == name);
    let (_, known, order) = declared.unwrap_or_else(|| panic!("no element {name}"));
    for (attribute, value) in attributes {
        let declared = known.iter().find(|(name, ..)| name == attribute);
        let (_, type_, _) = declared.unwrap_or_else(|| panic!("{name} has no {attribute}"));
        assert!(
            type_.accepts(value),
            "{name} {attribute}: {type_:?} {value}"
        );
    }
    for (attribute, _, is_required) in *known {
        let is_there = element.attribute(attribute).is_some();
        assert!(is_there || !is_required, "{name} lacks {attribute}");
    }
    let place = |child: &Element| order.iter().position(|known| *known == child.name);
    let places: Vec<_> = children.iter().map(place).collect();
    assert!(places.iter().all(Option::is_some), "{name}: {children:?}");
    assert!(places.is_sorted(), "{name}: {children:?}");
    children.iter().for_each(check);
}

const CASES: &str = "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {name: t}\ncases:\n\
                     - {name: denied, from: shop/web, to: 'http://a.example/', expect: Deny}\n\
                     - {name: \"<&>\\\"\\u0007\", from: shop/web, to: 'http://b.example/', expect: Deny}\n";

fn document() -> Element {
    let rules = "{deny: [{name: a, hosts: [a.example]}, {name: c, hosts: [c.example]}]}";
    let folder = Folder::with(&[
        ("good/a.yaml", &policy("shop", rules)),
        ("good/a.cases.yaml", CASES),
        ("bad/a.yaml", "kind: [\n"),
    ]);
    let ended = folder.run("test good bad --format junit");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    parse(&ended.stdout)
}

#[test]
fn the_document_fits_the_schema() {
    check(&document());
}

#[test]
fn times_and_properties_are_those_of_the_run() {
    let root = document();
    let seconds =
        |element: &Element| -> f64 { element.attribute("time").unwrap().parse().unwrap() };
    let [good, bad] = root.children.as_slice() else {
        panic!("{root:?}")
    };
    let sum = seconds(good) + seconds(bad);
    assert!((seconds(&root) - sum).abs() < 0.000_01, "{root:?}");
    let cases: Vec<&Element> = good
        .children
        .iter()
        .filter(|child| child.name == "testcase")
        .collect();
    assert_eq!(cases.len(), 2);
    let of_cases: f64 = cases.iter().map(|case| seconds(case)).sum();
    assert!(of_cases > 0.0 && of_cases <= seconds(good), "{good:?}");
    for case in &cases {
        assert_eq!(case.attribute("classname"), Some("good/a.cases.yaml"));
        assert_eq!(case.attribute("classname"), case.attribute("file"));
    }
    assert_eq!(cases[1].attribute("name"), Some("<&>\"\\u{7}"));
    assert_eq!(cases[1].children[0].name, "failure");
    assert!(cases[1].children[0].text.contains("wanted Deny, got Allow"));
    let now = jiff::Timestamp::now();
    for suite in &root.children {
        let began = suite.attribute("timestamp").unwrap();
        let began: jiff::Timestamp = format!("{began}Z").parse().unwrap();
        let age = now.as_second() - began.as_second();
        assert!((0..600).contains(&age), "{suite:?}");
    }
    let property = |suite: &Element, name: &str| -> Option<String> {
        let properties = suite
            .children
            .iter()
            .find(|child| child.name == "properties");
        let all = properties.unwrap().children.iter();
        let mut found = all.filter(|property| property.attribute("name") == Some(name));
        Some(found.next()?.attribute("value").unwrap().to_owned())
    };
    let version = Some(env!("CARGO_PKG_VERSION").to_owned());
    assert_eq!(property(good, "customs.version"), version);
    assert_eq!(property(good, "customs.rules").as_deref(), Some("2"));
    assert_eq!(
        property(good, "customs.rules.exercised").as_deref(),
        Some("1")
    );
    assert!(property(good, "customs.revision").is_some_and(|revision| revision.len() > 8));
    assert_eq!(property(bad, "customs.revision"), None);
    assert_eq!(bad.children.last().unwrap().children[0].name, "error");
}
