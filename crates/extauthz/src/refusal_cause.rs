//! What a refusal below gRPC is called in records, metrics and the log.
//!
//! The rule: `net` knows no record, so each of its refusals has its cause here, and whichever port
//! it happens on, it has the same one.

use customs_net::ConnectionRefusal;
use customs_record::RefusalCause;

/// Returns the cause under which a refusal below gRPC is counted and recorded.
pub fn refusal_cause(refusal: ConnectionRefusal) -> RefusalCause {
    match refusal {
        ConnectionRefusal::Tls => RefusalCause::Tls,
        ConnectionRefusal::Http1 => RefusalCause::Http1,
        ConnectionRefusal::OtherProtocol => RefusalCause::OtherProtocol,
        ConnectionRefusal::TooManyResets | ConnectionRefusal::HeadersMalformed => {
            RefusalCause::ConnectionCut
        }
        ConnectionRefusal::FrameFlood => RefusalCause::FrameFlood,
        ConnectionRefusal::HandshakeTimeout => RefusalCause::HandshakeTimeout,
        ConnectionRefusal::RequestTimeout => RefusalCause::RequestTimeout,
        ConnectionRefusal::AnswersUnread => RefusalCause::AnswersUnread,
        ConnectionRefusal::StreamRefused => RefusalCause::StreamRefused,
    }
}
