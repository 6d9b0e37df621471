//! The typed configuration of a training run: TOML in, refused before work starts if it is wrong.
//!
//! A file is read as [`Settings`], in which most keys may be missing; checked it becomes a
//! [`Config`], in which everything is there.

#[cfg(test)]
mod any_settings_tests;
mod auto;
mod checkpoint;
mod device;
mod encoder;
mod evaluation;
mod explain;
mod kernel;
mod keys;
mod layer;
mod load;
mod loss;
mod loss_settings;
mod metric;
mod negatives;
mod optimizer;
mod sampling;
mod settings;
mod tower;
mod train;

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::misuse;

pub use auto::{HistorySetting, LogSize};
pub use checkpoint::CheckpointConfig;
pub use device::DeviceChoice;
pub use encoder::{Activation, EncoderConfig, EncoderKind, TransformerLayer};
pub use evaluation::{EvaluationConfig, Protocol, Seen};
pub use explain::{explain, nearest};
pub use kernel::{Kernel, KernelShape};
pub use keys::keys;
pub use layer::{Layer, parse_set};
pub use load::{from_table, load, load_trained};
pub use loss::{Estimator, LogQ, LossConfig, LossKind};
pub use metric::{Metric, MetricKind};
pub use negatives::{NegativeSource, Origin, Per};
pub use optimizer::{EpsilonForm, OptimizerConfig, OptimizerKind, ScheduleKind};
pub use sampling::{Order, Reject, Samples, SamplingConfig};
pub use settings::Settings;
pub use tower::TowerConfig;
pub use train::{DEFAULT_STEPS, Length, Schedule, TrainConfig, ValidateEvery};

/// Everything that a training run depends on, checked and whole: [`Settings::checked`] makes it.
/// Saved as the run folder's `config.toml`, from which it comes back as it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "Settings")]
pub struct Config {
    /// Seed of every random draw.
    pub seed: u64,
    pub device: DeviceChoice,
    /// CPU threads; 0 takes one for every core.
    pub threads: u32,
    pub data: DataConfig,
    pub tower: TowerConfig,
    pub sampling: SamplingConfig,
    pub loss: LossConfig,
    pub optimizer: OptimizerConfig,
    pub train: TrainConfig,
    pub evaluation: EvaluationConfig,
}

impl Config {
    /// What the result depends on, as TOML: without checkpoints and what says where and how it is
    /// computed.
    ///
    /// # Errors
    /// When it cannot be written as TOML.
    pub fn essence(&self) -> Result<String> {
        let mut settings = Settings::from(self.clone());
        settings.device = DeviceChoice::Auto;
        settings.threads = 0;
        settings.train.cuda_graph = false;
        settings.train = settings.train.without_checkpoints();
        Ok(toml::to_string(&settings)?)
    }

    /// By which protocol its model is measured: [`EvaluationConfig::in_words`].
    pub fn protocol_in_words(&self) -> String {
        self.evaluation.in_words(Some(self.tower.history))
    }
}

/// What is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// A folder that `croloss prepare` wrote.
    pub path: PathBuf,
}

fn within(key: &str, value: impl Into<i128>, least: u64, most: u64) -> Result<()> {
    let value = value.into();
    if !(i128::from(least)..=i128::from(most)).contains(&value) {
        misuse!("{key} = {value}: must be from {least} to {most}");
    }
    Ok(())
}

