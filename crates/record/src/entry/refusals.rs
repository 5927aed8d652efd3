//! Connections and calls that were refused before they were checks, at the addresses of checks, of
//! operators and of the tail: counts by peer and cause over a period.
//!
//! A refusal is not a decision, and every client that reaches the address can cause one. So
//! refusals are only counted, never recorded one by one: a record of a million is as long as a
//! record of ten.

use std::fmt;
use std::net::IpAddr;

mod described;

/// Why a connection or call was refused before it was a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalCause {
    /// The port has as many connections as it may have, and each is in use.
    TooManyConnections,
    /// The peer has as many connections as it may have, and each is in use.
    TooManyConnectionsOfPeer,
    /// The connection had sent no whole call, and gave way to a new one.
    ConnectionGaveWay,
    /// The client did not begin a session in time: TLS, and the preface of HTTP/2.
    HandshakeTimeout,
    /// The user of the client may not connect to this unix socket.
    UserNotAllowed,
    /// The subscriber did not read its records.
    SubscriptionUnread,
    /// The client uses HTTP/1.
    Http1,
    /// The client opens a TLS session, and the address has no TLS.
    Tls,
    /// The client sends plain text to an address with TLS.
    TlsPlainText,
    /// The client of TLS does not name the protocol of the address (ALPN).
    TlsApplicationProtocol,
    /// The client of TLS has no certificate, and needs one.
    TlsNoCertificate,
    /// No authority of clients vouches for the client's certificate.
    TlsUnknownAuthority,
    /// The client's certificate has expired, or is not valid yet.
    TlsCertificateExpired,
    /// The client's certificate is invalid for another reason.
    TlsCertificateInvalid,
    /// The client's SPIFFE id is not on the list, or it has no valid one.
    TlsNotPermitted,
    /// The client does not accept this server's certificate.
    TlsServerCertificateRejected,
    /// A TLS handshake failed for another reason.
    TlsHandshake,
    /// The client uses a protocol other than HTTP/2, or never finished its preface.
    OtherProtocol,
    /// HTTP/2 ended the whole connection: invalid frames, or a flood.
    ConnectionCut,
    /// The client sent a flood of frames that carry no call.
    FrameFlood,
    /// The client did not send the headers or the message of a call to the end in time.
    RequestTimeout,
    /// The client did not take the answers that waited for it.
    AnswersUnread,
    /// The connection or the server has no memory for another call, or for more of its message.
    MemoryExhausted,
    /// The connection or the server has as many calls of health and reflection as it may have.
    TooManyCalls,
    /// HTTP/2 refused one stream: malformed or too large headers, or too many streams at once.
    StreamRefused,
    /// The HTTP method of the call is not POST.
    HttpMethod,
    /// The call's content type is not that of gRPC with protobuf.
    ContentType,
    /// The service is unknown, or has no such method.
    UnknownMethod,
    /// The message is larger than the settings allow.
    MessageTooLarge,
    /// The message is compressed.
    MessageCompressed,
    /// The call has no message, or more than one.
    MessageCount,
    /// The call ended in the middle of its message.
    MessageUnfinished,
    /// The message is not a CheckRequest.
    MessageMalformed,
    /// The caller gave up, or its deadline passed, before the message was complete.
    Abandoned,
    /// Too many checks were waiting for their turn.
    Overloaded,
}

impl RefusalCause {
    /// Every cause, in the order of the documents.
    pub const ALL: [RefusalCause; 35] = [
        RefusalCause::TooManyConnections,
        RefusalCause::TooManyConnectionsOfPeer,
        RefusalCause::ConnectionGaveWay,
        RefusalCause::HandshakeTimeout,
        RefusalCause::UserNotAllowed,
        RefusalCause::SubscriptionUnread,
        RefusalCause::Http1,
        RefusalCause::Tls,
        RefusalCause::TlsPlainText,
        RefusalCause::TlsApplicationProtocol,
        RefusalCause::TlsNoCertificate,
        RefusalCause::TlsUnknownAuthority,
        RefusalCause::TlsCertificateExpired,
        RefusalCause::TlsCertificateInvalid,
        RefusalCause::TlsNotPermitted,
        RefusalCause::TlsServerCertificateRejected,
        RefusalCause::TlsHandshake,
        RefusalCause::OtherProtocol,
        RefusalCause::ConnectionCut,
        RefusalCause::FrameFlood,
        RefusalCause::RequestTimeout,
        RefusalCause::AnswersUnread,
        RefusalCause::MemoryExhausted,
        RefusalCause::TooManyCalls,
        RefusalCause::StreamRefused,
        RefusalCause::HttpMethod,
        RefusalCause::ContentType,
        RefusalCause::UnknownMethod,
        RefusalCause::MessageTooLarge,
        RefusalCause::MessageCompressed,
        RefusalCause::MessageCount,
        RefusalCause::MessageUnfinished,
        RefusalCause::MessageMalformed,
        RefusalCause::Abandoned,
        RefusalCause::Overloaded,
    ];

