//! Reads the records of a running server from its `tail:` sink.
//!
//! The rules: a server that cannot be reached at first is an error; if it goes away later, the
//! subscription is renewed after the last record that was printed; if the server cannot resume
//! there, that is reported and everything that it still has is printed.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::filter;
use super::format::visible;
use super::output::RecordOutput;
use crate::app::cli::TailArgs;
use crate::app::print_error;
use customs_audit::tail::proto::audit_service_client::AuditServiceClient;
use customs_record::proto::{TailRequest, TailResponse};

/// How long the server may take to accept the connection.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// The interval of keepalives to a silent server.
const ALIVE: Duration = Duration::from_secs(10);

/// How long it waits before it reconnects: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Why records cannot be printed, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum SubscribeError {
    /// The text is not an address.
    #[error("--server: invalid address `{0}`: expected HOST:PORT or unix:PATH, as in `tail:`")]
    Address(String),
    /// The transport rejects the address.
    #[error("--server: `{server}`: {why}")]
    Endpoint {
        /// The server.
        server: String,
        /// Why it is invalid.
        #[source]
        why: tonic::transport::Error,
    },
    /// The async runtime cannot be started.
    #[error("cannot start the runtime: {0}")]
    Runtime(#[source] std::io::Error),
    /// The connection is not accepted.
    #[error(
        "cannot reach {server}: {}; is `customs serve` running with --audit tail:{server}?",
        causes(why)
    )]
    Connect {
        /// The server.
        server: String,
        /// The error of the connection.
        #[source]
        why: tonic::transport::Error,
    },
    /// The server does not have the service.
    #[error("{0} does not serve an audit log; is it the address of a `tail:` sink?")]
    NoTail(String),
    /// The server rejects the subscription.
    #[error("{server} rejects the subscription: {why}")]
    Refused {
        /// The server.
        server: String,
        /// The message of the server.
        why: String,
    },
}

/// Prints the records of a server and ends only with an error or the last requested record.
///
/// # Errors
/// Returns why records cannot be printed, and what to do about it.
pub(super) fn run(
    server: &str,
    args: &TailArgs,
    output: &mut RecordOutput,
) -> Result<(), SubscribeError> {
    let endpoint = endpoint(server)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(SubscribeError::Runtime)?;
    let (stream, after_sequence) = args.resume.clone().unwrap_or_default();
    let filter = Some(filter::filter(&args.filter));
    let request = TailRequest {
        filter,
        stream,
        after_sequence,
        from_start: args.from_start,
    };
    runtime.block_on(
        Subscription {
            server,
            endpoint,
            request,
            pause: PAUSES.0,
            output,
        }
        .run(),
    )
}

fn endpoint(server: &str) -> Result<Endpoint, SubscribeError> {
    let address = server
        .strip_prefix("http://")
        .unwrap_or(server)
        .trim_end_matches('/');
    let has_port = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    let url = match address.strip_prefix("unix:") {
        Some(path) if !path.is_empty() => address.to_owned(),
        None if has_port && !address.contains('/') => format!("http://{address}"),
        _ => return Err(SubscribeError::Address(server.to_owned())),
    };
    let endpoint = Endpoint::from_shared(url).map_err(|why| SubscribeError::Endpoint {
        server: server.to_owned(),
        why,
    })?;
    Ok(endpoint
        .connect_timeout(CONNECT_WAIT)
        .http2_keep_alive_interval(ALIVE)
        .keep_alive_while_idle(true))
}

/// Why a subscription ended.
enum Broken {
    /// The server is gone for now.
    Gone(String),
    /// The server does not know the record after which it should resume.
    Unknown(String),
    /// A retry would not help.
    Never(SubscribeError),
}

struct Subscription<'s> {
    server: &'s str,
    endpoint: Endpoint,
    request: TailRequest,
    pause: Duration,
    output: &'s mut RecordOutput,
}

impl Subscription<'_> {
    async fn run(mut self) -> Result<(), SubscribeError> {
        let server = self.server;
        let first = self.endpoint.connect().await;
        let first = first.map_err(|why| SubscribeError::Connect {
            server: server.to_owned(),
            why,
        })?;
        let mut channel = Some(first);
        while self.output.is_open() {
            let Err(broken) = self.listen(channel.take()).await else {
                return Ok(());
            };
            match broken {
                Broken::Never(why) => return Err(why),
                Broken::Unknown(why) => {
                    let TailRequest {
                        stream,
                        after_sequence,
                        ..
                    } = &self.request;
                    let place = format!("{after_sequence} of stream {}", visible(stream));
                    print_error(&format!(
                        "{server} cannot resume after {place} ({why}); printing all records that it has"
                    ));
                    self.request = TailRequest {
                        filter: self.request.filter.take(),
                        from_start: true,
                        ..TailRequest::default()
                    };
                }
                Broken::Gone(why) => {
                    print_error(&format!(
                        "{server} is gone ({why}); reconnecting in {:?}",
                        self.pause
                    ));
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(PAUSES.1);
                }
            }
        }
        Ok(())
    }

    /// Prints records until the server is gone or enough are printed.
    async fn listen(&mut self, channel: Option<Channel>) -> Result<(), Broken> {
        let channel = match channel {
            Some(channel) => channel,
            None => self
                .endpoint
                .connect()
                .await
                .map_err(|why| Broken::Gone(causes(&why)))?,
        };
        let mut client = AuditServiceClient::new(channel);
        let answered = client.tail(self.request.clone()).await;
        let mut records = answered
            .map_err(|status| self.broken(&status))?
            .into_inner();
        while let Some(TailResponse { record }) = records
            .message()
            .await
            .map_err(|status| self.broken(&status))?
        {
            let Some(record) = record else { continue };
            self.pause = PAUSES.0;
            if record.sequence > 0 && !record.stream.is_empty() {
                self.request.stream.clone_from(&record.stream);
                (self.request.after_sequence, self.request.from_start) = (record.sequence, false);
            }
            if !self.output.show(&record, None) {
                return Ok(());
            }
        }
        Err(Broken::Gone("it ended".into()))
    }

    fn broken(&self, status: &Status) -> Broken {
        let why = visible(status.message()).into_owned();
        let server = self.server;
        match status.code() {
            Code::Unimplemented => Broken::Never(SubscribeError::NoTail(server.to_owned())),
            Code::PermissionDenied | Code::Unauthenticated => {
                Broken::Never(SubscribeError::Refused {
                    server: server.to_owned(),
                    why,
                })
            }
            Code::NotFound
            | Code::OutOfRange
            | Code::FailedPrecondition
            | Code::InvalidArgument
            | Code::DataLoss => match self.request.stream.is_empty() {
                true => Broken::Never(SubscribeError::Refused {
                    server: server.to_owned(),
                    why,
                }),
                false => Broken::Unknown(why),
            },
            code => Broken::Gone(if why.is_empty() {
                code.to_string()
            } else {
                why
            }),
        }
    }
}

/// Returns the last cause, which says what happened; the first says only that something failed.
fn causes(why: &dyn std::error::Error) -> String {
    let mut last = why;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_socket() {
        for (server, is_good) in [
            ("127.0.0.1:9193", true),
            ("http://localhost:9193/", true),
            ("[::1]:9193", true),
            ("unix:/run/customs/tail.sock", true),
            ("unix:", false),
            ("localhost", false),
            (":9193", false),
            ("localhost:70000", false),
            ("localhost:1/x", false),
        ] {
            assert_eq!(endpoint(server).is_ok(), is_good, "{server}");
        }
    }
}
