//! Files that are written, loaded, spoiled.

use super::*;
use crate::message::genesis::Parameters;
use crate::net::Limits;
use crate::types::{ClientId, ReplicaId};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

fn options(directory: &Path) -> InitOptions {
    InitOptions { directory: directory.join("cluster"), ..InitOptions::default() }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("a file");
    assert!(text.contains(from), "{from:?} is not in {}", path.display());
    fs::write(path, text.replacen(from, to, 1)).expect("our own file");
}

#[test]
fn what_init_writes_loads_with_its_keys_and_defaults() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let cluster = ClusterFile::load(&layout.cluster).expect("the file just written");
    assert_eq!(cluster.id(), layout.id);
    assert_eq!(cluster.parameters, Parameters::default());
    for (id, path) in (0..).map(ReplicaId).zip(&layout.replicas) {
        let config = ReplicaConfig::load(path).expect("the file just written");
        assert_eq!((config.id, config.directory.cluster()), (id, layout.id));
        assert_eq!(config.settings, crate::replica::Settings::default());
        assert_eq!(config.limits, Limits::default());
        let keys = config.keys().expect("the keys just written");
        assert_eq!(config.directory.party_of(&keys.identity.public()), Some(config.party()));
        let listen = config.listen_address().expect("an address of numbers");
        assert_eq!(listen.to_string(), cluster.replicas[usize::from(id.0)].address);
    }
    for (id, path) in (0..).map(ClientId).zip(&layout.clients) {
        let config = ClientConfig::load(path).expect("the file just written");
        assert_eq!(config.id, id);
        assert_eq!(config.settings, crate::client::Settings::default());
        config.keys().expect("the keys just written");
    }
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let keys = layout.directory.join("keys");
    assert_eq!(mode(&keys), 0o700);
    let files: Vec<_> = fs::read_dir(&keys).expect("a folder").collect();
    assert_eq!(files.len(), 2 * (4 + 2));
    for file in files {
        assert_eq!(mode(&file.expect("a file").path()), 0o600);
    }
}

#[test]
fn init_writes_over_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = options(folder.path());
    let layout = init(&options).expect("a new cluster");
    assert!(matches!(init(&options), Err(InitError::Exists(path)) if path == layout.cluster));
    fs::remove_file(&layout.cluster).expect("our own file");
    assert!(matches!(init(&options), Err(InitError::Exists(_))), "keys are still there");
    assert!(!layout.cluster.exists(), "and nothing was written");
}

#[test]
fn init_makes_no_keys_where_others_may_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = options(folder.path());
    let keys = options.directory.join("keys");
    fs::create_dir_all(&keys).expect("a new folder");
    set_mode(&keys, 0o755);
    assert!(matches!(init(&options), Err(InitError::Key(KeyError::OpenFolder { .. }))));
    assert_eq!(fs::read_dir(&keys).expect("a folder").count(), 0, "nothing was written");
    set_mode(&keys, 0o700);
    init(&options).expect("a new cluster");
}

#[test]
fn init_refuses_what_makes_no_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let good = options(folder.path());
    let three = InitOptions { replicas: 3, ..good.clone() };
    assert!(matches!(init(&three), Err(InitError::Config(_))));
    let high = InitOptions { ports: Ports::From(65_500), ..good.clone() };
    assert!(matches!(init(&high), Err(InitError::Ports(4))));
    let few = InitOptions { ports: Ports::Given(vec![(1, 2)]), ..good.clone() };
    assert!(matches!(init(&few), Err(InitError::Ports(4))));
    for host in ["", "a\"b", "a b", "a/b", "a\nb"] {
        let lost = InitOptions { host: host.to_string(), ..good.clone() };
        let error = init(&lost).expect_err(host);
        assert!(matches!(error, InitError::Host(_)), "{error}");
        assert!(error.to_string().contains("--host"), "{error}");
    }
    let nameless = InitOptions { name: String::new(), ..good.clone() };
    assert!(matches!(init(&nameless), Err(InitError::Config(_))));
    assert!(!good.directory.exists());
}

