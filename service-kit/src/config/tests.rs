//! Whole loads: what is read, what wins, and what is said about mistakes.

use super::{ConfigErrors, Loaded, Section, Sources, TextOrTable, load};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

fn environment(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)))
        .collect()
}

fn read<C>(
    text: &str,
    variables: &[(&str, &str)],
    flags: &[&str],
    parse: impl FnOnce(&mut Section<'_>) -> C,
) -> Result<Loaded<C>, ConfigErrors> {
    let sources = Sources {
        file: None,
        built_in: text,
        env_prefix: "SHOP",
        env_aliases: &[("SIMULATE", "faults.simulate")],
        environment: environment(variables),
        flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
    };
    load(&sources, parse)
}

fn value<C>(
    text: &str,
    variables: &[(&str, &str)],
    flags: &[&str],
    parse: impl FnOnce(&mut Section<'_>) -> C,
) -> C {
    read(text, variables, flags, parse)
        .unwrap_or_else(|errors| panic!("{errors}"))
        .value
}

fn errors<C: std::fmt::Debug>(
    text: &str,
    variables: &[(&str, &str)],
    flags: &[&str],
    parse: impl FnOnce(&mut Section<'_>) -> C,
) -> Vec<String> {
    let errors = read(text, variables, flags, parse).expect_err("this configuration is wrong");
    errors.errors().iter().map(ToString::to_string).collect()
}

/// A file of its own per test, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("service-kit-{}-{name}", std::process::id()));
        fs::write(&path, text).expect("a file in the temporary folder");
        Self(path)
    }

    fn load<C>(
        &self,
        parse: impl FnOnce(&mut Section<'_>) -> C,
    ) -> Result<Loaded<C>, ConfigErrors> {
        load(
            &Sources {
                file: Some(self.0.clone()),
                built_in: "other = 1",
                env_prefix: "SHOP",
                ..Sources::default()
            },
            parse,
        )
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn later_sources_win() {
    let text = "a = 1\nb = 1\nc = 1";
    let read =
        |root: &mut Section<'_>| ["a", "b", "c", "d"].map(|key| root.integer(key, 9, 0..=100));
    let values = value(text, &[("SHOP__B", "2"), ("SHOP__C", "2")], &["c=3"], read);
    assert_eq!(values, [1, 2, 3, 9]);
}

#[test]
fn text_sources_are_read_leniently() {
    let variables = [
        ("SHOP__COUNT", "8"),
        ("SHOP__SHARE", "0.25"),
        ("SHOP__ON", "true"),
        ("SHOP__WORDS", "a, b"),
        ("SHOP__WAIT", "2s"),
        ("SHOP__SIZE", "4KiB"),
        ("SHOP__LISTEN", "[::1]:80"),
        ("SHOP__NUMBER_LIKE", "42"),
    ];
    value("", &variables, &[], |root| {
        assert_eq!(root.integer("count", 0, 0..=10), 8);
        assert_eq!(root.float("share", 0.0, 0.0..=1.0), 0.25);
        assert!(root.boolean("on", false));
        assert_eq!(root.strings("words", &[]), ["a", "b"]);
        assert_eq!(
            root.duration("wait", Duration::ZERO, Duration::ZERO..=Duration::MAX),
            Duration::from_secs(2)
        );
        assert_eq!(root.bytes("size", 0, 0..=u64::MAX), 4096);
        assert_eq!(root.opt_socket_addr("listen"), "[::1]:80".parse().ok());
        assert_eq!(root.string("number_like", ""), "42");
    });
}

#[test]
fn a_file_is_read_strictly() {
    let errors = errors("count = \"8\"\non = \"true\"", &[], &[], |root| {
        root.integer("count", 0, 0..=10);
        root.boolean("on", false);
    });
    assert_eq!(
        errors,
        [
            "built-in configuration: key `count`: found \"8\", allowed: an integer from 0 to 10",
            "built-in configuration: key `on`: found \"true\", allowed: true or false",
        ]
    );
}

#[test]
fn every_error_at_once_with_origin_key_value_and_what_is_allowed() {
    let file = Scratch::new(
        "all.toml",
        "listen = \"localhost\"\n[product]\ntimeout = \"5 parsecs\"\nurl = \"ftp://x\"\n[product.bulkhead]\nmax = 0\n",
    );
    let sources = Sources {
        file: Some(file.0.clone()),
        env_prefix: "SHOP",
        environment: environment(&[("SHOP__PRODUCT__RETRIES", "many")]),
        flags: vec!["log.format=xml".to_owned()],
        ..Sources::default()
    };
    let outcome = load(&sources, |root| {
        root.opt_socket_addr("listen");
        let mut product = root.section("product").expect("is there");
        product.duration(
            "timeout",
            Duration::ZERO,
            Duration::from_millis(1)..=Duration::from_secs(60),
        );
        product.url("url");
        product.integer("retries", 0, 0..=5);
        product
            .section("bulkhead")
            .expect("is there")
            .integer("max", 1, 1..=i64::MAX);
        root.section("log")
            .expect("is there")
            .choice("format", "json", &["json", "text"]);
        root.section_or_empty("store").required_string("path");
    });
    let path = file.0.display();
    let expected = [
        format!("{path}:1:1: key `listen`: found \"localhost\", allowed: IP:PORT, such as"),
        format!("{path}:3:1: key `product.timeout`: found \"5 parsecs\", allowed: a duration from 1ms to 1m, written like"),
        format!("{path}:4:1: key `product.url`: found \"ftp://x\", allowed: an address like \"http://127.0.0.1:8081\""),
        "environment variable SHOP__PRODUCT__RETRIES: key `product.retries`: found \"many\", allowed: an integer from 0 to 5"
            .to_owned(),
        format!("{path}:6:1: key `product.bulkhead.max`: found 0, allowed: an integer of at least 1"),
        "--set: key `log.format`: found \"xml\", allowed: \"json\" or \"text\"".to_owned(),
        format!("{path}: key `store.path` is missing, allowed: a text"),
    ];
    let errors = outcome.expect_err("all of it is wrong");
    assert_eq!(errors.errors().len(), expected.len(), "{errors}");
    for (error, expected) in errors.errors().iter().zip(&expected) {
        assert!(
            error.to_string().starts_with(expected),
            "{error}\nis not\n{expected}"
        );
    }
    assert!(
        errors
            .to_string()
            .starts_with("7 errors in the configuration\n  "),
        "{errors}"
    );
}

#[test]
fn unknown_keys_are_refused_with_a_hint() {
    let file = Scratch::new(
        "unknown.toml",
        "lisen = 1\n[product]\ntimout = 1\nbogus = 2\n[extra]\na = 1\n",
    );
    let errors = file
        .load(|root| {
            root.opt_integer("listen", 0..=1);
            root.section("product")
                .expect("is there")
                .opt_integer("timeout", 0..=1);
        })
        .expect_err("unknown keys");
    let path = file.0.display();
    let texts: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            format!("{path}:6:1: unknown key `extra` (known here: listen, product)"),
            format!(
                "{path}:1:1: unknown key `lisen`, did you mean `listen`? (known here: listen, product)"
            ),
            format!("{path}:4:1: unknown key `product.bogus` (known here: timeout)"),
            format!(
                "{path}:3:1: unknown key `product.timout`, did you mean `product.timeout`? (known here: timeout)"
            ),
        ]
    );
}

#[test]
fn unknown_variables_and_flags_are_refused() {
    let errors = errors(
        "",
        &[("SHOP__LISTN", "x"), ("OTHER__X", "1"), ("SHOP_X", "1")],
        &["ops.lisen=1"],
        |root| {
            root.opt_socket_addr("listen");
            root.section_or_empty("ops").opt_socket_addr("listen");
        },
    );
    assert_eq!(
        errors,
        [
            "environment variable SHOP__LISTN: unknown key `listn`, did you mean `listen`? (known here: listen, ops)",
            "--set: unknown key `ops.lisen`, did you mean `ops.listen`? (known here: listen)",
        ]
    );
}

#[test]
fn tables_with_chosen_names() {
    let text =
        "[upstreams.cart-fixed]\nurl = \"http://a:1\"\n[upstreams.product]\nurl = \"http://b:2\"\n";
    let variables = [
        ("SHOP__UPSTREAMS__CART_FIXED__URL", "http://c:3"),
        ("SHOP__UPSTREAMS__NEW__URL", "http://d:4"),
    ];
    let names = value(
        text,
        &variables,
        &["upstreams.product.url=http://e:5"],
        |root| {
            let read = |(name, mut section): (String, Section<'_>)| {
                assert_eq!(name, section.name());
                format!("{name} {}", section.url("url").expect("a url"))
            };
            root.sections("upstreams")
                .into_iter()
                .map(read)
                .collect::<Vec<_>>()
        },
    );
    assert_eq!(
        names,
        [
            "cart-fixed http://c:3/",
            "new http://d:4/",
            "product http://e:5/"
        ]
    );
}

#[test]
fn arrays_of_tables() {
    let text = "[[route]]\npath = \"/a\"\n[[route]]\npath = \"/b\"\n";
    let paths = |root: &mut Section<'_>| {
        root.list("route")
            .iter_mut()
            .map(|route| route.string("path", ""))
            .collect::<Vec<_>>()
    };
    assert_eq!(value(text, &[], &[], paths), ["/a", "/b"]);
    assert_eq!(
        value(
            text,
            &[("SHOP__ROUTE__1__PATH", "/c")],
            &["route[2].path=/d"],
            paths
        ),
        ["/a", "/c", "/d"]
    );
    assert_eq!(
        value("", &[("SHOP__ROUTE__0__PATH", "/x")], &[], paths),
        ["/x"]
    );
    assert_eq!(
        value(text, &[], &["route=[{ path = \"/only\" }]"], paths),
        ["/only"]
    );
    let wrong = errors("[[route]]\npath = 1\nextra = 1\n", &[], &[], paths);
    assert_eq!(
        wrong,
        [
            "built-in configuration: key `route[0].path`: found 1, allowed: a text",
            "built-in configuration: unknown key `route[0].extra` (known here: path)",
        ]
    );
    assert_eq!(
        errors("route = 1", &[], &[], paths),
        ["built-in configuration: key `route`: found 1, allowed: a list of tables"]
    );
}

#[test]
fn an_alias_sets_its_key_and_is_named_in_errors() {
    let simulate =
        |root: &mut Section<'_>| root.section_or_empty("faults").boolean("simulate", false);
    assert!(value(
        "[faults]\nsimulate = false",
        &[("SIMULATE", "true")],
        &[],
        simulate
    ));
    assert!(!value(
        "",
        &[("SIMULATE", "true"), ("SHOP__FAULTS__SIMULATE", "false")],
        &[],
        simulate
    ));
    assert_eq!(
        errors("", &[("SIMULATE", "yes")], &[], simulate),
        [
            "environment variable SIMULATE: key `faults.simulate`: found \"yes\", allowed: true or false"
        ]
    );
}

#[test]
fn syntax_errors_name_their_place() {
    let file = Scratch::new("syntax.toml", "a = 1\nb = = 2\n");
    let errors = file
        .load(|root| root.opt_integer("a", 0..=9))
        .expect_err("not TOML");
    let text = errors.to_string();
    assert!(text.contains("syntax.toml:2:5: not valid TOML: "), "{text}");
}

#[test]
fn a_file_that_is_not_there_or_not_text() {
    let missing = Sources {
        file: Some(PathBuf::from("/nowhere/shop.toml")),
        ..Sources::default()
    };
    let errors = load(&missing, |_| ()).expect_err("not there");
    assert_eq!(
        errors.to_string(),
        "/nowhere/shop.toml: cannot read the configuration file: no such file or directory"
    );
    let binary = Scratch::new("binary.toml", [0xff, 0xfe]);
    let errors = binary.load(|_| ()).expect_err("not text");
    assert!(
        errors
            .to_string()
            .ends_with("binary.toml: not a text file (not UTF-8)"),
        "{errors}"
    );
}

#[test]
fn with_a_file_the_built_in_text_is_not_merged() {
    let file = Scratch::new("alone.toml", "a = 1\n");
    let loaded = file
        .load(|root| root.opt_integer("a", 0..=9))
        .expect("`other` of the built-in text would be unknown");
    assert_eq!(loaded.value, Some(1));
}

#[test]
fn flags_that_are_no_key_and_value() {
    let found = errors("", &[], &["listen", "=1", "a..b=1"], |_| ());
    assert_eq!(found.len(), 3);
    assert!(
        found[0].starts_with("--set: found \"listen\", allowed: key=value"),
        "{}",
        found[0]
    );
}

#[test]
fn a_bad_source_does_not_hide_what_is_wrong_elsewhere() {
    let text = "big = 99999999999999999999\nneeded = 0xffffffffffffffffff\n[a]\nlist = [1, 18446744073709551616]\nb = 7\n";
    let found = errors(
        text,
        &[("SHOP__", "x"), ("SHOP__COUNT", "many")],
        &["foo", "wrong=[1, 18446744073709551616]"],
        |root| {
            root.integer("big", 1, 0..=9);
            root.required_string("needed");
            root.required_string("absent");
            root.integer("count", 1, 0..=9);
            root.strings("wrong", &[]);
            let mut a = root.section_or_empty("a");
            a.strings("list", &[]);
            a.string("b", "");
        },
    );
    let expected = [
        "built-in configuration: key `a.list[1]`: found 18446744073709551616, allowed: an integer of at most 64 bits",
        "built-in configuration: key `big`: found 99999999999999999999, allowed: an integer of at most 64 bits",
        "built-in configuration: key `needed`: found 0xffffffffffffffffff, allowed: an integer of at most 64 bits",
        "environment variable SHOP__: no key",
        "--set: found \"foo\", allowed: key=value",
        "built-in configuration: key `absent` is missing",
        "environment variable SHOP__COUNT: key `count`: found \"many\"",
        "built-in configuration: key `a.b`: found 7, allowed: a text",
    ];
    for expected in expected {
        assert!(
            found.iter().any(|error| error.starts_with(expected)),
            "{expected}\nis not in\n{found:#?}"
        );
    }
    assert!(
        !found
            .iter()
            .any(|error| error.contains("`needed` is missing")),
        "{found:#?}"
    );
    assert_eq!(
        found
            .iter()
            .filter(|error| error.contains("a.list"))
            .count(),
        1,
        "{found:#?}"
    );
}

#[test]
fn without_its_file_what_the_other_sources_say_is_still_checked() {
    let broken = Scratch::new("broken.toml", "a = \n[[route]]\npath = \"/\"\n");
    for file in [PathBuf::from("/nowhere/shop.toml"), broken.0.clone()] {
        let sources = Sources {
            file: Some(file.clone()),
            env_prefix: "SHOP",
            environment: environment(&[
                ("SHOP__COUNT", "many"),
                ("SHOP__ROUTE__0__PATH", "/x"),
                ("SHOP__ROUTE__1__PATH", "/y"),
            ]),
            flags: vec!["listen=x".to_owned(), "foo".to_owned()],
            ..Sources::default()
        };
        let outcome = load(&sources, |root| {
            root.required_string("absent");
            root.integer("count", 1, 0..=9);
            root.opt_socket_addr("listen");
            root.list("route");
        });
        let errors = outcome.expect_err("wrong");
        let texts: Vec<String> = errors.errors().iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), 4, "{texts:#?}");
        // Nobody knows what is in the file, so nothing is missing.
        assert!(
            texts[0].starts_with(&file.display().to_string()),
            "{texts:#?}"
        );
        assert!(texts[1].starts_with("--set: found \"foo\""), "{texts:#?}");
        assert!(texts[2].contains("SHOP__COUNT: key `count`"), "{texts:#?}");
        assert!(texts[3].contains("--set: key `listen`"), "{texts:#?}");
    }
}

