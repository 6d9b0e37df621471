//! Runs points as child processes of this binary, side by side: a crash or a NaN ends one point
//! only.

use std::fs::{self, File};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use super::begun::logs;
use super::point::Point;
use super::result::{folders, run_of};
use crate::error::{Interrupted, exit_status};
use crate::eval::value_of;
use crate::files;
use crate::locks::Lock;
use crate::signals::Signals;
use crate::train::{Failure, LogLine, LogTail, RunFolder};

/// How CUDA is told which GPUs to see.
const VISIBLE: &str = "CUDA_VISIBLE_DEVICES";

/// Between two looks at the children.
const PAUSE: Duration = Duration::from_millis(100);

/// What an observer of a sweep hears. `slot` is the place, from 0, among the points that run side
/// by side.
pub enum Event<'a> {
    Started {
        slot: usize,
        point: &'a Point,
    },
    /// `step` of at most `steps` steps are done.
    Step {
        slot: usize,
        step: u64,
        steps: u64,
        loss: f64,
    },
    Ended {
        slot: usize,
        point: &'a Point,
        /// The share of its steps behind which it has paused, where it was asked to.
        until: Option<f64>,
        /// The validation metric that the point monitors, at its best step; or why it failed.
        outcome: Result<f64, &'a str>,
    },
}

/// A point to run.
pub struct Task {
    pub point: Point,
    /// Its run folder, made if it is not there.
    pub run: PathBuf,
    /// The share of its steps behind which it pauses; without, it goes to its end.
    pub until: Option<f64>,
    /// Held while it runs.
    pub claim: Option<Lock>,
}

/// What a runner is to do with a slot that is free.
pub enum Next {
    Run(Box<Task>),
    /// Nothing yet: to ask again.
    Wait,
    /// Nothing any more.
    End,
}

/// How points are run.
pub struct Runner {
    /// Where run folders are made.
    pub runs: PathBuf,
    /// Points side by side.
    pub jobs: usize,
    /// GPUs that this process sees; with several, each job that names none gets one of its own.
    pub gpus: usize,
}

struct Job {
    task: Task,
    child: Child,
    /// What the child says.
    log: PathBuf,
    metrics: LogTail,
}

impl Runner {
    /// Runs every point as [`Runner::run_tasks`] does, to its end.
    ///
    /// # Errors
    /// Those of [`Runner::run_tasks`].
    pub fn run(
        &self,
        points: &[Point],
        signals: &Signals,
        observe: &mut dyn FnMut(Event),
    ) -> Result<usize> {
        let mut waiting = points.iter().cloned();
        let mut next = || {
            let Some(point) = waiting.next() else { return Ok(Next::End) };
            let run = run_of(&point, &folders(&self.runs)?, &self.runs);
            Ok(Next::Run(Box::new(Task { point, run, until: None, claim: None })))
        };
        self.run_tasks(&mut next, signals, observe)
    }

