//! A small dataset, and a folder for whatever a target reads.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use croloss::config::{self, Config};
use croloss::data::{Dataset, Rules, Source, SplitRule, prepare};

/// The folder of this process, in memory where the system has such a place.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.expect("a temporary folder").keep()
    })
}

/// Writes a file of the folder, and says where it is.
pub fn write(name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder().join(name);
    fs::write(&path, content).expect("an input is written");
    path
}

/// A log of 20 users and 9 items with times, as CSV.
pub fn log() -> String {
    let mut log = String::from("user,item,time\n");
    for event in 0..120 {
        let (user, item) = (event % 20, (event * event / 3 + event) % 9);
        log += &format!("u{user},i{item},{}\n", 1000 + event);
    }
    log
}

/// Where the columns of [`log`] are in a file.
pub fn source(file: PathBuf) -> Source {
    Source {
        files: vec![file],
        user: Some("user".into()),
        item: Some("item".into()),
        time: Some("time".into()),
        ..Source::default()
    }
}

/// Everything counts.
pub fn rules() -> Rules {
    Rules { min_item_count: 1, min_user_count: 1, short_users_first: false }
}

/// [`log`], prepared.
pub fn dataset() -> Dataset {
    let log = source(write("sample.csv", log())).read(&mut |_| {}).expect("a log");
    prepare("sample", log, &rules(), &SplitRule::default()).expect("a dataset")
}

/// A tiny training on it; the dataset itself need not be in a folder.
pub const CONFIG: &str = "threads = 1\ndevice = \"cpu\"\n[data]\npath = \"data\"\n\
    [tower]\ndim = 2\nhistory = 4\n\
    [sampling]\nbatch = 4\nnegatives_per_positive = 2\n\
    [train]\nsteps = 4\nvalidate_every = 2\nlog_every = 1\ncheckpoint_steps = 1\n";

/// [`CONFIG`], checked.
pub fn config() -> Config {
    let path = write("sample.toml", CONFIG);
    config::load(&path, &[], |_| unreachable!("nothing is left to the log"))
        .expect("a configuration")
}
