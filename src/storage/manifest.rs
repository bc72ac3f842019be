//! Which segments the log has, in a file of its own: so that one that is missing is
//! missed, be it the first or the last.

use super::error::StorageError;
use super::frame::{BadHeader, Name, VERSION};
use super::medium::Medium;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"QUORMAN\0";
const NAME_BYTES: usize = 56;
const BYTES: usize = 8 + NAME_BYTES + 8 + 8 + 4;

/// What the manifest says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Manifest {
    pub(super) name: Name,
    /// The first segment that is needed. Older ones may be left over.
    pub(super) first: u64,
    /// A segment that was there when this was written. There may be later ones.
    pub(super) last: u64,
}

fn path(directory: &Path) -> PathBuf {
    directory.join("manifest")
}

impl Manifest {
    /// Reads the directory's manifest, if there is one.
    pub(super) fn read(
        medium: &dyn Medium,
        directory: &Path,
    ) -> Result<Option<Manifest>, StorageError> {
        let path = path(directory);
        let bytes = match medium.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::for_good("reading", &path, error)),
        };
        Manifest::decode(&bytes).map(Some).map_err(|bad| match bad {
            BadHeader::OtherVersion(found) => {
                StorageError::OtherVersion { path, found, expected: VERSION }
            }
            BadHeader::NotALog | BadHeader::WrongChecksum => StorageError::Damaged {
                path,
                offset: 0,
                what: "this is not what was written there".to_owned(),
            },
        })
    }

    /// Puts this manifest in the place of the one before, durably.
    pub(super) fn write(
        &self,
        medium: &dyn Medium,
        directory: &Path,
    ) -> Result<(), std::io::Error> {
        let (path, new) = (path(directory), directory.join("manifest.new"));
        let mut file = medium.create(&new)?;
        file.write_at(0, &self.encode())?;
        file.sync()?;
        medium.rename(&new, &path)?;
        medium.sync_directory(directory)
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        self.name.encode(&mut bytes);
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.last.to_le_bytes());
        let checksum = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Manifest, BadHeader> {
        let fields = bytes.strip_prefix(MAGIC).filter(|_| bytes.len() == BYTES);
        let fields = fields.ok_or(BadHeader::NotALog)?;
        let (covered, checksum) = bytes.split_at(BYTES - 4);
        if crc32fast::hash(covered).to_le_bytes() != checksum {
            return Err(BadHeader::WrongChecksum);
        }
        let number = |at: usize| {
            u64::from_le_bytes(fields[at..at + 8].try_into().expect("a slice of eight"))
        };
        let (first, last) = (number(NAME_BYTES), number(NAME_BYTES + 8));
        Ok(Manifest { name: Name::decode(fields)?, first, last })
    }
}