#[test]
fn a_moved_replica_leaves_the_cluster_what_it_is_and_all_else_does_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let cluster = ClusterFile::load(&layout.cluster).expect("the file just written");
    let changed = |change: fn(&mut ClusterFile)| {
        let mut other = cluster.clone();
        change(&mut other);
        other.id() != cluster.id()
    };
    assert!(!changed(|one| one.replicas[0].address = "elsewhere:1".into()));
    assert!(changed(|one| one.name += "!"));
    assert!(changed(|one| one.parameters.window += 1));
    assert!(changed(|one| {
        one.replicas.swap(0, 1);
    }));
    assert!(changed(|one| {
        let keys = [one.replicas[0].tls_key, one.replicas[1].tls_key];
        [one.replicas[1].tls_key, one.replicas[0].tls_key] = keys;
    }));
    assert!(changed(|one| drop(one.clients.pop())));
}

/// Each change makes the cluster's file one that is refused with these words.
#[test]
fn a_spoiled_cluster_file_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let text = fs::read_to_string(&layout.cluster).expect("a file");
    let cluster = ClusterFile::load(&layout.cluster).expect("the file just written");
    let key = |id: usize| cluster.replicas[id].key.to_string();
    let tls_key = |id: usize| cluster.replicas[id].tls_key.to_string();
    let spoilt = [
        ("window = 512", "windows = 512".to_string(), "unknown field"),
        ("window = 512", "window = 100".into(), "two checkpoint intervals"),
        ("window = 512", "window = -1".into(), "invalid value"),
        ("\"10s\"", "\"soon\"".into(), "is no span of time"),
        ("\"10s\"", "\"99 years\"".into(), "longer than a year"),
        ("\"10s\"", "\"0s\"".into(), "the time tolerance must not be 0"),
        ("id = 1\n", "id = 2\n".into(), "replica 2 stands where replica 1 should"),
        ("127.0.0.1:7100", "127.0.0.1".into(), "is no address"),
        ("127.0.0.1:7100", "127.0.0.1:0".into(), "is no address"),
        ("127.0.0.1:7100", "a host:7100".into(), "is no address"),
        ("127.0.0.1:7100", "127.0.0.1:7101".into(), "replica 1 has the address of replica 0"),
        (&key(0), "abc".into(), "64 hexadecimal digits"),
        (&key(0), "é".repeat(32), "64 hexadecimal digits"),
        (&key(0), "00".repeat(32), "small order"),
        (&tls_key(0), "00".repeat(32), "small order"),
        (&key(0), key(1), "listed twice"),
        (&tls_key(0), tls_key(1), "listed twice"),
        (&tls_key(0), key(0), "not its consensus key"),
        ("name = \"demo\"", format!("name = \"{}\"", "x".repeat(300)), "1 to 256 bytes"),
    ];
    for (from, to, complaint) in spoilt {
        let other = text.replacen(from, &to, 1);
        assert_ne!(other, text, "{from:?} is not in the file");
        let error = ClusterFile::parse(&layout.cluster, &other).expect_err(complaint);
        assert!(error.to_string().contains(complaint), "{complaint:?} is not in: {error}");
    }
}

#[test]
fn a_spoiled_file_of_one_party_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let spoilt = [
        ("id = 0", "id = 4", "there is no replica 4 among the 4"),
        ("\"cluster.toml\"", "\"nowhere.toml\"", "cannot be read"),
        ("[settings]", "[settings]\npatience = \"0s\"", "must not be 0"),
        ("[settings]", "[settings]\nstatus_interval = \"9s\"", "four times"),
        ("[settings]", "[settings]\nmost_patience = \"1ms\"", "must not be less"),
        ("[settings]", "[settings]\npaitence = \"1s\"", "unknown field"),
        ("[limits]", "[limits]\nhandshakes = 0", "must not be 0"),
        ("[limits]", "[limits]\nclient_connections = 0", "must not be 0"),
        ("[limits]", "[limits]\nconnections_per_client = 0", "must not be 0"),
        ("[limits]", "[limits]\nclient_rate = 0", "must not be 0"),
        ("[settings]", "[settings]\nslow_factor = 0", "must not be 0"),
        ("[settings]", "[settings]\nslow_floor = \"0s\"", "must not be 0"),
        ("[limits]", "[limits]\nclient_keepalive = \"1s\"", "at least 3s"),
        ("[storage]", "[storage]\nsegment_bytes = 1", "from 65536"),
        ("# format = \"text\"", "format = \"prose\"", "unknown variant"),
    ];
    let path = &layout.replicas[0];
    let text = fs::read_to_string(path).expect("a file");
    for (from, to, complaint) in spoilt {
        assert!(text.contains(from), "{from:?}");
        fs::write(path, text.replacen(from, to, 1)).expect("our own file");
        let error = ReplicaConfig::load(path).expect_err(complaint);
        assert!(error.to_string().contains(complaint), "{complaint:?} is not in: {error}");
    }
    let path = &layout.clients[0];
    replace(path, "id = 0", "id = 2");
    let error = ClientConfig::load(path).expect_err("two clients are 0 and 1").to_string();
    assert!(error.contains("there is no client 2 among the 2"), "{error}");
    replace(path, "id = 2", "id = 0");
    replace(path, "[settings]", "[settings]\nretry = \"0s\"");
    assert!(ClientConfig::load(path).is_err());
}

