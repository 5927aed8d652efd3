//! The exporters of the SDK: batches of spans and of log lines become calls of OTLP.
//!
//! They hold no queue; the SDK's processors do. What a collector does not take is gone, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tonic::codec::CompressionEncoding;

use crate::collector::{Collector, ExportError};

/// Sends what is given to it: the client of a signal, compressed if that is asked for.
macro_rules! export {
    ($collector:expr, $client:ident, $message:expr, $rejected:ident) => {{
        let client = $client::new($collector.channel.clone());
        let client = match $collector.gzip {
            true => client.send_compressed(CompressionEncoding::Gzip),
            false => client,
        };
        let collector = $collector.clone();
        $collector
            .export($message, move |request| {
                let (mut client, collector) = (client.clone(), collector.clone());
                async move {
                    let answer = client.export(request).await?.into_inner();
                    if let Some(part) = answer.partial_success.filter(|part| part.$rejected > 0) {
                        collector.report_rejected(part.$rejected, &part.error_message);
                    }
                    Ok(())
                }
            })
            .await
    }};
}

/// Counts spans from the moment when they are handed over.
#[derive(Debug, Default)]
pub(crate) struct SpanCount {
    /// Spans that wait.
    pub(crate) waiting: AtomicU64,
    /// Spans that were dropped: no room, or a collector that does not take them.
    pub(crate) dropped: AtomicU64,
}

/// Exports spans.
#[derive(Debug)]
pub(crate) struct SpansToCollector {
    pub(crate) collector: Collector,
    pub(crate) resource: ResourceAttributesWithSchema,
    pub(crate) count: Arc<SpanCount>,
}

impl SpanExporter for SpansToCollector {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.count.waiting.fetch_sub(spans, Ordering::Relaxed);
        let message = ExportTraceServiceRequest {
            resource_spans: group_spans_by_resource_and_scope(batch, &self.resource),
        };
        let sent = export!(self.collector, TraceServiceClient, message, rejected_spans);
        if sent.is_err() {
            self.count.dropped.fetch_add(spans, Ordering::Relaxed);
        }
        sdk_result(sent)
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Exports lines of the log.
#[derive(Debug)]
pub(crate) struct LogsToCollector {
    pub(crate) collector: Collector,
    pub(crate) resource: ResourceAttributesWithSchema,
}

impl LogExporter for LogsToCollector {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let message = ExportLogsServiceRequest {
            resource_logs: group_logs_by_resource_and_scope(&batch, &self.resource),
        };
        sdk_result(export!(
            self.collector,
            LogsServiceClient,
            message,
            rejected_log_records
        ))
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }
}

/// Sends metrics.
pub(crate) async fn export_metrics(
    collector: &Collector,
    message: ExportMetricsServiceRequest,
) -> Result<(), ExportError> {
    export!(
        collector,
        MetricsServiceClient,
        message,
        rejected_data_points
    )
}

fn sdk_result(sent: Result<(), ExportError>) -> OTelSdkResult {
    sent.map_err(|why| OTelSdkError::InternalFailure(why.to_string()))
}
