//! One run: where it stands, from its files.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use super::log::Log;
use crate::config::Metric;
use crate::files::Stamp;
use crate::train::{Ending, Holder, RunFolder, RunResult};

/// A process that was begun longer ago than this and has made no run folder has come to nothing: to
/// read a data set takes less.
const PATIENCE: Duration = Duration::from_secs(600);

/// Where a run stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Its first step is yet to come, or, where it has paused, its next one.
    Waiting,
    /// A process works in it.
    Running,
    /// It has no result, and nobody works in it.
    Paused,
    Ended(Rc<RunResult>),
    /// With the reason, in one line.
    Failed(String),
    /// Its folder is not there any more.
    Gone,
}

/// A run, as its files say it stands.
pub struct Run {
    pub path: PathBuf,
    /// How it is called here.
    pub name: String,
    /// Of the runs that are watched, the how manieth, from 0, that was met.
    pub number: usize,
    pub state: State,
    /// A process has been begun for it that has not come to its folder.
    pub is_starting: bool,
    /// The most steps that it takes.
    pub steps: Option<u64>,
    /// The metric that chooses its weights.
    pub monitor: Option<Metric>,
    /// By what it is measured.
    pub measured: Vec<Metric>,
    pub log: Log,
    folder: Option<Stamp>,
    config: Option<Stamp>,
    holder: Option<Holder>,
    ending: Option<State>,
    /// Where a loss was no number: the step, and what was said of it.
    diverged: Option<(u64, String)>,
}

impl Run {
    /// The run at `path`, which need not be there and has not been looked at.
    pub fn at(path: &Path, name: String, number: usize) -> Self {
        Self {
            log: Log::of(path),
            path: path.into(),
            name,
            number,
            state: State::Waiting,
            is_starting: false,
            steps: None,
            monitor: None,
            measured: vec![],
            folder: None,
            config: None,
            holder: None,
            ending: None,
            diverged: None,
        }
    }

    /// Reads what has changed; `begun`: when a process was begun for it, if one was.
    pub fn look(&mut self, begun: Option<SystemTime>) {
        let folder = Stamp::of(&self.path);
        // Every file but the log is written beside its place, which the folder's own time tells.
        if folder != self.folder || folder.is_some_and(|stamp| stamp.is_fresh()) {
            self.read_files();
        }
        if self.config.is_some() && folder.is_some() {
            self.log.read();
        }
        self.folder = folder;
        let later = |begun: &SystemTime| folder.is_none_or(|folder| *begun > folder.modified);
        self.is_starting = begun.filter(later).is_some_and(is_recent);
        self.state = self.standing();
    }

    /// Whether a process works on it, or is about to.
    pub fn is_at_work(&self) -> bool {
        self.is_starting || self.state == State::Running
    }

    /// When a file came into its folder or left it, the last time.
    pub fn changed(&self) -> Option<SystemTime> {
        self.folder.map(|stamp| stamp.modified)
    }

    /// The last step that is known to be done.
    pub fn step(&self) -> u64 {
        match &self.state {
            State::Ended(result) => result.steps,
            _ => self.log.step,
        }
    }

    fn read_files(&mut self) {
        self.holder = RunFolder::holder(&self.path);
        let Ok(folder) = RunFolder::open(&self.path) else {
            (self.ending, self.diverged) = (None, None);
            return;
        };
        let config = Stamp::of(&folder.config_path());
        if config != self.config {
            // It begins anew, or goes on from a checkpoint.
            let new = Self::at(&self.path, std::mem::take(&mut self.name), self.number);
            *self = Self { config, holder: self.holder.take(), ..new };
            if let Ok(config) = folder.config(&[]) {
                let evaluation = &config.evaluation;
                let of_kind = |kind| evaluation.at.iter().map(move |&at| Metric { kind, at });
                self.measured =
                    evaluation.protocol.kinds().iter().copied().flat_map(of_kind).collect();
                self.monitor = Some(config.train.monitor);
            }
        }
        self.steps = folder.info().ok().and_then(|info| info.steps);
        self.ending = ending(&self.path);
        self.diverged = folder.diverged().map(|own| (own.step, own.told()));
    }

    fn standing(&self) -> State {
        let is_held = self.holder.as_ref().is_some_and(Holder::is_alive);
        match &self.ending {
            _ if self.folder.is_none() && self.config.is_some() => State::Gone,
            Some(State::Ended(result)) => State::Ended(result.clone()),
            _ if is_held => State::Running,
            _ if self.is_starting => State::Waiting,
            Some(failed) => failed.clone(),
            None => match &self.diverged {
                // A batch that was left out has steps behind it.
                Some((step, told)) if *step > self.log.step => State::Failed(told.clone()),
                _ if self.config.is_some() => State::Paused,
                _ => State::Waiting,
            },
        }
    }
}

