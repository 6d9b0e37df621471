//! What tests of what is packed share: manual pages and completions, where they are looked for.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The folder `share` has a manual page for each command, and completions that complete.
pub fn assert_manuals_and_completions(share: &Path) {
    let read = |name: &str| {
        fs::read_to_string(share.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    for (page, word) in
        [("croloss", "retrieval"), ("croloss-tune", "budget"), ("croloss-man", "folder")]
    {
        let text = read(&format!("man/man1/{page}.1"));
        assert!(text.contains(&format!(".TH {page} ")) && text.contains(word), "{page}: {text}");
    }
    let help = Command::new(env!("CARGO_BIN_EXE_croloss")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    // Lines that are wrapped stand further in.
    let lines = commands.lines().take_while(|line| !line.is_empty());
    let firsts =
        lines.filter_map(|line| line.strip_prefix("  ").filter(|own| !own.starts_with(' ')));
    let commands = firsts.filter_map(|line| line.split(' ').next());
    let pages = commands.filter(|name| *name != "help").inspect(|name| {
        assert!(!read(&format!("man/man1/croloss-{name}.1")).is_empty());
    });
    assert!(pages.count() >= 20);

    let bash = share.join("bash-completion/completions/croloss");
    let script = "source \"$0\"; COMP_WORDS=(croloss comp); COMP_CWORD=1; _croloss croloss comp croloss; \
                  echo \"${COMPREPLY[@]}\"";
    let completed = Command::new("bash").args(["-c", script]).arg(bash).output().unwrap();
    let said = String::from_utf8(completed.stdout).unwrap();
    assert_eq!(
        said.trim_end(),
        "compare completions",
        "{}",
        String::from_utf8_lossy(&completed.stderr)
    );
    assert!(read("zsh/site-functions/_croloss").starts_with("#compdef croloss\n"));
    let fish = read("fish/vendor_completions.d/croloss.fish");
    assert!(fish.contains("complete -c croloss ") && fish.contains("tune"), "{fish}");
}
