//! Where is the node shown to whoever runs it? The table `[admin]` of the file.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{
    check::{Misuse, Taken},
    file::HttpAddress,
    values::Text,
};
use crate::setup;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table, [admin]")]
pub(super) struct Admin {
    listen: Spanned<Text<HttpAddress>>,
    token: Option<PathBuf>,
}

impl Admin {
    /// What it means, if nobody else gets to see the node there.
    pub(super) fn setup(self, taken: &mut Taken) -> Result<setup::Admin, Misuse> {
        let at = self.listen.span().start;
        let admin = setup::Admin {
            listen: taken.take(self.listen)?,
            token: self.token,
        };
        match admin.check() {
            Ok(()) => Ok(admin),
            Err(why) => Err(Misuse {
                at,
                message: format!(
                    "{why}: name an address of this machine alone, such as \"127.0.0.1:8081\", or add token = \"FILE\""
                ),
            }),
        }
    }
}
