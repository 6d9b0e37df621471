//! The steps of a training: batches, logs, validations and checkpoints.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Error, Result, anyhow, bail};

use super::checkpoint::{About, Parts, Snapshot, Writer, snapshot};
use super::context::RunContext;
use super::diverged::Diverged;
use super::event::Event;
use super::exact::Exact;
use super::log::RunLog;
use super::losses::{Losses, REMEDY};
use super::opening::Opened;
use super::run_folder::RunFolder;
use super::standing::Standing;
use super::warm_start::WarmStart;
use crate::batch::{Batch, Drawer};
use crate::config::{Metric, Schedule};
use crate::data::Split;
use crate::device;
use crate::error::{Interrupted, Paused};
use crate::eval::{spread, value_of};
use crate::model::Model;
use crate::profile::Profile;
use crate::step::Stepper;

/// A training that goes on.
pub struct Training<'a> {
    context: &'a RunContext<'a>,
    run: &'a RunFolder,
    schedule: Schedule,
    model: Model,
    stepper: Stepper,
    pub standing: Standing,
    losses: Losses,
    /// Of ranks the first has it.
    log: Option<RunLog>,
    writer: Writer,
    /// Bytes that went to other ranks in its steps.
    sent: u64,
    validation_users: Vec<usize>,
    profile: Profile,
}

impl<'a> Training<'a> {
    /// A training before its first step, from the weights of `warm` where they are given, or where
    /// the checkpoint of `opened` has left it.
    ///
    /// # Errors
    /// When the checkpoint does not fit, or a log cannot be written.
    pub fn new(
        context: &'a RunContext,
        opened: &'a Opened,
        schedule: Schedule,
        drawer: &Drawer,
        warm: Option<WarmStart>,
    ) -> Result<Self> {
        let RunContext { config, dataset, plan, .. } = context;
        let run = &opened.folder;
        let model = context.model();
        let counts = || drawer.log_counts();
        let mut stepper = Stepper::new(config, plan, &model, schedule.steps, counts);
        if let Some(warm) = warm {
            warm.apply(&model, &mut stepper)?;
        }
        let mut losses = Losses::new(plan.device);
        let standing = match &opened.checkpoint {
            Some(checkpoint) => {
                checkpoint.restore(&model, &mut stepper, &mut losses)?;
                checkpoint.about.standing.clone()
            }
            None => Standing::new(config.train.patience),
        };
        let users = dataset.users_of(Split::Validation);
        Ok(Self {
            context,
            run,
            schedule,
            model,
            stepper,
            losses,
            log: match context.team.is_first() {
                true => Some(RunLog::after(run, standing.step, standing.validated)?),
                false => None,
            },
            sent: 0,
            writer: Writer::new(run.checkpoints(), &config.train.checkpoints, standing.step),
            standing,
            validation_users: spread(users, config.train.validation_users),
            profile: Profile::default(),
        })
    }

    /// Takes all steps that are left.
    ///
    /// # Errors
    /// When the loss stops being a number or a file cannot be written.
    pub fn go_on(&mut self, drawer: &Drawer, observe: &mut dyn FnMut(Event)) -> Result<()> {
        let left = self.standing.step..self.schedule.steps;
        drawer.run(left, |next| -> Result<()> {
            loop {
                if !self.standing.validated {
                    match self.validate(observe) {
                        // What was not measured is measured when it is gone on with; what has
                        // interrupted it ends the training below.
                        Err(error) if error.is::<Interrupted>() => {}
                        validated => validated?,
                    }
                }
                match self.agreed() {
                    Err(interrupted) => return Err(self.stop(interrupted)),
                    Ok(true) => self.keep(observe)?,
                    Ok(false) => {}
                }
                if self.is_over() {
                    return Ok(());
                }
                if self.has_come_far_enough() {
                    return Err(self.pause());
                }
                self.step(next, observe)?;
            }
        })?;
        if !self.context.dataset.is_measured() {
            self.model.save(&self.run.weights_path())?;
        }
        if self.context.config.train.keep_optimizer {
            self.run.keep_optimisers(self.stepper.state())?;
        }
        if let Err(error) = self.writer.wait() {
            observe(Event::Advice(format!("{error:#}")));
        }
        self.profile.append(self.stepper.profile());
        Ok(())
    }

    /// Writes a checkpoint, whatever is due, and says how it is gone on with.
    fn stop(&mut self, interrupted: Interrupted) -> Error {
        // Why one before could not be written is no matter if this one can.
        let _ = self.writer.wait();
        let kept = self.write_now();
        kept.map_or_else(|error| error, |()| how_to_go_on(self.run)).context(interrupted)
    }

