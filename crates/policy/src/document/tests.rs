//! How documents are split, the places of their values, and what is refused.

use super::*;

fn parsed(text: &str) -> Result<Vec<Node>, Problem> {
    parse("f.yaml", text).collect()
}

fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => format!("#{n}"),
        Value::Text(t) => format!("'{t}'"),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(",")),
        Value::Map(pairs) => {
            format!(
                "{{{}}}",
                pairs
                    .iter()
                    .map(|(k, v)| format!("{}:{}", k.name, show(v)))
                    .collect::<Vec<_>>()
                    .join(",")
            )
        }
    }
}

#[test]
fn quoted_scalars_are_text_and_plain_ones_are_typed() {
    let text = "a: [true, 'true', 80, \"80\", no, on, ~, 1.5, x]\nb: {c: d}\n";
    let documents = parsed(text).unwrap();
    assert_eq!(
        show(&documents[0]),
        "{a:[true,'true',#80,'80','no','on',null,#1.5,'x'],b:{c:'d'}}"
    );
}

#[test]
fn every_node_has_its_place() {
    let documents = parsed("a:\n  - b\n---\nc:   d\n").unwrap();
    let Value::Map(second) = &documents[1].value else {
        panic!()
    };
    assert_eq!(second[0].0.place.to_string(), "f.yaml:4:1");
    assert_eq!(second[0].1.place.to_string(), "f.yaml:4:6");
    let Value::Map(first) = &documents[0].value else {
        panic!()
    };
    let Value::List(items) = &first[0].1.value else {
        panic!()
    };
    assert_eq!(items[0].place.to_string(), "f.yaml:2:5");
}

#[test]
fn empty_documents_are_left_out() {
    for text in [
        "",
        "\n",
        "---\n",
        "# only a comment\n",
        "---\n---\n",
        "\u{feff}---\n# x\n",
    ] {
        assert_eq!(parsed(text).unwrap().len(), 0, "{text:?}");
    }
}

#[test]
fn broken_text_is_one_problem_with_its_place() {
    for (text, code, line) in [
        ("a: [b\n", Code::YamlSyntax, 1),
        ("a: 1\na: 2\n", Code::DuplicateKey, 2),
        ("a: {b: 1,\n  b: 2}\n", Code::DuplicateKey, 2),
        ("a: !include x\n", Code::YamlSyntax, 1),
        ("a: &x {b: c}\nd:\n  <<: *x\n", Code::YamlSyntax, 3),
        ("a: *nope\n", Code::YamlSyntax, 1),
    ] {
        let problem = parsed(text)
            .map(|d| d.iter().map(show).collect::<Vec<_>>())
            .unwrap_err();
        assert_eq!(
            (problem.code, problem.place.line),
            (code, line),
            "{text:?}: {problem}"
        );
    }
}

#[test]
fn an_anchor_is_of_its_document() {
    for text in ["a: &x b\n---\nc: *x\n", "a: &x b\n---\nc: d\n---\ne: *x\n"] {
        let problem = parse("f.yaml", text).find_map(Result::err).unwrap();
        assert_eq!(
            (problem.code, problem.place.line),
            (Code::YamlSyntax, text.lines().count() as u32),
            "{text:?}"
        );
    }
}

#[test]
fn places_do_not_depend_on_how_many_documents_there_are() {
    let text = format!("---\na: {}\n", "b".repeat(100)).repeat(1_000);
    let lines: Vec<u32> = parse("f.yaml", &text)
        .map(|node| node.unwrap().place.line)
        .collect();
    assert_eq!(lines, (0..1_000).map(|n| 2 * n + 2).collect::<Vec<_>>());
    let broken: Vec<u32> = parse("f.yaml", &format!("{text}---\na: [\n{text}"))
        .filter_map(Result::err)
        .map(|p| p.place.line)
        .collect();
    assert_eq!(broken.len(), 1);
    assert!((2_002..=2_004).contains(&broken[0]), "{broken:?}");
}

