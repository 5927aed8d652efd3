//! Reads a check's attributes from its bytes, without the messages, maps and texts that decoding
//! would create.
//!
//! It is for checks as proxies send them. The rule: whatever it reads, decoding reads the same, to
//! the byte. It declines anything unusual (a message in two parts, a group, a field of another
//! type, bytes that are not text, metadata, a premature end) as a whole, for the decoder. So it
//! never says why bytes are wrong, and it accepts nothing that the decoder refuses. Fields that it
//! does not know are skipped, as in protobuf.

use std::borrow::Cow;
use std::net::IpAddr;

use fields::{Field, Fields, Text, once};

use customs_engine::request::{Attributes, Headers, HttpAttributes};

mod fields;
mod numbers;

/// How many headers a request usually has, at most, so that their memory is allocated once.
const USUAL_HEADERS: usize = 48;

/// A check whose texts are borrowed from the bytes that it was read from.
#[derive(Debug, Default)]
pub struct Check<'m> {
    source: PeerFields<'m>,
    destination: PeerFields<'m>,
    tls_sni: Option<&'m str>,
    http: Option<Http<'m>>,
}

/// The fields of a peer that are read.
#[derive(Debug, Default)]
struct PeerFields<'a> {
    address: AddressFields,
    service: &'a str,
    principal: &'a str,
}

/// The fields of an address that are read.
#[derive(Debug, Default)]
struct AddressFields {
    present: bool,
    ip: Option<IpAddr>,
    port: Option<u16>,
}

/// An HTTP request.
#[derive(Debug, Default)]
struct Http<'m> {
    id: Text<'m>,
    method: Text<'m>,
    path: Text<'m>,
    host: Text<'m>,
    scheme: Text<'m>,
    protocol: Text<'m>,
    headers: HeaderFields<'m>,
}

/// The headers in both forms, in the order in which they were sent.
#[derive(Debug, Default)]
struct HeaderFields<'m> {
    /// If two values have one key, the later one counts.
    map: Vec<(Text<'m>, Text<'m>)>,
    /// `None` if there is no list at all.
    list: Option<Vec<RawHeader<'m>>>,
}

/// A header of the list: its value is text or, if that is empty, bytes.
#[derive(Debug, Default)]
struct RawHeader<'m> {
    key: Text<'m>,
    value: Text<'m>,
    raw_value: &'m [u8],
}

/// Reads a check. `None` if it is unusual, or not a check at all.
pub fn read(message: &[u8]) -> Option<Check<'_>> {
    let mut attributes = None;
    for field in Fields::of(message) {
        match field? {
            Field {
                number: numbers::check_request::ATTRIBUTES,
                value,
            } => once(&mut attributes, value.bytes()?)?,
            _unknown => {}
        }
    }
    attributes.map_or_else(|| Some(Check::default()), Check::read)
}

impl<'m> Check<'m> {
    fn read(message: &'m [u8]) -> Option<Self> {
        use numbers::attribute_context as number;
        let (mut source, mut destination, mut session, mut request) = (None, None, None, None);
        for field in Fields::of(message) {
            let Field { number, value } = field?;
            match number {
                number::SOURCE => once(&mut source, PeerFields::from_bytes(value.bytes()?)?)?,
                number::DESTINATION => {
                    once(&mut destination, PeerFields::from_bytes(value.bytes()?)?)?
                }
                number::REQUEST => once(&mut request, read_request(value.bytes()?)?)?,
                number::TLS_SESSION => once(&mut session, read_session(value.bytes()?)?)?,
                number::CONTEXT_EXTENSIONS => drop(read_map_entry(value.bytes()?)?),
                // Proxies send it empty, unless they are configured to send metadata.
                number::METADATA_CONTEXT | number::ROUTE_METADATA_CONTEXT
                    if value.bytes()?.is_empty() => {}
                number::METADATA_CONTEXT | number::ROUTE_METADATA_CONTEXT => return None,
                _unknown => {}
            }
        }
        Some(Check {
            source: source.unwrap_or_default(),
            destination: destination.unwrap_or_default(),
            tls_sni: session,
            http: request.flatten(),
        })
    }

