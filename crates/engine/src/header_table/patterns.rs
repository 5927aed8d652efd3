//! Many patterns, compared with many texts at once.
//!
//! The rule: what is found is what comparing each pattern with each text would find, and the work
//! is at most a few steps for each text and each pattern that was found, never for each pair.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use crate::header_values::{HeaderParts, HeaderTexts, PartRuns};
use crate::pattern::TextPattern;
use crate::work_count;

/// The patterns of one header, each once. `*` asks only that the header is there, so it also
/// matches an empty text.
#[derive(Debug, Default)]
pub(crate) struct PatternTable {
    count: usize,
    exact: FxHashMap<Box<str>, u32>,
    prefixes: Affixes,
    /// Written backwards.
    suffixes: Affixes,
    any: Option<u32>,
    /// The patterns that have commas, once more, by how many.
    with_commas: Box<[CommaPatterns]>,
}

/// The patterns of a table that have so many commas, which runs of parts are compared with.
#[derive(Debug)]
struct CommaPatterns {
    commas: usize,
    patterns: PatternTable,
    /// The number in the whole table of each pattern of this one.
    numbers: Box<[u32]>,
}

/// The numbers of a list's patterns, 64 to a word: which word, and its bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PatternNumbers(Box<[(u32, u64)]>);

impl PatternNumbers {
    fn of(mut numbers: Vec<u32>) -> PatternNumbers {
        numbers.sort_unstable();
        let words = numbers.chunk_by(|one, other| one / 64 == other / 64);
        let word = |numbers: &[u32]| {
            let bits = numbers
                .iter()
                .fold(0, |bits, number| bits | 1 << (number % 64));
            numbers.first().map(|first| (first / 64, bits))
        };
        PatternNumbers(words.filter_map(word).collect())
    }

    /// Whether the list asks nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Gives patterns their numbers.
#[derive(Debug, Default)]
pub(crate) struct PatternTableBuilder {
    table: PatternTable,
    prefixes: FxHashMap<Box<str>, u32>,
    suffixes: FxHashMap<Box<str>, u32>,
    with_commas: BTreeMap<usize, (PatternTableBuilder, Vec<u32>)>,
}

impl PatternTableBuilder {
    /// The numbers of a list's patterns, new ones where they are new.
    pub(crate) fn numbers(&mut self, list: &[TextPattern]) -> PatternNumbers {
        PatternNumbers::of(list.iter().map(|pattern| self.number(pattern)).collect())
    }

    fn number(&mut self, pattern: &TextPattern) -> u32 {
        let (number, is_new) = self.number_by_itself(pattern);
        let commas = pattern.commas();
        if is_new && commas > 0 {
            let (builder, numbers) = self.with_commas.entry(commas).or_default();
            builder.number_by_itself(pattern);
            numbers.push(number);
        }
        number
    }

    /// The number of a pattern, and whether it is new.
    fn number_by_itself(&mut self, pattern: &TextPattern) -> (u32, bool) {
        // No set within the limits has more patterns than this can count.
        let next = u32::try_from(self.table.count).unwrap_or(u32::MAX);
        let number = match pattern {
            TextPattern::Exact(text) => {
                *self.table.exact.entry(text.as_str().into()).or_insert(next)
            }
            TextPattern::Prefix(text) => *self.prefixes.entry(text.as_str().into()).or_insert(next),
            TextPattern::Suffix(text) => *self.suffixes.entry(text.as_str().into()).or_insert(next),
            TextPattern::Any => *self.table.any.get_or_insert(next),
        };
        self.table.count += usize::from(number == next);
        (number, number == next)
    }

    /// The table.
    pub(crate) fn finish(self) -> PatternTable {
        let reversed = |(text, number): (Box<str>, u32)| (text.bytes().rev().collect(), number);
        PatternTable {
            prefixes: Affixes::of(
                self.prefixes
                    .into_iter()
                    .map(|(text, number)| (String::from(text).into_bytes(), number))
                    .collect(),
            ),
            suffixes: Affixes::of(self.suffixes.into_iter().map(reversed).collect()),
            with_commas: self
                .with_commas
                .into_iter()
                .map(CommaPatterns::of)
                .collect(),
            ..self.table
        }
    }
}

impl CommaPatterns {
    fn of((commas, (builder, numbers)): (usize, (PatternTableBuilder, Vec<u32>))) -> CommaPatterns {
        CommaPatterns {
            commas,
            patterns: builder.finish(),
            numbers: numbers.into(),
        }
    }

