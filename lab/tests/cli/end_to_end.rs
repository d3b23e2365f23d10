//! Whole runs with very short phases: what they leave behind, and that they leave no process behind.

use crate::support::{Dir, Started, all_end, lab, runs, send_signal};
use rustix::process::Signal;
use serde_json::Value;

#[test]
fn a_run_reports_both_experiments_and_ends_every_service() {
    let dir = Dir::new("run");
    let run = lab(&["--smoke", "--json", "--seed", "7", "--out"])
        .arg(&dir.0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    let report: Value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}:\n{said}"));
    let written: Value =
        serde_json::from_slice(&std::fs::read(dir.0.join("report.json")).unwrap()).unwrap();
    assert_eq!(report, written);
    assert_eq!(
        (report["mode"].as_str(), report["seed"].as_u64()),
        (Some("smoke"), Some(7))
    );

    let experiments = report["experiments"].as_array().unwrap();
    let names: Vec<_> = experiments
        .iter()
        .map(|e| e["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["outage", "gateway"]);
    let mut every_claim_holds = true;
    let mut services = Vec::new();
    for experiment in experiments {
        check_figures(experiment);
        check_timeline(experiment);
        let claims = experiment["claims"].as_array().unwrap();
        assert!(claims.len() >= 5);
        for claim in claims {
            assert!(
                claim["text"].is_string() && claim["measured"].is_string(),
                "{claim}"
            );
            every_claim_holds &= claim["holds"].as_bool().unwrap();
        }
        let transitions = experiment["breakers"][0]["transitions"].as_array().unwrap();
        assert_eq!(transitions[0]["to"], "OPEN", "{transitions:?}");
        for process in experiment["processes"].as_array().unwrap() {
            services.push(u32::try_from(process["pid"].as_u64().unwrap()).unwrap());
        }
    }
    // Phases of a second measure nothing, so claims may fail here; the status must say so truthfully.
    assert_eq!(
        run.status.code(),
        Some(if every_claim_holds { 0 } else { 1 }),
        "{said}"
    );

    assert_eq!(services.len(), 8);
    assert!(
        !services.iter().any(|pid| runs(*pid)),
        "a service outlived the run"
    );
    for file in [
        "report.html",
        "outage.svg",
        "gateway.svg",
        "logs/outage-cart-fixed.log",
    ] {
        assert!(dir.0.join(file).is_file(), "{file}");
    }
    let left: Vec<_> = std::fs::read_dir(&dir.0)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with(".run-")),
        "{left:?}"
    );
}

