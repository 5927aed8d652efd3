//! The tables say what comparing one condition at a time says.

use super::build::header;
use super::*;
use crate::condition::Condition;
use crate::enforcement::Enforcement;
use crate::eval_context::EvalContext;
use crate::place::Place;
use crate::request::tests::Apart;
use crate::request::{Attributes, Headers, HttpAttributes};
use crate::rule::Rule;
use crate::rule_info::{About, RuleId, RuleInfo};
use crate::rule_number::{RuleList, RuleNumber};
use crate::rules::Rules;
use crate::settings::Settings;
use crate::subject::CallerMatch;

/// Rules that deny, one for each condition.
fn rules_of(conditions: impl IntoIterator<Item = Condition>) -> Rules {
    let rule = |(index, condition)| {
        let info = RuleInfo::new(
            RuleId::rule("n/p".into(), index),
            Place::whole("f"),
            About::default(),
        );
        Arc::new(Rule {
            info: Arc::new(info),
            mode: Enforcement::Enforce,
            callers: CallerMatch::Anyone,
            to: Box::default(),
            when: [condition].into(),
            except: Box::default(),
        })
    };
    Rules {
        denies: conditions.into_iter().enumerate().map(rule).collect(),
        ..Rules::default()
    }
}

/// The number of the condition of a rule that [`rules_of`] made.
fn number(position: usize) -> ConditionNumber {
    let rule = RuleNumber {
        list: RuleList::Denies,
        position: position.try_into().unwrap(),
    };
    ConditionNumber { rule, position: 0 }
}

fn list(texts: &[String]) -> Box<[TextPattern]> {
    texts.iter().map(|text| TextPattern::parse(text)).collect()
}

struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn text(&mut self, letters: &[&str], most: usize) -> String {
        (0..self.below(most + 1))
            .map(|_| letters[self.below(letters.len())])
            .collect()
    }

    fn several<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| one(self)).collect()
    }
}

#[test]
fn tables_say_what_comparing_one_condition_at_a_time_says() {
    const NAMES: [&str; 14] = [
        "x-a",
        "x-b",
        "x-c",
        "d",
        "e",
        "f",
        "g",
        "h",
        "i",
        "j",
        ":authority",
        ":method",
        ":path",
        "x-z",
    ];
    let (mut draw, mut held, mut not) = (Draw(11), 0, 0);
    for round in 0..600 {
        // Few names are asked for one by one, many all at once.
        let names = if round % 2 == 0 {
            &NAMES[..3]
        } else {
            &NAMES[..]
        };
        let conditions = draw.several(40, |draw| {
            let mut patterns = || {
                draw.several(3, |draw| {
                    draw.text(&["a", "b", "ab", "*", ",", " ", "a,b", "b,ab,a"], 4)
                })
            };
            let values = Field::new(list(&patterns()), list(&patterns()));
            Condition::Header {
                name: names[draw.below(names.len())].to_owned(),
                values,
            }
        });
        let rules = rules_of(conditions);
        let tables = Arc::new(HeaderTables::of_rules(&rules));
        let headers = draw.several(12, |draw| {
            let name = names[draw.below(names.len())];
            let name = if draw.below(4) == 0 {
                name.to_ascii_uppercase()
            } else {
                name.to_owned()
            };
            (
                name,
                draw.text(&["a", "b", "aba", ",", ", ", "ab,ab,ab"], 6),
            )
        });
        let apart = Apart(headers.clone());
        let headers: &dyn Headers = if draw.below(3) == 0 { &apart } else { &headers };
        let http = HttpAttributes {
            host: "ab",
            method: "a",
            path: "/ab",
            headers,
            ..HttpAttributes::default()
        };
        let attributes = Attributes {
            http: Some(http),
            ..Attributes::default()
        };
        let request = attributes.normalise(&Settings::default());
        let (at_once, one_by_one) = (
            EvalContext::of_set(&request, &tables),
            EvalContext::new(&request),
        );
        for (position, rule) in rules.denies.iter().enumerate() {
            let Condition::Header { name, values } = &rule.when[0] else {
                panic!("no header")
            };
            for effect in [Effect::Deny, Effect::Allow] {
                assert!(
                    tables
                        .holds(
                            &request.header_matches,
                            &request.http.unwrap(),
                            number(position),
                            values,
                            effect
                        )
                        .is_some()
                );
                let expected = one_by_one.header_holds(None, name, values, effect);
                let own = Some(number(position));
                let got = at_once.header_holds(own, name, values, effect);
                assert_eq!(got, expected, "{name} {values:?} {effect:?} {headers:?}");
                *(if got { &mut held } else { &mut not }) += 1;
            }
        }
    }
    assert!(held > 1_000 && not > 1_000, "{held} {not}");
}

