//! Configuration files: no text makes loading panic, and what loads makes a cluster.
//!
//! The first byte says which file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::config::{ClientConfig, ClusterFile, InitOptions, Layout, ReplicaConfig, init};
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

/// A good cluster, into whose folder the text goes.
fn cluster() -> &'static (Layout, TempDir) {
    static CLUSTER: OnceLock<(Layout, TempDir)> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("cluster");
        let layout = init(&InitOptions { directory, ..InitOptions::default() });
        (layout.expect("a new folder"), folder)
    })
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if kind % 3 == 0 {
        if let Ok(file) = ClusterFile::parse(Path::new("cluster.toml"), text) {
            assert!(file.directory().is_ok());
        }
        return;
    }
    let path = cluster().0.cluster.with_file_name("fuzzed.toml");
    std::fs::write(&path, text).expect("a disk");
    match kind % 3 {
        1 => {
            if let Ok(config) = ReplicaConfig::load(&path) {
                assert!(config.settings.pipeline > 0);
            }
        }
        _ => drop(ClientConfig::load(&path)),
    }
});
