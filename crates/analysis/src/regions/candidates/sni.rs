//! The session's SNI, as conditions see it (rules R10 and R11).
//!
//! On HTTP it is unknown, known to be none, or any text. On TCP it is also what names the
//! destination, so there only its spelling is left to choose.

use super::text::expression;
use super::{
    BTreeSet, Candidate, Condition, DestinationKind, Expression, LeftReason, Question,
    SampleTarget, TextPattern, Witness, both,
};
use customs_engine::host::Authority;

/// The prefix of an SNI in Istio's mesh wrapper.
const WRAPPER: &str = "outbound_.";

impl Question<'_, '_> {
    /// Returns requests for every class of SNIs.
    pub(super) fn snis(&self) -> Result<Vec<Candidate>, LeftReason> {
        let patterns: BTreeSet<String> = self
            .sni_patterns()
            .map(|pattern| pattern.to_string().to_ascii_lowercase())
            .collect();
        let patterns: Vec<TextPattern> = patterns
            .iter()
            .map(|text| TextPattern::parse(text))
            .collect();
        match &self.sample.target {
            SampleTarget::Http(http) => {
                let authority = Authority::parse(&http.authority).ok();
                let host = authority.map(|read| read.host.to_string());
                self.session_snis(&patterns, host)
            }
            SampleTarget::Tcp(sni) if self.is_free() => {
                let mut candidates = vec![Candidate::of(self.sample.clone(), "no SNI")];
                for text in self.sni_texts(&patterns)? {
                    candidates.push(self.with_server_name(&text));
                }
                candidates.push(self.with_server_name(sni));
                Ok(candidates)
            }
            SampleTarget::Tcp(sni) => self.server_names(&patterns, sni),
            SampleTarget::Nothing => Ok(vec![Candidate::of(self.sample.clone(), "")]),
        }
    }

    fn sni_patterns(&self) -> impl Iterator<Item = &TextPattern> {
        let values = self.conditions().filter_map(|condition| match condition {
            Condition::Sni(values) => Some(values),
            _ => None,
        });
        values.flat_map(both)
    }

    /// Whether a declared listener fixes the destination, whatever the SNI says.
    fn is_free(&self) -> bool {
        let mut listeners = self.settings.listeners.iter();
        listeners.any(|listener| Some(listener.port) == self.sample.listener_port)
    }

    fn session_snis(
        &self,
        patterns: &[TextPattern],
        host: Option<String>,
    ) -> Result<Vec<Candidate>, LeftReason> {
        let candidate = |sni: Option<String>| {
            let words = match sni.as_deref() {
                None => "unknown SNI".to_owned(),
                Some("") => "no SNI".to_owned(),
                Some(text) => self.sni_in_words(text),
            };
            let mut sample = self.sample.clone();
            sample.session_sni = sni;
            Candidate::of(sample, words)
        };
        let mut all = vec![None, Some(String::new())];
        all.extend(self.sni_texts(patterns)?.into_iter().map(Some));
        if let (Some(host), true) = (host, self.settings.require_sni_host_match) {
            // The host as SNI, in every spelling that a pattern may tell apart.
            all.extend(spellings(&host).map(Some));
            if patterns.len() > 1 {
                return Err(LeftReason::TooManyPatterns);
            }
        }
        Ok(all.into_iter().map(candidate).collect())
    }

    /// The SNIs that name the same destination, in each of the two attributes that carry one.
    fn server_names(
        &self,
        patterns: &[TextPattern],
        sni: &str,
    ) -> Result<Vec<Candidate>, LeftReason> {
        if self.hosts.kind == DestinationKind::MeshWrapper {
            return self.wrapped_mesh_names(patterns);
        }
        if sni.is_empty() || self.hosts.kind != DestinationKind::Known {
            return Ok(vec![Candidate::of(self.sample.clone(), "")]);
        }
        let is_open = |pattern: &TextPattern| {
            may_match_wrapper(pattern) && !matches!(pattern, TextPattern::Exact(_))
        };
        if patterns.iter().any(is_open) {
            return Err(LeftReason::TooManyPatterns);
        }
        let exact = patterns.iter().filter_map(|pattern| match pattern {
            TextPattern::Exact(text) => Some(text.clone()),
            _ => None,
        });
        let plain = match sni.strip_prefix(WRAPPER) {
            Some(rest) => rest.rsplit("_.").next().unwrap_or(rest).to_owned(),
            None => sni.to_owned(),
        };
        let wrapper = match sni.starts_with(WRAPPER) {
            true => sni.to_owned(),
            false => format!("{WRAPPER}443_._.{sni}"),
        };
        let mut candidates = Vec::new();
        for text in spellings(&plain)
            .chain([wrapper.clone(), format!("{wrapper}.")])
            .chain(exact)
        {
            candidates.push(self.with_server_name(&text));
            // The port may be said by the session's SNI alone.
            candidates.push(self.with_both_names(&text, &wrapper));
        }
        // As the sample has it, first.
        candidates.sort_by_key(|candidate| candidate.witness.sample() != self.sample);
        Ok(candidates)
    }

