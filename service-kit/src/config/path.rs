//! Key paths as people write them.

/// `upstreams.product.url`, `faults.rule[0].kind`.
pub(crate) fn dotted(parent: &[String], key: &str) -> String {
    let mut text = String::new();
    for part in parent.iter().map(String::as_str).chain([key]) {
        if is_index(part) {
            text.push_str(&format!("[{part}]"));
            continue;
        }
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(part);
    }
    text
}

/// A place in a list. (A table may be named `7` too; it reads the same.)
pub(crate) fn is_index(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}