/// A word that is no level would be taken for a module's name, and silence the node.
#[test]
fn a_level_of_the_log_that_would_silence_the_node_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let path = &layout.replicas[0];
    let text = fs::read_to_string(path).expect("a file");
    let with = |level: &str| {
        let level = format!("level = {level:?}");
        fs::write(path, text.replace("# level = \"info\"", &level)).expect("our own file");
        ReplicaConfig::load(path)
    };
    for level in ["loud", "a=b=c", "", "info,loud", "quorate=loud", "inf"] {
        let error = with(level).expect_err(level).to_string();
        assert!(error.contains("write error, warn, info, debug or trace"), "{error}");
    }
    for level in ["info", "WARN", "off", "info,quorate::net=debug", "quorate=trace,error"] {
        with(level).expect(level);
    }
}

#[test]
fn data_among_the_keys_or_the_configuration_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    symlink("keys", layout.directory.join("link")).expect("a new link");
    let path = &layout.replicas[0];
    let text = fs::read_to_string(path).expect("a file");
    let with = |data: &str| {
        fs::write(path, text.replace("../data/replica-0", data)).expect("our own file");
        ReplicaConfig::load(path)
    };
    for data in ["", ".", "data", "../keys", "../keys/data", "../link", "../none/../keys/data"] {
        let error = with(data).expect_err(data).to_string();
        assert!(error.contains("name a folder of its own"), "{error}");
    }
    for data in ["../data", "../data/../elsewhere", "../keys-not", "/nowhere/data"] {
        with(data).expect(data);
    }
}

#[test]
fn operators_are_listened_for_where_nobody_else_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let path = &layout.replicas[0];
    let text = fs::read_to_string(path).expect("a file");
    let with = |listen: &str, admin: &str| {
        let text = text.replace("# listen = \"0.0.0.0:7100\"", &format!("listen = {listen:?}"));
        fs::write(path, text.replace("127.0.0.1:7200", admin)).expect("our own file");
        ReplicaConfig::load(path).expect("it is understood").listen_address()
    };
    for listen in ["127.0.0.1:7100", "0.0.0.0:7100", "[::]:7100"] {
        let error = with(listen, "127.0.0.1:7100").expect_err(listen).to_string();
        assert!(error.contains("give admin another port"), "{error}");
        with(listen, "127.0.0.1:7101").expect(listen);
    }
    with("127.0.0.1:7100", "127.0.0.2:7100").expect("two addresses of one machine");
}

#[test]
fn every_setting_in_comments_is_known_and_says_the_default() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let uncomment = |path: &Path| {
        let text = fs::read_to_string(path).expect("a file");
        let lines = text.lines().map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_entry(rest) => rest,
            _ => line,
        });
        let text: Vec<&str> = lines.collect();
        fs::write(path, text.join("\n")).expect("our own file");
    };
    let (replica, client) = (&layout.replicas[0], &layout.clients[0]);
    uncomment(replica);
    uncomment(client);
    let config = ReplicaConfig::load(replica).expect("all entries are known");
    assert_eq!(config.settings, crate::replica::Settings::default());
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.storage, StorageSettings::default());
    assert_eq!(config.log, Log::default());
    assert_eq!(config.listen.as_deref(), Some("0.0.0.0:7100"));
    let text = fs::read_to_string(replica).expect("a file");
    assert_eq!(text.lines().filter(|line| is_entry(line)).count(), 6 + 4 + 15 + 10 + 1);
    let config = ClientConfig::load(client).expect("all entries are known");
    assert_eq!(config.settings, crate::client::Settings::default());
    let text = fs::read_to_string(client).expect("a file");
    assert_eq!(text.lines().filter(|line| is_entry(line)).count(), 6 + 6);
}