#[test]
fn a_key_given_twice_is_named_and_hides_nothing() {
    let found = errors("[a]\nb = 1\nb = 2\nc = \"x\"\n", &[], &[], |root| {
        let mut a = root.section_or_empty("a");
        a.integer("b", 1, 0..=9);
        a.integer("c", 1, 0..=9);
        a.required_string("perhaps_skipped");
    });
    assert_eq!(
        found,
        [
            "built-in configuration: key `b` is given twice",
            "built-in configuration: key `a.c`: found \"x\", allowed: an integer from 0 to 9",
        ]
    );
}

#[test]
fn rejections_by_the_service() {
    let found = errors("[a]\nlow = 5\nhigh = 1", &[], &[], |root| {
        let mut section = root.section("a").expect("is there");
        let (low, high) = (
            section.integer("low", 0, 0..=9),
            section.integer("high", 0, 0..=9),
        );
        if high < low {
            section.reject("high", format_args!("at least `low` ({low})"));
        }
        section.reject("other", "something");
    });
    assert_eq!(
        found,
        [
            "built-in configuration: key `a.high`: found 1, allowed: at least `low` (5)",
            "built-in configuration: key `a.other` is missing, allowed: something",
        ]
    );
}

#[test]
fn a_key_of_the_wrong_shape_is_reported_once() {
    let found = errors("ops = 1\nlisten = { a = 1 }", &[], &[], |root| {
        root.opt_socket_addr("listen");
        root.section_or_empty("ops").opt_socket_addr("listen");
        root.section_or_empty("ops").opt_socket_addr("listen");
    });
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].contains("key `listen`: found {a = 1}, allowed: IP:PORT"),
        "{found:?}"
    );
    assert_eq!(
        found[1],
        "built-in configuration: key `ops`: found 1, allowed: a table"
    );
}

