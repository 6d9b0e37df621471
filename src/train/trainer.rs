//! The training loop: steps, validation, early stopping, the test of the best weights.

use std::borrow::Cow;
use std::time::Instant;

use anyhow::{Result, bail};
use tch::{Device, Tensor};

use super::advice;
use super::log::RunLog;
use super::memory::peak_memory_mib;
use super::run_folder::{LogIds, RunFolder, RunInfo, RunResult, TargetRanks};
use super::stopping::Stopping;
use crate::batch::Drawer;
use crate::config::{Config, DEFAULT_STEPS, Length, Metric, Protocol, Schedule};
use crate::data::{Dataset, Sequences, Split};
use crate::device;
use crate::eval::{Evaluation, Metrics, PositionEvaluation, value_of};
use crate::misuse;
use crate::model::{Model, save};
use crate::profile::Profile;
use crate::step::{Plan, Stepper};

/// What an observer of a training run hears.
pub enum Event<'a> {
    /// Nothing is left that could refuse the run; it takes at most `steps` steps.
    Started { steps: u64, plan: &'a Plan },
    /// `step` steps are done; the mean loss of those since the last such event.
    Step { step: u64, loss: f64 },
    /// `done` of `users` users are ranked.
    Ranking { part: Split, done: u64, users: u64 },
    /// A validation is over.
    Validated { step: u64, metrics: &'a [(Metric, f64)], better: bool },
    /// The last step is done; where the time went.
    Trained { steps: u64, profile: &'a Profile },
    /// What the user may want to change, in a sentence that names the key.
    Advice(String),
    /// Training has stopped before its last step.
    Stopped { step: u64, best_step: u64 },
}

/// A configuration and a dataset that fit together, and the plan by which they are worked with.
pub struct RunContext<'a> {
    pub config: &'a Config,
    pub dataset: &'a Dataset,
    pub plan: Plan,
}

impl<'a> RunContext<'a> {
    /// Opens the device and sets the threads.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the device is not there.
    pub fn new(config: &'a Config, dataset: &'a Dataset) -> Result<Self> {
        Ok(Self { config, dataset, plan: Plan::open(config)? })
    }

    /// A model with initial weights.
    pub fn model(&self) -> Model {
        let Config { tower, seed, .. } = self.config;
        Model::new(tower, self.dataset.item_count(), *seed, self.plan.device)
    }

    /// The batches of training, checked against the dataset, from its [`Dataset::training`].
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the dataset is too small for the configuration.
    pub fn drawer<'d>(&self, training: &'d Sequences) -> Result<Drawer<'d>> {
        let Self { config, dataset, plan } = self;
        if dataset.is_measured() {
            self.refuse_empty(Split::Validation)?;
            self.refuse_empty(Split::Test)?;
        } else if config.train.length == Length::Steps(DEFAULT_STEPS) {
            misuse!(
                "the dataset is all training (split.by = \"none\"), so that no validation would \
                 end the training before train.steps = {DEFAULT_STEPS}, the default: set \
                 train.epochs, or train.steps to the steps that are to be trained"
            );
        }
        let (train, items) = (dataset.users_of(Split::Train), dataset.item_count());
        Drawer::new(config, plan.batches, plan.assembly(config), training, train, items)
    }

    fn refuse_empty(&self, part: Split) -> Result<()> {
        if self.dataset.users_of(part).is_empty() {
            misuse!(
                "the dataset has no {} users (split.by = \"{}\"), so nothing can be measured: \
                 prepare it with another split",
                part.name(),
                self.dataset.manifest.split.by.name()
            );
        }
        Ok(())
    }

    /// Ranks the catalogue for the users of `part`.
    ///
    /// # Errors
    /// [`crate::error::Misuse`] when the part has no users; a score that is not a number.
    pub fn evaluate(
        &self,
        model: &Model,
        part: Split,
        observe: &mut dyn FnMut(Event),
    ) -> Result<Metrics> {
        self.refuse_empty(part)?;
        self.evaluate_for(model, part, self.dataset.users_of(part), observe)
    }

    /// Ranks the catalogue for `users`, some of `part`.
    fn evaluate_for(
        &self,
        model: &Model,
        part: Split,
        users: Vec<usize>,
        observe: &mut dyn FnMut(Event),
    ) -> Result<Metrics> {
        // Nobody who is asked of what trains needs to know the rest.
        let sequences = &*match part {
            Split::Train => self.dataset.training(),
            Split::Validation | Split::Test => Cow::Borrowed(&self.dataset.sequences),
        };
        let windows = self.dataset.windows(part, &users);
        let (config, history) = (&self.config.evaluation, self.config.tower.history);
        let (mut done, count) = (0, users.len() as u64);
        let mut progress = |more| {
            done += more;
            observe(Event::Ranking { part, done, users: count });
        };
        let Plan { device, ranking: path, .. } = self.plan;
        match config.protocol {
            Protocol::Holdout => {
                Evaluation { sequences, users, windows, config, history, device, path }
                    .run(model, &mut progress)
            }
            Protocol::Positions => {
                PositionEvaluation { sequences, users, windows, config, history, path }
                    .run(model, &mut progress)
            }
        }
    }
}