    /// Notes the patterns of the whole table that match a run of parts, or that cannot be ruled
    /// out.
    fn note_matching(&self, parts: &HeaderParts<'_>, matched: &mut MatchedPatterns) {
        match parts.runs(self.commas) {
            PartRuns::Listed(runs) if runs.is_empty() => {}
            PartRuns::Listed(runs) => {
                let own = self
                    .patterns
                    .compare(runs.into_iter().map(|run| (run, false)));
                own.matching()
                    .filter_map(|own| self.numbers.get(own))
                    .for_each(|number| matched.note_run(*number));
            }
            PartRuns::TooMany => self
                .numbers
                .iter()
                .for_each(|number| matched.note_run(*number)),
        }
    }
}

impl PatternTable {
    /// The number of a pattern, if it is one of the table's.
    pub(crate) fn number(&self, pattern: &TextPattern) -> Option<u32> {
        match pattern {
            TextPattern::Exact(text) => self.exact.get(text.as_str()).copied(),
            TextPattern::Prefix(text) => self.prefixes.number(text.as_bytes()),
            TextPattern::Suffix(text) => self
                .suffixes
                .number(&text.bytes().rev().collect::<Vec<u8>>()),
            TextPattern::Any => self.any,
        }
    }

    /// Compares a header with every pattern: each of its texts, and its runs of parts with the
    /// patterns that have commas.
    pub(crate) fn compare_header(&self, header: &HeaderTexts<'_>) -> MatchedPatterns {
        let mut matched = self.compare(header.texts().map(|text| (text.text, text.is_strict)));
        if let (false, Some(parts)) = (self.with_commas.is_empty(), header.parts()) {
            matched.matching_runs = vec![0; self.count.div_ceil(64)].into();
            self.with_commas
                .iter()
                .for_each(|patterns| patterns.note_matching(&parts, &mut matched));
        }
        matched
    }

    /// Compares every text with every pattern. Each text is given with whether the strict match asks
    /// for it.
    pub(crate) fn compare<'t>(
        &self,
        texts: impl Iterator<Item = (&'t str, bool)>,
    ) -> MatchedPatterns {
        let texts: Vec<(&str, bool)> = texts.collect();
        let strict = texts
            .iter()
            .enumerate()
            .filter(|(_, (_, is_strict))| *is_strict)
            .map(|(number, _)| number);
        let mut matched = MatchedPatterns::none(self.count, texts.len(), strict);
        let (mut prefixes, mut suffixes, mut backwards) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (text, _)) in texts.iter().enumerate() {
            work_count::bytes(text.len());
            if let Some(pattern) = self.exact.get(*text) {
                matched.cover(*pattern, number);
            }
            self.prefixes
                .find(text.as_bytes(), number, &mut matched, &mut prefixes);
            if !self.suffixes.0.is_empty() {
                backwards.clear();
                backwards.extend(text.bytes().rev());
                self.suffixes
                    .find(&backwards, number, &mut matched, &mut suffixes);
            }
        }
        self.prefixes.spread(prefixes, &mut matched);
        self.suffixes.spread(suffixes, &mut matched);
        if let Some(any) = self.any {
            (0..texts.len()).for_each(|number| matched.cover(any, number));
        }
        matched
    }
}

/// Texts of which a text may begin with several; in their order, so that each comes after those
/// that it begins with.
#[derive(Debug, Default)]
struct Affixes(Box<[Affix]>);

#[derive(Debug)]
struct Affix {
    text: Box<[u8]>,
    number: u32,
    /// The longest other one that this one begins with.
    parent: Option<usize>,
    /// One further up, so chosen that all the ways up are short (skew-binary jumps).
    jump: usize,
    depth: usize,
}