#[test]
fn a_header_past_the_limits_is_unknown_by_table_as_well() {
    let values = |field: &[&str]| Field::of(field.iter().map(|text| TextPattern::parse(text)));
    let rules = rules_of([Condition::Header {
        name: "x".into(),
        values: values(&["a"]),
    }]);
    let tables = Arc::new(HeaderTables::of_rules(&rules));
    let Condition::Header { values, .. } = &rules.denies[0].when[0] else {
        panic!("no header")
    };
    for (parts, deny, allow) in [(1_024, true, true), (1_025, true, false)] {
        let headers = vec![("x".to_owned(), vec!["a"; parts].join(","))];
        let http = HttpAttributes {
            host: "ab",
            headers: &headers,
            ..HttpAttributes::default()
        };
        let attributes = Attributes {
            http: Some(http),
            ..Attributes::default()
        };
        let request = attributes.normalise(&Settings::default());
        let http = request.http.unwrap();
        let holds =
            |effect| tables.holds(&request.header_matches, &http, number(0), values, effect);
        assert_eq!(
            (holds(Effect::Deny), holds(Effect::Allow)),
            (Some(deny), Some(allow)),
            "{parts}"
        );
    }
}

#[test]
fn a_request_that_another_set_looked_at_is_not_read_by_its_tables() {
    let headers = vec![("x".to_owned(), "a".to_owned())];
    let http = HttpAttributes {
        host: "ab",
        headers: &headers,
        ..HttpAttributes::default()
    };
    let attributes = Attributes {
        http: Some(http),
        ..Attributes::default()
    };
    let request = attributes.normalise(&Settings::default());
    for (pattern, expected) in [("a", true), ("b", false), ("a*", true)] {
        let values = Field::of([TextPattern::parse(pattern)]);
        let rules = rules_of([Condition::Header {
            name: "x".into(),
            values,
        }]);
        let tables = Arc::new(HeaderTables::of_rules(&rules));
        let Condition::Header { name, values } = &rules.denies[0].when[0] else {
            panic!("no header")
        };
        let context = EvalContext::of_set(&request, &tables);
        assert_eq!(
            context.header_holds(Some(number(0)), name, values, Effect::Deny),
            expected,
            "{pattern}"
        );
        let mut told = Vec::new();
        tables.for_each_recorded(
            &request.header_matches,
            &request.http.unwrap(),
            |asked, _, has| told.push(has(&asked.patterns[0])),
        );
        assert_eq!(told, [expected], "{pattern}");
    }
}

#[test]
fn a_condition_is_found_by_its_number_in_every_list() {
    let of = |pattern: &str| Condition::Header {
        name: "x".into(),
        values: Field::of([TextPattern::parse(pattern)]),
    };
    let port = || Condition::DestinationPort(Field::of([443]));
    let whens = [
        vec![],
        vec![port(), of("a"), of("b")],
        vec![port()],
        vec![of("c")],
        vec![],
    ];
    let base = rules_of([of("z")]).denies.remove(0);
    let with = |when: &Vec<Condition>| {
        Arc::new(Rule {
            when: when.clone().into(),
            ..Rule::clone(&base)
        })
    };
    for list in RuleList::ALL {
        let mut rules = Rules::default();
        let own = match list {
            RuleList::Denies => &mut rules.denies,
            RuleList::IstioAllows => &mut rules.istio_allows,
            RuleList::Audits => &mut rules.audits,
            RuleList::Grants => &mut rules.grants,
        };
        *own = whens.iter().map(with).collect();
        // The same rules in the order that another set has them.
        let mut reversed = rules.clone();
        match list {
            RuleList::Denies => reversed.denies.reverse(),
            RuleList::IstioAllows => reversed.istio_allows.reverse(),
            RuleList::Audits => reversed.audits.reverse(),
            RuleList::Grants => reversed.grants.reverse(),
        }
        for (value, expected) in [
            ("a", [true, false, false]),
            ("b", [false, true, false]),
            ("c", [false, false, true]),
            ("d", [false; 3]),
        ] {
            let headers = vec![("x".to_owned(), value.to_owned())];
            let http = HttpAttributes {
                host: "ab",
                headers: &headers,
                ..HttpAttributes::default()
            };
            let attributes = Attributes {
                http: Some(http),
                ..Attributes::default()
            };
            for (rules, places) in [
                (&rules, [(1, 1), (1, 2), (3, 0)]),
                (&reversed, [(3, 1), (3, 2), (1, 0)]),
            ] {
                let tables = Arc::new(HeaderTables::of_rules(rules));
                let request = attributes.normalise(&Settings::default());
                let holds = |at: u32, position| {
                    let rule = RuleNumber { list, position: at };
                    let number = ConditionNumber { rule, position };
                    let condition = &rules.list(list)[at as usize].when[position];
                    let values = header(condition).map(|(_, values)| values)?;
                    let http = request.http.unwrap();
                    tables.holds(&request.header_matches, &http, number, values, Effect::Deny)
                };
                let got = places.map(|(at, position)| holds(at, position));
                assert_eq!(got, expected.map(Some), "{list:?} {value}");
                let none = ConditionNumber {
                    rule: RuleNumber { list, position: 2 },
                    position: 0,
                };
                assert!(tables.condition(none).is_none(), "a port is no header");
                assert!(
                    tables
                        .condition(ConditionNumber {
                            position: 3,
                            ..none
                        })
                        .is_none()
                );
            }
        }
    }
}