    /// Whether what was asked for is done, and measured.
    fn has_come_far_enough(&self) -> bool {
        let (step, Schedule { steps, validate_every }) = (self.standing.step, self.schedule);
        let far = |share: f64| step as f64 >= share * steps as f64;
        self.context.until.is_some_and(far) && step.is_multiple_of(validate_every)
    }

    /// [`Training::stop`] where it was asked for beforehand.
    fn pause(&mut self) -> Error {
        match self.writer.wait().and_then(|()| self.write_now()) {
            Ok(()) => {
                let (step, steps) = (self.standing.step, self.schedule.steps);
                how_to_go_on(self.run).context(Paused { step, steps })
            }
            Err(error) => error,
        }
    }

    /// What a training that ends with an error leaves to go on with.
    pub fn say_what_is_kept(&mut self, error: Error) -> Error {
        if error.is::<Interrupted>() || error.is::<Paused>() {
            return error;
        }
        // The error to tell is the one that ended it.
        let _ = self.writer.wait();
        match self.writer.checkpoints.steps().unwrap_or_default().last() {
            Some(step) => error.context(format!("the checkpoint of step {step} is kept")),
            None => error,
        }
    }

    /// Where the time of the steps went.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Bytes that this rank has sent to others in its steps.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// The model where the last step has left it, how far it has come, and its log. Optimisers go.
    pub fn end(self) -> (Model, Standing, Option<RunLog>) {
        (self.model, self.standing, self.log)
    }

    fn is_over(&self) -> bool {
        self.standing.step >= self.schedule.steps || self.standing.stopping.exhausted()
    }

    /// Whether a checkpoint is due, or the signal that ends the training.
    fn agreed(&mut self) -> Result<bool, Interrupted> {
        let RunContext { team, .. } = self.context;
        let sent = team.sent();
        let agreed = self.context.agreed(self.writer.is_due(self.standing.step));
        self.sent += team.sent() - sent;
        agreed
    }

    /// One step; behind it the whole model is in the present where somebody will read it.
    fn step(
        &mut self,
        next: &mut dyn FnMut() -> Batch,
        observe: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let RunContext { config, dataset, plan, .. } = self.context;
        let mark = Instant::now();
        let mut lap = self.profile.lap();
        let batch = next();
        self.profile.add("waiting for batches", &mut lap);
        if plan.losses_are_at_hand() || config.train.looks_at_each_loss() {
            self.careful_step(&batch, observe)?;
        } else {
            let loss = self.stepper.step(&self.model, &batch, self.standing.step);
            self.losses.add(&loss);
        }
        let standing = &mut self.standing;
        standing.step += 1;
        let step = standing.step;
        if step.is_multiple_of(config.train.log_every)
            && let Some(loss) = self.losses.mean(step)?
        {
            standing.log(loss);
            if let Some(log) = &mut self.log {
                log.write("train", step, standing.seconds(), &[("loss".into(), loss)])?;
            }
            observe(Event::Step { step, loss });
        }
        let last = step == self.schedule.steps;
        let due = last || step.is_multiple_of(self.schedule.validate_every);
        standing.validated = !(dataset.is_measured() && due);
        if last || !standing.validated {
            self.stepper.catch_up();
            device::synchronize(plan.device);
        }
        standing.train_seconds += mark.elapsed().as_secs_f64();
        Ok(())
    }

    /// One step, unless its loss is no number. On a GPU to read it costs more than it is worth, unless it
    /// is asked for.
    fn careful_step(&mut self, batch: &Batch, observe: &mut dyn FnMut(Event)) -> Result<()> {
        let sent = self.context.team.sent();
        let gradients = self.stepper.gradients(&self.model, batch, self.standing.step);
        self.sent += self.context.team.sent() - sent;
        let loss = gradients.loss.double_value(&[]);
        if !loss.is_finite() {
            return self.pass_over(batch, loss, observe);
        }
        self.losses.add(&gradients.loss);
        self.stepper.apply(&gradients);
        Ok(())
    }

