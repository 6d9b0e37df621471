//! The models of a sweep under their names, and what each came to.

use crate::baseline::KeptResult;
use crate::config::{Config, EncoderKind, LossKind, Metric, MetricKind};
use crate::report::shared::baseline_rows;
use crate::report::shared::study::{Study, Variant, representative};
use crate::report::shared::table::{Cell, Table};
use crate::report::shared::variant_cells::{metric_cell, result_cell};

/// The models that TRON's paper compares, whatever their sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownModel {
    /// A Transformer with a softmax over the top-k of its candidates.
    Tron,
    /// A Transformer with binary cross-entropy.
    Sasrec,
    /// A Transformer with a softmax over all of its candidates.
    SasrecSsm,
    /// A GRU with BPR-max.
    Gru4rec,
}

impl KnownModel {
    fn of(config: &Config) -> Option<Self> {
        let top_k = config.sampling.top_k > 0;
        match (config.tower.encoder.kind(), config.loss.kind(), top_k) {
            (EncoderKind::Transformer, LossKind::CrossEntropy, true) => Some(Self::Tron),
            (EncoderKind::Transformer, LossKind::CrossEntropy, false) => Some(Self::SasrecSsm),
            (EncoderKind::Transformer, LossKind::Bce, false) => Some(Self::Sasrec),
            (EncoderKind::Gru, LossKind::BprMax, false) => Some(Self::Gru4rec),
            _ => None,
        }
    }

    /// The name in the literature.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tron => "TRON",
            Self::Sasrec => "SASRec",
            Self::SasrecSsm => "SASRec with SSM",
            Self::Gru4rec => "GRU4Rec+",
        }
    }
}

/// The metrics that models are compared in: Recall and MRR at 20 as in the paper, else at the
/// nearest N measured.
pub fn deciding(study: &Study) -> Vec<Metric> {
    let at = study.nearest_at(20);
    let kinds = [MetricKind::Recall, MetricKind::Mrr];
    at.map_or(vec![], |at| kinds.map(|kind| Metric { kind, at }).into())
}

/// The variants of a study, each with a name of its own.
pub struct Models<'a, 'p> {
    pub study: &'a Study<'p>,
    /// `[variants]`
    pub names: Vec<String>,
}

impl<'a, 'p> Models<'a, 'p> {
    pub fn of(study: &'a Study<'p>) -> Self {
        let plain: Vec<String> = study.variants.iter().map(plain_name).collect();
        let name = |(variant, name): (&Variant, &String)| {
            let alone = plain.iter().filter(|other| *other == name).count() == 1;
            if alone { name.clone() } else { format!("{name} [{}]", point_name(variant)) }
        };
        Self { study, names: study.variants.iter().zip(&plain).map(name).collect() }
    }

    /// The name of a variant of the study.
    pub fn name(&self, variant: &Variant) -> &str {
        let mut all = self.study.variants.iter().zip(&self.names);
        all.find(|(known, _)| std::ptr::eq(*known, variant)).map_or("", |(_, name)| name)
    }

    /// The variant of a known model; of several their [`representative`].
    pub fn find(&self, known: KnownModel) -> Option<&'a Variant<'p>> {
        let all = self.study.variants.iter();
        representative(all.filter(|variant| KnownModel::of(variant.config) == Some(known)))
    }

    /// What each model, and each of `baselines`, came to on the test sessions.
    pub fn table(&self, baselines: &[KeptResult]) -> Table {
        let at = &self.study.at;
        let every = |kind| at.iter().map(move |&at| Metric { kind, at });
        let last = [MetricKind::LastRecall, MetricKind::LastMrr];
        let metrics: Vec<Metric> = every(MetricKind::Recall)
            .chain(every(MetricKind::Mrr))
            .chain(at.last().into_iter().flat_map(|&at| last.map(|kind| Metric { kind, at })))
            .collect();
        let row = |(variant, name): (&Variant, &String)| {
            let mut row = vec![Cell::Text(name.clone())];
            row.extend(metrics.iter().map(|&metric| metric_cell(variant, metric)));
            row.push(result_cell(variant, 0, |o| o.steps as f64));
            row.push(result_cell(variant, 1, |o| o.train_seconds));
            row
        };
        let columns: Vec<Option<Metric>> =
            metrics.iter().copied().map(Some).chain([None, None]).collect();
        let models = self.study.variants.iter().zip(&self.names).map(row);
        let mut head = vec!["model".to_owned()];
        head.extend(metrics.iter().map(|&metric| heading(metric)));
        // Steps and seconds have no best.
        let judged = 1..head.len();
        head.extend(["steps".into(), "training, s".into()]);
        Table {
            id: "models".into(),
            title: "Models".into(),
            notes: vec!["Test, in percent, over every position of every test session, the whole catalogue ranked; “last”: over the last items alone. SSM: softmax over sampled candidates; TRON’s is over the top-k of them. Mean ± standard deviation over seeds where there are several. Bold: best of its column. Training: wall-clock seconds of the steps alone, validations left out.".into()],
            head,
            rows: models.chain(baseline_rows::rows(baselines, &columns)).collect(),
            ..Table::default()
        }
        .bold_best(judged)
    }
}

fn heading(metric: Metric) -> String {
    let name = match metric.kind {
        MetricKind::LastRecall => "last Recall",
        MetricKind::LastMrr => "last MRR",
        MetricKind::Mrr => "MRR",
        _ => "Recall",
    };
    format!("{name}@{}", metric.at)
}

/// The name of a known model, else what it consists of.
fn plain_name(variant: &Variant) -> String {
    let config = variant.config;
    if let Some(known) = KnownModel::of(config) {
        return known.name().into();
    }
    let loss = config.loss.kind().title();
    let encoder = config.tower.encoder.kind().title();
    let top_k = match config.sampling.top_k {
        0 => String::new(),
        k => format!(", top {k}"),
    };
    format!("{loss}, {encoder}{top_k}")
}

/// The name of a variant's points without their seeds.
fn point_name<'a>(variant: &Variant<'a>) -> &'a str {
    let name = variant.points[0].name.as_str();
    name.rsplit_once("_seed=").map_or(name, |(name, _)| name)
}
