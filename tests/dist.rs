//! What `make dist` packs, unpacked elsewhere: it finds libtorch in each way, and says what it lacks.

mod common;
#[allow(dead_code)] // Of pages no more than links are asked here.
#[path = "docs/pages.rs"]
mod pages;
#[path = "common/share.rs"]
mod share;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{Place, json};
use pages::Page;
use share::assert_manuals_and_completions;
use tempfile::TempDir;

/// What the launcher calls.
const TOOLS: [&str; 4] = ["cat", "dirname", "readlink", "sed"];

const SWEEP: &str = r#"
base = "c.toml"
seeds = [1, 2]

[[grid]]
name = "all"
cases = [{ name = "cro", set = { "loss.kind" = "cro" } }]
"#;

/// The archive, unpacked in a folder whose name asks for quotes, and a folder of the tools.
struct Unpacked {
    place: TempDir,
    folder: PathBuf,
    tools: PathBuf,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The libtorch of this build.
fn libtorch() -> PathBuf {
    fs::canonicalize(root().join(".libtorch")).unwrap()
}

impl Unpacked {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut pack = Command::new("python3");
        pack.arg(root().join("dist/pack.py")).arg(env!("CARGO_BIN_EXE_croloss")).arg(libtorch());
        let archive = done(pack.arg(place.path().join("packed")).current_dir(root()));
        let name = Path::new(&archive).file_name().unwrap().to_str().unwrap();
        let elsewhere = place.path().join("else where");
        fs::create_dir(&elsewhere).unwrap();
        done(Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&elsewhere));
        let tools = place.path().join("tools");
        fs::create_dir(&tools).unwrap();
        for tool in TOOLS {
            let path = ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool));
            symlink(path.iter().find(|path| path.exists()).unwrap(), tools.join(tool)).unwrap();
        }
        Self { folder: elsewhere.join(name.strip_suffix(".tar.gz").unwrap()), place, tools }
    }

    /// The launcher in an empty environment, called from an empty folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.folder.join("croloss"));
        let empty = self.place.path().join("empty");
        fs::create_dir_all(&empty).unwrap();
        command.env_clear().env("PATH", &self.tools).current_dir(empty).args(arguments);
        command
    }

    /// A folder that says it is a libtorch of that version, where it says any.
    fn other(&self, name: &str, version: Option<&str>) -> PathBuf {
        let folder = self.place.path().join(name);
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::write(folder.join("lib/libtorch_cpu.so"), "").unwrap();
        if let Some(version) = version {
            fs::write(folder.join("build-version"), version).unwrap();
        }
        folder
    }
}

