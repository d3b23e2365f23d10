//! Text inside SVG and HTML.

/// For text and attribute values, in SVG and in HTML.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}

/// Checks that tags are closed in order and that attributes and text hold nothing that had to be escaped. Enough of XML
/// for what this program writes.
#[cfg(test)]
pub fn check_well_formed(markup: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = markup;
    while let Some(start) = rest.find('<') {
        check_text(&rest[..start])?;
        let tag_end = rest[start..].find('>').ok_or("a tag that never ends")? + start;
        let tag = &rest[start + 1..tag_end];
        rest = &rest[tag_end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(opened) if opened == name => {}
                other => return Err(format!("</{name}> closes {other:?}")),
            }
            continue;
        }
        let (tag, empty) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        check_attributes(attributes).map_err(|problem| format!("<{name}>: {problem}"))?;
        if !empty {
            open.push(name);
        }
    }
    check_text(rest)?;
    if open.is_empty() {
        Ok(())
    } else {
        Err(format!("left open: {open:?}"))
    }
}

#[cfg(test)]
fn check_text(text: &str) -> Result<(), String> {
    let entities = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;"];
    let bare = text.match_indices('&').find(|(at, _)| {
        !entities
            .iter()
            .any(|entity| text[*at..].starts_with(entity))
    });
    match bare {
        Some((at, _)) => Err(format!(
            "a bare & at {:?}",
            &text[at..text.len().min(at + 10)]
        )),
        None if text.contains('>') => Err("a bare >".to_owned()),
        None => Ok(()),
    }
}

#[cfg(test)]
fn check_attributes(mut rest: &str) -> Result<(), String> {
    while !rest.trim_start().is_empty() {
        let (name, after) = rest
            .trim_start()
            .split_once("=\"")
            .ok_or(format!("not an attribute: {rest}"))?;
        let (value, after) = after
            .split_once('"')
            .ok_or(format!("{name} is not closed"))?;
        check_text(value)?;
        if name.contains(char::is_whitespace) || !(after.is_empty() || after.starts_with(' ')) {
            return Err(format!("attributes run together at {name}"));
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checker_finds_what_is_wrong() {
        assert!(check_well_formed("<a b=\"1\" c=\"2\"><d/>x &amp; y</a>").is_ok());
        for wrong in [
            "<a>",
            "<a></b>",
            "<a b=1/>",
            "<a b=\"1\"c=\"2\"/>",
            "<a>x & y</a>",
            "<a",
            "<a b=\"x & y\"/>",
        ] {
            assert!(check_well_formed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn escaped_text_is_well_formed_wherever_it_stands() {
        let nasty = escape("<script>\"&' </title>");
        assert!(check_well_formed(&format!("<a b=\"{nasty}\">{nasty}</a>")).is_ok());
    }
}