    /// Runs what `next` gives to slots that are free, points that were cut off from their latest
    /// checkpoint on, and returns how many failed. A signal lets those that run write a checkpoint,
    /// and begins no others.
    ///
    /// # Errors
    /// When a child cannot be started or a file cannot be written; a point that fails is none. Those
    /// of `next`. The [`Interrupted`] of a signal.
    pub fn run_tasks(
        &self,
        next: &mut dyn FnMut() -> Result<Next>,
        signals: &Signals,
        observe: &mut dyn FnMut(Event),
    ) -> Result<usize> {
        fs::create_dir_all(self.logs())
            .with_context(|| format!("cannot make the folder {}", self.logs().display()))?;
        let mut ended = false;
        let mut slots: Vec<Option<Job>> = (0..self.jobs.max(1)).map(|_| None).collect();
        let mut failed = 0;
        let mut stopped: Option<Interrupted> = None;
        loop {
            if stopped.is_none()
                && let Some(interrupted) = signals.interruption()
            {
                stopped = Some(interrupted);
                slots.iter().flatten().for_each(Job::stop);
            }
            for (slot, place) in slots.iter_mut().enumerate() {
                if place.is_none() && stopped.is_none() && !ended {
                    match next()? {
                        Next::Wait => {}
                        Next::End => ended = true,
                        Next::Run(task) => {
                            observe(Event::Started { slot, point: &task.point });
                            match self.start(&task, slot) {
                                Ok(started) => *place = Some(started.of(*task)),
                                Err(error) => {
                                    failed += 1;
                                    let failure = format!("{error:#}");
                                    let (point, until) = (&task.point, task.until);
                                    let outcome = Err(failure.as_str());
                                    observe(Event::Ended { slot, point, until, outcome });
                                }
                            }
                        }
                    }
                }
                let Some(job) = place else { continue };
                if let Some((step, loss)) = job.progress() {
                    observe(Event::Step { slot, step, steps: job.steps().unwrap_or(step), loss });
                }
                if let Some(status) = job.child.try_wait()? {
                    // It did as it was asked to, neither done nor failed, unless its checkpoint
                    // could not be written.
                    let kept = || !job.reason("").contains("cannot write");
                    if stopped.is_some() && is_cut_off(status) && kept() {
                        *place = None;
                        continue;
                    }
                    // It may be another process that has put the result there.
                    let done = status.success() || RunFolder::has_result(&job.task.run);
                    let outcome = match done {
                        true => job.monitored().map_err(|error| format!("{error:#}")),
                        false if is_cut_off(status) => Err(job.reason(&status.to_string())),
                        false => Err(job.record(job.reason(&status.to_string()))),
                    };
                    failed += usize::from(outcome.is_err());
                    let outcome = outcome.as_ref().copied().map_err(String::as_str);
                    let Task { point, until, .. } = &job.task;
                    observe(Event::Ended { slot, point, until: *until, outcome });
                    *place = None;
                }
            }
            if slots.iter().all(Option::is_none) {
                match stopped {
                    Some(interrupted) => return Err(interrupted.into()),
                    None if ended => return Ok(failed),
                    None => {}
                }
            }
            sleep(PAUSE);
        }
    }

    fn logs(&self) -> PathBuf {
        logs(&self.runs)
    }

