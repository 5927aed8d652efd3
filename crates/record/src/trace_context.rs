//! The W3C trace context: which trace a check is a part of, as the header `traceparent` says.
//!
//! It samples nothing and sends nothing. The rule: a text that is not exactly as the standard
//! writes it names no trace, so what a client writes cannot join a check to a trace by chance.

use std::fmt;

/// The length of a header of version 00.
#[cfg(test)]
const LENGTH: usize = 55;

/// The bit of the flags that says that the caller records its part of the trace.
const SAMPLED: u8 = 1;

/// A place in a trace: the trace, and the span that the caller is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span of the caller.
    pub span_id: [u8; 8],
    /// Whether the caller records it.
    pub is_sampled: bool,
}

impl TraceContext {
    /// Parses the value of a header. `None` if it is not one that the standard allows. Of a version
    /// that is not known, the part that every version has is read.
    pub fn parse(text: &[u8]) -> Option<TraceContext> {
        let mut text = Hex(text);
        let [version] = text.take()?;
        text.dash()?;
        let trace_id: [u8; 16] = text.take()?;
        text.dash()?;
        let span_id: [u8; 8] = text.take()?;
        text.dash()?;
        let [flags] = text.take()?;
        let is_whole = text.0.is_empty() || (version > 0 && text.0.first() == Some(&b'-'));
        let is_valid = version != 0xff && trace_id != [0; 16] && span_id != [0; 8];
        (is_whole && is_valid).then_some(TraceContext {
            trace_id,
            span_id,
            is_sampled: flags & SAMPLED != 0,
        })
    }
}

/// Writes it as a header of version 00.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace_id, span_id) = (
            u128::from_be_bytes(self.trace_id),
            u64::from_be_bytes(self.span_id),
        );
        let flags = u8::from(self.is_sampled);
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{flags:02x}")
    }
}

impl fmt::Debug for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is read from its beginning.
struct Hex<'t>(&'t [u8]);

impl Hex<'_> {
    /// Reads bytes of two digits each.
    fn take<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let mut bytes = [0; COUNT];
        for byte in &mut bytes {
            let (pair, rest) = self.0.split_first_chunk::<2>()?;
            let [high, low] = pair.map(digit);
            *byte = (high? << 4) | low?;
            self.0 = rest;
        }
        Some(bytes)
    }

    fn dash(&mut self) -> Option<()> {
        self.0 = self.0.strip_prefix(b"-")?;
        Some(())
    }
}

/// Returns a digit's value. The standard allows lower case only.
fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_header_is_read_and_written_back() {
        for (flags, is_sampled, written) in [
            ("00", false, "00"),
            ("01", true, "01"),
            ("02", false, "00"),
            ("03", true, "01"),
            ("ff", true, "01"),
        ] {
            let context = TraceContext::parse(format!("00-{TRACE}-{SPAN}-{flags}").as_bytes());
            let context = context.unwrap();
            assert_eq!(context.is_sampled, is_sampled, "{flags}");
            assert_eq!(
                context.to_string(),
                format!("00-{TRACE}-{SPAN}-{written}"),
                "{flags}"
            );
            assert_eq!(context.to_string().len(), LENGTH);
        }
    }

    #[test]
    fn a_version_that_is_not_known_is_read_as_far_as_all_versions_agree() {
        for (text, expected) in [
            (format!("01-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-what-comes-next"), true),
            (format!("cc-{TRACE}-{SPAN}-01-"), true),
            (format!("cc-{TRACE}-{SPAN}-01.next"), false),
            (format!("cc-{TRACE}-{SPAN}-01next"), false),
            (format!("00-{TRACE}-{SPAN}-01-next"), false),
            (format!("00-{TRACE}-{SPAN}-01-"), false),
        ] {
            let context = TraceContext::parse(text.as_bytes());
            assert_eq!(context.is_some(), expected, "{text}");
        }
    }

    #[test]
    fn hostile_headers_name_no_trace() {
        let zeros = "0".repeat(32);
        for text in [
            "".to_owned(),
            "-".to_owned(),
            "00".to_owned(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("000-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("0A-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-0G"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-011"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &SPAN[1..]),
            format!("00-{TRACE}-{SPAN}0-01"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("00-{TRACE}-{SPAN}-01\n"),
            format!("00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-\u{661}1"),
            "00-".repeat(10_000),
            "x".repeat(LENGTH),
        ] {
            assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(TraceContext::parse(&[0xff; LENGTH]), None);
        assert_eq!(TraceContext::parse(&[0; LENGTH]), None);
    }
}
