//! Where do logs go? To standard error, so that standard output stays for what scripts read.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// What is logged when nothing else is asked for: this program, the library, one line for each request, and warnings of
/// everything below them.
pub(crate) const DEFAULT_FILTER: &str =
    "warn,p2p_http=info,libp2p_http_proxy=info,http_access=info";

/// Bytes of a line at most. Peers and servers choose some of them.
const LONGEST: usize = 1000;

const LEVELS: &str = "off, error, warn, info, debug and trace";

/// Starts logging. The filter was checked with [`parse_filter`].
pub(crate) fn start(filter: &str) {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(|| Lines(io::stderr()))
        .with_ansi(io::stderr().is_terminal())
        // It would be written with `eprintln!`, which panics when nobody reads standard error.
        .log_internal_errors(false)
        .init();
}

/// Where events are written, each as one line. Some of what they tell is of peers: an address, for one, can have any text as the
/// name of a host.
struct Lines<W>(W);

impl<W: Write> Write for Lines<W> {
    /// Takes a whole event, as the log hands it over.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.0.write_all(&line_of(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// An event without line ends but the one behind it, and without what a terminal would not show as it is. The log has escaped
/// what begins a sequence for terminals, but for its own colours.
fn line_of(event: &[u8]) -> Cow<'_, [u8]> {
    const COLOUR: u8 = 0x1b;
    let line = event.strip_suffix(b"\n").unwrap_or(event);
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | &COLOUR);
    if line.iter().all(is_plain) {
        return event.into();
    }
    let mut escaped = String::with_capacity(event.len());
    for character in String::from_utf8_lossy(line).chars() {
        match character == char::from(COLOUR) {
            true => escaped.push(character),
            false => push_plain(&mut escaped, character),
        }
    }
    escaped.push('\n');
    escaped.into_bytes().into()
}

/// Checks a filter when the command line is read, so that a typing error is a usage error. What is no level would be taken
/// for a target, and nothing else would be logged any more.
///
/// # Errors
///
/// Says which part cannot be understood.
pub(crate) fn parse_filter(filter: &str) -> Result<String, String> {
    let alone = filter.split(',').map(str::trim);
    let mut alone = alone.filter(|part| !part.is_empty() && !part.contains(['=', '[', ']']));
    let wrong = match alone.find(|part| part.parse::<LevelFilter>().is_err()) {
        Some(part) => format!("'{part}' is no level, of which there are {LEVELS}"),
        None => match EnvFilter::try_new(filter) {
            Ok(_) => return Ok(filter.to_owned()),
            Err(error) => error.to_string(),
        },
    };
    Err(format!(
        "{wrong}; write for example `info` or `warn,http_access=info`"
    ))
}

/// A message that spans several lines, in one that a log collector does not split.
pub(crate) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text in one line that a terminal shows as it is: what comes from elsewhere can neither move the cursor nor turn the
/// direction of writing, nor fill the screen.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(LONGEST));
    for character in one_line(text).chars() {
        push_plain(&mut plain, character);
        if plain.len() >= LONGEST {
            plain.push_str("...");
            break;
        }
    }
    plain
}

/// Appends a character, escaped if a terminal does not show it as it is.
fn push_plain(plain: &mut String, character: char) {
    let turns = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    if character.is_control() || turns {
        plain.extend(character.escape_unicode());
    } else {
        plain.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("outer: first\n  second"), "outer: first second");
    }

    #[test]
    fn nothing_from_elsewhere_moves_the_cursor_or_fills_the_screen() {
        assert_eq!(plain("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(plain("a\u{202e}b\u{7f}"), "a\\u{202e}b\\u{7f}");
        assert_eq!(plain("größer"), "größer");
        assert!(plain(&"x".repeat(LONGEST * 2)).len() <= LONGEST + 3);
    }

    #[test]
    fn an_event_is_one_line_whatever_it_tells() {
        let mut written = Vec::new();
        for event in [
            "\u{1b}[2mINFO\u{1b}[0m connected address=/dns4/a\nready\u{202e}\r/tcp/1\n",
            "größer, and no line end",
            "INFO as it is\n",
        ] {
            Lines(&mut written).write_all(event.as_bytes()).unwrap();
        }
        let expected = "\u{1b}[2mINFO\u{1b}[0m connected address=/dns4/a\\u{a}ready\\u{202e}\\u{d}/tcp/1\n\
                        größer, and no line end\nINFO as it is\n";
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn filters_are_checked_before_they_are_used() {
        for (filter, valid) in [
            (DEFAULT_FILTER, true),
            ("debug", true),
            ("off", true),
            ("libp2p_swarm=trace,warn", true),
            ("libp2p_http_proxy[exchange{id=1}]=debug, WARN", true),
            ("", true),
            ("http_access=loud", false),
            ("warning", false),
            ("http_access", false),
        ] {
            assert_eq!(parse_filter(filter).is_ok(), valid, "{filter}");
        }
    }
}
