//! Traces, metrics and logs over OTLP, as the standard `OTEL_*` variables ask for. The only home of
//! OpenTelemetry.
//!
//! It decides nothing, and the audit log is none of its business. The rules: no check waits for a
//! collector; what cannot be delivered is dropped and counted; and a variable that cannot be
//! followed is an error at the start.
//!
//! [`environment`] reads the variables, [`sampler`] says which checks are traced, [`check_span`]
//! makes a span of a check and [`spans`] hands it on. [`open_metrics`] reads the metrics as they are
//! shown to Prometheus, and [`metrics`] writes them as OTLP does. [`logs`] takes the log.
//! [`collector`] sends all of it, and [`telemetry`] starts and ends it.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

pub mod check_span;
mod collector;
pub mod environment;
mod exporter;
mod logs;
mod metrics;
mod open_metrics;
mod resource;
mod sampler;
mod spans;
mod telemetry;

pub use check_span::CheckSpan;
pub use collector::CollectorError;
pub use environment::{TelemetryConfig, TelemetryVariablesError};
pub use spans::SpanRecorder;
pub use telemetry::{MetricsExport, Telemetry, TelemetryStartError};