/// A value as TOML writes it, for errors.
fn name_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn positive(key: &str, value: f64) -> Result<()> {
    if !(value.is_finite() && value > 0.0) {
        misuse!("{key} = {value}: must be above 0");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        toml::from_str::<Settings>(&format!("[data]\npath = \"x\"\n{text}"))?.checked()
    }

    #[test]
    fn the_default_is_the_paper_s_setting_and_survives_its_own_toml() {
        let config = parse("").unwrap();
        assert_eq!((config.optimizer.learning_rate, config.tower.dim), (0.02, 32));
        comes_back(&config);
    }

    fn comes_back(config: &Config) {
        let text = toml::to_string(config).unwrap();
        let again = toml::from_str::<Settings>(&text).unwrap().checked().unwrap();
        assert_eq!(&again, config, "{text}");
    }

    #[test]
    fn every_loss_encoder_and_sample_survives_its_own_toml() {
        let sources = "[[sampling.negatives]]\nfrom = \"popularity\"\ncount = 9\nper = \"event\"\npower = 0.5\n[[sampling.negatives]]\nfrom = \"in-batch\"\ncount = 3\nper = \"session\"";
        for loss in [
            "kind = \"cro\"",
            "kind = \"cro\"\nkernel = \"hinge\"\nmargin = 2.5",
            "kind = \"cro-lambda\"\nrank_kernel = \"unit-step\"\nalpha = 0.5",
            "kind = \"cross-entropy\"\nlog_q = \"corrected\"",
            "kind = \"triplet\"",
            "kind = \"bpr\"",
            "kind = \"bce\"",
            "kind = \"gbce\"",
            "kind = \"bpr-max\"",
            "kernel = \"psl-relu\"\nwidth = 7.0",
            "kind = \"bsl\"\npositive_temperature = 0.5",
            "kind = \"sl-at-k\"\nat = 5",
        ] {
            for encoder in ["mean-pool", "transformer", "gru"] {
                for sampling in [
                    String::new(),
                    "batch = 9\nnegatives_per_positive = 3\naccidental_hits = \"keep\"\nfirst_position = 1".into(),
                    format!("samples = \"users\"\ntop_k = 5\nreject = \"session\"\n{sources}"),
                    format!("samples = \"positions\"\norder = \"given\"\n{sources}"),
                ] {
                    for train in ["steps = 7", "epochs = 7", "epochs = 7\nvalidate_every = 3"] {
                        let text = format!(
                            "[loss]\n{loss}\n[tower]\nencoder = \"{encoder}\"\ntied = false\n[train]\n{train}\n[sampling]\n{sampling}"
                        );
                        comes_back(&parse(&text).unwrap());
                        if !text.contains("reject = \"session\"") {
                            let repeats = text.replace("tied = false", "repeats = true");
                            comes_back(&parse(&repeats).unwrap());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_users_configuration_is_saved_with_its_sources() {
        let config = parse("[sampling]\nbatch = 32\naccidental_hits = \"keep\"").unwrap();
        let text = toml::to_string(&config).unwrap();
        for part in [
            "[[sampling.negatives]]\nfrom = \"uniform\"\ncount = 320\nper = \"batch\"",
            "samples = \"users\"",
            "reject = \"none\"",
            "order = \"random\"",
            "first_position = 4",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("accidental_hits") && !text.contains("per_positive"), "{text}");
    }

    #[test]
    fn run_folders_of_earlier_versions_load() {
        let common = "seed = 1\ndevice = \"auto\"\nthreads = 0\n[data]\npath = \"x\"\n[optimizer]\nkind = \"deferred-adam\"\nlearning_rate = 0.02\nbeta1 = 0.9\nbeta2 = 0.999\nepsilon = 1e-8\nepsilon_form = \"tensorflow\"\nschedule = \"constant\"\nwarmup_steps = 0\n[evaluation]\nprotocol = \"holdout\"\nat = [20, 50, 100, 200, 500]\nseen = \"keep\"\n";
        let train = "patience = 10\nvalidation_users = 0\nmonitor = \"recall@100\"\nlog_every = 100\nfused = true\n";
        let sampling = "batch = 256\nnegatives_per_positive = 10\naccidental_hits = \"mask\"\nfirst_position = 4\n";
        let load = |text: String| toml::from_str::<Settings>(&text).unwrap().checked().unwrap();
        let users = load(format!(
            "{common}[tower]\nencoder = \"mean-pool\"\ndim = 32\nhistory = 20\nscale = 10.0\n[sampling]\n{sampling}[loss]\nkind = \"cro\"\nkernel = \"softplus\"\nalpha = 1.0\nestimator = \"scaled-rank\"\n[train]\nsteps = 500000\nvalidate_every = 4000\n{train}"
        ));
        assert_eq!(users, parse("").unwrap());
        let negatives = "[[sampling.negatives]]\nfrom = \"uniform\"\ncount = 64\nper = \"batch\"\n";
        let positions = load(format!(
            "{common}[tower]\nencoder = \"gru\"\ndim = 32\nhistory = 20\nscale = 10.0\nnormalize = false\ntied = true\nlayers = 1\ndropout = 0.0\n[sampling]\nsamples = \"positions\"\n{sampling}top_k = 0\nreject = \"session\"\norder = \"shuffled\"\n{negatives}[loss]\nkind = \"bce\"\n[train]\nepochs = 3\n{train}"
        ));
        let expected = format!(
            "tower.encoder = \"gru\"\nloss.kind = \"bce\"\ntrain.epochs = 3\nsampling.samples = \"positions\"\n{negatives}"
        );
        let expected = toml::from_str::<Settings>(&format!("data.path = \"x\"\n{expected}"));
        assert_eq!(positions, expected.unwrap().checked().unwrap());
    }

    #[test]
    fn users_may_have_all_that_sessions_have() {
        for text in [
            "[tower]\ntied = false\nnormalize = false\noutput_bias = true",
            "[tower]\nactivation = \"elu\"",
            "[loss]\nkind = \"ssm\"\nlog_q = \"negatives\"",
            "[train]\nepochs = 2",
            "[sampling]\ntop_k = 5\norder = \"given\"",
        ] {
            assert_eq!(parse(text).unwrap().sampling.samples, Samples::Users, "{text}");
        }
    }

    #[test]
    fn repeats_are_learned_from_candidates_that_are_in_the_history() {
        let sessions = "samples = \"positions\"\nnegatives = [{ from = \"uniform\", count = 9, per = \"batch\" }]\n";
        for (sampling, repeats, reject) in [
            ("", true, Reject::Label),
            ("accidental_hits = \"keep\"", true, Reject::None),
            (sessions, false, Reject::Session),
            (sessions, true, Reject::Label),
        ] {
            let text = format!("[tower]\nrepeats = {repeats}\n[sampling]\n{sampling}");
            let config = parse(&text).unwrap();
            assert_eq!((config.sampling.reject, config.tower.repeats), (reject, repeats), "{text}");
        }
        for sampling in ["", sessions] {
            let text =
                format!("[tower]\nrepeats = true\n[sampling]\nreject = \"session\"\n{sampling}");
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains("tower.repeats = true and sampling.reject"), "{error}");
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused_with_their_key() {
        for (text, key) in [
            ("[tower]\ndim = 0", "tower.dim"),
            ("[tower]\nscale = -1.0", "tower.scale"),
            ("[optimizer]\nbeta1 = 1.0", "optimizer.beta1"),
            ("[optimizer]\nbeta1 = 0.99\nbeta2 = 0.99", "optimizer.kind"),
            ("[optimizer]\nwarmup_steps = 9\n[train]\nsteps = 9", "optimizer.warmup_steps"),
            ("[train]\nsteps = 0", "train.steps"),
            ("[evaluation]\nat = []", "evaluation.at"),
            ("[train]\nmonitor = \"recall@77\"", "evaluation.at"),
            ("[train]\nmonitor = \"last-mrr@20\"", "\"holdout\", which measures recall, hitrate"),
            (
                "[train]\nmonitor = \"hitrate@20\"\n[evaluation]\nprotocol = \"positions\"",
                "\"positions\", which measures recall, ndcg, mrr, last-recall, last-mrr",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(key), "{text}: {error}");
        }
    }
}
