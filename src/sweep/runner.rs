//! Runs points as child processes of this binary, side by side: a crash or a NaN ends one point
//! only.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

use super::point::Point;
use crate::error::{Interrupted, exit_status};
use crate::eval::value_of;
use crate::files;
use crate::signals::Signals;
use crate::train::{Failure, LogTail, RunFolder};

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
        /// The validation metric that the point monitors, at its best step; or why it failed.
        outcome: Result<f64, &'a str>,
    },
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

struct Job<'a> {
    point: &'a Point,
    run: PathBuf,
    child: Child,
    /// What the child says.
    log: PathBuf,
    metrics: LogTail,
}

impl Runner {
    /// Runs every point, those that were cut off from their latest checkpoint on, and returns how
    /// many failed. A signal lets those that run write a checkpoint, and begins no others.
    ///
    /// # Errors
    /// When a child cannot be started or a file cannot be written; a point that fails is none. The
    /// [`Interrupted`] of a signal.
    pub fn run(
        &self,
        points: &[Point],
        signals: &Signals,
        observe: &mut dyn FnMut(Event),
    ) -> Result<usize> {
        fs::create_dir_all(self.logs())
            .with_context(|| format!("cannot make the folder {}", self.logs().display()))?;
        let mut waiting = points.iter();
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
                if place.is_none()
                    && stopped.is_none()
                    && let Some(point) = waiting.next()
                {
                    observe(Event::Started { slot, point });
                    match self.start(point, slot) {
                        Ok(job) => *place = Some(job),
                        Err(error) => {
                            failed += 1;
                            let failure = format!("{error:#}");
                            observe(Event::Ended { slot, point, outcome: Err(&failure) });
                        }
                    }
                }
                let Some(job) = place else { continue };
                if let Some((step, loss)) = job.progress() {
                    observe(Event::Step { slot, step, steps: job.steps().unwrap_or(step), loss });
                }
                if let Some(status) = job.child.try_wait()? {
                    let outcome = match status.success() {
                        true => job.monitored().map_err(|error| format!("{error:#}")),
                        false if is_cut_off(status) => Err(job.reason(&status.to_string())),
                        false => Err(job.record(job.reason(&status.to_string()))),
                    };
                    failed += usize::from(outcome.is_err());
                    let outcome = outcome.as_ref().copied().map_err(String::as_str);
                    observe(Event::Ended { slot, point: job.point, outcome });
                    *place = None;
                }
            }
            if slots.iter().all(Option::is_none) {
                match stopped {
                    Some(interrupted) => return Err(interrupted.into()),
                    None if waiting.len() == 0 => return Ok(failed),
                    None => {}
                }
            }
            sleep(PAUSE);
        }
    }

    fn logs(&self) -> PathBuf {
        self.runs.join("logs")
    }

    fn start<'a>(&self, point: &'a Point, slot: usize) -> Result<Job<'a>> {
        let run = self.runs.join(point.folder());
        let config = self.logs().join(format!("{}.toml", point.folder()));
        files::write_file(&config, toml::to_string(&point.config)?)?;
        let log = self.logs().join(format!("{}.log", point.folder()));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(own_binary()?);
        command.arg("train").arg(&config).arg("--out").arg(&run).arg("--resume");
        if point.config.threads == 0 {
            command.arg("--set").arg(format!("threads={}", self.threads()));
        }
        if self.gpus > 1 && point.config.device.is_open() {
            command.env(VISIBLE, self.gpu(slot));
        }
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // A key that stops the sweep is not to stop its children besides: they are asked once.
        command.process_group(0);
        end_with_parent(&mut command);
        let child = command.spawn().context("cannot start a point")?;
        Ok(Job { point, metrics: RunFolder::follow_log(&run), run, child, log })
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

impl Job<'_> {
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
        RunFolder::open(&self.run).ok()?.info().ok()?.steps
    }

    /// The metric that chose the weights, of the validation that was best.
    fn monitored(&self) -> Result<f64> {
        let monitor = self.point.config.train.monitor;
        let result = RunFolder::open(&self.run)?.result()?;
        value_of(&result.validation, monitor)
            .with_context(|| format!("{} has no {monitor} of its validation", self.run.display()))
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
        if RunFolder::is_in_use(&self.run) {
            return reason;
        }
        let write = || -> Result<()> {
            if !self.run.exists() {
                RunFolder::create(&self.run, &self.point.config, false)?;
            }
            let failure = Failure { reason: reason.clone() };
            RunFolder::open(&self.run)?.write_failure(&failure)
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
    [libc::SIGINT, libc::SIGTERM]
        .iter()
        .any(|signal| status.code() == Some(stopped(*signal).into()))
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
