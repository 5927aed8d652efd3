//! The values of an AuthorizationPolicy that describe destinations: hosts, ports, methods, paths,
//! addresses and headers, with warnings for values that are probably mistakes.

use ipnet::IpNet;

use super::egress_patterns::whole_labels;
use super::istio_gaps as gaps;
use super::istio_rules::RuleReader;
use super::methods;
use super::problem::{Code, Fix, Problem};
use super::reader::{self, Text};
use customs_engine::operation::PathPattern;
use customs_engine::path::Template;
use customs_engine::pattern::{self, HostPattern, Spelling, TextPattern};

impl RuleReader<'_> {
    /// Reads an SNI, which is compared in lower case.
    pub(super) fn sni(&mut self, value: Text<'_>, _positive: bool) -> Vec<TextPattern> {
        vec![TextPattern::parse(&value.text.to_ascii_lowercase())]
    }

    pub(super) fn header(&mut self, value: Text<'_>, _positive: bool) -> Vec<TextPattern> {
        self.problems
            .extend(gaps::plain_star(value, Code::BadValue, "the value"));
        vec![TextPattern::parse(value.text)]
    }

    pub(super) fn ip_block(&mut self, value: Text<'_>, _positive: bool) -> Vec<IpNet> {
        let block = pattern::parse_ip_block(value.text);
        if block.is_none() {
            let what = format!(
                "invalid address `{}`: expected an IP address or a range",
                value.text
            );
            self.problems.push(
                value
                    .error(Code::BadAddress, what)
                    .hint("write `192.0.2.1` or `192.0.2.0/24`"),
            );
        }
        block.into_iter().collect()
    }

    pub(super) fn host(&mut self, value: Text<'_>, _positive: bool) -> Vec<HostPattern> {
        match pattern::parse_host_pattern(value.text) {
            Err(why) => {
                let problem = value.error(Code::BadHost, format!("`{}`: {why}", value.text));
                self.problems.push(problem.advised(why.advice(value.text)));
            }
            Ok((pattern, _)) if pattern.is_anywhere() => {
                self.problems.push(
                    value
                        .error(Code::BadHost, "invalid host `**` in an AuthorizationPolicy")
                        .hint("write `*`"),
                );
            }
            Ok((pattern, _)) if pattern.is_network() => {
                let what = format!(
                    "`{}` is a range: Istio compares hosts as text and would never match it",
                    value.text
                );
                self.problems.push(
                    value
                        .error(Code::BadHost, what)
                        .hint("write ranges of destinations in an EgressPolicy"),
                );
            }
            Ok((pattern, spellings)) => {
                let as_read = pattern.to_string();
                let pattern = pattern.in_istio(value.text);
                if pattern.is_text() {
                    self.problems.push(gaps::host_text(value, &as_read));
                } else {
                    self.problems.extend(
                        spellings
                            .iter()
                            .map(|spelling| odd_spelling(value, spelling)),
                    );
                    self.problems.extend(gaps::host_port(value, &pattern));
                    self.problems.extend(gaps::host_ipv6(value, &pattern));
                }
                self.problems.extend(reader::yaml_word(value));
                return vec![pattern];
            }
        }
        Vec::new()
    }

    pub(super) fn port(&mut self, value: Text<'_>, _positive: bool) -> Vec<u16> {
        let port = value
            .text
            .parse()
            .ok()
            .filter(|_| value.text.bytes().all(|b| b.is_ascii_digit()));
        if port.is_none() {
            let what = format!("invalid port `{}`", value.text);
            self.problems.push(
                value
                    .error(Code::BadPort, what)
                    .hint("write a number from 0 to 65535, in quotes"),
            );
        }
        port.into_iter().collect()
    }

    pub(super) fn method(&mut self, value: Text<'_>, _positive: bool) -> Vec<TextPattern> {
        if value.text.bytes().any(|b| b.is_ascii_lowercase()) {
            let what = format!(
                "method `{}` is not upper case: an ALLOW compares case for case",
                value.text
            );
            self.problems.push(value.warning(Code::BadMethod, what));
        }
        self.problems
            .extend(gaps::plain_star(value, Code::BadMethod, "method"));
        self.problems.extend(methods::unregistered(value));
        vec![TextPattern::parse(value.text)]
    }

    pub(super) fn path(&mut self, value: Text<'_>, _positive: bool) -> Vec<PathPattern> {
        if Template::is_template(value.text) {
            return match Template::parse(value.text) {
                Ok(template) => vec![PathPattern::Template(template)],
                Err(why) => {
                    self.problems
                        .push(value.error(Code::BadPath, format!("`{}`: {why}", value.text)));
                    Vec::new()
                }
            };
        }
        if !value.text.starts_with(['/', '*']) {
            let what = format!(
                "`{}` does not begin with `/`, so it matches no HTTP path",
                value.text
            );
            self.problems.push(value.warning(Code::BadPath, what));
        }
        self.problems
            .extend(gaps::plain_star(value, Code::BadPath, "path"));
        self.problems.extend(gaps::query(value));
        vec![PathPattern::Text(TextPattern::parse(value.text))]
    }
}

fn odd_spelling(value: Text<'_>, spelling: &Spelling) -> Problem {
    let warn = |what: String| value.warning(Code::HostSpelling, what);
    match spelling {
        Spelling::Folded(meant) => {
            // Istio compares hosts in any case, and otherwise as text.
            let is_case = value.text.eq_ignore_ascii_case(meant);
            warn(format!("`{}` is read as `{meant}`", value.text))
                .fix(is_case.then(|| Fix::text(value.text, meant)))
        }
        Spelling::Unicode(meant) => {
            warn(format!("`{}` is read as its A-label `{meant}`", value.text))
        }
        Spelling::Loose => warn(format!("`{}` matches more than whole labels", value.text)).hint(
            whole_labels(value.text, "anyone can register names that match; write "),
        ),
    }
}
