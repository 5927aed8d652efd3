//! What the reference says of each cause of refusals: what arrived, and what the client gets.

use super::RefusalCause;

impl RefusalCause {
    /// Returns what arrived, as Markdown.
    pub fn arrived(self) -> &'static str {
        match self {
            RefusalCause::TooManyConnections => {
                "a connection more than the port may have, while each is in use"
            }
            RefusalCause::TooManyConnectionsOfPeer => {
                "a connection more than one peer may have, while each is in use"
            }
            RefusalCause::ConnectionGaveWay => {
                "a connection that had sent no whole call when a new one needed its place"
            }
            RefusalCause::HandshakeTimeout => {
                "a connection that sent nothing in time, did not complete its TLS handshake, or did not send the first frame of HTTP/2 (`handshake_timeout`)"
            }
            RefusalCause::UserNotAllowed => {
                "a connection to a unix socket by a user that `peers` does not list"
            }
            RefusalCause::SubscriptionUnread => {
                "a subscription of a tail that was not read for `idle_timeout`"
            }
            RefusalCause::Http1 => "HTTP/1",
            RefusalCause::Tls => "a TLS handshake at an address without TLS",
            RefusalCause::TlsPlainText => "plain text at an address with TLS",
            RefusalCause::TlsApplicationProtocol => "a TLS client that does not name `h2` (ALPN)",
            RefusalCause::TlsNoCertificate => {
                "a client without a certificate, where `client_ca` demands one"
            }
            RefusalCause::TlsUnknownAuthority => {
                "a client whose certificate is from none of the authorities in `client_ca`"
            }
            RefusalCause::TlsCertificateExpired => {
                "a client whose certificate has expired, or is not valid yet"
            }
            RefusalCause::TlsCertificateInvalid => {
                "a client whose certificate is invalid for another reason, such as its purpose"
            }
            RefusalCause::TlsNotPermitted => {
                "a client whose SPIFFE id is not in `client_ids`, or that has none, or several URIs"
            }
            RefusalCause::TlsServerCertificateRejected => {
                "a client that does not accept the certificate of this server"
            }
            RefusalCause::TlsHandshake => {
                "another handshake that failed: no version in common, or the connection ended within it"
            }
            RefusalCause::OtherProtocol => {
                "something other than HTTP/2, or a part of its preface; a connection that its client closes without sending anything is not counted"
            }
            RefusalCause::ConnectionCut => "frames that violate HTTP/2, or a flood of resets",
            RefusalCause::FrameFlood => {
                "more frames without a call (pings, settings, window updates) than `max_control_frames`"
            }
            RefusalCause::RequestTimeout => {
                "a frame, the headers of a call or its message that were not whole within `request_timeout`"
            }
            RefusalCause::AnswersUnread => {
                "a client that took none of its answers for `request_timeout`"
            }
            RefusalCause::MemoryExhausted => {
                "a call, or more of its message, on a connection that holds all the memory that it may (`max_body_memory`)"
            }
            RefusalCause::StreamRefused => {
                "a call whose headers are malformed or above `max_header_list_size`, or more calls at once than `max_concurrent_streams`"
            }
            RefusalCause::TooManyCalls => {
                "a call of health or reflection beyond 16 on a connection, or beyond 64 on all"
            }
            RefusalCause::HttpMethod => "a call that is not POST",
            RefusalCause::ContentType => {
                "a call of another type than `application/grpc` or `application/grpc+proto`, or without one"
            }
            RefusalCause::UnknownMethod => "a call of a service or a method that does not exist",
            RefusalCause::MessageTooLarge => "a message above `max_message_size`",
            RefusalCause::MessageCompressed => "a compressed message",
            RefusalCause::MessageCount => "a check without a message, or with more than one",
            RefusalCause::MessageUnfinished => "a call that ends within its message",
            RefusalCause::MessageMalformed => "a message that is not a CheckRequest",
            RefusalCause::Abandoned => {
                "a call that its caller reset, or whose deadline passed, before its message was whole"
            }
            RefusalCause::Overloaded => "a check, while too many wait for their turn",
        }
    }

    /// Returns what the client gets, as Markdown.
    pub fn answer(self) -> &'static str {
        match self {
            RefusalCause::TooManyConnections
            | RefusalCause::TooManyConnectionsOfPeer
            | RefusalCause::ConnectionGaveWay
            | RefusalCause::HandshakeTimeout
            | RefusalCause::UserNotAllowed
            | RefusalCause::SubscriptionUnread
            | RefusalCause::Http1
            | RefusalCause::Tls
            | RefusalCause::TlsPlainText
            | RefusalCause::TlsServerCertificateRejected
            | RefusalCause::OtherProtocol
            | RefusalCause::AnswersUnread => "the connection is closed",
            RefusalCause::TlsApplicationProtocol | RefusalCause::TlsHandshake => {
                "an alert, or the connection is closed"
            }
            RefusalCause::TlsNoCertificate
            | RefusalCause::TlsUnknownAuthority
            | RefusalCause::TlsCertificateExpired
            | RefusalCause::TlsCertificateInvalid
            | RefusalCause::TlsNotPermitted => "an alert",
            RefusalCause::ConnectionCut => "GOAWAY, or the connection is closed",
            RefusalCause::FrameFlood => {
                "GOAWAY with ENHANCE_YOUR_CALM, then the connection is closed"
            }
            RefusalCause::RequestTimeout => {
                "`DEADLINE_EXCEEDED` for a message; the connection is closed for a frame or headers, and if its client has never sent a whole check"
            }
            RefusalCause::MemoryExhausted
            | RefusalCause::TooManyCalls
            | RefusalCause::MessageTooLarge
            | RefusalCause::Overloaded => "`RESOURCE_EXHAUSTED`",
            RefusalCause::StreamRefused => "RST_STREAM, or HTTP 431",
            RefusalCause::HttpMethod => "HTTP 405",
            RefusalCause::ContentType => "HTTP 415",
            RefusalCause::UnknownMethod => "`UNIMPLEMENTED`",
            RefusalCause::MessageCompressed => {
                "`UNIMPLEMENTED`, or `INTERNAL` if its encoding is not named"
            }
            RefusalCause::MessageCount => "`INTERNAL`, `UNIMPLEMENTED`",
            RefusalCause::MessageUnfinished | RefusalCause::MessageMalformed => "`INTERNAL`",
            RefusalCause::Abandoned => "none, or `DEADLINE_EXCEEDED`",
        }
    }
}
