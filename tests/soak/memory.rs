//! The memory of a process over time.

use std::fs;

/// A line of `/proc/ID/status`, in MiB; nothing where the process has ended.
pub fn of_process(id: u32, line: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|own| own.strip_prefix(line))?;
    let kib: f64 = line.trim_start_matches(':').split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Samples in their order, in MiB.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn add(&mut self, sample: Option<f64>) {
        self.0.extend(sample);
    }

    fn mean_of_fifth(&self, fifth: usize) -> f64 {
        let part = &self.0[self.0.len() * fifth / 5..self.0.len() * (fifth + 1) / 5];
        part.iter().sum::<f64>() / part.len() as f64
    }

    /// The means of the second fifth of the time and of the last, and the most there was.
    pub fn told(&self) -> String {
        let [early, late] = [1, 4].map(|fifth| self.mean_of_fifth(fifth));
        let most = self.0.iter().fold(0f64, |a, b| a.max(*b));
        format!(
            "{} samples, mean of the second fifth {early:.1} MiB, of the last {late:.1} MiB, at most {most:.1} MiB",
            self.0.len()
        )
    }

    /// Not more at the end than when all had been used once, but for what allocators do.
    pub fn are_flat(&self) -> bool {
        self.0.len() < 20 || self.mean_of_fifth(4) <= 1.1 * self.mean_of_fifth(1) + 8.0
    }
}