#[test]
fn addresses_of_upstreams() {
    for good in [
        "http://a",
        "http://a:80",
        "http://127.0.0.1:8081/base/",
        "http://[::1]:9",
    ] {
        value(&format!("url = {good:?}"), &[], &[], |root| {
            assert!(root.url("url").is_some(), "{good}")
        });
    }
    for bad in [
        "https://a",
        "a:80",
        "/a",
        "http://",
        "http://a:",
        "http://a:99999",
        "http://a:0",
        "http://u@a",
        "http://a/?q",
        "http://a#f",
        "",
    ] {
        let found = errors(&format!("url = {bad:?}"), &[], &[], |root| root.url("url"));
        assert_eq!(found.len(), 1, "{bad}");
    }
}

#[test]
fn choices_are_distinct_members_of_the_set() {
    let read = |root: &mut Section<'_>| root.choices("roles", &["a"], &["a", "b"]);
    assert_eq!(value("", &[], &[], read), ["a"]);
    assert_eq!(value("roles = [\"b\", \"a\"]", &[], &[], read), ["b", "a"]);
    for bad in ["[\"c\"]", "[\"a\", \"a\"]", "[1]", "\"a\""] {
        assert_eq!(
            errors(&format!("roles = {bad}"), &[], &[], read).len(),
            1,
            "{bad}"
        );
    }
}

