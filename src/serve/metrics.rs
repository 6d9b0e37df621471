//! What the service counts, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the classes of durations, in seconds.
const BOUNDS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters since the start.
#[derive(Default)]
pub struct Metrics {
    /// By path and status.
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    /// Answers of `/recommend` within each bound, and beyond the last.
    classes: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
    in_flight: AtomicU64,
    histories: AtomicU64,
    batches: AtomicU64,
    unknown: AtomicU64,
    popular: AtomicU64,
}

impl Metrics {
    /// A request has begun; it ends when what this returns is dropped.
    pub fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self)
    }

    /// A request for a path was answered.
    pub fn answered(&self, path: &'static str, status: u16, took: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((path, status)).or_default() += 1;
        if path == "/recommend" {
            let seconds = took.as_secs_f64();
            self.classes[BOUNDS.partition_point(|bound| *bound < seconds)].fetch_add(1, Relaxed);
            self.nanoseconds.fetch_add(took.as_nanos() as u64, Relaxed);
        }
    }

    /// Histories were scored together.
    pub fn batch(&self, histories: usize) {
        self.batches.fetch_add(1, Relaxed);
        self.histories.fetch_add(histories as u64, Relaxed);
    }

    /// A request held items that are not known.
    pub fn unknown(&self, items: usize) {
        self.unknown.fetch_add(items as u64, Relaxed);
    }

    /// Histories were answered by what is popular.
    pub fn popular(&self, histories: usize) {
        self.popular.fetch_add(histories as u64, Relaxed);
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |words: std::fmt::Arguments| {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{words}");
        };
        line(format_args!("# HELP croloss_requests_total Requests answered."));
        line(format_args!("# TYPE croloss_requests_total counter"));
        for ((path, status), count) in
            &*self.requests.lock().unwrap_or_else(PoisonError::into_inner)
        {
            line(format_args!(
                "croloss_requests_total{{path=\"{path}\",status=\"{status}\"}} {count}"
            ));
        }
        const SECONDS: &str = "croloss_recommend_seconds";
        line(format_args!("# HELP {SECONDS} From a request's head to its answer."));
        line(format_args!("# TYPE {SECONDS} histogram"));
        let mut within = 0;
        for (bound, class) in BOUNDS.iter().zip(&self.classes) {
            within += class.load(Relaxed);
            line(format_args!("{SECONDS}_bucket{{le=\"{bound}\"}} {within}"));
        }
        within += self.classes[BOUNDS.len()].load(Relaxed);
        line(format_args!("{SECONDS}_bucket{{le=\"+Inf\"}} {within}"));
        let seconds = self.nanoseconds.load(Relaxed) as f64 / 1e9;
        line(format_args!("{SECONDS}_sum {seconds}"));
        line(format_args!("{SECONDS}_count {within}"));
        for (name, kind, help, value) in [
            ("in_flight", "gauge", "Requests that are being answered.", &self.in_flight),
            ("histories_total", "counter", "Histories scored.", &self.histories),
            ("batches_total", "counter", "Batches in which they were scored.", &self.batches),
            ("unknown_items_total", "counter", "Items of histories not known.", &self.unknown),
            ("popular_total", "counter", "Histories answered by popularity.", &self.popular),
        ] {
            line(format_args!("# HELP croloss_{name} {help}"));
            line(format_args!("# TYPE croloss_{name} {kind}"));
            line(format_args!("croloss_{name} {}", value.load(Relaxed)));
        }
        text
    }
}

/// A request that is being answered.
pub struct InFlight<'a>(&'a Metrics);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_counts_what_happened() {
        let metrics = Metrics::default();
        let first = metrics.begin();
        drop(metrics.begin());
        metrics.answered("/recommend", 200, Duration::from_millis(3));
        metrics.answered("/recommend", 200, Duration::from_secs(60));
        metrics.answered("/healthz", 200, Duration::from_secs(60));
        metrics.batch(5);
        metrics.unknown(2);
        metrics.popular(3);
        let text = metrics.text();
        for line in [
            "croloss_requests_total{path=\"/recommend\",status=\"200\"} 2",
            "croloss_requests_total{path=\"/healthz\",status=\"200\"} 1",
            "croloss_recommend_seconds_bucket{le=\"0.0025\"} 0",
            "croloss_recommend_seconds_bucket{le=\"0.005\"} 1",
            "croloss_recommend_seconds_bucket{le=\"10\"} 1",
            "croloss_recommend_seconds_bucket{le=\"+Inf\"} 2",
            "croloss_recommend_seconds_sum 60.003",
            "croloss_recommend_seconds_count 2",
            "croloss_in_flight 1",
            "croloss_histories_total 5",
            "croloss_batches_total 1",
            "croloss_unknown_items_total 2",
            "croloss_popular_total 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}: {text}");
        }
        drop(first);
        assert!(metrics.text().contains("croloss_in_flight 0"));
    }
}
