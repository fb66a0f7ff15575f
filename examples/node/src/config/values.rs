//! How are single values written? As text with a form of its own, as times and sizes with a unit, as one or several tables.

use std::{fmt, marker::PhantomData, str::FromStr, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use crate::shutdown::LONGEST_SECONDS;

/// A value that is written as text and knows itself how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(PhantomData))
    }
}

struct TextVisitor<T>(PhantomData<T>);

impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for TextVisitor<T> {
    type Value = Text<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
        // All of an error's causes, where it has some.
        let parsed = text.parse().map(Text);
        parsed.map_err(|error| E::custom(format_args!("{error:#}")))
    }
}

/// Tables under names, in the order in which they are read.
#[derive(Debug)]
pub(super) struct Named<K, V>(pub(super) Vec<(K, V)>);

impl<K, V> Default for Named<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, K: FromStr<Err: fmt::Display>, V: Deserialize<'de>> Deserialize<'de> for Named<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<K, V>(PhantomData<(K, V)>);

impl<'de, K: FromStr<Err: fmt::Display>, V: Deserialize<'de>> Visitor<'de> for NamedVisitor<K, V> {
    type Value = Named<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tables with names, such as [service.app]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<K, V>, A::Error> {
        let mut named = Vec::new();
        while let Some((Text(key), value)) = map.next_entry()? {
            named.push((key, value));
        }
        Ok(Named(named))
    }
}

/// `[table]` once, or `[[table]]` as often as needed.
#[derive(Debug)]
pub(super) struct OneOrMore<T>(pub(super) Vec<T>);

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMoreVisitor(PhantomData))
    }
}

struct OneOrMoreVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMoreVisitor<T> {
    type Value = OneOrMore<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table, or several in double brackets")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMore(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(one) = list.next_element()? {
            all.push(one);
        }
        Ok(OneOrMore(all))
    }
}

/// A time with its unit: `"500 ms"`, `"10 s"`, `"5 min"`, `"1 h"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time(pub(super) Duration);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000)];
        let time = amount(text, &units).map(Duration::from_millis).map(Self);
        time.ok_or_else(|| format!("{text:?} is not {TIME}"))
    }
}

const TIME: &str =
    "a time: write a whole number and ms, s, min or h, such as \"10 s\" or \"10 min\"";

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written(TIME, PhantomData))
    }
}

/// A time of 1 to `MAX` seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seconds<const MAX: u32>(pub(super) Duration);

impl<const MAX: u32> FromStr for Seconds<MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Time(time) = text.parse()?;
        let fits = Duration::from_secs(1)..=Duration::from_secs(MAX.into());
        match fits.contains(&time) {
            true => Ok(Self(time)),
            false => Err(format!("{text:?} is not a time from 1 s to {MAX} s")),
        }
    }
}

impl<'de, const MAX: u32> Deserialize<'de> for Seconds<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written(TIME, PhantomData))
    }
}

/// How long running exchanges have at the end, which may be no time at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drain(pub(super) Duration);

impl FromStr for Drain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "0 s" => Ok(Self(Duration::ZERO)),
            text => text
                .parse()
                .map(|Seconds::<{ LONGEST_SECONDS as u32 }>(time)| Self(time)),
        }
    }
}

impl<'de> Deserialize<'de> for Drain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written(TIME, PhantomData))
    }
}

/// A time, or `"never"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeOrNever(pub(super) Option<Duration>);

impl FromStr for TimeOrNever {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "never" => Ok(Self(None)),
            text => text.parse().map(|Time(time)| Self(Some(time))),
        }
    }
}

impl<'de> Deserialize<'de> for TimeOrNever {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written(TIME, PhantomData))
    }
}

/// A size with its unit: `"256 B"`, `"32 KiB"`, `"1 MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(pub(super) usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let units = [("B", 1), ("KiB", 1024), ("MiB", 1024 * 1024)];
        let bytes = amount(text, &units).and_then(|bytes| usize::try_from(bytes).ok());
        bytes
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not {SIZE}"))
    }
}

const SIZE: &str = "a size: write a whole number and B, KiB or MiB, such as \"32 KiB\"";

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written(SIZE, PhantomData))
    }
}

/// A size, or `"unlimited"`, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SizeOrNone(pub(super) u64);

impl FromStr for SizeOrNone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "unlimited" => Ok(Self(0)),
            text => text.parse().map(|Size(bytes)| Self(bytes as u64)),
        }
    }
}

impl<'de> Deserialize<'de> for SizeOrNone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Written(SIZE, PhantomData))
    }
}

/// How many: 1 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count<const MAX: u32>(pub(super) usize);

impl<'de, const MAX: u32> Deserialize<'de> for Count<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let count = u32::try_from(number)
            .ok()
            .filter(|count| (1..=MAX).contains(count));
        let count = count.and_then(|count| usize::try_from(count).ok());
        count.map(Self).ok_or_else(|| {
            D::Error::custom(format_args!("{number} is not a number from 1 to {MAX}"))
        })
    }
}

/// Whether there may be tunnels, or for how long each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tunnels {
    Yes,
    No,
    AtMost(Duration),
}

impl<'de> Deserialize<'de> for Tunnels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TunnelsVisitor)
    }
}

struct TunnelsVisitor;

impl Visitor<'_> for TunnelsVisitor {
    type Value = Tunnels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true, false, or the longest time of a tunnel, such as \"10 min\"")
    }

    fn visit_bool<E: Error>(self, open: bool) -> Result<Tunnels, E> {
        Ok(if open { Tunnels::Yes } else { Tunnels::No })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tunnels, E> {
        let time = text.parse().map_err(E::custom);
        time.map(|Time(time)| Tunnels::AtMost(time))
    }
}

/// A text whose form is said to who writes no text at all.
struct Written<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// A number above 0 with one of the units, which are worth so much.
fn amount(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let (_, worth) = units.iter().find(|(name, _)| *name == unit)?;
    let number: u64 = number.parse().ok()?;
    number.checked_mul(*worth).filter(|&amount| amount > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, millis) in [
            ("500 ms", 500),
            ("10 s", 10_000),
            ("10s", 10_000),
            ("5 min", 300_000),
            ("1 h", 3_600_000),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Time(Duration::from_millis(millis))),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            " 10 s",
            "10  s",
            "+1 s",
            "-1 s",
            "1.5 s",
            "0 s",
            "10 S",
            "10 sec",
            "1 d",
            "99999999999999999999 s",
            "18446744073709551615 h",
        ] {
            let error = text.parse::<Time>().expect_err(text);
            assert!(error.contains("\"10 s\""), "{error}");
        }
        assert_eq!("never".parse(), Ok(TimeOrNever(None)));
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("1 B", 1), ("32 KiB", 32_768), ("2MiB", 2_097_152)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "32", "32 KB", "32 kib", "0 B", "1 GiB"] {
            let error = text.parse::<Size>().expect_err(text);
            assert!(error.contains("\"32 KiB\""), "{error}");
        }
    }
}
