//! From the text of a file to what stands in it, and what to say of one that is not
//! understood: the line, or that it is another file than was meant.

use super::ConfigError;
use std::path::Path;

/// Which of the three files it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Cluster,
    Replica,
    Client,
}

impl Kind {
    /// By what only such a file has.
    pub(super) fn of(path: &Path, text: &str) -> Result<Kind, ConfigError> {
        let table: toml::Table =
            toml::from_str(text).map_err(|error| not_understood(path, text, &error))?;
        // Only the others name a cluster's file.
        let guess = if table.contains_key("cluster") { Kind::Replica } else { Kind::Cluster };
        Ok(Kind::in_table(&table).unwrap_or(guess))
    }

    fn in_table(table: &toml::Table) -> Option<Kind> {
        let has = |key: &str| table.contains_key(key);
        match () {
            () if has("data") || has("admin") => Some(Kind::Replica),
            () if has("session") => Some(Kind::Client),
            () if has("replica") || has("client") => Some(Kind::Cluster),
            () => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Cluster => "cluster",
            Kind::Replica => "replica",
            Kind::Client => "client",
        }
    }
}

/// What stands in a file of this kind.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    kind: Kind,
    path: &Path,
    text: &str,
) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let table = toml::from_str::<toml::Table>(text).ok();
        match table.as_ref().and_then(Kind::in_table) {
            Some(found) if found != kind => ConfigError::OtherKind {
                path: path.to_path_buf(),
                found: found.name(),
                wanted: kind.name(),
            },
            _ => not_understood(path, text, &error),
        }
    })
}

fn not_understood(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start));
    ConfigError::Syntax {
        path: path.to_path_buf(),
        line: before.map(|before| 1 + before.matches('\n').count()),
        what: error.message().replace('\n', " "),
    }
}
