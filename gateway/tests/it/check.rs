//! Configurations that do not make sense are refused as a whole, with everything that is wrong.

use std::process::{Output, Stdio};

use crate::support::{config, gateway};

async fn run(args: &[&str]) -> Output {
    gateway::command()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap()
}

async fn check(text: &str) -> (Option<i32>, String) {
    let file = config::file(text);
    let output = run(&["--config", file.to_str().unwrap(), "--check"]).await;
    assert!(output.status.code() == Some(0) || output.stdout.is_empty());
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[tokio::test]
async fn what_is_shipped_is_fine() {
    for (name, _) in ::gateway::CONFIGS {
        let file = config::shipped(name);
        let output = run(&["--config", file.to_str().unwrap(), "--check"]).await;
        assert_eq!(
            output.status.code(),
            Some(0),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            format!("{}: ok\n", file.display())
        );
    }
    assert_eq!(
        run(&["--check"]).await.status.code(),
        Some(0),
        "the built-in one"
    );
}

#[tokio::test]
async fn every_mistake_is_named_at_once() {
    let (status, text) = check(
        r#"
        [upstreams.product]
        url = "ftp://127.0.0.1:8081"
        timeout = "soon"

        [upstreams.cart]

        [product_details]
        product = "products"
        recommendations = "product"

        [[route]]
        path = "/products/{id}"
        upstream = "product"

        [[route]]
        path = "/products/{other}"
        upstream = "cart"

        [[route]]
        path = "/health"
        upstream = "cart"

        [[route]]
        path = "/product-details/{x}"
        upstream = "cart"

        [[route]]
        path = "carts"
        upstream = "carts"

        [[route]]
        pth = "/a"
        upstream = "cart"
        "#,
    )
    .await;
    assert_eq!(status, Some(2));
    for (key, found, allowed) in [
        (
            "upstreams.product.url",
            "\"ftp://127.0.0.1:8081\"",
            "http or https only",
        ),
        ("upstreams.product.timeout", "\"soon\"", "a duration"),
        ("upstreams.cart.url", "missing", "http://"),
        (
            "product_details.product",
            "\"products\"",
            "the name of an upstream: cart, product",
        ),
        (
            "route[1].path",
            "\"/products/{other}\"",
            "the route /products/{id} takes the same paths",
        ),
        ("route[2].path", "\"/health\"", "not the gateway's own"),
        (
            "route[3].path",
            "\"/product-details/{x}\"",
            "not the gateway's own",
        ),
        (
            "route[4].path",
            "\"carts\"",
            "a pattern starts with a slash",
        ),
        (
            "route[4].upstream",
            "\"carts\"",
            "the name of an upstream: cart, product",
        ),
        ("route[5].path", "missing", "a text"),
        ("route[5].pth", "unknown", "path"),
    ] {
        let line = text
            .lines()
            .find(|line| line.contains(&format!("`{key}`")))
            .unwrap_or_else(|| panic!("{key}: {text}"));
        assert!(line.contains(".toml"), "{line}");
        assert!(line.contains(found), "{line}");
        assert!(line.contains(allowed), "{line}");
    }
    assert_eq!(
        text.lines().count(),
        12,
        "a heading and eleven mistakes: {text}"
    );
}

#[tokio::test]
async fn a_gateway_with_nothing_to_do_is_a_mistake() {
    for text in ["", "[upstreams.product]\nurl = \"http://127.0.0.1:1\"\n"] {
        let (status, text) = check(text).await;
        assert_eq!(status, Some(2));
        assert!(
            text.contains("`route`")
                && text.contains("at least one [[route]], or [product_details]"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn guards_that_make_no_sense_are_mistakes_too() {
    let (status, text) = check(
        r#"
        [upstreams.product]
        url = "http://127.0.0.1:1"
        [upstreams.product.breaker]
        consecutive_failures = 0
        open_for = "0s"
        recovery = "probe"
        [upstreams.other]
        url = "http://127.0.0.1:1"
        [upstreams.other.breaker]
        consecutive_failures = 1
        recovery = "later"
        probe_path = "/health"
        [[route]]
        path = "/a"
        upstream = "product"
        "#,
    )
    .await;
    assert_eq!(status, Some(2));
    assert!(
        text.contains("upstreams.product.breaker.consecutive_failures"),
        "{text}"
    );
    for key in [
        "product.breaker.open_for",
        "product.breaker.probe_path",
        "other.breaker.recovery",
        "other.breaker.probe_path",
    ] {
        assert!(text.contains(&format!("upstreams.{key}`")), "{key}: {text}");
    }
}
