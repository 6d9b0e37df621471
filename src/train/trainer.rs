//! A training from its folder to its result: steps, early stopping, the test of the best weights.

use std::collections::BTreeMap;

use anyhow::Result;

use super::advice;
use super::context::RunContext;
use super::event::Event;
use super::exact::Exact;
use super::memory::{ValueRows, peak_memory_mib, refuse_too_large};
use super::opening::Asked;
use super::run_folder::{KnownFields, LogIds, RunInfo, RunResult, TargetRanks};
use super::sharing::{refuse_other_than_first, told_of_bytes, told_of_ranks};
use super::training::{Training, how_to_go_on, named};
use super::warm_start::{WarmStart, refuse_own_start};
use crate::config::{Config, Metric};
use crate::data::{Dataset, Split};
use crate::device;
use crate::error::Interrupted;
use crate::eval::{ColdRecall, Groups, Lists, Metrics};
use crate::formats;
use crate::model::Model;
use crate::ranks::Team;
use crate::signals::Signals;

/// Trains by `config` on `dataset` and tests the best weights. The run folder is opened as
/// `asked` says once nothing else is left that could refuse the run. Where the dataset
/// is all training, all steps are trained, the last weights are kept and nothing is measured. A
/// signal ends it behind a checkpoint.
///
/// # Errors
/// [`crate::error::Misuse`] before the folder is made; afterwards when the loss stops being a
/// number or a file cannot be written; the [`crate::error::Interrupted`] of a signal; the
/// [`crate::error::Paused`] that was asked for.
pub fn train(
    config: &Config,
    dataset: &Dataset,
    asked: Asked,
    signals: &Signals,
    observe: &mut dyn FnMut(Event),
) -> Result<RunResult> {
    train_with(&Team::default(), config, dataset, asked, signals, observe)
}