/// `name = value`, and not a sentence that has such a thing within.
fn is_entry(line: &str) -> bool {
    let name = line.split_once(" = ").map(|(name, _)| name);
    name.is_some_and(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

/// The examples are what `init` writes, for keys of which nobody has the private half.
#[test]
fn the_examples_are_what_init_writes_today() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let text = |name: &str| fs::read_to_string(examples.join(name)).expect("an example");
    let cluster = ClusterFile::load(&examples.join("cluster.toml")).expect("a good example");
    assert_eq!(text("cluster.toml"), template::cluster(&cluster));
    assert_eq!(text("replica-0.toml"), template::replica(0, 7200));
    assert_eq!(text("client-0.toml"), template::client(0));
    ReplicaConfig::load(&examples.join("replica-0.toml")).expect("a good example");
    ClientConfig::load(&examples.join("client-0.toml")).expect("a good example");
}

/// What somebody does who starts from the examples: keys of one's own, put in their place.
#[test]
fn the_examples_serve_with_keys_of_ones_own() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let folder = tempfile::tempdir().expect("a folder");
    let mut text = fs::read_to_string(examples.join("cluster.toml")).expect("an example");
    let cluster = ClusterFile::load(&examples.join("cluster.toml")).expect("a good example");
    let config = folder.path().join("config");
    fs::create_dir(&config).expect("a folder");
    keys::make_folder(&folder.path().join("keys")).expect("a folder");
    let replicas = cluster.replicas.iter().map(|one| (one.key, one.tls_key));
    let clients = cluster.clients.iter().map(|one| (one.key, one.tls_key));
    let named = (0..).map(|id| format!("replica-{id}")).zip(replicas);
    let named = named.chain((0..).map(|id| format!("client-{id}")).zip(clients));
    for (stem, (key, tls_key)) in named {
        for (listed, name) in [(key, format!("{stem}.key")), (tls_key, format!("{stem}-tls.key"))] {
            let own = keys::generate().expect("randomness");
            keys::store(&folder.path().join("keys").join(name), &own).expect("a new file");
            text = text.replace(&listed.to_string(), &own.public().to_string());
        }
    }
    fs::write(config.join("cluster.toml"), text).expect("a new file");
    for name in ["replica-0.toml", "client-0.toml"] {
        fs::copy(examples.join(name), config.join(name)).expect("a new file");
    }
    let replica = ReplicaConfig::load(&config.join("replica-0.toml")).expect("it fits");
    replica.keys().expect("they fit");
    let client = ClientConfig::load(&config.join("client-0.toml")).expect("it fits");
    client.keys().expect("they fit");
}

#[test]
fn keys_that_others_could_have_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let keys = layout.directory.join("keys");
    let key = keys.join("replica-0.key");
    let loaded = || ReplicaConfig::load(&layout.replicas[0]).expect("a good file").keys();
    loaded().expect("good keys");

    for mode in [0o640, 0o604, 0o620, 0o610] {
        set_mode(&key, mode);
        assert!(matches!(loaded(), Err(KeyError::Readable { mode: found, .. }) if found == mode));
    }
    set_mode(&key, 0o400);
    loaded().expect("nobody needs to write");
    for mode in [0o777, 0o755, 0o750, 0o701, 0o1777] {
        set_mode(&keys, mode);
        assert!(matches!(loaded(), Err(KeyError::OpenFolder { .. })), "{mode:o}");
    }
    set_mode(&keys, 0o700);
    // Only root may give a folder away.
    if chown(&keys, Some(65_534), None).is_ok() {
        assert!(matches!(loaded(), Err(KeyError::FolderOfOther { owner: 65_534, .. })));
        chown(&keys, Some(0), None).expect("it was root's");
    }
    let moved = layout.directory.join("moved");
    fs::rename(&keys, &moved).expect("our own folder");
    symlink(&moved, &keys).expect("a new link");
    assert!(matches!(loaded(), Err(KeyError::NotAFolder(_))));
    fs::remove_file(&keys).expect("our own link");
    fs::rename(&moved, &keys).expect("our own folder");
    loaded().expect("as it was");

    let elsewhere = folder.path().join("elsewhere.key");
    fs::rename(&key, &elsewhere).expect("our own file");
    assert!(matches!(loaded(), Err(KeyError::Read { .. })));
    symlink(&elsewhere, &key).expect("a new link");
    assert!(matches!(loaded(), Err(KeyError::NotAFile(_))));
    fs::remove_file(&key).expect("our own link");
    fs::create_dir(&key).expect("a new folder");
    assert!(matches!(loaded(), Err(KeyError::NotAFile(_))));
    fs::remove_dir(&key).expect("our own folder");

    // Whoever says that the place is safe is believed.
    symlink(&elsewhere, &key).expect("a new link");
    set_mode(&elsewhere, 0o644);
    set_mode(&keys, 0o755);
    replace(
        &layout.replicas[0],
        "# insecure_key_permissions = false",
        "insecure_key_permissions = true",
    );
    loaded().expect("its owner vouches for it");
}

