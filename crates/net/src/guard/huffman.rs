//! The Huffman code of HPACK (RFC 7541, appendix B), for the few texts that are
//! inspected: an `:authority`, a `:path`, and what enters the table of headers.
//!
//! The code is canonical: codes of one length follow one another in the order of their symbols, and
//! those of the next length continue after them. So the lengths alone define the whole code.

use std::sync::LazyLock;

/// How many bits the code of each byte has; the last entry is the end mark.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The longest code, in bits.
const LONGEST: u8 = 30;

/// How many bits are looked up at once to count bytes: two codes of most texts.
const RUN: u32 = 12;

static CODE: LazyLock<Code> = LazyLock::new(Code::new);

/// The code, in the form in which it is looked up.
struct Code {
    /// The code of each byte, and how many bits it has.
    of_byte: Vec<(u32, u8)>,
    /// The lengths of codes, the shortest first.
    lengths: Vec<CodesOfLength>,
    /// The symbols in the order of their codes.
    symbols: Vec<usize>,
    /// By the next [`RUN`] bits: the codes that are whole in them.
    runs: Vec<Run>,
}

/// The codes that have a number of bits. Codes begin at the highest bit here.
struct CodesOfLength {
    bits: u32,
    first: u64,
    /// The last code, with ones behind it.
    last: u64,
    /// The place of the first one's symbol.
    place: usize,
}

/// So many codes, which have so many bits together.
#[derive(Clone, Copy)]
struct Run {
    codes: u8,
    bits: u8,
}

impl Code {
    fn new() -> Code {
        let mut code = Code {
            of_byte: vec![(0, 0); LENGTHS.len()],
            lengths: Vec::new(),
            symbols: Vec::new(),
            runs: Vec::new(),
        };
        let mut next = 0_u32;
        for bits in 1..=LONGEST {
            next <<= 1;
            let (first, place) = (next, code.symbols.len());
            for (symbol, length) in LENGTHS.iter().enumerate() {
                if *length == bits {
                    if let Some(of_byte) = code.of_byte.get_mut(symbol) {
                        *of_byte = (next, bits);
                    }
                    code.symbols.push(symbol);
                    next += 1;
                }
            }
            if first < next {
                let from_highest = |code: u32| u64::from(code) << (64 - bits);
                code.lengths.push(CodesOfLength {
                    bits: u32::from(bits),
                    first: from_highest(first),
                    last: from_highest(next - 1) | u64::MAX >> bits,
                    place,
                });
            }
        }
        code.runs = (0..1_u64 << RUN)
            .map(|bits| code.count_run(bits << (64 - RUN)))
            .collect();
        code
    }

    /// Counts the codes that are whole in the first [`RUN`] bits.
    fn count_run(&self, mut bits: u64) -> Run {
        let mut run = Run { codes: 0, bits: 0 };
        while let Some((_, length)) = self.first(bits)
            && let Ok(length) = u8::try_from(length)
            && u32::from(run.bits + length) <= RUN
        {
            bits <<= length;
            run.codes += 1;
            run.bits += length;
        }
        run
    }

    /// Returns the symbol whose code comes first, and how many bits the code has.
    fn first(&self, bits: u64) -> Option<(usize, u32)> {
        let codes = self.lengths.iter().find(|codes| bits <= codes.last)?;
        let further = usize::try_from((bits - codes.first) >> (64 - codes.bits)).ok()?;
        Some((*self.symbols.get(codes.place + further)?, codes.bits))
    }

    /// Returns the codes that are whole in the next bits. `None` if these are too few, or the next
    /// code is longer.
    fn run(&self, bits: &Bits<'_>) -> Option<Run> {
        if bits.count < RUN {
            return None;
        }
        let place = usize::try_from(bits.next >> (64 - RUN)).ok()?;
        self.runs.get(place).copied().filter(|run| run.codes > 0)
    }
}

/// The bits of a text that are still to be read.
struct Bits<'t> {
    /// The next ones, from the highest bit; zeros behind them.
    next: u64,
    /// How many these are.
    count: u32,
    /// The bytes behind them.
    rest: &'t [u8],
}

impl Bits<'_> {
    fn of(text: &[u8]) -> Bits<'_> {
        Bits {
            next: 0,
            count: 0,
            rest: text,
        }
    }

    /// Makes the next bits more than the longest code has, or all that are left.
    fn fill(&mut self) {
        if self.count > 32 {
            return;
        }
        if let Some((bytes, rest)) = self.rest.split_first_chunk() {
            self.next |= u64::from(u32::from_be_bytes(*bytes)) << (32 - self.count);
            self.count += 32;
            self.rest = rest;
            return;
        }
        for byte in std::mem::take(&mut self.rest) {
            self.next |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Returns the next bits with ones behind the last.
    fn padded(&self) -> u64 {
        self.next | u64::MAX.checked_shr(self.count).unwrap_or_default()
    }

    /// Returns whether what is left is padding: less than a byte, all ones.
    fn are_padding(&self) -> bool {
        self.count < 8 && self.padded() == u64::MAX
    }

    /// Returns the next byte. `None` if the next bits are not the whole code of one.
    fn take_byte(&mut self, code: &Code) -> Option<u8> {
        let (symbol, length) = code.first(self.padded())?;
        self.count = self.count.checked_sub(length)?;
        self.next <<= length;
        // The end mark is not a byte.
        u8::try_from(symbol).ok()
    }
}

/// Decodes a text. `None` if it is not a text of this code.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut bytes) = (Bits::of(text), Vec::with_capacity(text.len() * 2));
    loop {
        bits.fill();
        if bits.are_padding() {
            return Some(bytes);
        }
        bytes.push(bits.take_byte(&CODE)?);
    }
}