/// The same by ranks, each of which has its part of the rows of every table; all call it, the first
/// writes the run folder, which the others have to see.
///
/// # Errors
/// As [`train`]; [`crate::error::Misuse`] for what several ranks cannot do.
pub fn train_with(
    team: &Team,
    config: &Config,
    dataset: &Dataset,
    asked: Asked,
    signals: &Signals,
    observe: &mut dyn FnMut(Event),
) -> Result<RunResult> {
    let Asked { start, out, until } = asked;
    let sequences = dataset.training();
    // Asked by all, whatever one of them refuses.
    let beside = team.on_this_machine();
    let ready = || {
        let context = match team.is_alone() {
            true => RunContext::new(config, dataset)?,
            false => RunContext::of_ranks(config, dataset, team)?,
        };
        let values = ValueRows::of(&context.known);
        let here = dataset.item_count().div_ceil(team.size());
        let interactions = sequences.items.len();
        context.plan.check_replay(config)?;
        // The drawer brings the log to a GPU.
        let tight = refuse_too_large(config, &context.plan, here, interactions, values, beside)?;
        let drawer = context.drawer(&sequences)?;
        let schedule = config.schedule(drawer.per_epoch())?;
        // A checkpoint holds what the first weights have become.
        let warm = match &config.train.warm_start {
            Some(from) if !start.has_checkpoint(out) => {
                refuse_own_start(from, out)?;
                Some(WarmStart::read(from, config, dataset, &context.known)?)
            }
            _ => None,
        };
        Ok((context, drawer, schedule, tight, warm))
    };
    // Whatever one of them refuses is refused before the first touches a run folder.
    let (context, drawer, schedule, tight, warm) = team.agree(ready())?;
    refuse_other_than_first(team, config, dataset)?;
    let context = RunContext { signals: signals.clone(), until, ..context };
    let plan = &context.plan;
    // Ranks write checkpoints without a copy.
    let tight = tight.filter(|_| team.is_alone());
    let opened = start.open(out, config, &dataset.manifest.checksum, team)?;
    let run = &opened.folder;
    let done = opened.checkpoint.as_ref().map_or(0, |own| own.about.standing.step);
    observe(Event::Started { steps: schedule.steps, done, plan });
    let notes = opened.notes.iter().cloned();
    notes
        .chain(told_of_ranks(team, dataset.item_count()))
        .chain(tight)
        .chain(warm.as_ref().map(|warm| warm.note.clone()))
        .chain(advice::of_data(config, dataset, &sequences))
        .for_each(|told| observe(Event::Advice(told)));
    if team.is_first() {
        run.write_info(&RunInfo {
            format: formats::RUN,
            checksum: dataset.manifest.checksum.clone(),
            dataset: dataset.manifest.name.clone(),
            plan: Some(serde_json::to_value(plan)?),
            steps: Some(schedule.steps),
            version: env!("CARGO_PKG_VERSION").into(),
        })?;
        run.keep_items(&config.data.path)?;
        run.keep_features(&KnownFields::of(&context.known))?;
    }
    let mut training = Training::new(&context, &opened, schedule, &drawer, warm)?;
    training.go_on(&drawer, observe).map_err(|error| training.say_what_is_kept(error))?;
    let step = training.standing.step;
    observe(Event::Trained { steps: step - done, profile: training.profile() });
    if let Some(told) = told_of_bytes(team, training.sent(), step - done) {
        observe(Event::Advice(told));
    }
    let measured = dataset.is_measured();
    let best_step = training.standing.stopping.best_step().unwrap_or(step);
    if step < schedule.steps {
        observe(Event::Stopped { step, best_step });
    }
    // One validation is the best trivially, and one logged loss is where it began.
    let several = step > schedule.validate_every;
    let still_rising = measured && several && step == schedule.steps && best_step == step;
    let logged = training.standing.logged.map(|(Exact(first), Exact(last))| (first, last));
    let logged = logged.filter(|_| step >= 2 * config.train.log_every);
    advice::of_training(config, logged, still_rising)
        .into_iter()
        .for_each(|told| observe(Event::Advice(told)));
    // The weights that are read take a table's size in memory for a while: instead of the moments,
    // not beside them.
    let (model, standing, mut log) = training.end();
    let mut test = Tested::default();
    if measured {
        model.load(&run.weights_path())?;
        let tested = Tested::of(&context, &model, observe);
        let (tested, ranked) = tested.map_err(|error| match error.downcast::<Interrupted>() {
            Ok(interrupted) => how_to_go_on(run).context(interrupted),
            Err(error) => error,
        })?;
        test = tested;
        if let Some(log) = &mut log {
            log.write("test", best_step, standing.seconds(), &named(&test.metrics))?;
        }
        let users = dataset.users_of(Split::Test).into_iter().map(|user| user as u32).collect();
        let (ranks, targets) = ranked.ranks();
        let ids = LogIds { users: &dataset.users, items: &dataset.items };
        if team.is_first() {
            run.write_ranks(&TargetRanks { users, ranks }, &targets, &ids)?;
        }
    }
    let result = RunResult {
        steps: step,
        best_step,
        train_seconds: standing.train_seconds,
        seconds: standing.seconds(),
        device: device::name(plan.device),
        threads: rayon::current_num_threads() as i32,
        seed: config.seed,
        peak_memory_mib: peak_memory_mib(),
        peak_gpu_memory_mib: device::peak_memory_mib(plan.device),
        version: env!("CARGO_PKG_VERSION").into(),
        commit: env!("CROLOSS_COMMIT").into(),
        test_users: test.users,
        test_unrankable: test.unrankable,
        protocol: config.protocol_in_words(),
        validation: standing.best_metrics(),
        test: test.metrics,
        test_groups: test.groups,
        test_lists: test.lists,
        test_cold: test.cold,
    };
    if team.is_first() {
        run.finish(&result)?;
    }
    Ok(result)
}

/// What a test comes to.
#[derive(Default)]
struct Tested {
    metrics: Vec<(Metric, f64)>,
    users: usize,
    unrankable: usize,
    groups: Groups,
    lists: BTreeMap<usize, Lists>,
    cold: Option<ColdRecall>,
}

impl Tested {
    /// That of the test's users, and the rank of each of their targets.
    fn of(
        context: &RunContext,
        model: &Model,
        observe: &mut dyn FnMut(Event),
    ) -> Result<(Self, Metrics)> {
        let ranked = context.evaluate(model, Split::Test, observe)?;
        let counts = context.dataset.training_counts();
        let tested = Self {
            metrics: ranked.means(),
            users: ranked.users(),
            unrankable: ranked.unrankable(),
            groups: ranked.groups(&counts),
            lists: context.lists(model, Split::Test, &counts, observe)?,
            cold: context.cold(model, observe)?,
        };
        Ok((tested, ranked))
    }
}