impl Affixes {
    fn of(mut texts: Vec<(Vec<u8>, u32)>) -> Affixes {
        texts.sort_unstable();
        let mut affixes: Vec<Affix> = Vec::with_capacity(texts.len());
        for (text, number) in texts {
            let place = affixes.len();
            let mut parent = place.checked_sub(1);
            while let Some(above) = parent
                .and_then(|at| affixes.get(at))
                .filter(|above| !text.starts_with(&above.text))
            {
                parent = above.parent;
            }
            let above = parent.and_then(|at| Some((at, affixes.get(at)?)));
            let depth = above.map_or(0, |(_, above)| above.depth + 1);
            let jump = above.map_or(place, |(at, above)| {
                let over = affixes.get(above.jump);
                let far = over
                    .and_then(|over| Some((over.depth, over.jump, affixes.get(over.jump)?.depth)));
                match far {
                    Some((near, jump, far)) if above.depth - near == near - far => jump,
                    _ => at,
                }
            });
            affixes.push(Affix {
                text: text.into(),
                number,
                parent,
                jump,
                depth,
            });
        }
        Affixes(affixes.into())
    }

    fn number(&self, text: &[u8]) -> Option<u32> {
        let at = self
            .0
            .binary_search_by(|affix| (*affix.text).cmp(text))
            .ok()?;
        self.0.get(at).map(|affix| affix.number)
    }

    /// The place of the longest one that a text begins with.
    fn longest(&self, text: &[u8]) -> Option<usize> {
        // The last that is not behind the text begins with the one that is looked for, or is it.
        let behind = |affix: &Affix| {
            work_count::steps(1);
            *affix.text <= *text
        };
        let mut at = self.0.partition_point(behind).checked_sub(1)?;
        let mut affix = self.0.get(at)?;
        let shared = affix
            .text
            .iter()
            .zip(text)
            .take_while(|(one, other)| one == other)
            .count();
        while affix.text.len() > shared {
            work_count::steps(1);
            let over = self
                .0
                .get(affix.jump)
                .filter(|over| over.text.len() > shared && affix.jump != at);
            at = if over.is_some() {
                affix.jump
            } else {
                affix.parent?
            };
            affix = self.0.get(at)?;
        }
        Some(at)
    }

    /// Notes the longest that a text begins with, and that those above it match something. `places`
    /// are those noted.
    fn find(
        &self,
        text: &[u8],
        number: usize,
        matched: &mut MatchedPatterns,
        places: &mut Vec<usize>,
    ) {
        let mut above = self.longest(text);
        let longest = above
            .and_then(|at| self.0.get(at))
            .map(|affix| affix.number);
        // Above one that was noted all were.
        while let Some((at, affix)) = above.and_then(|at| Some((at, self.0.get(at)?))) {
            work_count::steps(1);
            if matched.has(affix.number) {
                break;
            }
            matched.slot(affix.number);
            places.push(at);
            above = affix.parent;
        }
        if let Some(longest) = longest {
            matched.cover(longest, number);
        }
    }

    /// Gives the texts of each one that was noted to the one above it, the lowest first.
    fn spread(&self, mut places: Vec<usize>, matched: &mut MatchedPatterns) {
        places.sort_unstable_by(|one, other| other.cmp(one));
        for affix in places.into_iter().filter_map(|at| self.0.get(at)) {
            if let Some(above) = affix.parent.and_then(|at| self.0.get(at)) {
                matched.give(affix.number, above.number);
            }
        }
    }
}

/// The patterns that match some text, and which texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedPatterns {
    /// A bit for each pattern, by its number.
    matching: Box<[u64]>,
    /// The same of those that match a run of parts or cannot be ruled out, which the strict match
    /// does not look at. Empty where no pattern has commas.
    matching_runs: Box<[u64]>,
    /// For each pattern that matches, one more than the number of its part of `texts`.
    slots: Box<[u32]>,
    /// A bit for each text, in parts of `words`.
    texts: Vec<u64>,
    words: usize,
    /// The texts that the strict match asks for.
    strict: Box<[u64]>,
}