    /// Returns the attributes that the engine reads.
    pub fn attributes(&self) -> Attributes<'_> {
        let http = self.http.as_ref().map(|http| HttpAttributes {
            method: http.method.as_str(),
            path: http.path.as_str(),
            host: http.host.as_str(),
            scheme: http.scheme.as_str(),
            headers: &http.headers,
            stream_id: http.id.as_str(),
            protocol: http.protocol.as_str(),
        });
        Attributes {
            source_principal: self.source.principal,
            source_address: self.source.address.ip,
            destination_principal: self.destination.principal,
            destination_address: self.destination.address.ip,
            listener_port: self.destination.address.port,
            has_address: self.source.address.present || self.destination.address.present,
            // Of the peers' `service`, only the destination's has a meaning, and only on TCP: the
            // SNI.
            service: self.destination.service,
            tls_sni: self.tls_sni,
            http,
        }
    }
}

impl<'m> PeerFields<'m> {
    fn from_bytes(message: &'m [u8]) -> Option<Self> {
        use numbers::peer as number;
        let (mut address, mut peer) = (None, PeerFields::default());
        for field in Fields::of(message) {
            let Field { number, value } = field?;
            match number {
                number::ADDRESS => once(&mut address, AddressFields::from_bytes(value.bytes()?)?)?,
                number::SERVICE => peer.service = value.text()?.as_str(),
                number::LABELS => drop(read_map_entry(value.bytes()?)?),
                number::PRINCIPAL => peer.principal = value.text()?.as_str(),
                number::CERTIFICATE => drop(value.text()?),
                _unknown => {}
            }
        }
        Some(PeerFields {
            address: address.unwrap_or_default(),
            ..peer
        })
    }
}

impl AddressFields {
    fn from_bytes(message: &[u8]) -> Option<Self> {
        use numbers::address as number;
        let mut address = None;
        for field in Fields::of(message) {
            let Field { number, value } = field?;
            match number {
                number::SOCKET_ADDRESS => once(&mut address, read_socket(value.bytes()?)?)?,
                number::PIPE => once(&mut address, read_pipe(value.bytes()?)?)?,
                number::ENVOY_INTERNAL_ADDRESS => {
                    once(&mut address, read_internal(value.bytes()?)?)?
                }
                _unknown => {}
            }
        }
        Some(address.unwrap_or_default())
    }
}

fn read_socket(message: &[u8]) -> Option<AddressFields> {
    use numbers::socket_address as number;
    let (mut address, mut port) = (Text::default(), None);
    for field in Fields::of(message) {
        let Field { number, value } = field?;
        match number {
            number::ADDRESS => address = value.text()?,
            // The decoder takes the lower half of a number that is too long.
            number::PORT_VALUE => port = u16::try_from(value.number()? as u32).ok(),
            number::NAMED_PORT => {
                value.text()?;
                port = None;
            }
            number::PROTOCOL | number::IPV4_COMPAT => drop(value.number()?),
            number::RESOLVER_NAME | number::NETWORK_NAMESPACE_FILEPATH => drop(value.text()?),
            _unknown => {}
        }
    }
    Some(AddressFields {
        present: true,
        ip: address.as_str().parse().ok(),
        port,
    })
}

/// An address that is neither an IP address nor a port.
const ELSEWHERE: AddressFields = AddressFields {
    present: true,
    ip: None,
    port: None,
};

fn read_pipe(message: &[u8]) -> Option<AddressFields> {
    use numbers::pipe as number;
    for field in Fields::of(message) {
        let Field { number, value } = field?;
        match number {
            number::PATH => drop(value.text()?),
            number::MODE => drop(value.number()?),
            _unknown => {}
        }
    }
    Some(ELSEWHERE)
}

