//! `edge-claims completions` and `edge-claims man`, and colours.

use std::process::{Command, Output, Stdio};

use super::COMMAND;

fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// bash itself completes the command with the script.
#[test]
fn bash_completes_subcommands_and_options() {
    let complete = |words: &str| {
        let script = format!(
            r#"source <("$0" completions bash)
            COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            function=$(complete -p edge-claims | sed 's/.*-F \([^ ]*\).*/\1/')
            "$function" edge-claims "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
            printf '%s\n' "${{COMPREPLY[@]}}""#
        );
        text(&run(Command::new("bash").args(["-c", &script, COMMAND])))
    };
    assert_eq!(complete("edge-claims jo"), "join\n");
    assert_eq!(complete("edge-claims join --stri"), "--strict\n");
}

#[test]
fn zsh_and_fish_get_a_script_of_their_own() {
    let script = |shell| text(&run(Command::new(COMMAND).args(["completions", shell])));
    assert!(script("zsh").starts_with("#compdef edge-claims\n"));
    assert!(script("fish").contains("complete -c edge-claims"));
}

#[test]
fn each_subcommand_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man/man1");
    let output = run(Command::new(COMMAND).args(["man", "--out"]).arg(&pages));
    assert_eq!(text(&output), "");
    let help = text(&run(Command::new(COMMAND).arg("--help")));
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let mut expected: Vec<String> = commands
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty())
        .filter(|name| *name != "help")
        .map(|name| format!("edge-claims-{name}.1"))
        .collect();
    expected.push("edge-claims.1".to_owned());
    expected.sort();
    let written = std::fs::read_dir(&pages).unwrap();
    let mut written: Vec<String> = written
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    // Subcommands of subcommands have pages, too: edge-claims-keys-new.1.
    let nested = |page: &String| {
        expected
            .iter()
            .any(|known| page.starts_with(&known.replace(".1", "-")))
    };
    written.retain(|page| expected.contains(page) || !nested(page));
    written.sort();
    assert_eq!(written, expected);
    let page = std::fs::read_to_string(pages.join("edge-claims-join.1")).unwrap();
    assert_eq!(
        page,
        text(&run(Command::new(COMMAND).args(["man", "join"])))
    );
    for part in [".TH edge-claims-join 1", "Exit codes:", "\\-\\-strict"] {
        assert!(page.contains(part), "{part}\nis not in\n{page}");
    }
}

#[test]
fn a_page_that_does_not_exist_or_cannot_be_written_is_2() {
    for (arguments, message) in [
        (["man", "unite"], "no subcommand \"unite\"; there are: "),
        (["man", "--out=/dev/null/x"], "/dev/null/x: "),
    ] {
        let output = run(Command::new(COMMAND).args(arguments));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(message), "{error}");
    }
}

/// `script` (util-linux) runs a command on a terminal of its own.
#[test]
fn colours_are_for_terminals_and_not_with_no_color() {
    let on_terminal = |set: &str| {
        let line = format!("{set} '{COMMAND}' join --help");
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]);
        command.env("TERM", "xterm").env_remove("NO_COLOR");
        text(&run(&mut command)).contains("\u{1b}[")
    };
    assert!(on_terminal(""));
    assert!(!on_terminal("NO_COLOR=1"));
    let piped = run(Command::new(COMMAND).args(["join", "--help"]));
    assert!(!text(&piped).contains('\u{1b}'));
}