/// Whether a process that was begun at this time may be yet to make its folder.
pub fn is_recent(begun: SystemTime) -> bool {
    begun.elapsed().map_or(true, |age| age < PATIENCE)
}

/// How the run at `path` ended, if it has.
fn ending(path: &Path) -> Option<State> {
    match RunFolder::ending(path) {
        Ok(None) => None,
        Ok(Some(Ending::Done(result))) => Some(State::Ended(Rc::from(result))),
        Ok(Some(Ending::Failed(failure))) => Some(State::Failed(in_one_line(&failure.reason))),
        // Files and folders may go while they are read.
        Err(error) if error.root_cause().is::<io::Error>() => None,
        Err(_) if RunFolder::open(path).is_err() => None,
        Err(error) => Some(State::Failed(in_one_line(&format!("{error:#}")))),
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::fixtures::{begin, end, fail, hold, loss, validation};
    use super::*;

    fn looked(run: &mut Run) -> State {
        run.look(None);
        run.state.clone()
    }

    fn at(folder: &Path) -> Run {
        Run::at(folder, "run".into(), 0)
    }

    #[test]
    fn a_run_stands_where_its_files_say() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("run");
        let mut run = at(&folder);
        assert_eq!(looked(&mut run), State::Waiting);
        begin(&folder, 300, &[loss(10, 4.0), validation(20, 0.5)]);
        assert_eq!(looked(&mut run), State::Paused, "nobody works in it");
        hold(&folder);
        assert_eq!(looked(&mut run), State::Running);
        assert_eq!((run.step(), run.steps), (20, Some(300)));
        assert_eq!(run.monitor, Some("recall@50".parse().unwrap()));
        assert!(run.measured.contains(&"mrr@500".parse().unwrap()));
        fs::remove_file(folder.join("run.lock")).unwrap();
        fail(&folder, "no space\nleft");
        assert_eq!(looked(&mut run), State::Failed("no space left".into()));
        end(&folder, 120);
        assert!(matches!(looked(&mut run), State::Ended(_)));
        assert_eq!(run.step(), 120);
        fs::write(folder.join("result.json"), "{").unwrap();
        assert!(matches!(looked(&mut run), State::Failed(why) if why.contains("result.json")));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(looked(&mut run), State::Gone);
        assert_eq!(run.log.step, 20, "what was known of it stays");
    }

    #[test]
    fn a_loss_that_is_no_number_ended_it_unless_steps_are_behind_it() {
        let dir = tempfile::tempdir().unwrap();
        let diverged = serde_json::json!({
            "step": 15, "loss": "NaN", "parameters": [], "broken_items": [], "items": ["a"],
        });
        begin(dir.path(), 300, &[loss(10, 4.0)]);
        fs::write(dir.path().join("diverged.json"), diverged.to_string()).unwrap();
        let mut run = at(dir.path());
        assert!(matches!(looked(&mut run), State::Failed(why) if why.contains("NaN at step 15")));
        fs::write(dir.path().join("metrics.jsonl"), loss(10, 4.0) + &loss(20, 4.0)).unwrap();
        assert_eq!(looked(&mut run), State::Paused);
    }

    #[test]
    fn one_that_is_begun_anew_has_nothing_of_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        begin(dir.path(), 300, &[loss(10, 4.0), loss(20, 3.0)]);
        let mut run = at(dir.path());
        run.look(None);
        fs::remove_file(dir.path().join("config.toml")).unwrap();
        hold(dir.path());
        assert_eq!(looked(&mut run), State::Running, "it is made anew");
        begin(dir.path(), 500, &[loss(10, 2.0), loss(20, 1.5), loss(30, 1.0)]);
        run.look(None);
        assert_eq!(run.steps, Some(500));
        let losses: Vec<(u64, f64)> = run.log.losses.points().collect();
        assert_eq!(losses, [(10, 2.0), (20, 1.5), (30, 1.0)]);
    }

    #[test]
    fn a_process_that_was_begun_is_waited_for_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let mut run = at(&dir.path().join("none"));
        for (begun, starts) in [(now, true), (now - 2 * PATIENCE, false)] {
            run.look(Some(begun));
            assert_eq!((&run.state, run.is_at_work()), (&State::Waiting, starts));
        }
        let folder = dir.path().join("run");
        begin(&folder, 300, &[loss(10, 4.0)]);
        let mut run = at(&folder);
        run.look(Some(now - Duration::from_secs(60)));
        assert_eq!(
            (&run.state, run.is_at_work()),
            (&State::Paused, false),
            "it came to its folder"
        );
        run.look(Some(now + Duration::from_secs(60)));
        assert_eq!((&run.state, run.is_at_work()), (&State::Waiting, true), "it goes on");
    }
}