fn read_internal(message: &[u8]) -> Option<AddressFields> {
    use numbers::envoy_internal_address as number;
    for field in Fields::of(message) {
        let Field { number, value } = field?;
        match number {
            number::SERVER_LISTENER_NAME | number::ENDPOINT_ID => drop(value.text()?),
            _unknown => {}
        }
    }
    Some(ELSEWHERE)
}

fn read_session(message: &[u8]) -> Option<&str> {
    let mut sni = "";
    for field in Fields::of(message) {
        match field? {
            Field {
                number: numbers::tls_session::SNI,
                value,
            } => sni = value.text()?.as_str(),
            _unknown => {}
        }
    }
    Some(sni)
}

fn read_request(message: &[u8]) -> Option<Option<Http<'_>>> {
    use numbers::request as number;
    let (mut time, mut http) = (None, None);
    for field in Fields::of(message) {
        let Field { number, value } = field?;
        match number {
            number::TIME => once(&mut time, read_time(value.bytes()?)?)?,
            number::HTTP => once(&mut http, Http::read(value.bytes()?)?)?,
            _unknown => {}
        }
    }
    Some(http)
}

/// Reads the time, which is the proxy's own, only to be sure that the decoder could read it.
fn read_time(message: &[u8]) -> Option<()> {
    use numbers::timestamp as number;
    for field in Fields::of(message) {
        let Field { number, value } = field?;
        match number {
            number::SECONDS | number::NANOS => drop(value.number()?),
            _unknown => {}
        }
    }
    Some(())
}

impl<'m> Http<'m> {
    fn read(message: &'m [u8]) -> Option<Self> {
        use numbers::http_request as number;
        let mut http = Http::default();
        for field in Fields::of(message) {
            let Field { number, value } = field?;
            match number {
                number::ID => http.id = value.text()?,
                number::METHOD => http.method = value.text()?,
                number::HEADERS => http.headers.put(read_map_entry(value.bytes()?)?),
                number::HEADER_MAP => {
                    once(&mut http.headers.list, read_header_map(value.bytes()?)?)?
                }
                number::PATH => http.path = value.text()?,
                number::HOST => http.host = value.text()?,
                number::PROTOCOL => http.protocol = value.text()?,
                // No decision depends on it, as in a check that was decoded.
                number::SCHEME => http.scheme = value.text()?,
                number::QUERY | number::FRAGMENT | number::BODY => drop(value.text()?),
                number::RAW_BODY => drop(value.bytes()?),
                number::SIZE => drop(value.number()?),
                _unknown => {}
            }
        }
        Some(http)
    }
}

fn read_map_entry(message: &[u8]) -> Option<(Text<'_>, Text<'_>)> {
    use numbers::map_entry as number;
    // Proxies write the key and the value, and nothing else.
    let mut fields = Fields::of(message);
    if let (Some(Some(key)), Some(Some(value)), None) =
        (fields.next(), fields.next(), fields.next())
        && (key.number, value.number) == (number::KEY, number::VALUE)
    {
        return Some((key.value.text()?, value.value.text()?));
    }
    let (mut key, mut text) = (Text::default(), Text::default());
    for field in Fields::of(message) {
        let Field { number, value } = field?;
        match number {
            number::KEY => key = value.text()?,
            number::VALUE => text = value.text()?,
            _unknown => {}
        }
    }
    Some((key, text))
}

fn read_header_map(message: &[u8]) -> Option<Vec<RawHeader<'_>>> {
    let mut list = Vec::with_capacity(USUAL_HEADERS);
    for field in Fields::of(message) {
        match field? {
            Field {
                number: numbers::header_map::HEADERS,
                value,
            } => list.push(RawHeader::read(value.bytes()?)?),
            _unknown => {}
        }
    }
    Some(list)
}