#[test]
fn what_one_experiment_measured_survives_another_that_cannot_start() {
    let dir = Dir::new("unfinished");
    // Where a configuration has to be written there is a directory.
    std::fs::create_dir_all(dir.0.join("config/gateway-product-svc.toml")).unwrap();
    let run = lab(&["--smoke", "--json", "--out"])
        .arg(&dir.0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(said.contains("gateway was not finished"), "{said}");
    let report: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(report["experiments"].as_array().unwrap().len(), 1);
    assert_eq!(report["experiments"][0]["name"], "outage");
    assert_eq!(report["unfinished"][0]["name"], "gateway");
    assert!(report["unfinished"][0]["reason"].is_string());
    let page = std::fs::read_to_string(dir.0.join("report.html")).unwrap();
    assert!(page.contains("Not finished"));
}

/// Every variant, endpoint and phase has a row, and a row's figures agree with each other.
fn check_figures(experiment: &Value) {
    let names = |key: &str| -> Vec<String> {
        experiment[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let rows = experiment["figures"].as_array().unwrap();
    let mut endpoints = names("endpoints");
    endpoints.push("all".to_owned());
    for phase in names("phases") {
        for endpoint in &endpoints {
            for variant in names("variants") {
                let matching: Vec<_> = rows
                    .iter()
                    .filter(|r| {
                        r["phase"] == phase && r["endpoint"] == *endpoint && r["variant"] == variant
                    })
                    .collect();
                assert_eq!(matching.len(), 1, "{phase} {endpoint} {variant}");
            }
        }
    }
    for row in rows {
        let (requests, failures) = (
            row["requests"].as_u64().unwrap(),
            row["failures"].as_u64().unwrap(),
        );
        assert!(failures <= requests, "{row}");
        let reasons: u64 = row["failure_reasons"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!(reasons, failures, "{row}");
        if requests > 0 {
            let ms = |key: &str| row[key].as_f64().unwrap();
            assert!(
                ms("median_ms") <= ms("p95_ms") && ms("p95_ms") <= ms("p99_ms"),
                "{row}"
            );
            assert!(
                ms("min_ms") <= ms("mean_ms") && ms("mean_ms") <= ms("max_ms"),
                "{row}"
            );
        }
    }
    let asked = |phase: &str| {
        rows.iter()
            .filter(|r| r["phase"] == phase && r["endpoint"] == "all")
            .all(|r| r["requests"].as_u64() > Some(0))
    };
    assert!(asked("healthy") && asked("failure") && asked("recovery"));
}

fn check_timeline(experiment: &Value) {
    let width = experiment["timeline"]["bucket_seconds"].as_f64().unwrap();
    for series in experiment["timeline"]["series"].as_array().unwrap() {
        let points = series["points"].as_array().unwrap();
        for (index, point) in points.iter().enumerate() {
            assert!((point["t_s"].as_f64().unwrap() - index as f64 * width).abs() < 1e-6);
        }
        assert!(
            points
                .iter()
                .any(|point| point["answered"].as_u64() > Some(0))
        );
    }
}

#[test]
fn ctrl_c_stops_every_service_and_is_status_130() {
    let dir = Dir::new("sigint");
    let started = Started::smoke("gateway", &dir);
    let services = started.services.clone();
    assert!(services.iter().all(|pid| runs(*pid)));
    started.signal(Signal::INT);
    let (status, said) = started.end();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(
        !services.iter().any(|pid| runs(*pid)),
        "a service outlived the lab"
    );
    assert!(said.contains("Ctrl-C"), "{said}");
    assert!(!dir.0.join("report.json").exists());
}

#[test]
fn sigterm_stops_every_service_and_is_status_143() {
    let dir = Dir::new("sigterm");
    let started = Started::smoke("outage", &dir);
    let services = started.services.clone();
    started.signal(Signal::TERM);
    let (status, said) = started.end();
    assert_eq!(status.code(), Some(143), "{said}");
    assert!(
        !services.iter().any(|pid| runs(*pid)),
        "a service outlived the lab"
    );
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let dir = Dir::new("sigint-twice");
    let started = Started::smoke("outage", &dir);
    let services = started.services.clone();
    // Stopped, so that it cannot follow SIGTERM: only being killed ends it.
    send_signal(services[0], Signal::STOP);
    started.signal(Signal::INT);
    all_end(&services[1..]);
    assert!(runs(services[0]));
    started.signal(Signal::INT);
    let (status, said) = started.end();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(!runs(services[0]));
}

#[test]
fn services_end_by_themselves_when_the_lab_is_killed() {
    let dir = Dir::new("sigkill");
    let started = Started::smoke("outage", &dir);
    let services = started.services.clone();
    started.signal(Signal::KILL);
    started.end();
    all_end(&services);
}

#[test]
fn a_service_that_dies_ends_the_run_with_its_name_and_stops_the_others() {
    let dir = Dir::new("death");
    let started = Started::smoke("outage", &dir);
    let services = started.services.clone();
    send_signal(services[1], Signal::KILL);
    let (status, said) = started.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(
        said.contains("outage-cart-vulnerable ended in the middle of the experiment"),
        "{said}"
    );
    assert!(
        !services.iter().any(|pid| runs(*pid)),
        "a service outlived the lab"
    );
}
