//! What did visitors write? The newest entries, in memory.

use std::collections::VecDeque;

use serde::Deserialize;

use super::template::escape;

/// Entries kept; with the limits below they take at most some 100 KiB.
const ENTRIES: usize = 50;
/// Characters of a name that are kept.
const NAME: usize = 40;
/// Characters of a message that are kept.
const MESSAGE: usize = 280;

/// What the form sends.
#[derive(Debug, Deserialize)]
pub(super) struct Note {
    #[serde(default)]
    name: String,
    message: String,
}

/// The newest notes, the newest first.
#[derive(Debug, Default)]
pub(super) struct GuestBook {
    entries: VecDeque<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    message: String,
    peer: String,
}

impl GuestBook {
    /// Adds a note that `peer` sent; the oldest goes if there are too many. False if there is nothing to add.
    pub(super) fn add(&mut self, note: &Note, peer: &str) -> bool {
        let message = clip(&note.message, MESSAGE);
        if message.is_empty() {
            return false;
        }
        self.entries.truncate(ENTRIES - 1);
        self.entries.push_front(Entry {
            name: clip(&note.name, NAME),
            message,
            peer: peer.to_owned(),
        });
        true
    }

    /// The entries as items of an HTML list.
    pub(super) fn html(&self) -> String {
        if self.entries.is_empty() {
            return "<li class=\"none\">Nobody has written yet.</li>".to_owned();
        }
        self.entries.iter().map(Entry::html).collect()
    }
}

impl Entry {
    fn html(&self) -> String {
        let name = if self.name.is_empty() {
            "Somebody"
        } else {
            &self.name
        };
        format!(
            "<li><p>{}</p><p class=\"by\">{} <code>{}</code></p></li>\n",
            escape(&self.message),
            escape(name),
            escape(&self.peer)
        )
    }
}

/// The text without blanks around it, cut between characters.
fn clip(text: &str, limit: usize) -> String {
    text.trim().chars().take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(name: &str, message: &str) -> Note {
        Note {
            name: name.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn the_newest_entries_are_kept() {
        let mut book = GuestBook::default();
        for i in 0..3 * ENTRIES {
            assert!(book.add(&note("n", &format!("message {i};")), "peer"));
        }
        let html = book.html();
        assert_eq!(html.matches("<li>").count(), ENTRIES);
        assert!(
            html.contains("message 149;")
                && html.contains("message 100;")
                && !html.contains("message 99;")
        );
    }

    #[test]
    fn long_and_empty_texts_are_bounded() {
        let mut book = GuestBook::default();
        assert!(!book.add(&note("n", " \r\n"), "peer"));
        assert!(book.html().contains("Nobody"));
        assert!(book.add(&note(&"ñ".repeat(1000), &"é".repeat(1000)), "peer"));
        let html = book.html();
        assert_eq!(
            (html.matches('ñ').count(), html.matches('é').count()),
            (NAME, MESSAGE)
        );
    }

    #[test]
    fn nothing_that_a_visitor_sends_is_markup() {
        let mut book = GuestBook::default();
        book.add(&note("<i>", "<script>"), "<b>");
        let html = book.html();
        assert!(
            !["<i>", "<script>", "<b>"]
                .iter()
                .any(|markup| html.contains(markup)),
            "{html}"
        );
    }
}
