//! The Huffman code of HPACK (RFC 7541, appendix B), for the one text that is inspected: an
//! `:authority`.
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

static CODE: LazyLock<Code> = LazyLock::new(Code::new);

/// The code, in the form in which it is looked up.
struct Code {
    /// The code of each byte, and how many bits it has.
    of_byte: Vec<(u32, u8)>,
    /// By length: the first code, and the symbols in their order.
    by_length: Vec<(u32, Vec<usize>)>,
}

impl Code {
    fn new() -> Code {
        let (mut next, mut of_byte, mut by_length) =
            (0_u32, vec![(0, 0); LENGTHS.len()], Vec::new());
        for length in 0..=LONGEST {
            next <<= 1;
            let first = next;
            let symbols: Vec<usize> = (0..LENGTHS.len())
                .filter(|symbol| LENGTHS.get(*symbol) == Some(&length))
                .collect();
            for symbol in &symbols {
                if let Some(place) = of_byte.get_mut(*symbol) {
                    *place = (next, length);
                }
                next += 1;
            }
            by_length.push((first, symbols));
        }
        Code { of_byte, by_length }
    }
}

/// Decodes a text. `None` if it is not a text of this code.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bytes, mut code, mut length) = (Vec::with_capacity(text.len() * 2), 0_u32, 0_usize);
    for byte in text {
        for shift in (0..8).rev() {
            code = code << 1 | u32::from(byte >> shift & 1);
            length += 1;
            let (first, symbols) = CODE.by_length.get(length)?;
            let place = usize::try_from(code.checked_sub(*first).unwrap_or(u32::MAX)).ok()?;
            if let Some(symbol) = symbols.get(place) {
                // The end mark is not a byte.
                bytes.push(u8::try_from(*symbol).ok()?);
                (code, length) = (0, 0);
            }
        }
    }
    // What is left is padding: less than a byte, all ones.
    (length < 8 && code + 1 == 1 << length).then_some(bytes)
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
        }
    }

    #[test]
    fn every_byte_reads_back() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(decode(&encode(&all)), Some(all.clone()));
        for byte in 0..=255 {
            assert_eq!(decode(&encode(&[byte])), Some(vec![byte]));
        }
    }

    #[test]
    fn what_is_no_text_of_the_code_is_none() {
        for text in [
            &[0xff_u8, 0xff, 0xff, 0xff][..],
            &[0xff],
            &[0b0000_0000, 0b1111_0000],
            &[0b0000_0000],
        ] {
            assert_eq!(decode(text), None, "{text:x?}");
        }
    }
}