    /// Returns the word in records, metrics and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalCause::TooManyConnections => "too_many_connections",
            RefusalCause::TooManyConnectionsOfPeer => "too_many_connections_of_peer",
            RefusalCause::ConnectionGaveWay => "connection_gave_way",
            RefusalCause::HandshakeTimeout => "handshake_timeout",
            RefusalCause::UserNotAllowed => "user_not_allowed",
            RefusalCause::SubscriptionUnread => "subscription_unread",
            RefusalCause::Http1 => "http1",
            RefusalCause::Tls => "tls",
            RefusalCause::TlsPlainText => "tls_plain_text",
            RefusalCause::TlsApplicationProtocol => "tls_application_protocol",
            RefusalCause::TlsNoCertificate => "tls_no_certificate",
            RefusalCause::TlsUnknownAuthority => "tls_unknown_authority",
            RefusalCause::TlsCertificateExpired => "tls_certificate_expired",
            RefusalCause::TlsCertificateInvalid => "tls_certificate_invalid",
            RefusalCause::TlsNotPermitted => "tls_not_permitted",
            RefusalCause::TlsServerCertificateRejected => "tls_server_certificate_rejected",
            RefusalCause::TlsHandshake => "tls_handshake",
            RefusalCause::OtherProtocol => "other_protocol",
            RefusalCause::ConnectionCut => "connection_cut",
            RefusalCause::FrameFlood => "frame_flood",
            RefusalCause::RequestTimeout => "request_timeout",
            RefusalCause::AnswersUnread => "answers_unread",
            RefusalCause::MemoryExhausted => "memory_exhausted",
            RefusalCause::TooManyCalls => "too_many_calls",
            RefusalCause::StreamRefused => "stream_refused",
            RefusalCause::HttpMethod => "http_method",
            RefusalCause::ContentType => "content_type",
            RefusalCause::UnknownMethod => "unknown_method",
            RefusalCause::MessageTooLarge => "message_too_large",
            RefusalCause::MessageCompressed => "message_compressed",
            RefusalCause::MessageCount => "message_count",
            RefusalCause::MessageUnfinished => "message_unfinished",
            RefusalCause::MessageMalformed => "message_malformed",
            RefusalCause::Abandoned => "abandoned",
            RefusalCause::Overloaded => "overloaded",
        }
    }

    /// Returns what an operator can do about it, in one sentence.
    pub fn remedy(self) -> &'static str {
        match self {
            RefusalCause::TooManyConnections => {
                "every connection of the port is in use; raise `max_connections` (`admin_max_connections` at the admin address), or let only the gateway connect"
            }
            RefusalCause::TooManyConnectionsOfPeer => {
                "every connection of this peer is in use; raise `max_connections_per_peer` if the peer is a gateway or forwards the connections of several, and else find out who connects"
            }
            RefusalCause::ConnectionGaveWay => {
                "the port or the peer had as many connections as it may have, and this one had sent no whole call; find out who opens connections without using them"
            }
            RefusalCause::HandshakeTimeout => {
                "the client connects and does not begin a session; find out who connects, and probe the address of `--admin` instead of this one"
            }
            RefusalCause::UserNotAllowed => {
                "add the user to `peers` of the unix socket's address, or find out who connects"
            }
            RefusalCause::SubscriptionUnread => {
                "the subscriber hangs or is too slow; it may subscribe again from the record where it stopped"
            }
            RefusalCause::Http1 => {
                "this address serves gRPC over HTTP/2; give the proxy's cluster `http2_protocol_options`, and probe the address of `--admin` over HTTP"
            }
            RefusalCause::Tls => {
                "this address serves gRPC without TLS; set `tls`, or take the `transport_socket` away from the proxy's cluster"
            }
            RefusalCause::TlsPlainText => {
                "this address serves TLS; give the proxy's cluster a `transport_socket` with a client certificate"
            }
            RefusalCause::TlsApplicationProtocol => {
                "the client must name `h2` by ALPN (`http/1.1` at the address of `--admin`): give the proxy's cluster `http2_protocol_options`"
            }
            RefusalCause::TlsNoCertificate => {
                "give the client a certificate that an authority in `client_ca` vouches for, or find out who connects"
            }
            RefusalCause::TlsUnknownAuthority => {
                "add the authority of the client's certificate, with intermediate ones sent by the client, to the file of `client_ca`, or find out who connects"
            }
            RefusalCause::TlsCertificateExpired => {
                "renew the client's certificate, and compare the clocks of both machines"
            }
            RefusalCause::TlsCertificateInvalid => {
                "issue the client's certificate again: an X.509 certificate of version 3 that is no authority and may be used by clients"
            }
            RefusalCause::TlsNotPermitted => {
                "add the client's SPIFFE id, the only URI in its certificate, to `client_ids`, or find out who connects"
            }
            RefusalCause::TlsServerCertificateRejected => {
                "give the client the authority of this server's certificate, and the name or SPIFFE id in it to expect; `/status` shows both"
            }
            RefusalCause::TlsHandshake => {
                "the client and this server have no version or cipher of TLS in common, or the client gave up; see `min_version`"
            }
            RefusalCause::OtherProtocol => {
                "this address serves gRPC over HTTP/2; find out who connects"
            }
            RefusalCause::ConnectionCut => {
                "the connection broke the rules of HTTP/2 or reset too many calls; if it is a proxy after a stall, raise `max_pending_resets`"
            }
            RefusalCause::FrameFlood => {
                "the client sent pings, settings or window updates without calls; find out who connects, and raise `max_control_frames` if it is a proxy"
            }
            RefusalCause::RequestTimeout => {
                "the client began a call and did not finish it; find out who connects, and raise `request_timeout` if the network is slow"
            }
            RefusalCause::AnswersUnread => {
                "the client asked and did not read the answers: it hangs, or it means harm; a proxy opens another connection"
            }
            RefusalCause::MemoryExhausted => {
                "calls that are not whole, or whose answers are not read, hold all of `max_body_memory`; find out who sends them, and raise it if proxies send large bodies"
            }
            RefusalCause::TooManyCalls => {
                "the client opened more calls of health and reflection than a proxy needs; find out who connects"
            }
            RefusalCause::StreamRefused => {
                "the headers of the call are malformed, empty where they must not be, or above `max_header_list_size`, or the client opened more than `max_concurrent_streams` calls at once"
            }
            RefusalCause::HttpMethod => "gRPC calls are POST",
            RefusalCause::ContentType => {
                "gRPC calls have the content type `application/grpc` or `application/grpc+proto`"
            }
            RefusalCause::UnknownMethod => {
                "checks are calls of `envoy.service.auth.v3.Authorization/Check`; set `transport_api_version: V3` in the proxy"
            }
            RefusalCause::MessageTooLarge => {
                "raise `max_message_size`, or lower `max_request_bytes` of the proxy's `with_request_body`: customs needs no body"
            }
            RefusalCause::MessageCompressed => {
                "checks are read uncompressed; turn compression off in the client"
            }
            RefusalCause::MessageCount => "a check is a call with one message",
            RefusalCause::MessageUnfinished => {
                "the client ended the call in the middle of its message"
            }
            RefusalCause::MessageMalformed => {
                "the message is not an envoy.service.auth.v3.CheckRequest; find out who sends it"
            }
            RefusalCause::Abandoned => {
                "the caller stopped waiting for the answer: the proxy's timeout is too short, or this server was held up (processor limits)"
            }
            RefusalCause::Overloaded => {
                "more checks arrive than this server can answer; add replicas or processors, or find out who floods it"
            }
        }
    }
}

/// The refused peer: an address without its port, which differs from connection to connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PeerAddress {
    /// Over TCP.
    Ip(IpAddr),
    /// Over a unix socket, or over TCP if the system does not report the peer's address.
    Unix,
    /// A peer beyond the number of peers that are counted separately.
    Other,
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddress::Ip(ip) => ip.fmt(f),
            PeerAddress::Unix => f.write_str("unix"),
            PeerAddress::Other => f.write_str("other"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_cause_has_a_word_and_a_remedy_of_its_own() {
        let words: BTreeSet<_> = RefusalCause::ALL
            .iter()
            .map(|cause| cause.as_str())
            .collect();
        let remedies: BTreeSet<_> = RefusalCause::ALL
            .iter()
            .map(|cause| cause.remedy())
            .collect();
        assert_eq!(
            (words.len(), remedies.len()),
            (RefusalCause::ALL.len(), RefusalCause::ALL.len())
        );
        for (place, cause) in RefusalCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place, "the list has the order of the enum");
        }
    }
}
