//! The command line as a user meets it, without starting anything.

use crate::support::{Dir, lab, output_of};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_names_every_option_and_shows_examples() {
    let help = output_of(&["--help"]);
    assert!(help.status.success());
    let help = text(&help.stdout);
    for word in [
        "--full",
        "--quick",
        "--list",
        "--only",
        "--seed",
        "--json",
        "--out",
        "Examples:",
        "Exit status:",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
    assert!(
        !help.contains("--smoke") && !help.contains("serve"),
        "{help}"
    );
}

#[test]
fn list_names_both_experiments_and_how_long_they_take() {
    let list = text(&output_of(&["--list"]).stdout);
    assert!(
        list.contains("outage") && list.contains("gateway") && list.contains("quick"),
        "{list}"
    );
}

#[test]
fn wrong_usage_is_status_2_and_says_what_is_allowed() {
    let wrong = output_of(&["--only", "outrage"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        text(&wrong.stderr).contains("gateway"),
        "{}",
        text(&wrong.stderr)
    );
    assert_eq!(output_of(&["--quick", "--full"]).status.code(), Some(2));
    assert_eq!(output_of(&["--seed", "many"]).status.code(), Some(2));
    let service = output_of(&["serve", "bakery"]);
    assert_eq!(service.status.code(), Some(2));
    assert!(
        text(&service.stderr).contains("cart-svc"),
        "{}",
        text(&service.stderr)
    );
}

#[test]
fn an_output_directory_that_cannot_be_written_is_refused_before_anything_starts() {
    let dir = Dir::new("not-writable");
    let file = dir.0.join("file");
    std::fs::write(&file, "").unwrap();
    let refused = lab(&["--out"]).arg(file.join("lab")).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(
        said.contains("cannot write") && said.contains("--out"),
        "{said}"
    );
    assert!(!said.contains("started"), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_is_an_error_and_a_closed_pipe_is_none() {
    let full = std::fs::File::create("/dev/full").unwrap();
    let lost = lab(&["--list"]).stdout(full).output().unwrap();
    assert_eq!(lost.status.code(), Some(1));
    let said = text(&lost.stderr);
    assert!(said.contains("cannot write to standard output"), "{said}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = lab(&["--list"]).stdout(writer).output().unwrap();
    assert_eq!(closed.status.code(), Some(0), "{}", text(&closed.stderr));
}