    /// Names of the mesh, wrapped or beside a wrapper.
    fn wrapped_mesh_names(&self, patterns: &[TextPattern]) -> Result<Vec<Candidate>, LeftReason> {
        if patterns.iter().any(may_match_wrapper) {
            return Err(LeftReason::TooManyPatterns);
        }
        let domains = self.settings.cluster_domains.iter();
        let suffixes = domains.map(|domain| format!(".svc.{domain}"));
        let mut names: Vec<String> = Vec::new();
        for suffix in suffixes.chain([".svc".to_owned()]) {
            let label = Expression::language("[a-z0-9]([a-z0-9.-]*[a-z0-9])?");
            let language = label.followed_by(Expression::exactly(&suffix));
            let expressions: Vec<Expression> = patterns.iter().map(expression).collect();
            let atoms = self
                .texts
                .atoms(&language, &expressions)
                .map_err(|_| LeftReason::TooManyPatterns)?;
            names.extend(atoms.into_iter().map(|atom| atom.text));
        }
        let hosts = self.settings.gateway_hosts.iter();
        names.extend(hosts.map(ToString::to_string));
        let mut candidates = Vec::new();
        for name in names {
            let wrapper = format!("{WRAPPER}443_._.{name}");
            for text in [wrapper.clone(), format!("{wrapper}.")] {
                candidates.push(self.with_server_name(&text));
            }
            for text in spellings(&name) {
                candidates.push(self.with_both_names(&text, &wrapper));
            }
        }
        Ok(candidates)
    }

    /// SNIs of every class.
    fn sni_texts(&self, patterns: &[TextPattern]) -> Result<Vec<String>, LeftReason> {
        let is_open = |pattern: &TextPattern| {
            let is_text = matches!(pattern, TextPattern::Exact(_));
            !is_text && (may_match_wrapper(pattern) || pattern.to_string().contains(':'))
        };
        if patterns.iter().any(is_open) {
            return Err(LeftReason::TooManyPatterns);
        }
        let mut expressions: Vec<Expression> = Vec::new();
        for pattern in patterns {
            expressions.push(expression(pattern));
            // What is compared without the trailing dot of the text.
            let text = pattern.to_string();
            if let Some(bare) = text.strip_suffix('.') {
                expressions.push(expression(&TextPattern::parse(bare)));
            }
        }
        expressions.sort();
        expressions.dedup();
        let atoms = self
            .texts
            .atoms(&Expression::language("[!-@\\[-~]+"), &expressions)
            .map_err(|_| LeftReason::TooManyPatterns)?;
        let texts = atoms.into_iter().map(|atom| atom.text);
        let named = patterns.iter().filter_map(|pattern| match pattern {
            TextPattern::Exact(text) => Some(text.clone()),
            _ => None,
        });
        Ok(texts
            .chain(named)
            .flat_map(|text| spellings(&text).collect::<Vec<_>>())
            .collect())
    }

    fn with_both_names(&self, text: &str, session: &str) -> Candidate {
        let mut candidate = self.with_server_name(text);
        let (Witness::Real(sample) | Witness::WithReadings(sample, _)) = &mut candidate.witness;
        sample.session_sni = Some(session.to_owned());
        candidate
    }

    fn with_server_name(&self, text: &str) -> Candidate {
        let mut sample = self.sample.clone();
        sample.target = SampleTarget::Tcp(text.to_owned());
        Candidate::of(sample, self.sni_in_words(text))
    }

    fn sni_in_words(&self, text: &str) -> String {
        let named = self
            .sni_patterns()
            .find(|pattern| pattern.matches_ignore_case(text));
        match named {
            Some(pattern) => format!("SNI {pattern}"),
            None if self
                .sni_patterns()
                .any(|pattern| text.ends_with(&pattern.to_string())) =>
            {
                format!("SNI {text}")
            }
            None => "any other SNI".to_owned(),
        }
    }
}

/// Whether a pattern may match a text that begins as a wrapper does, because of how it begins.
fn may_match_wrapper(pattern: &TextPattern) -> bool {
    match pattern {
        TextPattern::Exact(text) => text.starts_with(WRAPPER),
        TextPattern::Prefix(text) => text.starts_with(WRAPPER) || WRAPPER.starts_with(text),
        TextPattern::Suffix(text) => text.contains('_'),
        TextPattern::Any => false,
    }
}

/// The spellings of an SNI that name one host.
fn spellings(text: &str) -> impl Iterator<Item = String> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    [
        text.to_owned(),
        bare.to_owned(),
        format!("{bare}."),
        format!("{bare}:443"),
        format!("{WRAPPER}443_._.{bare}"),
        format!("{WRAPPER}443_._.{bare}."),
    ]
    .into_iter()
}
