//! How does text get into a page without becoming markup?

/// Replaces each `{{name}}` of a template, in one pass: what is filled in is not looked at again. A name without a value
/// stays as it is.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let found = after.split_once("}}").and_then(|(name, after)| {
            Some((values.iter().find(|(known, _)| *known == name)?.1, after))
        });
        match found {
            Some((value, after)) => {
                page.push_str(value);
                rest = after;
            }
            None => {
                page.push_str("{{");
                rest = after;
            }
        }
    }
    page.push_str(rest);
    page
}

/// Text as HTML shows it, in an element or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_filled_in_once() {
        let values = [("a", "{{b}}"), ("b", "B")];
        for (template, page) in [
            ("", ""),
            ("no names", "no names"),
            ("{{b}}", "B"),
            ("<{{a}}|{{b}}>", "<{{b}}|B>"),
            ("{{c}} {{b}}", "{{c}} B"),
            ("{{b", "{{b"),
            ("b}} {{b}}", "b}} B"),
        ] {
            assert_eq!(fill(template, &values), page);
        }
    }

    #[test]
    fn no_markup_survives() {
        assert_eq!(
            escape("<script>alert(\"1\" & '2')</script>"),
            "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;"
        );
    }
}
