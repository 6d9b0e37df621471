//! What `make wheel` builds, in a fresh environment: the command says what it lacks or runs, and the
//! Python module's own tests pass.

#[path = "common/share.rs"]
mod share;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use share::assert_manuals_and_completions;
use tempfile::TempDir;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Python of .venv, which has torch and what builds wheels.
fn python() -> PathBuf {
    root().join(".venv/bin/python")
}

fn done(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&stderr));
    said.trim_end().to_owned()
}

/// An environment with the wheel and nothing else.
struct Environment(TempDir);

impl Environment {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let mut build = Command::new(python());
        build.arg(root().join("dist/wheel.py")).arg(env!("CARGO_BIN_EXE_croloss"));
        build.arg(root().join(".libtorch"));
        let wheel = done(build.arg(place.0.path().join("wheels")).current_dir(root()));
        let folder = place.0.path().join("fresh");
        done(Command::new(python()).args(["-m", "venv", "--without-pip"]).arg(&folder));
        let mut install = Command::new(python());
        install.args(["-m", "pip", "--quiet", "--python"]).arg(place.tool("python"));
        done(install.args(["install", "--no-index", "--no-deps"]).arg(wheel));
        place
    }

    fn tool(&self, name: &str) -> PathBuf {
        self.0.path().join("fresh/bin").join(name)
    }

    /// `croloss`, called from an empty folder and without any variable.
    fn croloss(&self, argument: &str) -> Command {
        let empty = self.0.path().join("empty");
        fs::create_dir_all(&empty).unwrap();
        let mut command = Command::new(self.tool("croloss"));
        command.env_clear().current_dir(empty).arg(argument);
        command
    }

    /// The folder of the environment's packages.
    fn packages(&self) -> PathBuf {
        packages_of(&self.tool("python"))
    }

    /// Lends it all that .venv has, torch among it.
    fn lend(&self) {
        let lent = packages_of(&python());
        fs::write(self.packages().join("lent.pth"), lent.to_str().unwrap()).unwrap();
    }
}

fn packages_of(python: &Path) -> PathBuf {
    let script = "import sysconfig; print(sysconfig.get_path('purelib'))";
    done(Command::new(python).args(["-c", script])).into()
}

fn refused(command: &mut Command, words: &[&str]) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let errors = String::from_utf8_lossy(&stderr);
    assert_eq!((status.code(), errors.lines().count()), (Some(1), 1), "{errors}");
    for word in words {
        assert!(errors.contains(word), "`{word}` is missing in: {errors}");
    }
}

// One test: packing the wheel takes some seconds.
#[test]
fn the_wheel_says_that_it_lacks_libtorch_and_works_with_it() {
    let environment = Environment::new();
    let module = environment.packages().join("croloss");
    for (file, of) in [("configs/default.toml", "configs/default.toml"), ("py.typed", "")] {
        let wanted = if of.is_empty() { vec![] } else { fs::read(root().join(of)).unwrap() };
        assert_eq!(fs::read(module.join(file)).unwrap(), wanted, "{file}");
    }
    assert_manuals_and_completions(&environment.0.path().join("fresh/share"));
    let licences = fs::read_to_string(module.join("LICENCES.txt")).unwrap();
    assert!(licences.contains("\npolars-core ") && !licences.contains("\nproptest "));
    let wanted = fs::read_to_string(module.join("libexec/libtorch-version")).unwrap();
    let pinned = format!("torch=={}", wanted.trim());
    let requirements = fs::read_to_string(root().join("requirements.txt")).unwrap();
    assert!(requirements.lines().any(|line| line == pinned), "{pinned}");

    let version = || environment.croloss("--version");
    let python = environment.tool("python");
    refused(&mut version(), &["there is no libtorch", &pinned, python.to_str().unwrap()]);
    refused(version().env("LIBTORCH", "/nowhere"), &["LIBTORCH=/nowhere has no lib/"]);
    done(version().env("LIBTORCH", root().join(".libtorch")));
    // A torch of another version in the environment itself.
    let other = environment.packages().join("torch");
    fs::create_dir_all(other.join("lib")).unwrap();
    fs::write(other.join("lib/libtorch_cpu.so"), "").unwrap();
    fs::write(other.join("version.py"), "__version__ = '2.1.0+cpu'\n").unwrap();
    refused(&mut version(), &["is needed", "is 2.1.0", &pinned, other.to_str().unwrap()]);
    fs::remove_dir_all(other).unwrap();

    environment.lend();
    let tests = root().join("python/tests");
    let notebooks = tests.join("test_notebook.py");
    let pass = |which: &[&Path]| {
        let mut pytest = Command::new(&python);
        pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).args(which);
        let said = done(pytest.current_dir(environment.0.path()));
        assert!(said.contains(" passed"), "{said}");
    };
    // Side by side: each of them has one core at work for most of its time.
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(done(&mut environment.croloss("doctor")).contains("All is well."));
            pass(&[&notebooks]);
        });
        pass(&[&tests, Path::new("--ignore"), &notebooks]);
    });
}