#[test]
fn a_broken_document_hides_no_other() {
    let text = "# first\na: [b\n---\nc: d\n--- # third\ne: {f\n...\n# last\n%YAML 1.2\n---\ng: h\n";
    let reported: Vec<String> = parse("f.yaml", text)
        .map(|document| match document {
            Ok(node) => format!("{} {}", node.place, show(&node)),
            Err(problem) => format!("{} {}", problem.place, problem.code.as_str()),
        })
        .collect();
    assert_eq!(reported.len(), 4, "{reported:?}");
    assert!(
        reported[0].ends_with(" yaml-syntax") && reported[2].ends_with(" yaml-syntax"),
        "{reported:?}"
    );
    assert_eq!(
        (reported[1].as_str(), reported[3].as_str()),
        ("f.yaml:4:1 {c:'d'}", "f.yaml:11:1 {g:'h'}")
    );
}

#[test]
fn a_text_is_divided_where_documents_begin() {
    for (text, expected) in [
        ("", &[][..]),
        ("a\n", &[(0, "a\n")]),
        ("---\na\n---\nb", &[(0, "---\na\n"), (2, "---\nb")]),
        (
            "# c\n\n--- a\n---\n",
            &[(0, "# c\n\n--- a\n"), (3, "---\n")],
        ),
        ("%YAML 1.2\n---\na\n", &[(0, "%YAML 1.2\n---\na\n")]),
        (
            "a\n...\n%YAML 1.2\n---\nb\n",
            &[(0, "a\n...\n"), (2, "%YAML 1.2\n---\nb\n")],
        ),
        (
            "a: |\n  ---\n----\n---x\n",
            &[(0, "a: |\n  ---\n----\n---x\n")],
        ),
        (
            "---\r\na\r\n---\r\nb\r\n",
            &[(0, "---\r\na\r\n"), (2, "---\r\nb\r\n")],
        ),
    ] {
        assert_eq!(documents(text).collect::<Vec<_>>(), expected, "{text:?}");
    }
}

#[test]
fn what_no_policy_needs_is_too_large() {
    let keys = |count: usize| (0..count).map(|n| format!("k{n}: x\n")).collect::<String>();
    for (text, line) in [
        ("x".repeat(MAX_FILE + 1), 0),
        (
            format!("a: b\n---\nc:\n  {}\n", "x".repeat(MAX_LINE + 1)),
            4,
        ),
        (
            format!(
                "---\na: b\n---\na: >\n{}",
                " xxxxxxx\n".repeat(MAX_DOCUMENT / 9 + 1)
            ),
            3,
        ),
        (
            format!(
                "a: &a {}\nb: [*a, *a, *a, *a, *a]\n",
                "x".repeat(MAX_DOCUMENT / 5)
            ),
            2,
        ),
        (keys(MAX_NODES / 2 + 1), 50_000),
        ("---\n".repeat(MAX_DOCUMENTS + 1), 100_001),
        ("# x\n".repeat(MAX_EVENTS + 1), 250_000),
    ] {
        let problem = parse("f.yaml", &text).find_map(Result::err).unwrap();
        assert_eq!(
            (problem.code, problem.place.line),
            (Code::TooLarge, line),
            "{problem}"
        );
    }
    assert_eq!(
        parse("f.yaml", &keys(MAX_NODES / 2 - 1))
            .filter(Result::is_ok)
            .count(),
        1
    );
}

#[test]
fn alias_bombs_and_deep_nesting_are_refused_quickly() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..9 {
        let prev = format!("*a{}", i - 1);
        bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![prev; 9].join(",")));
    }
    let problem = parsed(&bomb).map(|d| d.len()).unwrap_err();
    assert_eq!(problem.code, Code::TooLarge, "{problem}");
    for depth in [MAX_DEPTH, 2 * MAX_DEPTH, 5_000] {
        let deep =
            |open: &str, close: &str| format!("a: {}{}", open.repeat(depth), close.repeat(depth));
        for text in [deep("[", "]"), deep("{a: ", "}"), "- ".repeat(depth + 1)] {
            assert!(parsed(&text).is_err(), "{depth}");
        }
    }
    assert!(parsed(&format!("{}x", "- ".repeat(MAX_DEPTH - 1))).is_ok());
}
