//! How many proxies may a request still pass? (RFC 9110, section 7.6.2)

use crate::{
    h1::{Kind, RequestHead, digits},
    route::excerpt,
};

/// The `Max-Forwards` of a request is no number, or there are several. Its `Display` says what helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the Max-Forwards of the request, '{value}', is not one decimal number: send one, or leave the field out"
)]
pub struct InvalidMaxForwards {
    /// What the request says.
    value: String,
}

/// How many proxies an OPTIONS or TRACE may still pass, by its `Max-Forwards` (RFC 9110, section 7.6.2). Where that is zero,
/// the proxy that has got the request answers it. `None` where nothing limits it, as for all other methods.
///
/// # Errors
///
/// If the field is not one decimal number. A number that is too large to be counted is [`u64::MAX`].
pub fn max_forwards(head: &RequestHead) -> Result<Option<u64>, InvalidMaxForwards> {
    let mut lines = head.fields().values(Kind::MaxForwards);
    let Some(line) = lines.next() else {
        return Ok(None);
    };
    if !matches!(head.method(), "OPTIONS" | "TRACE") {
        return Ok(None);
    }
    let is_number = !line.is_empty() && line.iter().all(u8::is_ascii_digit);
    if is_number && lines.next().is_none() {
        return Ok(Some(digits(line).unwrap_or(u64::MAX)));
    }
    let values: Vec<_> = head.fields().values(Kind::MaxForwards).collect();
    Err(InvalidMaxForwards {
        value: excerpt(&String::from_utf8_lossy(&values.join(&b", "[..]))),
    })
}

/// What the next hop is told, where that is not what came.
pub(super) fn counted_down(head: &RequestHead) -> Option<Box<[u8]>> {
    let left = max_forwards(head).ok()??.saturating_sub(1);
    Some(left.to_string().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::RequestRewrite;

    fn request(method: &str, values: &[&str]) -> RequestHead {
        let head = RequestHead::new(method, "/").expect("valid");
        values.iter().fold(head, |head, value| {
            head.with_field("Max-Forwards", value).expect("valid")
        })
    }

    /// What the next hop gets.
    fn sent(head: &RequestHead) -> Vec<String> {
        let rewrite = RequestRewrite::new(head);
        let values = rewrite.fields().map(|field| field.value.to_vec());
        values
            .map(|value| String::from_utf8(value).expect("ASCII"))
            .collect()
    }

    #[test]
    fn each_proxy_counts_down() {
        for method in ["OPTIONS", "TRACE"] {
            for (value, expected, next) in [
                ("0", 0, "0"),
                ("1", 1, "0"),
                ("010", 10, "9"),
                ("18446744073709551615", u64::MAX, "18446744073709551614"),
                ("18446744073709551616", u64::MAX, "18446744073709551614"),
            ] {
                let head = request(method, &[value]);
                assert_eq!(max_forwards(&head), Ok(Some(expected)), "{value}");
                assert_eq!(sent(&head), [next]);
            }
            let head = request(method, &[]);
            assert_eq!(max_forwards(&head), Ok(None));
            assert!(sent(&head).is_empty());
        }
    }

    #[test]
    fn other_methods_are_not_limited() {
        for method in ["GET", "POST", "options", "TRACES"] {
            for value in ["0", "3", "x"] {
                let head = request(method, &[value]);
                assert_eq!(max_forwards(&head), Ok(None), "{method}");
                assert_eq!(sent(&head), [value]);
            }
        }
    }

    #[test]
    fn what_is_no_number_is_named() {
        for (values, named) in [
            (&[""][..], "''"),
            (&["-1"], "'-1'"),
            (&["+1"], "'+1'"),
            (&["1.0"], "'1.0'"),
            (&["1, 1"], "'1, 1'"),
            (&["1", "1"], "'1, 1'"),
        ] {
            let error = max_forwards(&request("TRACE", values)).expect_err("is no number");
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    /// Or it would go on without a limit.
    #[test]
    fn no_connection_option_removes_it() {
        let head = request("TRACE", &["7"]);
        let head = head.with_field("Connection", "max-forwards");
        assert_eq!(sent(&head.expect("valid")), ["6"]);
    }
}
