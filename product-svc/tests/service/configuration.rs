//! A configuration is right as a whole, or every mistake in it is named.

use crate::support::{Finished, run};

async fn refused(args: &[&str], env: &[(&str, &str)]) -> String {
    let Finished {
        status,
        stdout,
        stderr,
    } = run(args, env).await;
    assert_eq!(status.code(), Some(2), "{args:?} {env:?}: {stderr}");
    assert_eq!(stdout, "", "{args:?}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    stderr
}

#[track_caller]
fn assert_says(stderr: &str, expected: &[&str]) {
    let line = stderr
        .lines()
        .find(|line| expected.iter().all(|part| line.contains(part)));
    assert!(
        line.is_some(),
        "no line with all of {expected:?} in:\n{stderr}"
    );
}

#[tokio::test]
async fn the_shipped_configurations_are_right() {
    for (name, text) in product_svc::CONFIGS {
        let path = format!("config/{name}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), *text, "{name}");
        let checked = run(&["--config", &path, "--check"], &[]).await;
        assert_eq!(checked.status.code(), Some(0), "{name}: {}", checked.stderr);
        assert_eq!(checked.stdout.trim(), format!("{path}: ok"));
    }
    assert_eq!(run(&["--check"], &[]).await.status.code(), Some(0));
}

#[tokio::test]
async fn every_mistake_is_named_at_once() {
    let dir = std::env::temp_dir().join(format!("product-svc-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("wrong.toml");
    std::fs::write(
        &path,
        r#"
roles = ["catalog", "serch"]
listne = "127.0.0.1:0"
[recommendations]
limit = 0
[[catalog.product]]
id = 1
name = "  "
price = 9.999
stock = -1
[[catalog.product]]
id = 1
name = "Twin"
price = -0.01
stock = 1
colour = "red"
[[catalog.product]]
id = 0
price = "cheap"
stock = 1.5
category = ""
[[faults.rule]]
routes = ["/products"]
kind = "explode"
"#,
    )
    .unwrap();
    let file = path.to_str().unwrap();
    let stderr = refused(
        &["--check", "--config", file],
        &[("SIMULATE_FAILURE", "maybe")],
    )
    .await;
    std::fs::remove_dir_all(&dir).unwrap();
    for expected in [
        &[
            file,
            "`roles`",
            "serch",
            "\"catalog\" or \"recommendations\"",
        ][..],
        &[file, "`listne`", "listen"],
        &[
            file,
            "`recommendations.limit`",
            "0",
            "an integer from 1 to 100",
        ],
        &[file, "`catalog.product[0].name`", "not blank"],
        &[
            file,
            "`catalog.product[0].price`",
            "9.999",
            "at most two decimals",
        ],
        &[
            file,
            "`catalog.product[0].stock`",
            "-1",
            "an integer from 0 to",
        ],
        &[
            file,
            "`catalog.product[1].id`",
            "catalog.product[0] has this one",
        ],
        &[
            file,
            "`catalog.product[1].price`",
            "-0.01",
            "a number from 0 to 999999999.99",
        ],
        &[file, "`catalog.product[1].colour`"],
        &[
            file,
            "`catalog.product[2].id`",
            "0",
            "an integer of at least 1",
        ],
        &[file, "`catalog.product[2].name`", "missing"],
        &[file, "`catalog.product[2].price`", "cheap"],
        &[file, "`catalog.product[2].stock`", "1.5"],
        &[file, "`catalog.product[2].category`"],
        &[file, "`faults.rule[0].kind`", "explode"],
        &[
            "SIMULATE_FAILURE",
            "`faults.simulate`",
            "maybe",
            "true or false",
        ],
    ] {
        assert_says(&stderr, expected);
    }
    assert_eq!(
        stderr.matches("`catalog.product[").count(),
        11,
        "one line per mistake:\n{stderr}"
    );
}

#[tokio::test]
async fn roles_must_be_known_and_some() {
    for (value, found) in [
        ("[]", "[]"),
        ("[\"orders\"]", "orders"),
        ("[\"catalog\",\"catalog\"]", "catalog"),
    ] {
        let stderr = refused(&["--set", &format!("roles={value}")], &[]).await;
        assert_says(
            &stderr,
            &[
                "--set",
                "`roles`",
                found,
                "\"catalog\"",
                "\"recommendations\"",
            ],
        );
    }
}

#[tokio::test]
async fn simulate_failure_is_true_or_false() {
    for value in ["", "1", "yes", "TRUE", "on"] {
        let stderr = refused(
            &["--config", "config/catalog.toml"],
            &[("SIMULATE_FAILURE", value)],
        )
        .await;
        assert_says(
            &stderr,
            &[
                "environment variable SIMULATE_FAILURE",
                "`faults.simulate`",
                "true or false",
            ],
        );
    }
}

#[tokio::test]
async fn simulate_failure_needs_faults_to_simulate() {
    let stderr = refused(&[], &[("SIMULATE_FAILURE", "true")]).await;
    assert_says(
        &stderr,
        &["SIMULATE_FAILURE", "`faults.simulate`", "faults.enabled"],
    );
}

#[tokio::test]
async fn flags_win_over_the_environment_and_both_over_the_file() {
    let print = |args: &'static [&'static str]| async move {
        let args = [&["--config", "config/catalog.toml", "--print-config"], args].concat();
        run(&args, &[("PRODUCT_SVC__RECOMMENDATIONS__LIMIT", "7")])
            .await
            .stdout
    };
    assert_says(
        &print(&[]).await,
        &["limit = 7", "PRODUCT_SVC__RECOMMENDATIONS__LIMIT"],
    );
    assert_says(
        &print(&["--set", "recommendations.limit=9"]).await,
        &["limit = 9", "--set"],
    );
}

#[tokio::test]
async fn help_and_version() {
    let help = run(&["--help"], &[]).await;
    assert_eq!(help.status.code(), Some(0));
    for part in [
        "--config",
        "--set",
        "--check",
        "--print-config",
        "SIMULATE_FAILURE",
        "PRODUCT_SVC__",
        "/products/{id}",
    ] {
        assert!(help.stdout.contains(part), "{part} in:\n{}", help.stdout);
    }
    let version = run(&["--version"], &[]).await;
    assert_eq!(
        version.stdout.trim(),
        format!("product-svc {}", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn unusable_command_lines() {
    for args in [
        &["--nonsense"][..],
        &["--config"],
        &["--set", "listen"],
        &["--config", "config/no-such-file.toml"],
    ] {
        let stderr = refused(args, &[]).await;
        assert!(!stderr.trim().is_empty(), "{args:?}");
    }
}
