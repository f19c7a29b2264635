//! What becomes of each span, counted: what makes batches of them tells nobody what it dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use super::Metrics;

/// What is known of the spans on their way.
#[derive(Debug)]
pub(super) struct Tally {
    metrics: Arc<Metrics>,
    /// They have ended, and no batch that was sent has had them yet.
    waiting: AtomicUsize,
    waiting_max: usize,
    /// Of the batch that is being sent: what the collector says that it did not keep.
    rejected: AtomicU64,
}

impl Tally {
    /// Nothing has ended yet. All counts are 0, and not missing.
    pub(super) fn new(metrics: Arc<Metrics>, waiting_max: usize) -> Self {
        for outcome in ["collected", "failed", "dropped"] {
            metrics.spans(outcome, 0);
        }
        Self { metrics, waiting: AtomicUsize::new(0), waiting_max, rejected: AtomicU64::new(0) }
    }

    /// The collector has taken a batch, except for so many of it.
    pub(super) fn rejected(&self, spans: u64) {
        self.rejected.store(spans, Ordering::Relaxed);
    }

    /// Whether there is room for one more span, which is its own then.
    fn has_room(&self) -> bool {
        let one_more = |waiting| (waiting < self.waiting_max).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn ended(&self, batch: u64, is_taken: bool) {
        let rejected = self.rejected.swap(0, Ordering::Relaxed);
        let failed = if is_taken { rejected.min(batch) } else { batch };
        self.metrics.spans("collected", batch - failed);
        self.metrics.spans("failed", failed);
    }
}

/// Takes spans in, as long as there is room.
#[derive(Debug)]
pub(super) struct CountedProcessor {
    pub(super) batches: BatchSpanProcessor,
    pub(super) tally: Arc<Tally>,
}

impl SpanProcessor for CountedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.tally.has_room() {
            self.batches.on_end(span);
        } else {
            self.tally.metrics.spans("dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Sends batches.
#[derive(Debug)]
pub(super) struct CountedExporter<Exporter> {
    pub(super) exporter: Exporter,
    pub(super) tally: Arc<Tally>,
}

impl<Exporter: SpanExporter> SpanExporter for CountedExporter<Exporter> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let length = batch.len();
        self.tally.waiting.fetch_sub(length, Ordering::Relaxed);
        let sent = self.exporter.export(batch).await;
        self.tally.ended(u64::try_from(length).unwrap_or(u64::MAX), sent.is_ok());
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.exporter.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::error::OTelSdkError;
    use opentelemetry_sdk::trace::{BatchConfigBuilder, SdkTracerProvider};

    use super::*;

    /// Sends a batch when a test says how that ends, and tells first that it has begun.
    #[derive(Debug)]
    struct Held {
        begun: Sender<usize>,
        ends: Mutex<Receiver<OTelSdkResult>>,
    }

    impl SpanExporter for Held {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            let _ = self.begun.send(batch.len());
            let ended = self.ends.lock().unwrap().recv();
            ended.unwrap_or(Err(OTelSdkError::AlreadyShutdown))
        }
    }

    fn counts(metrics: &Metrics) -> [u64; 3] {
        let text = metrics.render();
        ["collected", "failed", "dropped"].map(|outcome| {
            let series = format!("leadgate_spans_total{{outcome=\"{outcome}\"}} ");
            let found = text.lines().find_map(|line| line.strip_prefix(&series));
            found.unwrap_or_else(|| panic!("no {outcome}")).parse().unwrap()
        })
    }

    #[test]
    fn every_span_is_counted_once() {
        let metrics = Arc::<Metrics>::default();
        let tally = Arc::new(Tally::new(Arc::clone(&metrics), 4));
        assert_eq!(counts(&metrics), [0, 0, 0]);
        let ((begun, begins), (end, ends)) = (channel(), channel());
        let exporter = Held { begun, ends: Mutex::new(ends) };
        let exporter = CountedExporter { exporter, tally: Arc::clone(&tally) };
        let bounds = BatchConfigBuilder::default()
            .with_max_queue_size(4)
            .with_max_export_batch_size(2)
            .with_scheduled_delay(Duration::from_secs(3600)) // whole batches alone
            .build();
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(bounds).build();
        let processor = CountedProcessor { batches, tally: Arc::clone(&tally) };
        let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
        let tracer = provider.tracer("test");
        let spans = |number: usize| (0..number).for_each(|_| drop(tracer.start("span")));

        spans(2);
        assert_eq!(begins.recv().unwrap(), 2);
        spans(7); // four of them wait
        assert_eq!(counts(&metrics), [0, 0, 3]);
        end.send(Ok(())).unwrap();
        assert_eq!(begins.recv().unwrap(), 2);
        assert_eq!(counts(&metrics), [2, 0, 3]);
        end.send(Err(OTelSdkError::AlreadyShutdown)).unwrap();
        assert_eq!(begins.recv().unwrap(), 2);
        assert_eq!(counts(&metrics), [2, 2, 3]);
        tally.rejected(1);
        end.send(Ok(())).unwrap();
        spans(3); // there is room again
        drop(end); // and what is left at the end fails
        let _ = provider.shutdown();
        assert_eq!(counts(&metrics), [3, 6, 3]);
    }
}
