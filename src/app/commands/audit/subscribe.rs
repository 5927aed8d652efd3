//! Reads the records of a running server from its `tail:` sink.
//!
//! The rules: a server that cannot be reached at first is an error; if it goes away later, the
//! subscription is renewed after the last record that was printed; if the server cannot resume
//! there, that is reported and everything that it still has is printed.

use std::error::Error;
use std::io;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Endpoint, Uri};
use tonic::{Code, Status};
use tower::service_fn;

use super::filter;
use super::output::RecordOutput;
use crate::app::cli::TailArgs;
use crate::app::print_error;
use crate::app::server_connection::{ConnectError, ServerAddress, ServerAddressError, ServerPort};
use customs_audit::tail::proto::audit_service_client::AuditServiceClient;
use customs_record::pretty::visible;
use customs_record::proto::{TailRequest, TailResponse};

/// The interval of keepalives to a silent server.
const ALIVE: Duration = Duration::from_secs(10);

/// How long it waits before it reconnects: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Why records cannot be printed, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum SubscribeError {
    /// The address or a file of TLS cannot be used.
    #[error(transparent)]
    Address(#[from] ServerAddressError),
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
    /// There is no connection, or TLS ends it.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server never answered the first subscription.
    #[error("{server} did not answer: {why}; is it the address of a `tail:` sink?{hint}")]
    NoAnswer {
        /// The server.
        server: String,
        /// What happened.
        why: String,
        /// What else to do, after a space.
        hint: String,
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
    let address = ServerAddress::open(ServerPort::Tail, server, &args.tls)?;
    let endpoint = endpoint(server, &address)?;
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
            address,
            endpoint,
            request,
            has_answered: false,
            pause: PAUSES.0,
            output,
        }
        .run(),
    )
}

fn endpoint(server: &str, address: &ServerAddress) -> Result<Endpoint, SubscribeError> {
    let failed = |why| SubscribeError::Endpoint {
        server: server.to_owned(),
        why,
    };
    // The connector does TLS itself. The URL that it gets must not ask for it again, and calls must
    // still say that they came by it.
    let authority = address.authority();
    let endpoint = Endpoint::from_shared(format!("http://{authority}")).map_err(failed)?;
    let endpoint = match format!("https://{authority}").parse() {
        Ok(origin) if address.has_tls() => endpoint.origin(origin),
        _ => endpoint,
    };
    Ok(endpoint
        .http2_keep_alive_interval(ALIVE)
        .keep_alive_while_idle(true))
}

/// Why a subscription ended.
enum Broken {
    /// The server is gone for now.
    Gone(String),
    /// There is no connection, or the last one failed. At first this is an error.
    Unreachable(SubscribeError),
    /// The server does not know the record after which it should resume.
    Unknown(String),
    /// A retry would not help.
    Never(SubscribeError),
}

struct Subscription<'s> {
    server: &'s str,
    address: ServerAddress,
    endpoint: Endpoint,
    request: TailRequest,
    /// Whether the server has ever answered.
    has_answered: bool,
    pause: Duration,
    output: &'s mut RecordOutput,
}

impl Subscription<'_> {
    async fn run(mut self) -> Result<(), SubscribeError> {
        let server = self.server;
        while self.output.is_open() {
            let Err(broken) = self.listen().await else {
                return Ok(());
            };
            match broken {
                Broken::Unreachable(why) if !self.has_answered => return Err(why),
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
                Broken::Gone(why) => self.pause(&why).await,
                Broken::Unreachable(why) => self.pause(&why.to_string()).await,
            }
        }
        Ok(())
    }

    /// Reports that the server is gone, and waits before the next attempt.
    async fn pause(&mut self, why: &str) {
        let (server, pause) = (self.server, self.pause);
        print_error(&format!(
            "{server} is gone ({why}); reconnecting in {pause:?}"
        ));
        tokio::time::sleep(pause).await;
        self.pause = (pause * 2).min(PAUSES.1);
    }

    /// Prints records until the server is gone or enough are printed.
    async fn listen(&mut self) -> Result<(), Broken> {
        let connecting = self.address.connect().await;
        let stream = connecting.map_err(|why| Broken::Unreachable(why.into()))?;
        // The transport gets this connection and no other.
        let mut stream = Some(TokioIo::new(stream));
        let connect = move |_: Uri| {
            let closed = || io::Error::other("the server closed the connection");
            std::future::ready(stream.take().ok_or_else(closed))
        };
        let connecting = self.endpoint.connect_with_connector(service_fn(connect));
        let channel = connecting.await.map_err(|why| self.no_answer(&why))?;
        let mut client = AuditServiceClient::new(channel);
        let answered = client.tail(self.request.clone()).await;
        let mut records = answered
            .map_err(|status| self.broken(&status))?
            .into_inner();
        self.has_answered = true;
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

    /// Returns what a connection means that ended without an answer.
    fn no_answer(&self, why: &dyn Error) -> Broken {
        if let Some(why) = self.address.tls_failure() {
            return Broken::Unreachable(why.into());
        }
        Broken::Unreachable(SubscribeError::NoAnswer {
            server: self.server.to_owned(),
            why: causes(why),
            hint: match self.address.may_lack_tls() {
                true => format!(" Or {}", self.address.server().try_tls()),
                false => String::new(),
            },
        })
    }

    fn broken(&self, status: &Status) -> Broken {
        // The server sent none: the transport made it of its own failure.
        if status.source().is_some() {
            return self.no_answer(status);
        }
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
fn causes(why: &dyn Error) -> String {
    let mut last = why;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
