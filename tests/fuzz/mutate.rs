//! Seeded mutations of inputs: not a search, only variations of the corpus. The same seed gives the
//! same inputs.

/// Numbers that look random (SplitMix64).
#[derive(Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn seeded(seed: u64) -> Numbers {
        Numbers(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `limit`; 0 if `limit` is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit.max(1) as u64)).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Returns a part of the bytes, as often short as long.
    fn part(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(bytes.len() + 1);
        let most = if self.below(2) == 0 { 8 } else { bytes.len() };
        start..start + self.below((bytes.len() - start).min(most) + 1)
    }
}

/// Returns one of the seeds, changed in one to four places, with at most `limit` bytes.
pub(crate) fn mutated(numbers: &mut Numbers, seeds: &[Vec<u8>], limit: usize) -> Vec<u8> {
    let mut bytes = seeds[numbers.below(seeds.len())].clone();
    for _ in 0..=numbers.below(4) {
        change(numbers, &mut bytes, seeds);
    }
    bytes.truncate(limit);
    bytes
}

fn change(numbers: &mut Numbers, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let at = numbers.below(bytes.len());
    match (numbers.below(6), bytes.get_mut(at)) {
        (0, Some(byte)) => *byte ^= 1 << numbers.below(8),
        (1, Some(byte)) => *byte = numbers.byte(),
        (2, _) => {
            let part = numbers.part(bytes);
            bytes.drain(part);
        }
        (3, _) => {
            let part = numbers.part(bytes);
            let copy = bytes[part].to_vec();
            bytes.splice(at..at, copy);
        }
        (4, _) => {
            let other = &seeds[numbers.below(seeds.len())];
            let (into, from) = (numbers.part(bytes), numbers.part(other));
            bytes.splice(into, other[from].iter().copied());
        }
        _ => bytes.insert(at, numbers.byte()),
    }
}