#[test]
fn what_is_printed_can_be_read_again() {
    let parse = |root: &mut Section<'_>| {
        let listen = root.string("listen", "x");
        let wait = root.section_or_empty("drain").duration(
            "wait",
            Duration::from_millis(1500),
            Duration::ZERO..=Duration::MAX,
        );
        let routes: Vec<String> = root
            .list("route")
            .iter_mut()
            .map(|route| route.string("path", "/"))
            .collect();
        let names: Vec<String> = root
            .sections("up")
            .into_iter()
            .map(|(name, mut section)| {
                section.bytes("size", 1 << 16, 0..=u64::MAX);
                name
            })
            .collect();
        (listen, wait, routes, names)
    };
    let text = "listen = \"a \\\"quoted\\\" text\"\n[[route]]\npath = \"/a\"\n[[route]]\n[up.\"b c\"]\n[up.d]\nsize = 3\n";
    let first = read(text, &[], &["drain.wait=2s"], parse).expect("right");
    let printed = first.print();
    assert!(printed.contains("wait = \"2s\"  # --set"), "{printed}");
    assert!(printed.contains("path = \"/\"  # default"), "{printed}");
    let second =
        read(&printed, &[], &[], parse).unwrap_or_else(|errors| panic!("{errors}\n{printed}"));
    assert_eq!(first.value, second.value);
}