fn refused(command: &mut Command, words: &[&str]) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert_eq!((status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    for word in words {
        assert!(errors.contains(word), "`{word}` is missing in: {errors}");
    }
}

// One test: packing takes some seconds.
#[test]
fn the_archive_holds_its_licences_and_runs_with_each_libtorch_alone() {
    let unpacked = Unpacked::new();
    holds_licences_and_pages(&unpacked);
    links_lead_to_what_is_packed(&unpacked);
    assert_manuals_and_completions(&unpacked.folder.join("share"));
    let wanted = fs::read_to_string(unpacked.folder.join("libexec/libtorch-version")).unwrap();
    let wanted = wanted.trim_end();
    let version = || unpacked.command(&["--version"]);
    let runs = |command: &mut Command| assert!(done(command).starts_with("croloss "));

    refused(&mut version(), &["there is no libtorch", &format!("pip install torch=={wanted}")]);
    // The program itself does not know where it was built.
    let alone = Command::new(unpacked.folder.join("libexec/croloss")).env_clear().output().unwrap();
    let errors = String::from_utf8_lossy(&alone.stderr);
    assert!(!alone.status.success() && errors.contains("libtorch_cpu.so"), "{errors}");

    runs(version().env("LIBTORCH", libtorch()));
    let (old, unknown) = (unpacked.other("old", Some("2.1.0+cpu\n")), unpacked.other("dumb", None));
    let is_old = format!("libtorch {wanted} is needed");
    refused(version().env("LIBTORCH", &old), &[&is_old, "is 2.1.0", old.to_str().unwrap()]);
    refused(version().env("LIBTORCH", &unknown), &[&is_old, "is of an unknown version"]);
    refused(version().env("LIBTORCH", "/nowhere"), &["LIBTORCH=/nowhere has no lib/"]);

    let python = root().join(".venv");
    if python.join("bin/python3").exists() {
        runs(version().env("VIRTUAL_ENV", &python));
        runs(version().env("CONDA_PREFIX", &python));
        let path = std::env::join_paths([&python.join("bin"), &unpacked.tools]).unwrap();
        runs(version().env("PATH", path));
    }

    let lib = unpacked.folder.join("lib");
    symlink(libtorch().join("lib"), &lib).unwrap();
    runs(version().env("LIBTORCH", &old));
    sweeps(&unpacked);
    // What the archive of libtorch holds, moved here.
    fs::remove_file(&lib).unwrap();
    fs::create_dir(&lib).unwrap();
    fs::write(lib.join("libtorch_cpu.so"), "").unwrap();
    refused(&mut version(), &[&is_old, "neither version.py nor build-version"]);
    fs::write(unpacked.folder.join("build-version"), "2.1.0+cpu").unwrap();
    refused(&mut version(), &[&is_old, "is 2.1.0"]);
    becomes_the_program(&unpacked, wanted);
}

/// A sweep starts the program anew, here called by a link to its launcher.
fn sweeps(unpacked: &Unpacked) {
    let data = Place::new();
    fs::write(data.path("s.toml"), SWEEP).unwrap();
    let link = data.path("linked");
    symlink(unpacked.folder.join("croloss"), &link).unwrap();
    let mut sweep = Command::new(link);
    sweep.env_clear().env("PATH", &unpacked.tools).current_dir(data.path("."));
    let said = done(sweep.args(["sweep", "s.toml", "--jobs", "2", "--runs", "runs"]));
    assert!(said.contains("2 ran, 0 of them failed"), "{said}");
    let runs = fs::read_dir(data.path("runs")).unwrap().map(|entry| entry.unwrap().path());
    let results = runs.filter(|run| run.join("result.json").is_file());
    assert_eq!(results.filter(|run| json(&run.join("result.json"))["steps"] == 60).count(), 2);
}

/// The launcher hands on its arguments, and is the program afterwards: signals reach that.
fn becomes_the_program(unpacked: &Unpacked, wanted: &str) {
    let program = unpacked.folder.join("libexec/croloss");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$LD_LIBRARY_PATH\" \"$$\" \"$@\"\n";
    fs::remove_file(&program).unwrap();
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(unpacked.folder.join("build-version"), format!("{wanted}+cu130")).unwrap();
    let mut command = unpacked.command(&["two words", "$HOME", ""]);
    let child = command.env("LD_LIBRARY_PATH", "/before").stdout(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let path = format!("{}:/before", unpacked.folder.join("lib").display());
    assert_eq!(said.lines().collect::<Vec<_>>(), [&path, &id, "two words", "$HOME", ""]);
}

fn holds_licences_and_pages(unpacked: &Unpacked) {
    let licences = fs::read_to_string(unpacked.folder.join("LICENCES.txt")).unwrap();
    let has = |name: &str| licences.lines().any(|line| line.starts_with(&format!("{name} ")));
    let dependencies: toml::Table =
        fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    for (name, own) in dependencies["dependencies"].as_table().unwrap() {
        // What a feature brings is not in the archive.
        let built_in = own.get("optional").and_then(|own| own.as_bool()) != Some(true);
        assert_eq!(has(name), built_in, "{name}");
    }
    assert!(has("polars-core") && !has("proptest") && !has("cc"));
    for text in ["Permission is hereby granted, free of charge", "Rust's standard library\n====="] {
        assert!(licences.contains(text), "{text}");
    }
    for path in ["README.md", "configs/default.toml", "datasets/taobao.toml", "docs/gpu.md"] {
        let packed = fs::read(unpacked.folder.join(path)).unwrap();
        assert_eq!(packed, fs::read(root().join(path)).unwrap(), "{path}");
    }
}

fn links_lead_to_what_is_packed(unpacked: &Unpacked) {
    let root = fs::canonicalize(&unpacked.folder).unwrap();
    let (mut pages, mut links, mut folders) = (0, 0, vec![PathBuf::new()]);
    let mut wrong = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(unpacked.folder.join(&folder)).unwrap() {
            let own = folder.join(entry.unwrap().file_name());
            let path = unpacked.folder.join(&own);
            if path.is_dir() {
                folders.push(own);
            } else if own.extension().is_some_and(|extension| extension == "md") {
                pages += 1;
                let page = Page { name: String::new(), text: fs::read_to_string(&path).unwrap() };
                for link in page.links().iter().map(|link| &link.text) {
                    let target = link.split('#').next().unwrap_or_default();
                    if target.contains("://") || target.is_empty() {
                        continue;
                    }
                    links += 1;
                    let there = fs::canonicalize(path.parent().unwrap().join(target));
                    if !there.is_ok_and(|there| there.starts_with(&root)) {
                        wrong.push(format!("{}: {link}", own.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "these lead nowhere: {wrong:#?}");
    assert!(pages > 20 && links > 100, "{pages} pages with {links} links");
}
