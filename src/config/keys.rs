//! Private keys in files: PKCS#8 in PEM, as openssl writes and reads them.
//!
//! A key that others could have read is not secret, and a file that others could have
//! replaced is not ours: such files are refused, unless their owner says that the place
//! is safe by other means.

use super::regular;
use crate::crypto::{PublicKey, SecretKey};
use crate::net::{Directory, Identity, Party};
use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A key's PEM has less than 200 bytes.
const MOST_BYTES: u64 = 4 << 10;

/// The user who may do everything.
const ROOT: u32 = 0;

/// Why a private key is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It can't be read.
    #[error("the key {path} cannot be read ({error}): copy it here, or correct its path")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It can't be written.
    #[error(
        "the key {path} cannot be written ({error}): choose a folder where there is room, and the \
         right to make files"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A link, a folder, a pipe.
    #[error("the key {0} is no regular file: put the key itself there, and no link to it")]
    NotAFile(PathBuf),
    /// Others may read it.
    #[error(
        "the key {path} can be read by others (mode {mode:03o}), so it may be no secret: replace \
         it, or if nobody has read it, chmod 600 {path}"
    )]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Others may look into its folder, or put another file in its place.
    #[error(
        "others may look into the folder of keys {folder}, or replace what is there (mode \
         {mode:03o}): chmod 700 {folder}"
    )]
    OpenFolder {
        /// The folder.
        folder: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Its folder's owner may put another file in its place.
    #[error(
        "the folder of keys {folder} belongs to user {owner}, who may replace what is there, and \
         this process runs as {ours}: chown it"
    )]
    FolderOfOther {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        ours: u32,
    },
    /// A link, which may lead elsewhere tomorrow.
    #[error("{0}, where keys should be, is no folder: put the folder itself there, and no link")]
    NotAFolder(PathBuf),
    /// Somebody else's.
    #[error("the key {path} belongs to user {owner}, and this process runs as {ours}: chown it")]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        ours: u32,
    },
    /// Something else.
    #[error("{0} holds no private Ed25519 key as PKCS#8 in PEM: name the key's own file")]
    NotAKey(PathBuf),
    /// Another party's, or an older one.
    #[error(
        "the key in {path} is not the one that the cluster file lists for {party}: its public \
         half is {found}, and {listed} is listed; use the right file, or the right cluster file"
    )]
    NotTheListed {
        /// The file.
        path: PathBuf,
        /// Whose key it should be.
        party: Party,
        /// The listed key.
        listed: PublicKey,
        /// The key that is there.
        found: PublicKey,
    },
}

/// Where a party's two private keys are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyFiles {
    /// The key that it signs with.
    pub key: PathBuf,
    /// The key that it shows in TLS.
    pub tls_key: PathBuf,
    /// Whether files are taken that others could have read or replaced.
    pub trust_permissions: bool,
}

/// A party's private keys.
#[derive(Debug)]
pub struct Keys {
    /// Signs votes or requests.
    pub signer: SecretKey,
    /// Shown in TLS.
    pub identity: Identity,
}

impl KeyFiles {
    /// Those of a client of a cluster that [`super::init()`] made in this folder.
    pub fn of_client(directory: &Path, id: u32) -> KeyFiles {
        let [_, key, tls_key] = super::init::paths(directory, &format!("client-{id}"));
        KeyFiles { key, tls_key, trust_permissions: false }
    }

    /// Loads both keys, and checks that they are the listed ones.
    pub fn load(&self, directory: &Directory, party: Party) -> Result<Keys, KeyError> {
        let genesis = directory.genesis();
        let key = match party {
            Party::Replica(id) => genesis.replicas.get(usize::from(id.0)),
            Party::Client(id) => usize::try_from(id.0).ok().and_then(|id| genesis.clients.get(id)),
        };
        let signer = self.load_one(&self.key, party, key.copied())?;
        let tls_secret = self.load_one(&self.tls_key, party, directory.key_of(party))?;
        Ok(Keys { signer, identity: Identity::new(party, tls_secret) })
    }

    fn load_one(
        &self,
        path: &Path,
        party: Party,
        listed: Option<PublicKey>,
    ) -> Result<SecretKey, KeyError> {
        let secret = load(path, self.trust_permissions)?;
        let found = secret.public();
        match listed {
            Some(listed) if listed != found => {
                Err(KeyError::NotTheListed { path: path.to_path_buf(), party, listed, found })
            }
            Some(_) | None => Ok(secret),
        }
    }
}

/// Loads one private key. Files that others could have read or replaced are refused,
/// unless permissions are not to be looked at.
pub fn load(path: &Path, trust_permissions: bool) -> Result<SecretKey, KeyError> {
    let failed = |error| KeyError::Read { path: path.to_path_buf(), error };
    let named = fs::symlink_metadata(path).map_err(failed)?;
    if !(named.is_file() || (trust_permissions && named.is_symlink())) {
        return Err(KeyError::NotAFile(path.to_path_buf()));
    }
    // A link may lead to what is no file, and the name may have become another's meanwhile.
    let file = regular::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput => KeyError::NotAFile(path.to_path_buf()),
        _ => failed(error),
    })?;
    let opened = file.metadata().map_err(failed)?;
    if !trust_permissions {
        require_private(path, &named, &opened)?;
    }
    let mut text = Zeroizing::new(String::with_capacity(MOST_BYTES as usize));
    match file.take(MOST_BYTES).read_to_string(&mut text) {
        Ok(_) => SecretKey::from_pem(&text).map_err(|_| KeyError::NotAKey(path.to_path_buf())),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(KeyError::NotAKey(path.to_path_buf()))
        }
        Err(error) => Err(failed(error)),
    }
}

fn require_private(path: &Path, named: &Metadata, opened: &Metadata) -> Result<(), KeyError> {
    // Between the look at the name and the opening, the name may have become a link.
    if (named.dev(), named.ino()) != (opened.dev(), opened.ino()) {
        return Err(KeyError::NotAFile(path.to_path_buf()));
    }
    let mode = opened.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Readable { path: path.to_path_buf(), mode });
    }
    let ours = rustix::process::geteuid().as_raw();
    if opened.uid() != ours {
        return Err(KeyError::OtherOwner { path: path.to_path_buf(), owner: opened.uid(), ours });
    }
    require_private_folder(match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    })
}

/// Whoever may write to a folder, or owns it, may put another key there. Root may anyway.
pub(super) fn require_private_folder(folder: &Path) -> Result<(), KeyError> {
    let path = || folder.to_path_buf();
    let found =
        fs::symlink_metadata(folder).map_err(|error| KeyError::Read { path: path(), error })?;
    if !found.is_dir() {
        return Err(KeyError::NotAFolder(path()));
    }
    let (owner, ours) = (found.uid(), rustix::process::geteuid().as_raw());
    if owner != ours && owner != ROOT {
        return Err(KeyError::FolderOfOther { folder: path(), owner, ours });
    }
    let mode = found.mode() & 0o777;
    match mode & 0o077 == 0 {
        true => Ok(()),
        false => Err(KeyError::OpenFolder { folder: path(), mode }),
    }
}

/// A new key, from the system's randomness.
pub fn generate() -> Result<SecretKey, getrandom::Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)?;
    Ok(SecretKey::from_seed(&seed))
}

/// Writes a private key to a new file that nobody else may read.
pub fn store(path: &Path, secret: &SecretKey) -> Result<(), KeyError> {
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(secret.to_pem().as_bytes())?;
        file.sync_all()
    };
    written().map_err(|error| KeyError::Write { path: path.to_path_buf(), error })
}

/// Makes the folder that keys are in, which nobody else may look into.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