    fn start(&self, Task { point, run, until, .. }: &Task, slot: usize) -> Result<Started> {
        let name = run.file_name().unwrap_or_default().to_string_lossy();
        let config = self.logs().join(format!("{name}.toml"));
        files::write_file(&config, toml::to_string(&point.config)?)?;
        let log = self.logs().join(format!("{name}.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(own_binary()?);
        command.arg("train").arg(&config).arg("--out").arg(run).arg("--resume");
        if point.config.threads == 0 {
            command.arg("--set").arg(format!("threads={}", self.threads()));
        }
        if let Some(share) = until {
            command.arg("--until").arg(share.to_string());
        }
        if self.gpus > 1 && point.config.device.is_open() {
            command.env(VISIBLE, self.gpu(slot));
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // A key that stops the sweep is not to stop its children besides: they are asked once.
        command.process_group(0);
        end_with_parent(&mut command);
        let child = command.spawn().context("cannot start a point")?;
        Ok(Started { child, log })
    }

    /// The GPU of a slot, out of those that the user or the scheduler has allowed.
    fn gpu(&self, slot: usize) -> String {
        let number = slot % self.gpus;
        let allowed = std::env::var(VISIBLE).unwrap_or_default();
        let name = allowed.split(',').map(str::trim).filter(|name| !name.is_empty()).nth(number);
        name.map_or_else(|| number.to_string(), str::to_owned)
    }

    /// The cores, shared out.
    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (cores / self.jobs.max(1)).max(1)
    }
}

/// A child that has begun.
struct Started {
    child: Child,
    log: PathBuf,
}

impl Started {
    fn of(self, task: Task) -> Job {
        let Self { child, log } = self;
        Job { metrics: RunFolder::follow_log(&task.run), task, child, log }
    }
}

impl Job {
    /// Asks the child to write a checkpoint and end.
    fn stop(&self) {
        // SAFETY: sends a signal to a child that nobody has waited for, so that its id is its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
    }

    /// The latest training step in the run's log, if there is a new one, and its loss.
    fn progress(&mut self) -> Option<(u64, f64)> {
        let lines = self.metrics.whole_lines();
        lines.iter().rev().find_map(|line| Some((line.step, line.value("loss")?)))
    }

    /// The most steps of the run, which it writes down before the first.
    fn steps(&self) -> Option<u64> {
        RunFolder::open(&self.task.run).ok()?.info().ok()?.steps
    }

    /// The metric that chose the weights, of the validation that was best.
    fn monitored(&self) -> Result<f64> {
        let monitor = self.task.point.config.train.monitor;
        let run = RunFolder::open(&self.task.run)?;
        if self.task.until.is_some() && !RunFolder::has_result(&self.task.run) {
            let validated = |line: &LogLine| line.value(&monitor.to_string());
            let log = run.log();
            let best = log.iter().filter(|line| line.part == "validation").filter_map(validated);
            return best
                .max_by(f64::total_cmp)
                .with_context(|| format!("{} was not validated", self.task.run.display()));
        }
        let result = run.result()?;
        value_of(&result.validation, monitor).with_context(|| {
            format!("{} has no {monitor} of its validation", self.task.run.display())
        })
    }

    /// Why the child ended: the last line it said, or how it ended.
    fn reason(&self, status: &str) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let said = log.lines().rev().find_map(|line| line.strip_prefix("croloss: "));
        said.map_or_else(|| format!("ended by {status}; see {}", self.log.display()), str::to_owned)
    }

    /// Leaves the reason in the run folder, unless another process works there, and adds to it why
    /// that could not be done.
    fn record(&self, reason: String) -> String {
        // One that is killed behind its result is done all the same.
        if RunFolder::is_in_use(&self.task.run) || RunFolder::has_result(&self.task.run) {
            return reason;
        }
        let write = || -> Result<()> {
            if !self.task.run.exists() {
                RunFolder::create(&self.task.run, &self.task.point.config, false)?;
            }
            let failure = Failure { reason: reason.clone() };
            RunFolder::open(&self.task.run)?.write_failure(&failure)
        };
        match write() {
            Ok(()) => reason,
            Err(error) => format!("{reason} ({error:#})"),
        }
    }
}

/// Whether a child ended as one does that was asked by a signal and can be gone on with.
fn is_cut_off(status: ExitStatus) -> bool {
    let stopped = |signal| exit_status(&Interrupted { signal }.into());
    // One that is asked before it listens ends by the signal itself.
    let by =
        |signal| status.code() == Some(stopped(signal).into()) || status.signal() == Some(signal);
    [libc::SIGINT, libc::SIGTERM].into_iter().any(by)
}

/// This program: on Linux the very file that runs, also when a new build has taken its place.
fn own_binary() -> Result<PathBuf> {
    match cfg!(target_os = "linux") {
        true => Ok(format!("/proc/{}/exe", std::process::id()).into()),
        false => std::env::current_exe().context("cannot find this program's own file"),
    }
}

/// A sweep that is killed takes its children along, so that a later call finds nobody writing.
fn end_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let die = || {
            // SAFETY: prctl with this option only sets a flag of the calling process; it may be
            // called between fork and exec.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure neither allocates nor takes locks.
        unsafe { command.pre_exec(die) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_by_the_signal_that_asks_it_to_is_cut_off_and_who_is_killed_has_failed() {
        let ended = |code: i32| is_cut_off(ExitStatus::from_raw(code << 8));
        let by = |signal| is_cut_off(ExitStatus::from_raw(signal));
        assert!(by(libc::SIGTERM) && by(libc::SIGINT) && ended(130) && ended(143));
        assert!(!by(libc::SIGKILL) && !by(libc::SIGSEGV) && !ended(1) && !ended(0));
    }
}
