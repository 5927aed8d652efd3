//! A request that a record holds: the inputs of its decision, rebuilt so that another policy set
//! can decide it again.
//!
//! A record does not hold everything. Fields may be redacted or truncated, a header is recorded
//! only if a condition of the set in force asked for it, and the query of a path never is. The
//! rule: **nothing is guessed.** An input that the record lacks and that some rule may ask for is
//! *missing*. [`RecordedPolicies`] then bounds the answer: it decides once as if every rule that
//! asks for a missing input denied, and once as if every such rule allowed. If both give one
//! answer, the missing inputs do not matter. Otherwise the request is unanswerable, and
//! [`UnanswerableError`] says for want of what.
//!
//! [`identity`] says whose request it was, [`asked_inputs`] what a set asks for, and
//! [`bounding_rules`] makes the two sets that bound an answer. Nothing here reads files, and
//! nothing compares the old answer with the new one.
//!
//! One input depends on settings that a record does not name: `remoteAddress` is the client as it
//! was read with the number of trusted proxies of then, and it is taken as the client now.

use std::borrow::Cow;
use std::net::IpAddr;

use customs_engine::header_values::AUTHORITY;
use customs_engine::request::{Attributes, CLIENT_CERTIFICATE, HttpAttributes, Request};
use customs_engine::settings::Settings;

pub mod asked_inputs;
mod bounding_rules;
mod identity;
mod missing;
mod recorded_inputs;
mod recorded_policies;

pub use missing::{MissingCause, MissingInput, RequestInput, UnanswerableError};
pub use recorded_inputs::{RecordedHeader, RecordedInputs};
pub use recorded_policies::{RecordedPolicies, ReplayedDecision};

use asked_inputs::AskedInputs;
use identity::RecordedIdentity;

/// A value of a header with more parts than are compared, so that it counts as unknown.
const TOO_MANY_PARTS: usize = 5_000;

/// Values of this length or longer may have been cut when they were recorded.
const MAYBE_CUT: usize = 253;

/// A request as its record holds it.
#[derive(Clone, Debug)]
pub struct RecordedRequest<'r> {
    identity: RecordedIdentity<'r>,
    source_address: Option<IpAddr>,
    remote_address: Option<IpAddr>,
    destination_address: Option<IpAddr>,
    listener_port: Option<u16>,
    has_address: bool,
    service: &'r str,
    tls_sni: Option<&'r str>,
    http: Option<RecordedHttp<'r>>,
    headers: Vec<(String, String)>,
    recorded_headers: Vec<RecordedHeader<'r>>,
    /// Whether a value of a header may be a hash.
    hides_headers: bool,
    /// The inputs besides headers that the record lacks.
    missing: Vec<MissingInput>,
}

#[derive(Clone, Copy, Debug)]
struct RecordedHttp<'r> {
    method: &'r str,
    path: &'r str,
    host: &'r str,
}

impl<'r> RecordedRequest<'r> {
    /// Rebuilds the request of a record, for a policy set with these settings. `are_settings_known`
    /// says that the set which decided then had the same settings.
    ///
    /// # Errors
    /// If an input is missing without which no set can decide.
    pub fn rebuild(
        inputs: &RecordedInputs<'r>,
        settings: &Settings,
        are_settings_known: bool,
    ) -> Result<RecordedRequest<'r>, UnanswerableError> {
        let http = match inputs.protocol {
            "http" => Some(RecordedHttp {
                method: inputs.method,
                path: inputs.path,
                host: inputs.raw_host,
            }),
            "tcp" => None,
            _ => return Err(RequestInput::Protocol.lacking_alone(MissingCause::OtherVersion)),
        };
        if inputs.is_truncated("rawHost") {
            return Err(RequestInput::Host.lacking_alone(MissingCause::Truncated));
        }
        let asks_sni = http.is_none() || settings.require_sni_host_match;
        if inputs.is_truncated("sni") && asks_sni {
            return Err(RequestInput::Sni.lacking_alone(MissingCause::Truncated));
        }
        let listener_port = inputs.listener_port.map(u16::try_from).transpose();
        let listener_port = listener_port
            .map_err(|_| RequestInput::ListenerPort.lacking_alone(MissingCause::Unreadable))?;

