//! Whole trainings by ranks, which are threads here: what they leave behind, what they go on with, and
//! what they refuse.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rand::RngExt;
use signal_hook::consts::SIGUSR2;
use signal_hook::low_level::raise;
use tch::{Kind, Tensor};
use tempfile::TempDir;

use super::*;
use crate::config::{Config, Settings};
use crate::data::{Dataset, Item, Manifest, Sequences, Split, SplitRule, UserFacts};
use crate::error::{Interrupted, Misuse, Paused};
use crate::random::{Purpose, stream};
use crate::ranks::together;
use crate::signals::Signals;

const ITEMS: u32 = 150;

/// Users who walk about a ring of items.
fn dataset() -> Dataset {
    let mut rng = stream(6, Purpose::Generation, 0);
    let mut sequences = Sequences { items: vec![], offsets: vec![0] };
    for _ in 0..300 {
        let mut at = rng.random_range(0..ITEMS);
        for _ in 0..rng.random_range(6..25) {
            at = (at + rng.random_range(1..4)) % ITEMS;
            sequences.items.push(at + 1);
        }
        sequences.offsets.push(sequences.items.len());
    }
    let facts = UserFacts { users: 300, ..UserFacts::default() };
    Dataset {
        items: (0..ITEMS).map(|id| Item { original: format!("i{id}").into(), count: 9 }).collect(),
        users: (0..300).map(|user| format!("u{user}")).collect(),
        times: None,
        sequences,
        split: SplitRule::default().apply(facts).unwrap(),
        cuts: None,
        item_features: None,
        user_features: None,
        cold: None,
        manifest: Manifest { name: "ring".into(), ..Manifest::default() },
    }
}

/// A folder with that dataset, and the folder of a run in it.
struct Place {
    dir: TempDir,
    dataset: Dataset,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        dataset().save(&dir.path().join("data"), false).unwrap();
        let dataset = Dataset::load(&dir.path().join("data")).unwrap();
        Self { dir, dataset }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self, more: &str) -> Config {
        let data = self.path("data");
        let text = format!(
            "device = \"cpu\"\ndata.path = {data:?}\nevaluation.at = [5, 20]\n[tower]\ndim = 6\nhistory = 7\n[sampling]\nbatch = 60\n[train]\nsteps = 60\nvalidate_every = 20\nlog_every = 10\nmonitor = \"recall@5\"\ncheckpoint_steps = 20\n{more}"
        );
        toml::from_str::<Settings>(&text).unwrap().checked().unwrap()
    }

    /// Trains with so many ranks, and says what each has come to and what the first was told.
    fn train(
        &self,
        config: &Config,
        ranks: usize,
        run: &str,
        start: Start,
        until: Option<f64>,
    ) -> (Vec<anyhow::Result<RunResult>>, Vec<String>) {
        let out = self.path(run);
        let told = Mutex::new(vec![]);
        let results = together(ranks, |team| {
            let asked = Asked { start, out: &out, until };
            let signals = Signals::default();
            train_with(&team, config, &self.dataset, asked, &signals, &mut |event| {
                if let (true, Event::Advice(advice)) = (team.is_first(), event) {
                    told.lock().unwrap().push(advice);
                }
            })
        });
        (results, told.into_inner().unwrap())
    }

    fn finished(&self, config: &Config, ranks: usize, run: &str, start: Start) -> RunResult {
        let (mut results, _) = self.train(config, ranks, run, start, None);
        let first = results.remove(0).unwrap();
        for other in results {
            let other = other.unwrap();
            assert_eq!((&other.test, &other.validation), (&first.test, &first.validation));
            assert_eq!((other.best_step, &other.test_lists), (first.best_step, &first.test_lists));
        }
        first
    }

    fn weights(&self, run: &str) -> Vec<(String, Tensor)> {
        Tensor::read_safetensors(self.path(run).join("best.safetensors")).unwrap()
    }

    /// How far weights are off those of another run, in the mean and against their own size.
    fn off(&self, run: &str, other: &str) -> f64 {
        let (own, other) = (self.weights(run), self.weights(other));
        assert_eq!(own.len(), other.len());
        let of = |(name, own): &(String, Tensor)| {
            let (_, other) = other.iter().find(|(other, _)| other == name).unwrap();
            let mean = |own: &Tensor| own.abs().mean(Kind::Double).double_value(&[]);
            mean(&(own - other)) / mean(other)
        };
        own.iter().map(of).fold(0.0, f64::max)
    }
}

const SESSIONS: &str = "[tower]\nencoder = \"transformer\"\ndim = 6\nhistory = 7\n";

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("events"))
        .collect();
    names.sort();
    names
}

