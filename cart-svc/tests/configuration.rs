//! The command line and the configuration, as an operator meets them.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use common::{
    directory::Directory,
    product::FakeProducts,
    service::{Service, run, shipped},
};

fn check(settings: &[&str]) -> (Option<i32>, String) {
    let file = shipped("fixed");
    let mut args = vec!["--check", "--config", file.to_str().unwrap()];
    for setting in settings {
        args.extend(["--set", setting]);
    }
    let output = run(&args);
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn shipped_configurations_are_right() {
    for (name, text) in cart_svc::CONFIGS {
        let file = shipped(name.trim_end_matches(".toml"));
        assert_eq!(*text, std::fs::read_to_string(&file).unwrap());
        let output = run(&["--check", "--config", file.to_str().unwrap()]);
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8(output.stdout).unwrap().ends_with("ok\n"));
    }
    assert!(run(&["--check"]).status.success(), "the built-in one");
}

#[test]
fn every_error_is_reported_with_key_value_and_what_is_allowed() {
    for (setting, names) in [
        (
            "variant=broken",
            vec!["variant", "broken", "vulnerable", "fixed"],
        ),
        ("listen=8083", vec!["listen", "8083"]),
        ("view_fan_out=0", vec!["view_fan_out", "0", "100"]),
        ("store.path=", vec!["store.path"]),
        ("store.queue=0", vec!["store.queue", "0"]),
        ("store.max_batch=-1", vec!["store.max_batch", "-1"]),
        ("store.busy_timeout=5", vec!["store.busy_timeout", "5"]),
        (
            "store.idempotency_ttl=1ms",
            vec!["store.idempotency_ttl", "1ms", "1s"],
        ),
        (
            "store.max_size=1KiB",
            vec!["store.max_size", "1KiB", "1MiB"],
        ),
        ("product.url=ftp://x", vec!["product.url", "ftp"]),
        ("product.timeout=never", vec!["product.timeout", "never"]),
        (
            "product.bulkhead.max_concurrent=0",
            vec!["product.bulkhead.max_concurrent", "0"],
        ),
        (
            "product.breaker.consecutive_failures=0",
            vec!["product.breaker.consecutive_failures", "0"],
        ),
        (
            "product.breaker.open_for=soon",
            vec!["product.breaker.open_for", "soon"],
        ),
        (
            "product.fallback.enabled=perhaps",
            vec!["product.fallback.enabled", "perhaps"],
        ),
        (
            "product.fallback.capacity=0",
            vec!["product.fallback.capacity", "0"],
        ),
        (
            "product.fallback.max_age=-1s",
            vec!["product.fallback.max_age", "-1s"],
        ),
        (
            "product.breaker.open_four=5s",
            vec!["open_four", "open_for"],
        ),
    ] {
        let (status, errors) = check(&[setting]);
        assert_eq!(status, Some(2), "{setting}: {errors}");
        for name in names {
            assert!(
                errors.contains(name),
                "{setting}: {name:?} is not in {errors}"
            );
        }
    }
}

#[test]
fn all_errors_come_at_once() {
    let (status, errors) = check(&[
        "variant=x",
        "store.queue=0",
        "product.url=nowhere",
        "colour=red",
    ]);
    assert_eq!(status, Some(2));
    for key in ["variant", "store.queue", "product.url", "colour"] {
        assert!(errors.contains(key), "{key}: {errors}");
    }
}

#[test]
fn a_store_that_cannot_be_opened_says_which() {
    let output = run(&[
        "--set",
        "listen=127.0.0.1:0",
        "--set",
        "ops.listen=127.0.0.1:0",
        "--set",
        "store.path=/no/such/place/carts.db",
    ]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("/no/such/place/carts.db") && errors.contains("store.path"),
        "{errors}"
    );
}

#[tokio::test]
async fn a_port_in_use_says_which() {
    let (products, directory) = (FakeProducts::start(), Directory::new());
    let service = Service::start("fixed", &directory, &products.url(), &[]);
    let listen = format!("listen={}", service.address);
    let store = format!("store.path={}", directory.join("other.db").display());
    let output = run(&[
        "--set",
        &listen,
        "--set",
        "ops.listen=127.0.0.1:0",
        "--set",
        &store,
    ]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains(&service.address) && errors.contains("in use"),
        "{errors}"
    );
}