    /// Leaves a batch out, as long as there are not too many.
    fn pass_over(
        &mut self,
        batch: &Batch,
        loss: f64,
        observe: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let RunContext { config, dataset, .. } = self.context;
        let step = self.standing.step + 1;
        let diverged = Diverged::of(batch, step, loss, &self.model, &dataset.items);
        if self.context.team.is_first() {
            self.run.write_diverged(&diverged)?;
        }
        let (told, file) = (diverged.told(), self.run.diverged_path());
        let skipped = self.standing.skipped;
        if skipped == config.train.skip_batches {
            let before = match skipped {
                0 => String::new(),
                _ => format!(", after {skipped} batches that were left out (train.skip_batches)"),
            };
            bail!("{told} ({}): training has diverged{before}; {REMEDY}", file.display());
        }
        self.standing.skipped += 1;
        observe(Event::Advice(format!("{told} ({}): the batch is left out", file.display())));
        Ok(())
    }

    /// Measures, and keeps the weights that are the best so far.
    fn validate(&mut self, observe: &mut dyn FnMut(Event)) -> Result<()> {
        let mut lap = self.profile.lap();
        let (users, step) = (self.validation_users.clone(), self.standing.step);
        let ranked = self.context.evaluate_for(&self.model, Split::Validation, users, observe)?;
        let metrics = ranked.means();
        if let Some(log) = &mut self.log {
            log.write("validation", step, self.standing.seconds(), &named(&metrics))?;
        }
        let monitored = value_of(&metrics, self.context.config.train.monitor)
            .expect("a checked configuration measures what it monitors");
        let better = self.standing.stopping.better(monitored, step);
        observe(Event::Validated { step, metrics: &metrics, better });
        if better {
            self.model.save(&self.run.weights_path())?;
            let exact = |(metric, value)| (metric, Exact(value));
            self.standing.validation = metrics.into_iter().map(exact).collect();
        }
        self.standing.validated = true;
        self.profile.add("validation", &mut lap);
        Ok(())
    }

    /// Writes a checkpoint beside the steps that follow. What keeps it from being written keeps
    /// nobody from training.
    fn keep(&mut self, observe: &mut dyn FnMut(Event)) -> Result<()> {
        let mut lap = self.profile.lap();
        self.losses.check(self.standing.step)?;
        let written = match self.context.team.is_alone() {
            true => self.snapshot().and_then(|snapshot| self.writer.write_beside(snapshot)),
            false => self.write_parts(),
        };
        if let Err(error) = written {
            observe(Event::Advice(format!("{error:#}")));
        }
        self.profile.add("checkpoints", &mut lap);
        Ok(())
    }

    /// Writes a checkpoint and waits for it.
    fn write_now(&mut self) -> Result<()> {
        match self.context.team.is_alone() {
            true => self.snapshot().and_then(|snapshot| self.writer.write_now(snapshot)),
            false => self.write_parts(),
        }
    }

    fn about(&self) -> Result<About> {
        self.losses.check(self.standing.step)?;
        let RunContext { config, dataset, .. } = self.context;
        About::new(config, &dataset.manifest.checksum, &self.standing)
    }

    /// The best weights so far, if there are any.
    fn best(&self) -> Option<PathBuf> {
        self.standing.stopping.best_step().map(|_| self.run.weights_path())
    }

    /// A copy of all that a checkpoint holds.
    fn snapshot(&self) -> Result<Snapshot> {
        let about = self.about()?;
        let tensors = snapshot(&self.model, &self.stepper, &self.losses);
        let (log, best) = (self.run.log_path(), self.best());
        self.writer.checkpoints.begin(about, tensors, log, best.as_deref())
    }

    /// Writes a checkpoint of which each rank writes its part.
    fn write_parts(&mut self) -> Result<()> {
        let (about, best) = (self.about()?, self.best());
        let parts = Parts {
            team: &self.context.team,
            model: &self.model,
            stepper: &self.stepper,
            losses: &self.losses,
            log: &self.run.log_path(),
            best: best.as_deref(),
        };
        let Writer { checkpoints, .. } = &self.writer;
        let written = checkpoints.write_parts(about, &parts, self.writer.kept());
        self.writer.wrote(self.standing.step);
        written.context("a checkpoint could not be written")
    }
}

/// What a run that is cut off has to go on with, and by which command.
pub fn how_to_go_on(run: &RunFolder) -> Error {
    let path = run.path().display();
    let from = match run.checkpoints().steps().unwrap_or_default().last() {
        Some(step) => format!("from step {step}"),
        None => "from its first step, without a checkpoint,".into(),
    };
    anyhow!("`croloss train {path}/config.toml --out {path} --resume` goes on {from}")
}

/// Metrics under their names.
pub fn named(metrics: &[(Metric, f64)]) -> Vec<(String, f64)> {
    metrics.iter().map(|(metric, value)| (metric.to_string(), *value)).collect()
}
