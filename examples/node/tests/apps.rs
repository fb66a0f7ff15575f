//! Do existing applications work, in a real browser and by their own clients? This runs the quick half of tests/apps.

use std::{collections::BTreeSet, path::Path};

use support::program::{command, require, require_file};

mod support;

/// Runs `node tests/apps/main.mjs`, and returns what it printed, unless something that it needs is not installed. It ends by
/// itself: every wait in there has a limit.
async fn main(args: &[&str]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let node = require(&["node"])?;
    for program in ["chromium", "curl", "git"] {
        require(&[program])?;
    }
    for installed in ["node_modules/playwright-core", "python/django.installed"] {
        require_file(
            &root.join("target/apps").join(installed),
            "tests/apps/run install light",
        )?;
    }
    let output = command(node)
        .arg(root.join("tests/apps/main.mjs"))
        .args(args)
        .env("P2P_HTTP", env!("CARGO_BIN_EXE_p2p-http"))
        .env_remove("P2P_HTTP_LOG")
        .output();
    let output = output.await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    Some(stdout)
}

/// A test for each check of tests/apps/checks that is not heavy.
macro_rules! checks {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[tokio::test]
            async fn $name() {
                main(&[stringify!($name)]).await;
            }
        )*
    };
}

checks! { allowed apart chat django download git hostile listener login sse video vite worker }

#[tokio::test]
async fn no_check_is_left_out() {
    let Some(list) = main(&["light", "--list"]).await else {
        return;
    };
    let light: BTreeSet<&str> = list.lines().collect();
    assert_eq!(light, NAMES.iter().copied().collect());
}