/// A single process that opens what ranks have trained measures what they have measured.
#[test]
fn the_run_folder_of_ranks_is_that_of_one_process() {
    let place = Place::new();
    let config = place.config("");
    let alone = place.finished(&config, 1, "alone", Start::New);
    for ranks in [2, 3] {
        let run = ranks.to_string();
        let (results, told) = place.train(&config, ranks, &run, Start::New, None);
        let result = results.into_iter().next().unwrap().unwrap();
        assert_eq!(names(&place.path(&run)), names(&place.path("alone")));
        assert!(place.off(&run, "alone") < 1e-3, "{}", place.off(&run, "alone"));
        assert_eq!(result.best_step, alone.best_step);
        let share = format!("{ranks} ranks share the rows of {ITEMS} items");
        assert!(told.iter().any(|told| told.starts_with(&share)), "{told:?}");
        assert!(told.iter().any(|told| told.contains("MB a step")), "{told:?}");

        let trained = TrainedRun::open(&place.path(&run), &[]).unwrap();
        let context = trained.context().unwrap();
        let model = trained.model(&context).unwrap();
        let ranked = context.evaluate(&model, Split::Test, &mut |_| {}).unwrap();
        assert_eq!(ranked.means(), result.test);
        let kept = RunFolder::open(&place.path(&run)).unwrap().ranks().unwrap();
        assert_eq!(ranked.ranks().0, kept.ranks);

        let again = format!("{run}-again");
        assert_eq!(place.finished(&config, ranks, &again, Start::New).test, result.test);
        assert_eq!(place.off(&run, &again), 0.0, "{ranks} ranks repeat themselves to the bit");
    }
}

#[test]
fn ranks_go_on_with_what_as_many_or_others_have_left() {
    let place = Place::new();
    for (what, more) in [("towers", ""), ("adagrad", "[optimizer]\nkind = \"adagrad\"\n")] {
        let config = place.config(more);
        let unbroken = |ranks: usize| format!("{what}-{ranks}");
        (1..4).for_each(|ranks| drop(place.finished(&config, ranks, &unbroken(ranks), Start::New)));
        for (before, behind) in [(2, 2), (3, 3), (2, 3), (3, 1), (1, 2)] {
            let run = format!("{what}-{before}-{behind}");
            let (paused, _) = place.train(&config, before, &run, Start::New, Some(0.5));
            for own in paused {
                let error = own.unwrap_err();
                assert_eq!(
                    error.downcast_ref(),
                    Some(&Paused { step: 40, steps: 60 }),
                    "{error:#}"
                );
            }
            let folder = place.path(&run).join("checkpoints/step-0000000000040");
            let mut expected = vec!["best.safetensors".to_owned(), "checkpoint.json".into()];
            expected.extend((0..before).map(|rank| match before {
                1 => "state.safetensors".into(),
                _ => format!("state-{rank}-of-{before}.safetensors"),
            }));
            expected.sort();
            assert_eq!(names(&folder), expected);
            let result = place.finished(&config, behind, &run, Start::Resumed);
            assert_eq!(result.steps, 60);
            let off = place.off(&run, &unbroken(behind));
            match before == behind {
                true => assert_eq!(off, 0.0, "{run}"),
                false => assert!(off < 1e-3, "{run}: {off}"),
            }
        }
    }
}

#[test]
fn a_session_transformer_is_trained_by_ranks() {
    let place = Place::new();
    let sessions = format!(
        "device = \"cpu\"\ndata.path = {:?}\nevaluation = {{ protocol = \"positions\", at = [5, 20] }}\n{SESSIONS}[sampling]\nsamples = \"positions\"\nbatch = 60\ntop_k = 9\nnegatives = [{{ from = \"uniform\", count = 40, per = \"batch\" }}]\n[loss]\nkind = \"ssm\"\n[optimizer]\nlearning_rate = 0.001\n[train]\nsteps = 40\nvalidate_every = 20\nlog_every = 10\nmonitor = \"recall@5\"\n",
        place.path("data")
    );
    let config = toml::from_str::<Settings>(&sessions).unwrap().checked().unwrap();
    let alone = place.finished(&config, 1, "alone", Start::New);
    for ranks in [2, 3] {
        let run = ranks.to_string();
        let result = place.finished(&config, ranks, &run, Start::New);
        assert_eq!(result.test.len(), alone.test.len());
        assert!(place.off(&run, "alone") < 1e-3, "{}", place.off(&run, "alone"));
    }
}