#[test]
fn texts_and_tables_in_one_list() {
    let read_urls = |root: &mut Section<'_>| -> Vec<String> {
        root.texts_or_tables("urls", "url", "a list of addresses")
            .into_iter()
            .map(|item| match item {
                TextOrTable::Text(text) => text,
                TextOrTable::Table(mut table) => format!("table {}", table.string("url", "none")),
            })
            .collect()
    };
    assert!(value("", &[], &[], read_urls).is_empty());
    let mixed = "urls = [\"a\", { url = \"b\" }]";
    let loaded = read(mixed, &[], &[], read_urls).expect("right");
    assert_eq!(loaded.value, ["a", "table b"]);
    // Both forms are printed as tables, which are read as the same.
    let again = read(&loaded.print(), &[], &[], read_urls).expect("right");
    assert_eq!(again.value, ["table a", "table b"]);
    let flag = value(mixed, &[], &["urls=c, d"], read_urls);
    assert_eq!(flag, ["c", "d"]);
    for (bad, key) in [
        ("urls = []", "urls"),
        ("urls = \"a\"", "urls"),
        ("urls = [1]", "urls[0]"),
        ("urls = [{ ulr = \"a\" }]", "urls[0].ulr"),
    ] {
        let found = errors(bad, &[], &[], read_urls);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(&format!("`{key}`")), "{found:?}");
    }
}

