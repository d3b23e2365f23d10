//! Alerts and dashboard queries against what is really published.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    process::Command,
};

use crate::catalog::{Row, documented};

fn prometheus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("prometheus")
}

fn alerts() -> String {
    fs::read_to_string(prometheus().join("alerts.yml")).unwrap()
}

/// The chapter of the book. The published package does not have it.
fn chapter() -> Option<String> {
    let book = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    book.exists()
        .then(|| fs::read_to_string(book.join("observability.md")).unwrap())
}

/// Every metric of ours in the text, with what stands in the braces behind it.
fn selectors(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for prefix in ["circuit_breaker_", "bulkhead_", "throttle_"] {
        for (at, _) in text.match_indices(prefix) {
            let rest = &text[at..];
            // Or a label's value, such as the reason `bulkhead_full`.
            let is_inside_a_word =
                text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"');
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            let (metric, after) = rest.split_at(end);
            let matchers = after
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'));
            if !is_inside_a_word {
                found.push((metric, matchers.map_or("", |(inner, _)| inner)));
            }
        }
    }
    found
}

fn assert_exists(catalog: &BTreeMap<String, Row>, (metric, matchers): (&str, &str)) {
    let histogram = ["_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| metric.strip_suffix(suffix));
    let row = catalog.get(metric).or_else(|| {
        let row = catalog.get(histogram?)?;
        (row.kind == "histogram").then_some(row)
    });
    let row = row.unwrap_or_else(|| panic!("nobody publishes {metric}"));
    for matcher in matchers
        .split(',')
        .filter(|matcher| !matcher.trim().is_empty())
    {
        let (key, values) = matcher.split_once('=').unwrap();
        let key = key.trim().trim_end_matches('!');
        if key == "name" || (key == "le" && histogram.is_some()) {
            continue;
        }
        assert!(row.labels.contains(key), "{metric} has no label {key}");
        let values = values.trim_start_matches(['=', '~']).trim_matches('"');
        for value in values.split('|') {
            assert!(row.values.contains(value), "{metric} has no {key} {value}");
        }
    }
}

fn queries(markdown: &str) -> Vec<&str> {
    let blocks = markdown.split("```promql\n").skip(1);
    blocks
        .flat_map(|block| block.split("```").next().unwrap().lines())
        .collect()
}

fn named<'a>(text: &'a str, key: &str) -> BTreeSet<&'a str> {
    let names = text.lines().filter_map(|line| line.split_once(key));
    names
        .map(|(_, name)| name.trim().trim_end_matches('}').trim())
        .collect()
}

#[test]
fn alerts_and_their_tests_ask_only_for_what_is_published() {
    let catalog = documented();
    let tests = fs::read_to_string(prometheus().join("alerts.test.yml")).unwrap();
    for text in [alerts(), tests] {
        let found = selectors(&text);
        assert!(found.len() > 9);
        found
            .into_iter()
            .for_each(|selector| assert_exists(&catalog, selector));
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let tests = fs::read_to_string(prometheus().join("alerts.test.yml")).unwrap();
    let mut fires = BTreeSet::new();
    let lines: Vec<_> = tests.lines().collect();
    for pair in lines.windows(2) {
        if pair[1].trim() == "exp_alerts:" {
            fires.insert(pair[0].trim().strip_prefix("alertname: ").unwrap());
        }
    }
    assert_eq!(named(&alerts(), "- alert:"), fires);
}

#[test]
fn the_book_explains_every_alert_and_its_queries_ask_only_for_what_is_published() {
    let Some(chapter) = chapter() else {
        println!("skipped: this package comes without the book");
        return;
    };
    let catalog = documented();
    let queries = queries(&chapter);
    assert!(queries.len() > 9);
    for query in queries {
        let found = selectors(query);
        assert!(!found.is_empty(), "{query}");
        found
            .into_iter()
            .for_each(|selector| assert_exists(&catalog, selector));
    }
    let rows = chapter.lines().filter_map(|line| line.strip_prefix("| `"));
    let explained: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(named(&alerts(), "- alert:"), explained);
}

#[test]
fn promtool_finds_the_rules_right_and_they_fire_as_told() {
    let promtool = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".into());
    if Command::new(&promtool).arg("--version").output().is_err() {
        assert!(
            std::env::var("REQUIRE_SERVERS").is_err(),
            "no promtool on this machine"
        );
        println!("skipped: no promtool on this machine");
        return;
    }
    let directory = tempfile();
    // Queries are rules as well: what promtool cannot parse, it says.
    if let Some(chapter) = chapter() {
        let mut rules = String::from("groups:\n  - name: queries\n    rules:\n");
        for (number, query) in queries(&chapter).into_iter().enumerate() {
            let query = query.replace("$__rate_interval", "1m");
            rules += &format!("      - record: query:{number}\n        expr: '{query}'\n");
        }
        fs::write(directory.join("queries.yml"), rules).unwrap();
        run(
            &promtool,
            &["check", "rules"],
            directory.join("queries.yml"),
        );
    }
    run(
        &promtool,
        &["check", "rules"],
        prometheus().join("alerts.yml"),
    );
    run(
        &promtool,
        &["test", "rules"],
        prometheus().join("alerts.test.yml"),
    );
    fs::remove_dir_all(directory).unwrap();
}

fn tempfile() -> PathBuf {
    let directory = std::env::temp_dir().join(format!("tower-breaker-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn run(promtool: &str, args: &[&str], file: PathBuf) {
    let output = Command::new(promtool)
        .args(args)
        .arg(file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let wrong = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{wrong}");
}
