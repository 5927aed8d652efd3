//! What is found is what comparing each pattern with each text finds.

use super::*;

fn matches(pattern: &TextPattern, text: &str) -> bool {
    *pattern == TextPattern::Any || pattern.matches(text)
}

#[test]
fn what_is_found_is_what_comparing_pair_by_pair_finds() {
    let mut number: u64 = 3;
    let mut below = |limit: u64| {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % limit
    };
    for _ in 0..2_000 {
        let mut text = |most: u64, stars: bool| {
            let letters = if stars {
                ["a", "b", "aa", "*"]
            } else {
                ["a", "b", "aa", "ba"]
            };
            (0..below(most))
                .map(|_| letters[usize::try_from(below(4)).unwrap()])
                .collect::<String>()
        };
        let lists: Vec<Vec<TextPattern>> = (0..4)
            .map(|at| {
                (0..at * 3)
                    .map(|_| TextPattern::parse(&text(5, true)))
                    .collect()
            })
            .collect();
        let texts: Vec<(String, bool)> = (0..70).map(|at| (text(7, false), at % 3 > 0)).collect();
        let texts = &texts[..usize::try_from(below(71)).unwrap()];
        let mut builder = PatternTableBuilder::default();
        let numbers: Vec<PatternNumbers> = lists.iter().map(|list| builder.numbers(list)).collect();
        let table = builder.finish();
        let matched = table.compare(
            texts
                .iter()
                .map(|(text, is_strict)| (text.as_str(), *is_strict)),
        );
        for (list, numbers) in lists.iter().zip(&numbers) {
            let some = texts
                .iter()
                .any(|(text, _)| list.iter().any(|pattern| matches(pattern, text)));
            let all = texts
                .iter()
                .filter(|(_, is_strict)| *is_strict)
                .all(|(text, _)| list.iter().any(|pattern| matches(pattern, text)));
            assert_eq!(
                (matched.some_of(numbers), matched.all_by(numbers)),
                (some, all),
                "{list:?} {texts:?}"
            );
            for pattern in list {
                let found = texts.iter().any(|(text, _)| matches(pattern, text));
                assert_eq!(
                    matched.has(table.number(pattern).unwrap()),
                    found,
                    "{pattern} {texts:?}"
                );
            }
        }
    }
}

#[test]
fn the_ways_up_are_short_however_deep_patterns_are_nested() {
    let mut builder = PatternTableBuilder::default();
    let depth = 4_000;
    let nested: Vec<TextPattern> = (1..=depth)
        .map(|length| TextPattern::Prefix("a".repeat(length)))
        .collect();
    let numbers = builder.numbers(&nested);
    let table = builder.finish();
    for length in [0, 1, 2, 63, 64, 65, 1_000, depth - 1, depth, depth + 1] {
        let text = "a".repeat(length) + "b";
        let (mut at, mut steps) = (table.prefixes.0.len() - 1, 0);
        while table.prefixes.0[at].text.len() > length && table.prefixes.0[at].parent.is_some() {
            let affix = &table.prefixes.0[at];
            let jumps = table.prefixes.0[affix.jump].text.len() > length;
            at = if jumps {
                affix.jump
            } else {
                affix.parent.unwrap()
            };
            steps += 1;
        }
        assert!(steps < 40, "{steps} steps up to {length}");
        let longest = table
            .prefixes
            .longest(text.as_bytes())
            .map(|at| table.prefixes.0[at].text.len());
        assert_eq!(
            longest,
            (length > 0).then_some(length.min(depth)),
            "{length}"
        );
        let matched = table.compare([(text.as_str(), true)].into_iter());
        assert_eq!(matched.some_of(&numbers), length > 0);
    }
}