impl MatchedPatterns {
    fn none(patterns: usize, texts: usize, strict: impl Iterator<Item = usize>) -> MatchedPatterns {
        let words = texts.div_ceil(64);
        let mut asked = vec![0; words];
        strict.for_each(|number| set(&mut asked, number));
        MatchedPatterns {
            matching: vec![0; patterns.div_ceil(64)].into(),
            matching_runs: Box::default(),
            slots: vec![0; patterns].into(),
            texts: Vec::new(),
            words,
            strict: asked.into(),
        }
    }

    /// Whether a pattern matches some text or run of parts.
    pub(crate) fn has(&self, pattern: u32) -> bool {
        self.word(pattern / 64) >> (pattern % 64) & 1 == 1
    }

    /// A word of the patterns that match in the broad match.
    fn word(&self, word: u32) -> u64 {
        let of = |bits: &[u64]| bits.get(word as usize).copied().unwrap_or_default();
        of(&self.matching) | of(&self.matching_runs)
    }

    /// The numbers of the patterns that match.
    fn matching(&self) -> impl Iterator<Item = usize> {
        let words = self.matching.iter().enumerate();
        words.flat_map(|(word, bits)| {
            (0..64)
                .filter(move |bit| bits >> bit & 1 == 1)
                .map(move |bit| word * 64 + bit)
        })
    }

    /// Whether some pattern of a list matches some text or run of parts.
    pub(crate) fn some_of(&self, list: &PatternNumbers) -> bool {
        work_count::steps(list.0.len());
        list.0
            .iter()
            .any(|(word, bits)| self.word(*word) & bits != 0)
    }

    /// Whether every text that the strict match asks for is matched by some pattern of a list.
    pub(crate) fn all_by(&self, list: &PatternNumbers) -> bool {
        let mut missing = self.strict.clone();
        for (word, bits) in &list.0 {
            let mut found = self
                .matching
                .get(*word as usize)
                .copied()
                .unwrap_or_default()
                & bits;
            while found != 0 {
                work_count::steps(self.words);
                let texts = self.part(word * 64 + found.trailing_zeros());
                missing
                    .iter_mut()
                    .zip(texts)
                    .for_each(|(missing, texts)| *missing &= !texts);
                found &= found - 1;
            }
        }
        missing.iter().all(|missing| *missing == 0)
    }

    /// The texts that a pattern matches.
    fn part(&self, pattern: u32) -> &[u64] {
        let slot = self
            .slots
            .get(pattern as usize)
            .and_then(|slot| slot.checked_sub(1));
        let from = slot.map(|slot| slot as usize * self.words);
        from.and_then(|from| self.texts.get(from..from + self.words))
            .unwrap_or_default()
    }

    /// The same, to be changed; a pattern that has none gets one.
    fn slot(&mut self, pattern: u32) -> &mut [u64] {
        let Some(slot) = self.slots.get_mut(pattern as usize) else {
            return &mut [];
        };
        if *slot == 0 {
            *slot = u32::try_from(self.texts.len() / self.words.max(1)).unwrap_or(u32::MAX) + 1;
            self.texts.resize(self.texts.len() + self.words, 0);
            set(&mut self.matching, pattern as usize);
        }
        let from = (*slot as usize - 1) * self.words;
        self.texts
            .get_mut(from..from + self.words)
            .unwrap_or_default()
    }

    /// Notes that a pattern matches a run of parts, or cannot be ruled out.
    fn note_run(&mut self, pattern: u32) {
        work_count::steps(1);
        set(&mut self.matching_runs, pattern as usize);
    }

    /// Notes that a pattern matches a text.
    fn cover(&mut self, pattern: u32, text: usize) {
        set(self.slot(pattern), text);
    }

    /// Notes that one pattern matches what another does.
    fn give(&mut self, pattern: u32, to: u32) {
        work_count::steps(self.words);
        for word in 0..self.words {
            let bits = self.part(pattern).get(word).copied().unwrap_or_default();
            if let Some(texts) = self.slot(to).get_mut(word) {
                *texts |= bits;
            }
        }
    }
}

fn set(bits: &mut [u64], number: usize) {
    if let Some(word) = bits.get_mut(number / 64) {
        *word |= 1 << (number % 64);
    }
}

#[cfg(test)]
mod tests;
