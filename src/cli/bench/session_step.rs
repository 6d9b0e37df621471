//! `croloss bench session-step`.

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;
use toml::{Table, Value};

use super::common::{StepOptions, most_memory, say_json, say_profile};
use crate::bench::SessionStepBench;
use crate::cli::device::note_missing_gpu;
use crate::cli::table;
use crate::config::from_table;
use crate::device;

/// Milliseconds a training step of a session Transformer, sampling included: the median after a
/// warm-up; the defaults are TRON's published size
#[derive(clap::Args)]
pub struct SessionStep {
    /// Items of the catalogue
    #[arg(long, default_value_t = 43_097, value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
    /// Width of item and user vectors
    #[arg(long, default_value_t = 200)]
    hidden: u32,
    /// Layers of the Transformer
    #[arg(long, default_value_t = 2)]
    layers: u32,
    /// Sessions a step
    #[arg(long, default_value_t = 128)]
    batch: u32,
    /// The latest items of a session that are read
    #[arg(long, default_value_t = 50)]
    length: u32,
    /// Uniform candidates
    #[arg(long, default_value_t = 16_384)]
    negatives: u32,
    /// Who shares the uniform candidates
    #[arg(long, value_enum, default_value = "batchwise")]
    style: Style,
    /// Candidates from the batch's other sessions, for every session
    #[arg(long, default_value_t = 127)]
    inbatch: u32,
    /// How many of the candidates, the best by score, enter the loss; 0: all
    #[arg(long, default_value_t = 100)]
    topk: u32,
    /// The loss, as loss.kind of a configuration
    #[arg(long, default_value = "ssm")]
    loss: String,
    /// deferred-adam, adam or adagrad
    #[arg(long, default_value = "deferred-adam")]
    optimizer: String,
    /// The share of numbers that dropout sets to zero
    #[arg(long, default_value_t = 0.2)]
    dropout: f64,
    #[command(flatten)]
    options: StepOptions,
}

/// Who shares a draw of uniform candidates.
#[derive(Clone, Copy, ValueEnum)]
enum Style {
    /// The batch
    Batchwise,
    /// Nobody: each position has its own
    Eventwise,
}

impl SessionStep {
    pub fn run(self) -> Result<()> {
        let config = from_table(self.table(), "bench session-step")?.checked()?;
        note_missing_gpu(config.device);
        let items = self.items as usize;
        let times = SessionStepBench { config: &config, items, steps: self.options.steps }.run()?;
        let rate = 1e3 * times.queries / times.milliseconds;
        if self.options.machine.json {
            let measured = json!({
                "items": items,
                "hidden": self.hidden,
                "layers": self.layers,
                "batch": self.batch,
                "length": self.length,
                "negatives": self.negatives,
                "inbatch": self.inbatch,
                "topk": self.topk,
                "loss": config.loss.kind(),
                "optimizer": config.optimizer.kind,
                "fused": config.train.fused,
                "ms_per_step": times.milliseconds,
                "positions_per_step": times.queries,
                "positions_per_second": rate,
            });
            return say_json(measured, device::open(config.device)?);
        }
        say_profile(&times.profile, times.steps)?;
        table::say(format_args!(
            "{:.3} ms a step in the median, {} steps, {:.0} positions a step, {rate:.0} a second, {}",
            times.milliseconds,
            self.options.steps,
            times.queries,
            most_memory(device::open(config.device)?)
        ))
    }

    fn table(&self) -> Table {
        let per = match self.style {
            Style::Batchwise => "batch",
            Style::Eventwise => "event",
        };
        let source = |from: &str, count: u32, per: &str| {
            let count = Value::Integer(count.into());
            let text = |text: &str| Value::String(text.into());
            let entries = [("from", text(from)), ("count", count), ("per", text(per))];
            Value::Table(entries.map(|(key, value)| (key.to_owned(), value)).into_iter().collect())
        };
        let sources = [("uniform", self.negatives, per), ("in-batch", self.inbatch, "session")];
        let sources = sources.into_iter().filter(|(_, count, _)| *count > 0);
        let sources: Vec<Value> =
            sources.map(|(from, count, per)| source(from, count, per)).collect();
        let mut table = toml::toml! {
            [data]
            path = ""
            [tower]
            encoder = "transformer"
            [sampling]
            samples = "positions"
            [loss]
            [optimizer]
            learning_rate = 0.0005
            epsilon_form = "pytorch"
            [train]
        };
        let number = |number: u32| Value::Integer(number.into());
        let sets = [
            ("tower", "dim", number(self.hidden)),
            ("tower", "layers", number(self.layers)),
            ("tower", "history", number(self.length)),
            ("tower", "dropout", Value::Float(self.dropout)),
            ("sampling", "batch", number(self.batch)),
            ("sampling", "top_k", number(self.topk)),
            ("sampling", "negatives", Value::Array(sources)),
            ("loss", "kind", Value::String(self.loss.clone())),
            ("optimizer", "kind", Value::String(self.optimizer.clone())),
            ("train", "fused", Value::Boolean(!self.options.tensors)),
        ];
        for (part, key, value) in sets {
            if let Some(Value::Table(part)) = table.get_mut(part) {
                part.insert(key.into(), value);
            }
        }
        table.insert("threads".into(), number(self.options.machine.threads));
        table.insert("device".into(), Value::String(self.options.machine.device.to_string()));
        table
    }
}
