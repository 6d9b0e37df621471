//! Sweep files on a small dataset: grids, ids, shards, filters, and what is refused.

use std::fs;

use super::*;
use crate::config::{LogQ, LossConfig};
use crate::data::{Dataset, Sequences, Split};
use crate::sweep::result::{folders, run_of};
use crate::sweep::{Filter, Shard};

/// A folder with a dataset in `data`, a base configuration and a sweep file of `text`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.dataset(&[1, 2, 3]);
        let data = place.0.path().join("data");
        let base = format!("[data]\npath = {:?}\n[train]\nmonitor = \"recall@50\"\n", data);
        fs::write(place.0.path().join("base.toml"), base).unwrap();
        place
    }

    fn dataset(&self, items: &[u32]) {
        let dataset = Dataset {
            items: (1..=3)
                .map(|i| crate::data::Item { original: i.to_string().into(), count: 1 })
                .collect(),
            users: vec!["u".into()],
            sequences: Sequences { items: items.into(), offsets: vec![0, items.len()] },
            times: None,
            split: vec![Split::Train],
            cuts: None,
            item_features: None,
            user_features: None,
            cold: None,
            manifest: Manifest::default(),
        };
        dataset.save(&self.0.path().join("data"), true).unwrap();
    }

    fn load(&self, text: &str, sets: &[&str]) -> Result<Vec<Point>> {
        let path = self.0.path().join("s.toml");
        fs::write(&path, format!("base = \"base.toml\"\n{text}")).unwrap();
        let sets: Vec<String> = sets.iter().map(|s| s.to_string()).collect();
        SweepFile::load(&path, &sets)?.points()
    }
}

fn names(points: &[Point]) -> Vec<&str> {
    points.iter().map(|point| point.name.as_str()).collect()
}

const TWO_GRIDS: &str = r#"
[[grid]]
name = "t2"
seeds = [1, 2]
cases = [
    { name = "bpr", set = { loss = { kind = "bpr" } } },
    { name = "cro", set = { "loss.kind" = "cro" } },
]

[[grid]]
name = "t3"
[grid.axes]
"loss.alpha" = [0.5, 1.0]
"loss.kernel" = ["softplus", "hinge"]
"#;

#[test]
fn grids_are_products_and_a_shared_point_stands_once() {
    let points = Place::new().load(TWO_GRIDS, &[]).unwrap();
    let expected = [
        "t2_bpr_seed=1",
        "t2_bpr_seed=2",
        "t2_cro_seed=1",
        "t2_cro_seed=2",
        "t3_alpha=0.5_kernel=softplus_seed=1",
        "t3_alpha=0.5_kernel=hinge_seed=1",
        "t3_alpha=1.0_kernel=hinge_seed=1",
    ];
    assert_eq!(names(&points), expected);
    // CRO with its defaults is softplus at α = 1: the point of both grids.
    assert_eq!(points[2].grids, ["t2", "t3"]);
    let loss = &points[5].config.loss;
    assert_eq!((loss.alpha(), loss.margin()), (Some(0.5), Some(5.0)));
    assert_eq!(points[3].config.seed, 2);
}

#[test]
fn cases_are_called_what_the_file_calls_them() {
    let text = r#"
[[grid]]
name = "plain"
[[grid]]
name = "g"
seeds = [1, 2]
cases = [{ name = "cro a1.2/ä", set = { "loss.alpha" = 1.2 } }]
[grid.axes]
"loss.kernel" = ["hinge", "sigmoid"]
"#;
    let points = Place::new().load(text, &[]).unwrap();
    let cases: Vec<&str> = points.iter().map(|point| point.case.as_str()).collect();
    let [hinge, sigmoid] = ["cro a1.2/ä, kernel=hinge", "cro a1.2/ä, kernel=sigmoid"];
    assert_eq!(cases, ["plain", hinge, hinge, sigmoid, sigmoid]);
    assert_eq!(names(&points)[..2], ["plain_seed=1", "g_cro-a1.2--_kernel=hinge_seed=1"]);
}

#[test]
fn the_id_follows_what_the_result_depends_on() {
    let place = Place::new();
    let ids = |sets: &[&str]| -> Vec<String> {
        place.load(TWO_GRIDS, sets).unwrap().into_iter().map(|point| point.id).collect()
    };
    let plain = ids(&[]);
    assert_eq!(plain, ids(&["threads=1", "device=cpu"]));
    assert_ne!(plain[0], ids(&["train.steps=7"])[0]);
    place.dataset(&[1, 3, 2]);
    assert_ne!(plain[0], ids(&[])[0], "another dataset at the same path");
}

