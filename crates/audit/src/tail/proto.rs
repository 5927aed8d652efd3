//! The client and the service that are generated from `proto/customs/audit/v1/audit.proto`.
//!
//! Nothing is written by hand here. The messages are those of [`customs_record::proto`].

#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("customs.audit.v1");