#[test]
fn one_item_of_a_list_can_be_refused() {
    let refuse = |root: &mut Section<'_>| {
        root.strings("names", &[]);
        root.reject_item("names", 1, "another name");
    };
    let found = errors("names = [\"a\", \"b\"]", &[], &[], refuse);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("key `names[1]`: found \"b\", allowed: another name"),
        "{found:?}"
    );
    let found = errors("", &[], &["names=a,b"], refuse);
    assert!(found[0].contains("--set: key `names`"), "{found:?}");
}

#[test]
fn lists_of_integers_and_tables_of_texts() {
    let integers = |root: &mut Section<'_>| root.integers("codes", &[7], 1..=9);
    assert_eq!(value("", &[], &[], integers), [7]);
    assert_eq!(value("codes = [3, 2]", &[], &[], integers), [3, 2]);
    assert_eq!(value("", &[], &["codes=3,2"], integers), [3, 2]);
    for bad in ["[10]", "[1, 1]", "[\"1\"]", "1"] {
        let found = errors(&format!("codes = {bad}"), &[], &[], integers);
        assert_eq!(found.len(), 1, "{bad}");
    }
    let texts = |root: &mut Section<'_>| root.text_table("headers");
    assert!(value("", &[], &[], texts).is_empty());
    let pair = (String::from("x-a"), String::from("1"));
    assert_eq!(value("headers = { x-a = \"1\" }", &[], &[], texts), [pair]);
    let found = errors("headers = { x-a = 1 }", &[], &[], texts);
    assert!(found[0].contains("`headers.x-a`"), "{found:?}");
}

#[test]
fn a_web_address_may_be_https() {
    let url = |root: &mut Section<'_>| root.web_url("url").map(|url| url.to_string());
    let https = Some("https://a.example/".to_owned());
    assert_eq!(value("url = \"https://a.example\"", &[], &[], url), https);
    let found = errors("url = \"ftp://a.example\"", &[], &[], url);
    assert!(found[0].contains("http or https only"), "{found:?}");
}

#[test]
fn what_was_asked_for_is_known_afterwards() {
    let loaded = read("a = 1", &[], &[], |root| {
        root.integer("a", 0, 0..=9);
        root.opt_string("b");
        root.section_or_empty("c").boolean("d", true);
    })
    .expect("right");
    let asked: Vec<String> = loaded.asked().map(|path| path.join(".")).collect();
    assert_eq!(asked, ["a", "b", "c", "c.d"]);
    let settings: Vec<(String, &str)> = loaded
        .settings()
        .map(|setting| (setting.path.join("."), setting.value))
        .collect();
    assert_eq!(
        settings,
        [("a".to_owned(), "1"), ("c.d".to_owned(), "true")]
    );
    assert_eq!(loaded.map(|()| 7).value, 7);
}

/// Tables have no place of their own, so an empty one has none at all; the file is known still.
#[test]
fn a_complaint_about_an_empty_table_says_where_it_could_be() {
    let found = errors("t = {}", &[], &[], |root| root.reject("t", "no table"));
    assert_eq!(
        found,
        ["built-in configuration: key `t`: found {}, allowed: no table"]
    );
}