#[test]
fn shards_and_filters_choose_points() {
    let points = Place::new().load(TWO_GRIDS, &[]).unwrap();
    let shard = |text: &str| text.parse::<Shard>().unwrap().apply(points.clone());
    let mut both: Vec<String> =
        [shard("1/2"), shard("2/2")].concat().into_iter().map(|point| point.id).collect();
    let mut all: Vec<String> = points.iter().map(|point| point.id.clone()).collect();
    assert_eq!((shard("1/2").len(), shard("2/2").len()), (4, 3));
    both.sort();
    all.sort();
    assert_eq!(both, all);
    for wrong in ["0/2", "3/2", "1", "a/b"] {
        assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
    }
    let only = |text: &str| Filter::apply(&[text.parse().unwrap()], points.clone());
    assert_eq!(only("loss.kernel=hinge").unwrap().len(), 2);
    assert_eq!(only("loss.alpha=1").unwrap().len(), 3);
    assert_eq!(only("loss.kind=bpr").unwrap().len(), 2);
    assert_eq!(only("grid=t3").unwrap().len(), 4);
    for (wrong, there) in [
        ("loss.kernel=sigmoid", r#"they have "hinge", "softplus""#),
        ("loss.alpha=7", "they have 0.5, 1.0"),
        ("grid=t4", "they have t2, t3"),
        ("point=hinge", "none has a value there"),
        ("tower=hinge", "none has a value there"),
    ] {
        let error = only(wrong).unwrap_err().to_string();
        assert!(error.contains("no point of the sweep") && error.contains(there), "{error}");
    }
    // A default that is not written out, another way to say a value, a grid that is called a number.
    let text = "[[grid]]\nname = \"1e3\"\n[grid.axes]\n\"tower.repeats\" = [true, false]\n\
                \"sampling.negatives_per_positive\" = [4, 5]\n";
    let points = Place::new().load(text, &[]).unwrap();
    let only = |text: &str| Filter::apply(&[text.parse().unwrap()], points.clone());
    for (filter, passed) in [
        ("tower.repeats=false", 2),
        ("tower.repeats=true", 2),
        ("sampling.ahead=0", 4),
        ("sampling.negatives_per_positive=4", 2),
        ("grid=1e3", 4),
        ("grid=\"1e3\"", 4),
    ] {
        assert_eq!(only(filter).unwrap().len(), passed, "{filter}");
    }
    let text =
        "[[grid]]\nname = \"g\"\n[grid.axes]\n\"loss.kind\" = [\"cross-entropy\", \"bpr\"]\n";
    let points_of_two = Place::new().load(text, &[]).unwrap();
    let ssm = Filter::apply(&["loss.kind=ssm".parse().unwrap()], points_of_two).unwrap();
    assert_eq!(names(&ssm), ["g_kind=cross-entropy_seed=1"]);
    assert!(only("sampling.ahead=0.5").is_err() && only("tower.nonsense=1").is_err());
}

#[test]
fn another_name_of_the_loss_that_is_there_takes_nothing_away() {
    let of =
        |text: &str, sets: &[&str]| Place::new().load(text, sets).unwrap().remove(0).config.loss;
    let grid = "[[grid]]\nname = \"g\"\n";
    let alpha = format!("set = {{ \"loss.alpha\" = 1.4 }}\n{grid}");
    assert_eq!(of(&alpha, &["loss.kind=cro"]).alpha(), Some(1.4));
    assert_eq!(of(&alpha, &["loss.kind=bpr"]).alpha(), None);
    let corrected = "set = { loss = { kind = \"cross-entropy\", log_q = \"negatives\" } }\n";
    let ssm = of(&format!("{corrected}{grid}"), &["loss.kind=ssm"]);
    assert!(matches!(ssm, LossConfig::CrossEntropy { log_q: LogQ::Negatives }), "{ssm:?}");
    let axis =
        format!("{grid}set = {{ \"loss.alpha\" = 0.5 }}\n[grid.axes]\n\"loss.kind\" = [\"cro\"]\n");
    assert_eq!(of(&axis, &[]).alpha(), Some(0.5));
}

#[test]
fn the_base_with_other_values_has_them_whatever_was_given() {
    let place = Place::new();
    for given in ["loss.kind=bpr", "loss.alpha=1.4", "tower.dim=8"] {
        place.load("[[grid]]\nname = \"g\"\n", &[]).unwrap();
        let file = SweepFile::load(&place.0.path().join("s.toml"), &[given.to_owned()]).unwrap();
        let reference = Layer::of_sets(&["loss.kind=cross-entropy".to_owned()]).unwrap();
        let config = file.base(&reference).unwrap();
        assert!(matches!(config.loss, LossConfig::CrossEntropy { .. }), "{given}");
        assert_eq!(config.tower.dim, if given.starts_with("tower") { 8 } else { 32 });
    }
}

#[test]
fn a_run_folder_is_known_by_the_id_and_its_name_fits_a_file_system() {
    let place = Place::new();
    let long = "x".repeat(300);
    let text = format!("[[grid]]\nname = \"g\"\ncases = [{{ name = \"{long}\", set = {{}} }}]\n");
    let point = place.load(&text, &[]).unwrap().remove(0);
    assert!(point.folder().len() < 240 && point.folder().ends_with(&point.id));
    let runs = place.0.path().join("runs");
    let made = runs.join(point.folder());
    assert_eq!(run_of(&point, &folders(&runs).unwrap(), &runs), made);
    let renamed = runs.join(format!("other-{}", point.id));
    fs::create_dir_all(&renamed).unwrap();
    assert_eq!(run_of(&point, &folders(&runs).unwrap(), &runs), renamed);
    fs::create_dir_all(&made).unwrap();
    fs::create_dir_all(runs.join(format!("a-{}", point.id))).unwrap();
    assert_eq!(run_of(&point, &folders(&runs).unwrap(), &runs), made, "its own before others");
}

#[test]
fn what_cannot_work_is_refused_with_the_place() {
    let grid = |text: &str| format!("[[grid]]\nname = \"g\"\n{text}");
    let axes = |text: &str| grid(&format!("[grid.axes]\n{text}"));
    let cases: [(String, &[&str]); 16] = [
        (grid("axis = 1"), &["s.toml:4", "axis", "`axes`"]),
        ("grid = []".into(), &["s.toml", "no [[grid]]"]),
        (axes("\"loss.alpha\" = []"), &["grid `g`", "loss.alpha", "no values"]),
        (axes("\"loss.alpha\" = 1.0"), &["loss.alpha", "list"]),
        (axes("\"loss.alpha\" = [1.0, 1.0]"), &["loss.alpha", "twice"]),
        (axes("\"loss.alhpa\" = [1.0]"), &["grid `g`", "alhpa", "did you mean `alpha`"]),
        (axes("seed = [1, 2]"), &["grid `g`", "seeds = "]),
        (format!("set = {{ seed = 7 }}\n{}", grid("")), &["s.toml", "seeds = "]),
        (grid("seeds = [1, 1]"), &["seed 1", "twice"]),
        (grid("seeds = []"), &["seeds"]),
        (
            grid("set = { \"loss.alpha\" = 1.0 }\n[grid.axes]\n\"loss.alpha\" = [2.0]"),
            &["loss.alpha", "both set"],
        ),
        (
            grid("cases = [{ name = \"a\", set = {} }, { name = \"a\", set = {} }]"),
            &["case name a", "twice"],
        ),
        (
            grid("cases = [{ name = \"a\", set = {} }, { name = \"b\", set = {} }]"),
            &["g_a_seed=1", "g_b_seed=1", "one configuration"],
        ),
        (
            axes("\"loss.kind\" = [\"bpr\"]\n\"loss.alpha\" = [1.0]"),
            &["g_", "loss.alpha", "not read"],
        ),
        (format!("dataset = \"nowhere\"\n{}", grid("")), &["nowhere", "not prepared"]),
        (
            format!("dataset = \"a\"\nset = {{ data = {{ path = \"b\" }} }}\n{}", grid("")),
            &["s.toml", "`dataset = \"a\"` stands for data.path", "leave one of them out"],
        ),
    ];
    let place = Place::new();
    for (text, words) in cases {
        let error = place.load(&text, &[]).map(|points| names(&points).join(" ")).unwrap_err();
        let error = format!("{error:#}");
        for word in words {
            assert!(error.contains(word), "`{word}` is missing for\n{text}\n: {error}");
        }
    }
    let axis = axes("\"loss.alpha\" = [0.5]");
    let error = place.load(&axis, &["loss.alpha=1.0"]).unwrap_err();
    assert!(format!("{error:#}").contains("--set loss.alpha"), "{error:#}");
    // What the grid sets is not dropped in silence either.
    let error = place.load(&axis, &["loss.kind=bpr"]).unwrap_err();
    assert!(
        format!("{error:#}").contains("--set loss.kind=\"bpr\" takes away loss.alpha"),
        "{error:#}"
    );
    // BPR has no α: what --set asks for is not dropped in silence.
    let error = place.load(TWO_GRIDS, &["loss.alpha=1.0"]).unwrap_err();
    assert!(format!("{error:#}").contains("t2_bpr_seed=1: loss.alpha"), "{error:#}");
}
