//! What the program does besides being the gateway.

use std::process::Stdio;

use serde_json::Value;

use crate::support::{config, gateway};

/// Exit status, stdout and stderr.
async fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = gateway::command()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

const TEXT: &str = r#"
[defaults]
timeout = "2s"
breaker = { consecutive_failures = 7 }
retry = {}

[upstreams.product]
endpoints = ["http://10.0.0.1:80", { url = "http://10.0.0.2:80", weight = 3 }]

[[route]]
path = "/products/{id}"
host = "*.shop.example"
methods = ["GET"]
upstream = "product"
bulkhead = { max_concurrent = 4 }
retry = { enabled = false }
"#;

#[tokio::test]
async fn check_is_the_flag_as_a_command() {
    let good = config::shipped("full.toml");
    let good = good.to_str().unwrap();
    // Before and after the command.
    for args in [["check", "--config", good], ["--config", good, "check"]] {
        let (status, stdout, _) = run(&args).await;
        assert_eq!((status, stdout), (Some(0), format!("{good}: ok\n")));
    }
    let wrong = config::file("workers = -1\n");
    let wrong = wrong.to_str().unwrap();
    let (status, stdout, stderr) = run(&["check", "-c", wrong]).await;
    assert_eq!((status, stdout.as_str()), (Some(2), ""));
    for key in ["workers", "route"] {
        assert!(stderr.contains(&format!("`{key}`")), "{stderr}");
    }
    let (status, ..) = run(&["check", "-c", good, "--set", "workers=-1"]).await;
    assert_eq!(status, Some(2));
}

#[tokio::test]
async fn explain_says_where_every_number_comes_from() {
    let file = config::file(TEXT);
    let file = file.to_str().unwrap();
    let ask = ["explain", "/products/7", "--host", "a.shop.example:80"];
    let flags = [
        "--config",
        file,
        "--set",
        "upstreams.product.balancer=weighted",
    ];
    let (status, text, _) = run(&[&ask[..], &flags].concat()).await;
    assert_eq!(status, Some(0));
    let line = |words: &[&str]| {
        let found = text.lines().any(|line| {
            let mut at = 0;
            words.iter().all(|word| {
                let here = line[at..].find(word);
                at += here.map_or(0, |here| here + word.len());
                here.is_some()
            })
        });
        assert!(found, "{words:?} are not in a line of\n{text}");
    };
    line(&["Route  GET *.shop.example/products/{id}"]);
    line(&["Upstream  product"]);
    line(&["url", "\"http://10.0.0.1:80\"", &format!("{file}:8:")]);
    line(&["weight", "3", &format!("{file}:8:")]);
    line(&[
        "bulkhead",
        "product GET *.shop.example/products/{id}",
        "own",
    ]);
    line(&["max_concurrent", "4", &format!("{file}:15:")]);
    line(&["max_queue", "0", "default"]);
    line(&["breaker", "\"product\"", "shared"]);
    line(&[
        "consecutive_failures",
        "7",
        &format!("{file}:4:"),
        "[defaults]",
    ]);
    line(&["open_for", "\"30s\"", "default", "[defaults]"]);
    line(&["timeout", "\"2s\"", &format!("{file}:3:"), "[defaults]"]);
    line(&["balancer", "\"weighted\"", "--set"]);
    line(&["not there", "retry"]);

    let (status, text, _) = run(&[&ask[..], &flags, &["--json"]].concat()).await;
    assert_eq!(status, Some(0));
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["outcome"], "routed");
    assert_eq!(json["upstream"], "product");
    let guards: Vec<&str> = json["stack"]
        .as_array()
        .unwrap()
        .iter()
        .map(|guard| guard["guard"].as_str().unwrap())
        .collect();
    assert_eq!(
        guards,
        [
            "bulkhead",
            "breaker",
            "timeout",
            "balancer",
            "connect_timeout"
        ]
    );
    assert_eq!(json["stack"][2]["settings"][0]["value"], "\"2s\"");
    assert_eq!(json["stack"][2]["settings"][0]["inherited"], "[defaults]");
}

#[tokio::test]
async fn explain_says_why_a_request_takes_no_route() {
    let file = config::file(TEXT);
    let file = file.to_str().unwrap();
    let host = ["--host", "a.shop.example"];
    for (args, status, expected) in [
        (&["/products/7"][..], 1, "404: no route takes this path"),
        (
            &[&["/products/7", "--method", "PUT"], &host[..]].concat(),
            1,
            "405: no route takes this method; allowed: GET",
        ),
        (
            &["/products/../7"],
            1,
            "400: the path must not contain a dot segment",
        ),
        (&["/health"], 0, "The gateway answers this itself."),
        (
            &["http://a.shop.example/products/7?x=1"],
            0,
            "Route  GET *.shop.example/products/{id}",
        ),
        (
            &["/", "--header", "x"],
            2,
            "--header x: not like name=value",
        ),
        (&["/", "--method", "G T"], 2, "--method G T: not a method"),
    ] {
        let (got, text, _) = run(&[&["explain", "-c", file], args].concat()).await;
        assert!(
            got == Some(status) && text.starts_with(expected),
            "{args:?}: {got:?}, {text}"
        );
    }
}

#[tokio::test]
async fn the_schema_needs_no_configuration() {
    let (status, text, _) = run(&["schema", "--config", "/nowhere.toml"]).await;
    assert_eq!(status, Some(0));
    let schema: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(schema["properties"]["workers"]["default"], 0);
    let (status, ..) = run(&["skema"]).await;
    assert_eq!(status, Some(2));
}