#[test]
fn what_ranks_lack_is_refused_by_name_before_anything_is_written() {
    let place = Place::new();
    for (set, words) in [
        (|own: &mut Config| own.train.fused = false, "train.fused = false"),
        (|own: &mut Config| own.train.keep_optimizer = true, "train.keep_optimizer"),
        (|own: &mut Config| own.train.warm_start = Some("x".into()), "train.warm_start"),
        (|own: &mut Config| own.tower.item_features = vec!["a".into()], "tower.item_features"),
        (|own: &mut Config| own.device = crate::config::DeviceChoice::Cuda(None), "device"),
    ] as [(fn(&mut Config), &str); 5]
    {
        let mut config = place.config("");
        set(&mut config);
        let (results, _) = place.train(&config, 2, "run", Start::New, None);
        for own in results {
            let error = own.unwrap_err();
            assert!(error.is::<Misuse>() && error.to_string().starts_with(words), "{error:#}");
        }
        assert!(!place.path("run").exists());
    }
}

#[test]
fn a_checkpoint_that_lacks_a_rank_s_part_is_passed_over() {
    let place = Place::new();
    let config = place.config("");
    let _ = place.train(&config, 2, "run", Start::New, Some(0.5));
    let latest = place.path("run/checkpoints/step-0000000000040/state-1-of-2.safetensors");
    let mut bytes = fs::read(&latest).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&latest, bytes).unwrap();
    let (results, told) = place.train(&config, 3, "run", Start::Resumed, None);
    results.into_iter().for_each(|own| assert_eq!(own.unwrap().steps, 60));
    let broken = "state-1-of-2.safetensors is broken";
    assert!(told.iter().any(|told| told.contains(broken)), "{told:?}");
}

#[test]
fn a_rank_that_is_given_something_else_is_refused_before_the_first_has_touched_the_run() {
    let place = Place::new();
    let config = place.config("");
    place.finished(&config, 1, "run", Start::New);
    let before = fs::read(place.path("run/best.safetensors")).unwrap();
    let mut others = place.dataset.clone();
    others.manifest.checksum = "0".repeat(64);
    let seeded = Config { seed: config.seed + 1, ..config.clone() };
    for (theirs, data, words) in
        [(&seeded, &place.dataset, "seed ("), (&config, &others, "another dataset")]
    {
        let out = place.path("run");
        let results = together(2, |team| {
            let asked = Asked { start: Start::Anew, out: &out, until: None };
            let signals = Signals::default();
            let (config, data) =
                if team.is_first() { (&config, &place.dataset) } else { (theirs, data) };
            train_with(&team, config, data, asked, &signals, &mut |_| {})
        });
        for (rank, own) in results.into_iter().enumerate() {
            let error = format!("{:#}", own.unwrap_err());
            assert!(error.contains(words) && error.contains("first rank"), "{rank}: {error}");
            assert_eq!(error.starts_with("rank 1: "), rank == 0, "{error}");
        }
        assert_eq!(fs::read(place.path("run/best.safetensors")).unwrap(), before);
    }
}

#[test]
fn a_signal_that_one_rank_hears_stops_all_behind_a_checkpoint() {
    let place = Place::new();
    let config = place.config("");
    place.finished(&config, 2, "unbroken", Start::New);
    let out = place.path("run");
    let results = together(2, |team| {
        let asked = Asked { start: Start::New, out: &out, until: None };
        let signals = match team.is_first() {
            true => Signals::default(),
            false => Signals::of(&[SIGUSR2]).unwrap(),
        };
        train_with(&team, &config, &place.dataset, asked, &signals, &mut |event| {
            if matches!(event, Event::Step { step: 30, .. }) && !team.is_first() {
                raise(SIGUSR2).unwrap();
            }
        })
    });
    for own in results {
        let error = own.unwrap_err();
        assert!(error.is::<Interrupted>(), "{error:#}");
    }
    place.finished(&config, 2, "run", Start::Resumed);
    assert_eq!(place.off("run", "unbroken"), 0.0);
}

#[test]
fn a_loss_that_is_no_number_is_told_as_one_process_tells_it() {
    let place = Place::new();
    let config = place.config("[optimizer]\nlearning_rate = 1e30\n[loss]\nkind = \"bce\"\n");
    let told = |ranks: usize, run: &str| {
        let (results, _) = place.train(&config, ranks, run, Start::New, None);
        for own in results {
            let error = format!("{:#}", own.unwrap_err());
            assert!(error.contains("training has diverged"), "{error}");
        }
        let text = fs::read_to_string(place.path(run).join("diverged.json")).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let alone = told(1, "alone");
    assert!(!alone["items"].as_array().unwrap().is_empty());
    for ranks in [2, 3] {
        assert_eq!(told(ranks, &ranks.to_string()), alone);
    }
}