/// Trains by `config` on `dataset` and tests the best weights; the run folder is made by
/// `make_folder` once nothing is left that could refuse the run. Where the dataset is all training,
/// all steps are trained, the last weights are kept and nothing is measured.
///
/// # Errors
/// [`crate::error::Misuse`] before the folder is made; afterwards when the loss stops being a
/// number or a file cannot be written.
pub fn train(
    config: &Config,
    dataset: &Dataset,
    make_folder: impl FnOnce() -> Result<RunFolder>,
    observe: &mut dyn FnMut(Event),
) -> Result<RunResult> {
    let context = RunContext::new(config, dataset)?;
    let training = dataset.training();
    let (plan, drawer) = (&context.plan, context.drawer(&training)?);
    let Schedule { steps, validate_every } = config.schedule(drawer.per_epoch())?;
    let run = make_folder()?;
    observe(Event::Started { steps, plan });
    advice::of_data(config, dataset, &training)
        .into_iter()
        .for_each(|told| observe(Event::Advice(told)));
    run.write_info(&RunInfo {
        checksum: dataset.manifest.checksum.clone(),
        dataset: dataset.manifest.name.clone(),
        plan: Some(serde_json::to_value(plan)?),
        steps: Some(steps),
        version: env!("CARGO_PKG_VERSION").into(),
    })?;
    let mut log = RunLog::create(&run)?;
    let started = Instant::now();
    let model = context.model();
    let mut stepper = Stepper::new(config, plan, &model, steps, || drawer.log_counts());
    let mut stopping = Stopping::new(config.train.patience);
    let measured = dataset.is_measured();
    let mut validation = vec![];
    let validation_users =
        spread(dataset.users_of(Split::Validation), config.train.validation_users);
    let mut losses = Losses::new(plan.device);
    let mut logged = vec![];
    let mut validations = 0;
    let mut train_seconds = 0.0;
    let mut step = 0;
    let mut profile = Profile::default();
    drawer.run(0..steps, |next| -> Result<()> {
        while step < steps && !stopping.exhausted() {
            let mark = Instant::now();
            let mut lap = profile.lap();
            let batch = next();
            profile.add("waiting for batches", &mut lap);
            losses.add(&stepper.step(&model, &batch, step));
            step += 1;
            if step % config.train.log_every == 0 {
                let loss = losses.mean(step)?;
                logged.push(loss);
                log.write(
                    "train",
                    step,
                    started.elapsed().as_secs_f64(),
                    &[("loss".into(), loss)],
                )?;
                observe(Event::Step { step, loss });
            }
            let measure = measured && (step % validate_every == 0 || step == steps);
            if measure || step == steps {
                stepper.catch_up();
                device::synchronize(plan.device);
            }
            train_seconds += mark.elapsed().as_secs_f64();
            if measure {
                let mut lap = profile.lap();
                let users = validation_users.clone();
                let metrics =
                    context.evaluate_for(&model, Split::Validation, users, observe)?.means();
                log.write("validation", step, started.elapsed().as_secs_f64(), &named(&metrics))?;
                let monitored = value_of(&metrics, config.train.monitor)
                    .expect("a checked configuration measures what it monitors");
                let better = stopping.better(monitored, step);
                validations += 1;
                observe(Event::Validated { step, metrics: &metrics, better });
                if better {
                    save(&model.weights(), &run.weights_path())?;
                    validation = metrics;
                }
                profile.add("validation", &mut lap);
            }
        }
        if !measured {
            save(&model.weights(), &run.weights_path())?;
        }
        Ok(())
    })?;
    profile.append(stepper.profile());
    observe(Event::Trained { steps: step, profile: &profile });
    let best_step = stopping.best().map_or(step, |(_, step)| step);
    if step < steps {
        observe(Event::Stopped { step, best_step });
    }
    let still_rising = validations > 1 && step == steps && best_step == step;
    advice::of_training(config, &logged, still_rising)
        .into_iter()
        .for_each(|told| observe(Event::Advice(told)));
    // The weights that are read take a table's size in memory for a while: instead of the moments,
    // not beside them.
    drop(stepper);
    let (mut test, mut test_users) = (vec![], 0);
    if measured {
        model.load(&run.weights_path())?;
        let tested = context.evaluate(&model, Split::Test, observe)?;
        (test, test_users) = (tested.means(), tested.users());
        log.write("test", best_step, started.elapsed().as_secs_f64(), &named(&test))?;
        let users = dataset.users_of(Split::Test).into_iter().map(|user| user as u32).collect();
        let (ranks, targets) = tested.into_ranks();
        let ids = LogIds { users: &dataset.users, items: &dataset.items };
        run.write_ranks(&TargetRanks { users, ranks }, &targets, &ids)?;
    }
    let result = RunResult {
        steps: step,
        best_step,
        train_seconds,
        seconds: started.elapsed().as_secs_f64(),
        device: device::name(plan.device),
        threads: rayon::current_num_threads() as i32,
        seed: config.seed,
        peak_memory_mib: peak_memory_mib(),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: env!("CROLOSS_COMMIT").into(),
        test_users,
        validation,
        test,
    };
    run.write_result(&result)?;
    Ok(result)
}

