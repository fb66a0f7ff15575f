//! How much may this process have open?

use super::report::Finding;

/// Fewer than this is soon used up: each HTTP client and each peer needs one, and a page in a browser opens several.
const FEW: u64 = 4096;

/// What is found about the limit of open files, which was raised at the start as far as it goes.
#[cfg(unix)]
pub(super) fn open_files() -> Option<Finding> {
    let (limit, _) = rlimit::Resource::NOFILE.get().ok()?;
    Some(judge(limit))
}

/// Other systems have no such limit.
#[cfg(not(unix))]
pub(super) fn open_files() -> Option<Finding> {
    None
}

fn judge(limit: u64) -> Finding {
    let what = "open files";
    if limit < FEW {
        let found = format!(
            "this process may have {limit} files and connections open, which many clients use up; raise the hard limit (`ulimit -Hn`, or LimitNOFILE= of a systemd unit)"
        );
        return Finding::warning(what, found);
    }
    Finding::ok(what, format_args!("{limit} at a time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::report::State;

    #[test]
    fn few_open_files_are_a_warning() {
        assert_eq!(judge(1024).state, State::Warning);
        assert_eq!(judge(4096).state, State::Ok);
    }
}
