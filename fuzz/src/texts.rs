//! Files that people write in TOML: descriptions of data sets, configurations, sweeps.

use std::fs;
use std::path::Path;

use croloss::config::{self, LogSize, Settings};
use croloss::data::Description;
use croloss::sweep::SweepFile;

use crate::Target;
use crate::sample;

pub fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "description",
            seeds: descriptions,
            read: description,
            memory: (1 << 20, 500),
        },
        Target {
            name: "configuration",
            seeds: configurations,
            read: configuration,
            memory: (1 << 20, 500),
        },
        // A list of a few numbers is a grid of thousands of points.
        Target { name: "sweep", seeds: sweeps, read: sweep, memory: (1 << 29, 0) },
    ]
}

/// The files of a folder of the repository whose names end so.
fn shipped(folder: &str, end: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("a folder of the repository")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.to_string_lossy().ends_with(end))
        .collect();
    files.sort();
    files.into_iter().map(|path| fs::read(path).expect("a file of the repository")).collect()
}

fn description(text: &[u8]) {
    if let Ok(description) = Description::load(&sample::write("description.toml", text)) {
        let _ = description.check();
    }
}

fn descriptions() -> Vec<Vec<u8>> {
    shipped("datasets", ".toml")
}

/// What stands behind zeros is laid over the file, as by `--set`.
fn configuration(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0);
    let path = sample::write("configuration.toml", parts.next().unwrap_or_default());
    let sets: Vec<String> = parts.map(|set| String::from_utf8_lossy(set).into_owned()).collect();
    let size = |_: &Path| Ok(LogSize { users: 10, interactions: 99 });
    let Ok(config) = config::load(&path, &sets, size) else { return };
    let text = toml::to_string(&config).expect("what is accepted can be written");
    let read = toml::from_str::<Settings>(&text).expect("what is written can be read");
    let again = read.checked().expect("what was accepted is accepted");
    assert_eq!(again, config, "{text}");
}

fn configurations() -> Vec<Vec<u8>> {
    let sets: [&[u8]; 5] = [
        b"loss.kind=bpr\0tower.dim=-1",
        b"train={epochs=2}\0train.steps=9",
        b"sampling.negatives=[{ from = \"uniform\", count = 5, per = \"event\" }]",
        b"loss.alpha=1.2\0evaluation.at=[5]\0train.monitor=ndcg@5",
        b"tower.encoder=gru\0sampling.samples=positions\0sampling.reject=session",
    ];
    let mut all = shipped("configs", ".toml");
    let keys = config::keys().iter().map(|key| format!("{key}=1")).collect::<Vec<_>>();
    all.push([sample::CONFIG.as_bytes(), b"\0", keys.join("\0").as_bytes()].concat());
    all.extend(sets.map(|sets| [sample::CONFIG.as_bytes(), b"\0", sets].concat()));
    all
}

fn sweep(text: &[u8]) {
    static DATA: std::sync::Once = std::sync::Once::new();
    let data = sample::folder().join("data");
    DATA.call_once(|| {
        sample::dataset().save(&data, true).expect("a dataset is written");
        sample::write("base.toml", sample::CONFIG);
    });
    let path = sample::write("sweep.toml", text);
    let set = format!("data.path={:?}", data.display().to_string());
    for sets in [vec![], vec![set]] {
        let Ok(file) = SweepFile::load(&path, &sets) else { continue };
        let Ok(points) = file.points() else { continue };
        let mut ids: Vec<&str> = points.iter().map(|point| point.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), points.len());
    }
}

fn sweeps() -> Vec<Vec<u8>> {
    let own = "base = \"base.toml\"\nseeds = [1, 2]\n[set]\ntower.dim = 4\n[[grid]]\nname = \"g\"\n\
        [grid.axes]\n\"loss.alpha\" = [1.0, 1.5]\n[[grid.cases]]\nname = \"a\"\n\
        set = { \"loss.kind\" = \"bpr\" }\n";
    let shipped = shipped("experiments", ".toml").into_iter().map(|text| {
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = |line: &str| match line.starts_with("base = ") {
            true => "base = \"base.toml\"\n".to_owned(),
            false => format!("{line}\n"),
        };
        text.lines().map(line).collect::<String>().into_bytes()
    });
    let mut all = vec![own.as_bytes().to_vec(), own.replace("bpr", "cro-lambda").into_bytes()];
    all.extend(shipped);
    all
}