/// Nobody may have to end a process by force because of a name that was mistyped.
#[test]
fn what_never_ends_or_never_begins_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let pipe = folder.path().join("pipe");
    let user = rustix::fs::Mode::RWXU;
    let made = rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, user, 0);
    made.expect("a new pipe");
    for path in [&pipe, Path::new("/dev/zero"), folder.path()] {
        let error = AnyFile::load(path).err().expect("it is no file").to_string();
        assert!(error.contains("it is no regular file"), "{error}");
    }
    let key = layout.directory.join("keys/replica-0.key");
    fs::remove_file(&key).expect("our own file");
    fs::rename(&pipe, &key).expect("our own pipe");
    for trust_permissions in [false, true] {
        assert!(matches!(keys::load(&key, trust_permissions), Err(KeyError::NotAFile(_))));
    }
    let link = layout.directory.join("keys/link");
    symlink(&key, &link).expect("a new link");
    assert!(matches!(keys::load(&link, true), Err(KeyError::NotAFile(_))));
}

#[test]
fn keys_that_are_not_the_listed_ones_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let keys = layout.directory.join("keys");
    let swap = |one: &str, other: &str| {
        let (one, other, aside) = (keys.join(one), keys.join(other), keys.join("aside"));
        fs::rename(&one, &aside).expect("our own file");
        fs::rename(&other, &one).expect("our own file");
        fs::rename(&aside, &other).expect("our own file");
    };
    let loaded = || ReplicaConfig::load(&layout.replicas[0]).expect("a good file").keys();
    for (one, other) in [
        ("replica-0.key", "replica-1.key"),
        ("replica-0-tls.key", "replica-1-tls.key"),
        ("replica-0.key", "replica-0-tls.key"),
    ] {
        swap(one, other);
        let error = loaded().expect_err("another key");
        assert!(matches!(error, KeyError::NotTheListed { .. }), "{error}");
        swap(one, other);
    }
    loaded().expect("as they were");
    for garbage in ["", "no key", "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n"]
    {
        fs::write(keys.join("replica-0.key"), garbage).expect("our own file");
        assert!(matches!(loaded(), Err(KeyError::NotAKey(_))), "{garbage:?}");
    }
    fs::write(keys.join("replica-0.key"), [0xff; 5000]).expect("our own file");
    assert!(matches!(loaded(), Err(KeyError::NotAKey(_))));
}

#[test]
fn each_kind_of_file_is_known_for_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    assert!(matches!(AnyFile::load(&layout.cluster), Ok(AnyFile::Cluster(_))));
    assert!(matches!(AnyFile::load(&layout.replicas[3]), Ok(AnyFile::Replica(_))));
    assert!(matches!(AnyFile::load(&layout.clients[1]), Ok(AnyFile::Client(_))));
    assert!(AnyFile::load(&layout.directory).is_err());
    let nothing = folder.path().join("nothing.toml");
    fs::write(&nothing, "").expect("a new file");
    assert!(matches!(AnyFile::load(&nothing), Err(ConfigError::Syntax { .. })));
}

#[test]
fn a_file_of_another_kind_or_with_a_misspelt_setting_is_told_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let layout = init(&options(folder.path())).expect("a new cluster");
    let error = ClientConfig::load(&layout.replicas[0]).expect_err("it is no client's");
    let told = error.to_string();
    assert!(told.contains("is the file of a replica, and that of a client is needed"), "{told}");
    let error = ReplicaConfig::load(&layout.cluster).expect_err("it is no replica's");
    assert!(error.to_string().contains("is the file of a cluster"), "{error}");
    let text = fs::read_to_string(&layout.clients[0]).expect("it is there");
    let lines = text.lines().count();
    fs::write(&layout.clients[0], text + "\ntimeuot = \"1s\"\n").expect("our own file");
    let error = ClientConfig::load(&layout.clients[0]).expect_err("misspelt");
    let told = error.to_string();
    let line = format!("not understood at line {}: unknown field `timeuot`", lines + 2);
    assert!(told.contains(&line) && !told.contains('\n'), "{told}");
}