/// Returns how many bytes a text has once it is decoded. `None` if it is not a text of this code.
pub(super) fn decoded_length(text: &[u8]) -> Option<usize> {
    let (code, mut bits, mut length) = (&*CODE, Bits::of(text), 0);
    loop {
        bits.fill();
        if let Some(run) = code.run(&bits) {
            bits.next <<= run.bits;
            bits.count -= u32::from(run.bits);
            length += usize::from(run.codes);
            continue;
        }
        if bits.are_padding() {
            return Some(length);
        }
        bits.take_byte(code)?;
        length += 1;
    }
}

/// Encodes bytes.
pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let (mut text, mut bits, mut count) = (Vec::with_capacity(bytes.len()), 0_u64, 0_u8);
    let whole_bytes = |text: &mut Vec<u8>, bits: u64, count: &mut u8| {
        while *count >= 8 {
            *count -= 8;
            text.extend(u8::try_from(bits >> *count & 0xff));
        }
    };
    for byte in bytes {
        let (code, length) = CODE
            .of_byte
            .get(usize::from(*byte))
            .copied()
            .unwrap_or_default();
        bits = bits << length | u64::from(code);
        count += length;
        whole_bytes(&mut text, bits, &mut count);
    }
    if count > 0 {
        bits = bits << 8 | 0xff;
        count += 8;
        // Writes only as many of the eight ones as fill the last byte.
        text.extend(u8::try_from(bits >> count.saturating_sub(8) & 0xff));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        for (bytes, text) in [
            ("www.example.com", "f1e3c2e5f23a6ba0ab90f4ff"),
            ("no-cache", "a8eb10649cbf"),
            ("custom-value", "25a849e95bb8e8b4bf"),
            ("302", "6402"),
            (
                "Mon, 21 Oct 2013 20:13:21 GMT",
                "d07abe941054d444a8200595040b8166e082a62d1bff",
            ),
            (
                "https://www.example.com",
                "9d29ad171863c78f0b97c8e9ae82ae43d3",
            ),
            ("", ""),
        ] {
            let text: Vec<u8> = (0..text.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
                .collect();
            assert_eq!(encode(bytes.as_bytes()), text, "{bytes}");
            assert_eq!(decode(&text).as_deref(), Some(bytes.as_bytes()), "{bytes}");
            assert_eq!(decoded_length(&text), Some(bytes.len()), "{bytes}");
        }
    }

    #[test]
    fn every_byte_reads_back() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decode(&encode(&all)), Some(all.clone()));
        for byte in 0..=255 {
            assert_eq!(decode(&encode(&[byte])), Some(vec![byte]));
            assert_eq!(decoded_length(&encode(&[byte])), Some(1));
        }
    }

    #[test]
    fn what_is_no_text_of_the_code_is_none() {
        for (text, why) in [
            (&[0xff_u8, 0xff, 0xff, 0xff][..], "the end mark"),
            (&[0x07, 0xff, 0xff, 0xff, 0xff], "the end mark after a byte"),
            (&[0xff], "a byte of padding"),
            (&[0xff, 0xff, 0xff], "three bytes of padding"),
            (&[0x07, 0xff], "a byte and three bits of padding"),
            (&[0b0000_0000], "padding of zeros"),
            (&[0b0000_0110], "padding that ends with a zero"),
            (&[0xff, 0xc0], "half a code"),
            (&[0b0000_0000, 0b1111_0000], "a code and half a one"),
        ] {
            assert_eq!(decode(text), None, "{why}");
            assert_eq!(decoded_length(text), None, "{why}");
        }
    }

    proptest! {
        #[test]
        fn a_length_is_that_of_the_decoded_text(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            ascii in "[ -~]{0,80}",
            noise in prop::collection::vec(any::<u8>(), 0..24),
        ) {
            for bytes in [&bytes[..], ascii.as_bytes()] {
                let text = encode(bytes);
                prop_assert_eq!(decoded_length(&text), Some(bytes.len()));
                prop_assert_eq!(decode(&text), Some(bytes.to_vec()));
                let cut = &text[..text.len() / 2];
                prop_assert_eq!(decoded_length(cut), decode(cut).map(|bytes| bytes.len()));
            }
            let decoded = decode(&noise);
            prop_assert_eq!(decoded_length(&noise), decoded.as_ref().map(Vec::len));
            if let Some(bytes) = decoded {
                prop_assert_eq!(encode(&bytes), noise, "each text has one code");
            }
        }
    }
}