impl<'m> RawHeader<'m> {
    fn read(message: &'m [u8]) -> Option<Self> {
        use numbers::header_value as number;
        let mut header = RawHeader::default();
        for field in Fields::of(message) {
            let Field { number, value } = field?;
            match number {
                number::KEY => header.key = value.text()?,
                number::VALUE => header.value = value.text()?,
                number::RAW_VALUE => header.raw_value = value.bytes()?,
                _unknown => {}
            }
        }
        Some(header)
    }
}

impl<'m> HeaderFields<'m> {
    fn put(&mut self, entry: (Text<'m>, Text<'m>)) {
        if self.map.is_empty() {
            self.map.reserve(USUAL_HEADERS);
        }
        self.map.push(entry);
    }

    /// Returns the values under keys that are `name` in another case, which no proxy sends: one for
    /// each key, in the order of the keys.
    fn odd(&self, name: &str) -> Vec<(Text<'m>, Text<'m>)> {
        let is_odd = |key: Text<'_>| key.as_str() != name && is_like(key, name);
        let mut odd: Vec<_> = self
            .map
            .iter()
            .rev()
            .copied()
            .filter(|(key, _)| is_odd(*key))
            .collect();
        // Stable, so that of one key the last value sent stays in front.
        odd.sort_by_key(|(key, _)| *key);
        odd.dedup_by_key(|(key, _)| *key);
        odd
    }
}

/// Returns whether a key is this name, in any case.
fn is_like(key: Text<'_>, name: &str) -> bool {
    key.as_bytes().len() == name.len() && key.as_bytes().eq_ignore_ascii_case(name.as_bytes())
}

/// Returns the sort key of a map's keys, in which the lower-case spelling precedes the others.
fn in_order(key: &str) -> (bool, &str) {
    (key.bytes().any(|byte| byte.is_ascii_uppercase()), key)
}

/// Returns the value of a header that was sent as text or, if that is empty, as bytes.
fn raw_text<'a>(value: &'a str, raw_value: &'a [u8]) -> Cow<'a, str> {
    if value.is_empty() {
        String::from_utf8_lossy(raw_value)
    } else {
        Cow::Borrowed(value)
    }
}

impl Headers for HeaderFields<'_> {
    fn visit<'s>(&'s self, name: &str, each: &mut dyn FnMut(Cow<'s, str>)) {
        let (mut same, mut has_odd) = (None, false);
        for (key, value) in &self.map {
            if key.as_bytes() == name.as_bytes() {
                same = Some(*value);
            } else if is_like(*key, name) {
                has_odd = true;
            }
        }
        same.into_iter()
            .for_each(|value: Text<'_>| each(Cow::Borrowed(value.as_str())));
        if has_odd {
            self.odd(name)
                .into_iter()
                .for_each(|(_, value)| each(Cow::Borrowed(value.as_str())));
        }
        let list = self.list.as_deref().unwrap_or_default();
        let raw = list.iter().filter(|header| is_like(header.key, name));
        raw.for_each(|header| each(raw_text(header.value.as_str(), header.raw_value)));
    }

    fn visit_all<'s>(&'s self, each: &mut dyn FnMut(&'s str, Cow<'s, str>)) {
        let mut map: Vec<_> = self
            .map
            .iter()
            .map(|(key, value)| (in_order(key.as_str()), *value))
            .collect();
        // Stable, so that of one key the last value sent stays last, which is the one that counts.
        map.sort_by_key(|(key, _)| *key);
        let mut map = map.into_iter().peekable();
        while let Some(((is_odd, key), value)) = map.next() {
            if map.peek().is_none_or(|(next, _)| *next != (is_odd, key)) {
                each(key, Cow::Borrowed(value.as_str()));
            }
        }
        let list = self.list.as_deref().unwrap_or_default();
        list.iter().for_each(|header| {
            each(
                header.key.as_str(),
                raw_text(header.value.as_str(), header.raw_value),
            )
        });
    }

    fn are_joined(&self) -> bool {
        !self.map.is_empty() || self.list.is_none()
    }
}

#[cfg(test)]
mod tests;