        let identity = identity::rebuild(inputs, settings, are_settings_known)?;
        let mut missing = Vec::new();
        missing.extend(identity.missing.clone());
        let mut address = |input: RequestInput, text| inputs.address(input, text, &mut missing);
        let source_address = address(RequestInput::SourceAddress, inputs.source_address);
        let destination_address =
            address(RequestInput::DestinationAddress, inputs.destination_address);
        let mut remote_address = address(RequestInput::RemoteAddress, inputs.remote_address);
        let lacks_remote = inputs.remote_address.is_empty()
            && !missing
                .iter()
                .any(|missing| missing.input == RequestInput::RemoteAddress);
        match settings.trusted_hops {
            None => remote_address = None,
            // Without declared proxies no record has it; with them it is at least the peer's.
            Some(_)
                if lacks_remote && (!are_settings_known || !inputs.source_address.is_empty()) =>
            {
                missing.push(RequestInput::RemoteAddress.lacking(MissingCause::NotRecorded));
            }
            Some(_) => {}
        }
        for input in [RequestInput::Method, RequestInput::Path, RequestInput::Sni] {
            if let Some(cause) = inputs.removed(input.field()) {
                missing.push(input.lacking(cause));
            }
        }
        let is_addressed = [inputs.source_address, inputs.destination_address]
            .iter()
            .any(|address| !address.is_empty())
            || inputs.is_redacted("sourceAddress")
            || listener_port.is_some();
        let mut request = RecordedRequest {
            source_address,
            remote_address,
            destination_address,
            listener_port,
            has_address: is_addressed || inputs.address_unreadable,
            service: if http.is_some() { "" } else { inputs.raw_host },
            tls_sni: match inputs.sni {
                "" => inputs.sni_absent.then_some(""),
                sni => Some(sni),
            },
            http,
            headers: Vec::new(),
            recorded_headers: inputs.headers.clone(),
            hides_headers: inputs.is_redacted("headers"),
            missing,
            identity,
        };
        request.add_headers(inputs);
        Ok(request)
    }

    fn add_headers(&mut self, inputs: &RecordedInputs<'r>) {
        if let Some(authority) = inputs.authority_header {
            // It differs from the authority, however much of it was cut.
            let cut = if inputs.is_truncated("authorityHeader") {
                "x"
            } else {
                ""
            };
            self.headers
                .push((AUTHORITY.to_owned(), format!("{authority}{cut}")));
            let cause = MissingCause::ValueNotRecorded;
            let authority = RequestInput::Header(AUTHORITY.to_owned());
            self.missing.push(authority.lacking(cause));
        }
        if let Some(certificate) = &self.identity.certificate {
            self.headers
                .push((CLIENT_CERTIFICATE.to_owned(), certificate.clone()));
        }
        for header in &self.recorded_headers {
            // What is a field of the record by itself is not added again.
            if [AUTHORITY, ":method", ":path", CLIENT_CERTIFICATE].contains(&header.name) {
                continue;
            }
            if header.present && header.value_unknown {
                self.headers
                    .push((header.name.to_owned(), ",".repeat(TOO_MANY_PARTS)));
            } else if self.lack_of(header).is_none() && header.present {
                self.headers
                    .push((header.name.to_owned(), header.value.to_owned()));
            }
        }
    }

    /// Returns why the value of a recorded header is not known, if it is not.
    fn lack_of(&self, header: &RecordedHeader<'_>) -> Option<MissingCause> {
        if !header.present || header.value_unknown {
            return None;
        }
        let may_be_hash = header.value.is_empty() || header.value.starts_with("hash:");
        if self.hides_headers && may_be_hash {
            return Some(MissingCause::Redacted);
        }
        match header.value {
            "" => Some(MissingCause::ValueNotRecorded),
            value if value.len() >= MAYBE_CUT => Some(MissingCause::Truncated),
            // One value with a comma, or several that were joined: conditions tell them apart.
            value if value.contains(',') => Some(MissingCause::ValueNotRecorded),
            _ => None,
        }
    }

    /// Returns whether the record lacks an input, other than a header.
    pub fn lacks(&self, input: &RequestInput) -> bool {
        self.missing.iter().any(|missing| missing.input == *input)
    }

    /// Returns the inputs that the record lacks and that a set asks for.
    pub fn missing(&self, asked: &AskedInputs) -> Vec<MissingInput> {
        let mut missing: Vec<MissingInput> = self
            .missing
            .iter()
            .filter(|missing| asked.asks(&missing.input))
            .cloned()
            .collect();
        if self.http.is_some() {
            for name in asked.headers() {
                if let Some(cause) = self.lack_of_header(name) {
                    let input = RequestInput::Header(name.to_owned());
                    missing.push(input.lacking(cause));
                }
            }
        }
        missing.sort_unstable();
        missing.dedup_by(|one, other| one.input == other.input);
        missing
    }

    fn lack_of_header(&self, name: &str) -> Option<MissingCause> {
        let removed = |input: RequestInput| {
            let mut missing = self.missing.iter();
            missing.find(|missing| missing.input == input)
        };
        match name {
            AUTHORITY => return removed(RequestInput::Header(name.to_owned())).map(|m| m.cause),
            ":method" => return removed(RequestInput::Method).map(|missing| missing.cause),
            // The condition compares the query too.
            ":path" => return Some(MissingCause::QueryNotRecorded),
            _ => {}
        }
        let mut recorded = self.recorded_headers.iter();
        match recorded.find(|header| header.name == name) {
            None => Some(MissingCause::NotRecorded),
            // Of this header only what concerns the identity was kept.
            Some(header) if name == CLIENT_CERTIFICATE && header.present => {
                Some(MissingCause::ValueNotRecorded)
            }
            Some(header) => self.lack_of(header),
        }
    }

    /// Calls `with` with the request as the engine reads it under these settings. What is missing
    /// has a value in it that means nothing.
    pub fn with_request<T>(&self, settings: &Settings, with: impl FnOnce(&Request<'_>) -> T) -> T {
        let attributes = Attributes {
            source_principal: &self.identity.principal,
            source_address: self.source_address,
            destination_principal: "",
            destination_address: self.destination_address,
            listener_port: self.listener_port,
            has_address: self.has_address,
            service: self.service,
            tls_sni: self.tls_sni,
            http: self.http.map(|http| HttpAttributes {
                method: http.method,
                path: http.path,
                host: http.host,
                headers: &self.headers,
                ..HttpAttributes::default()
            }),
        };
        let mut request = attributes.normalise(settings);
        request.remote_address = self.remote_address;
        with(&request)
    }
}

impl<'r> RecordedInputs<'r> {
    /// Reads an address; what is not one is missing.
    fn address(
        &self,
        input: RequestInput,
        text: &'r str,
        missing: &mut Vec<MissingInput>,
    ) -> Option<IpAddr> {
        if self.is_redacted(input.field()) {
            missing.push(input.lacking(MissingCause::Redacted));
            return None;
        }
        if text.is_empty() {
            return None;
        }
        let address = text.parse();
        if address.is_err() {
            missing.push(input.lacking(MissingCause::Unreadable));
        }
        address.ok()
    }
}

/// Makes a text longer than the longest identity that is read, as it was before it was cut.
fn lengthened(text: &str, length: usize) -> Cow<'_, str> {
    match length.checked_sub(text.len()) {
        None | Some(0) => Cow::Borrowed(text),
        Some(more) => Cow::Owned(format!("{text}{}", "x".repeat(more))),
    }
}

#[cfg(test)]
mod tests;
