//! Starts everything that the variables ask for, and ends it in time.
//!
//! The rules: telemetry has a runtime of its own, so it takes no thread from checks; and its end is
//! bounded, because a collector may hang.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{
    BatchConfigBuilder as LogBatches, BatchLogProcessor, SdkLoggerProvider,
};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder as SpanBatches, BatchSpanProcessor, SpanProcessor,
};
use tokio::runtime::{self, Runtime};
use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::check_span::SpanRedaction;
use crate::collector::{Collector, CollectorError};
use crate::environment::{BatchSettings, CollectorConfig, Signal, TelemetryConfig};
use crate::exporter::{self, LogsToCollector, SpanCount, SpansToCollector};
use crate::resource::{self, SCOPE};
use crate::spans::{Shared, SpanRecorder};
use crate::{logs, metrics};

/// Why telemetry could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryStartError {
    /// The system gives no thread.
    #[error("cannot start the threads of telemetry: {0}")]
    Runtime(#[from] io::Error),
    /// A collector cannot be reached as the variables say.
    #[error(transparent)]
    Collector(#[from] CollectorError),
}

/// Everything that sends telemetry.
#[derive(Debug)]
pub struct Telemetry {
    spans: Option<SpanRecorder>,
    logs: Option<SdkLoggerProvider>,
    metrics: Option<MetricsExport>,
    /// Drives the connections. `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// Sends metrics to a collector. Clones share the connection.
#[derive(Clone, Debug)]
pub struct MetricsExport {
    collector: Collector,
    resource: ProtoResource,
    started: SystemTime,
    interval: Duration,
    version: &'static str,
}

impl Telemetry {
    /// Starts what the variables ask for. Nothing is sent yet.
    ///
    /// # Errors
    /// What cannot be used, such as the files of TLS.
    pub fn start(
        config: &TelemetryConfig,
        version: &'static str,
        redaction: SpanRedaction,
    ) -> Result<Telemetry, TelemetryStartError> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("customs-telemetry")
            .enable_all()
            .build()?;
        let resource = resource::resource(version, &config.resource);
        let collector = |signal, config: &Option<CollectorConfig>| {
            let config = config.as_ref();
            config
                .map(|config| Collector::new(signal, config, runtime.handle()))
                .transpose()
        };
        let traces = collector(Signal::Traces, &config.traces)?;
        let logs = collector(Signal::Logs, &config.logs)?;
        let metrics = collector(Signal::Metrics, &config.metrics)?;
        let attributes = || ResourceAttributesWithSchema::from(&resource);
        let spans = traces.map(|collector| {
            let count = Arc::new(SpanCount::default());
            let exporter = SpansToCollector {
                collector,
                resource: attributes(),
                count: count.clone(),
            };
            SpanRecorder(Arc::new(Shared {
                sampler: config.sampler,
                follows_trace_context: config.follows_trace_context,
                redaction,
                scope: InstrumentationScope::builder(SCOPE)
                    .with_version(version)
                    .build(),
                processor: span_batches(exporter, config.span_batches),
                queue: u64::try_from(config.span_batches.queue).unwrap_or(u64::MAX),
                count,
            }))
        });
        let logs = logs.map(|collector| {
            let exporter = LogsToCollector {
                collector,
                resource: attributes(),
            };
            log_batches(exporter, config.log_batches, resource.clone())
        });
        let metrics = metrics.map(|collector| MetricsExport {
            collector,
            resource: ProtoResource {
                attributes: attributes().attributes.0,
                ..ProtoResource::default()
            },
            started: SystemTime::now(),
            interval: config.metric_interval,
            version,
        });
        Ok(Telemetry {
            spans,
            logs,
            metrics,
            runtime: Some(runtime),
        })
    }

    /// Returns what takes the spans of checks, if they go anywhere.
    pub fn spans(&self) -> Option<SpanRecorder> {
        self.spans.clone()
    }

    /// Returns what sends metrics, if they go anywhere.
    pub fn metrics(&self) -> Option<MetricsExport> {
        self.metrics.clone()
    }

    /// Returns a layer that takes the log, if it goes anywhere: what `filter` selects.
    pub fn log_layer<S>(&self, filter: EnvFilter) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
    {
        let provider = self.logs.as_ref()?;
        Some(logs::layer(provider, filter))
    }

    /// Sends what waits, for at most this time each, and ends. It blocks.
    pub fn finish(mut self, bound: Duration) {
        // The SDK logs what it could not send; the collector's own line says why.
        if let Some(spans) = self.spans.take() {
            let _ = spans.0.processor.shutdown_with_timeout(bound);
        }
        if let Some(logs) = self.logs.take() {
            let _ = logs.shutdown_with_timeout(bound);
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Resolving a name must not delay the end.
            runtime.shutdown_background();
        }
    }
}

impl MetricsExport {
    /// Returns how often metrics are to be sent.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// Sends the metrics of an OpenMetrics text. What the collector does not take is dropped; the
    /// next call sends newer numbers.
    pub async fn send(&self, open_metrics: &str) {
        let scope = metrics::scope(SCOPE, self.version);
        let (resource, started) = (self.resource.clone(), self.started);
        let request = metrics::request(open_metrics, resource, scope, started, SystemTime::now());
        // The collector logs what is wrong with it.
        let _ = exporter::export_metrics(&self.collector, request).await;
    }
}

fn span_batches(exporter: SpansToCollector, settings: BatchSettings) -> BatchSpanProcessor {
    let BatchSettings {
        queue,
        batch,
        delay,
    } = settings;
    let config = SpanBatches::default()
        .with_max_queue_size(queue)
        .with_max_export_batch_size(batch)
        .with_scheduled_delay(delay)
        .build();
    BatchSpanProcessor::new(exporter, config)
}

fn log_batches(
    exporter: LogsToCollector,
    settings: BatchSettings,
    resource: Resource,
) -> SdkLoggerProvider {
    let BatchSettings {
        queue,
        batch,
        delay,
    } = settings;
    let config = LogBatches::default()
        .with_max_queue_size(queue)
        .with_max_export_batch_size(batch)
        .with_scheduled_delay(delay)
        .build();
    let processor = BatchLogProcessor::builder(exporter)
        .with_batch_config(config)
        .build();
    SdkLoggerProvider::builder()
        .with_resource(resource)
        .with_log_processor(processor)
        .build()
}
