//! tonic without prost: a codec that passes a message on as it was received, and an answer that was
//! encoded once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::{Buf, BufMut, Bytes};
use prost::Message;
use tokio::net::TcpStream;
use tokio_stream::Stream;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tower::Service;

/// Serves connections until there are no more.
pub(super) async fn serve(incoming: impl Stream<Item = std::io::Result<TcpStream>>) -> Result<()> {
    let service = AlwaysAllow {
        answer: super::allow().encode_to_vec().into(),
    };
    Ok(Server::builder()
        .add_service(service)
        .serve_with_incoming(incoming)
        .await?)
}

#[derive(Clone)]
struct AlwaysAllow {
    answer: Bytes,
}

impl NamedService for AlwaysAllow {
    const NAME: &'static str = customs_extauthz::AUTHORIZATION;
}

impl Service<http::Request<Body>> for AlwaysAllow {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(Grpc::new(AsItCame).unary(service, request).await) })
    }
}

impl UnaryService<Bytes> for AlwaysAllow {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, _request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(self.answer.clone())))
    }
}

/// The codec.
#[derive(Clone, Copy, Default)]
struct AsItCame;

impl Codec for AsItCame {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = AsItCame;
    type Decoder = AsItCame;

    fn encoder(&mut self) -> AsItCame {
        AsItCame
    }

    fn decoder(&mut self) -> AsItCame {
        AsItCame
    }
}

impl Encoder for AsItCame {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for AsItCame {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