/// `count` of `users`, evenly spread; all of them if `count` is 0.
fn spread(users: Vec<usize>, count: usize) -> Vec<usize> {
    if count == 0 || count >= users.len() {
        return users;
    }
    (0..count).map(|at| users[at * users.len() / count]).collect()
}

/// The loss since the last report, summed on the device so that a step never waits for the host.
struct Losses {
    sum: Tensor,
    count: u64,
}

impl Losses {
    fn new(device: Device) -> Self {
        Self { sum: Tensor::zeros([], (tch::Kind::Float, device)), count: 0 }
    }

    fn add(&mut self, loss: &Tensor) {
        self.sum += loss;
        self.count += 1;
    }

    /// The mean, read back from the device; starts again from nothing.
    fn mean(&mut self, step: u64) -> Result<f64> {
        let mean = self.sum.double_value(&[]) / self.count as f64;
        if !mean.is_finite() {
            bail!(
                "the loss is {mean} at step {step}: training has diverged; a smaller optimizer.learning_rate or tower.scale may help"
            );
        }
        let _ = self.sum.zero_();
        self.count = 0;
        Ok(mean)
    }
}

fn named(metrics: &[(Metric, f64)]) -> Vec<(String, f64)> {
    metrics.iter().map(|(metric, value)| (metric.to_string(), *value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_spread_evenly_and_all_are_taken_when_there_are_too_few() {
        assert_eq!(spread((10..20).collect(), 4), [10, 12, 15, 17]);
        assert_eq!(spread(vec![3, 5], 0), [3, 5]);
        assert_eq!(spread(vec![3, 5], 9), [3, 5]);
    }
}
