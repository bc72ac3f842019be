//! The text of new files, with comments. `config/` holds examples of it, and a test
//! keeps them alike.
//!
//! Parameters are written out, so that a cluster stays the same cluster when a release
//! has other defaults. Settings are written as comments, so that each release's defaults
//! hold until somebody chooses.

use super::ClusterFile;
use super::replica::StorageSettings;
use super::text::written;
use crate::client;
use crate::net::Limits;
use crate::replica::Settings;
use crate::types::Span;
use std::time::Duration;

fn span(span: Span) -> String {
    written(Duration::from_micros(span.0))
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// `cluster.toml`.
pub(super) fn cluster(file: &ClusterFile) -> String {
    let parameters = &file.parameters;
    let mut text = format!(
        "# Who takes part in this cluster, and under which rules. This file is public, and must
# be the same on every replica and client: its digest, without the addresses, is the
# cluster's identity, which 'quorate config check' shows. An address may change; a changed
# key or parameter makes another cluster.

# Tells this cluster from others, for people.
name = {name}

[parameters]
# A checkpoint is taken after so many batches.
checkpoint_interval = {checkpoint_interval}
# So many batches may be under way above the last stable checkpoint.
window = {window}
# The most operations, and bytes, in one batch.
batch_items = {batch_items}
batch_bytes = {batch_bytes}
# The most operations, and bytes, that a client signs together.
bundle_operations = {bundle_operations}
bundle_bytes = {bundle_bytes}
# How many operations a client may have under way, and how many bytes of results are kept
# for it until it says that it has them.
client_window = {client_window}
client_kept_bytes = {client_kept_bytes}
# The most bytes of one result.
result_bytes = {result_bytes}
# How far the primary's clock may be from a backup's.
time_tolerance = \"{time_tolerance}\"
# A replica that lost its disk may come back once in so many checkpoints.
recovery_spacing = {recovery_spacing}
# The primary changes after so many checkpoints in its view; 0: only when it fails.
rotation = {rotation}
",
        name = quoted(&file.name),
        checkpoint_interval = parameters.checkpoint_interval,
        window = parameters.window,
        batch_items = parameters.batch_items,
        batch_bytes = parameters.batch_bytes,
        bundle_operations = parameters.bundle_operations,
        bundle_bytes = parameters.bundle_bytes,
        client_window = parameters.client_window,
        client_kept_bytes = parameters.client_kept_bytes,
        result_bytes = parameters.result_bytes,
        time_tolerance = span(parameters.time_tolerance),
        recovery_spacing = parameters.recovery_spacing,
        rotation = parameters.rotation,
    );
    text += "
# The replicas: where each is found, the key that its votes are signed with, and the key
# that it shows when it connects. Of n replicas, (n-1)/3 may fail or lie.
";
    for (id, replica) in file.replicas.iter().enumerate() {
        text += &format!(
            "\n[[replica]]\nid = {id}\naddress = {}\nkey = \"{}\"\ntls_key = \"{}\"\n",
            quoted(&replica.address),
            replica.key,
            replica.tls_key,
        );
    }
    text += "\n# The clients: who may send operations. Nobody else is heard.\n";
    for (id, client) in file.clients.iter().enumerate() {
        text += &format!("\n[[client]]\nid = {id}\n");
        if let Some(name) = &client.name {
            text += &format!("name = {}\n", quoted(name));
        }
        text += &format!("key = \"{}\"\ntls_key = \"{}\"\n", client.key, client.tls_key);
    }
    text
}

/// `replica-N.toml`.
pub(super) fn replica(id: u16, admin: u16) -> String {
    let settings = Settings::default();
    let limits = Limits::default();
    let storage = StorageSettings::default();
    format!(
        "# What replica {id} needs beside the cluster's file. Paths are relative to this file.

cluster = \"cluster.toml\"
id = {id}

# Its private keys. Nobody else may be able to read them; where the place is safe by other
# means, insecure_key_permissions = true lets others' permissions be.
key = \"../keys/replica-{id}.key\"
tls_key = \"../keys/replica-{id}-tls.key\"
# insecure_key_permissions = false

# Its log and state. Never give two replicas one folder, and never put an old copy back:
# start with 'quorate node --recover' instead.
data = \"../data/replica-{id}\"

# Where it listens, if not at its address in the cluster's file.
# listen = \"0.0.0.0:7100\"

# Where operators find its status and metrics. Keep it from strangers.
admin = \"127.0.0.1:{admin}\"

[log]
# \"text\" for people, \"json\" for programs.
# format = \"text\"
# error, warn, info, debug or trace.
# level = \"info\"

# Times may differ from replica to replica, and should be of one size.
[settings]
# How long a request may take before another primary is asked for, and the longest that
# this may become by doubling.
# patience = \"{patience}\"
# most_patience = \"{most_patience}\"
# How often it tells the others what it has and lacks.
# status_interval = \"{status_interval}\"
# How long something fetched may take before somebody else is asked.
# fetch_timeout = \"{fetch_timeout}\"
# How many batches the primary has under way.
# pipeline = {pipeline}
# How many of them it begins however little is in them; for more, enough must wait.
# eager = {eager}
# How long it waits at most for as many clients as asked of late, before it begins a batch
# with fewer; never longer than agreement takes.
# gathering = \"{gathering}\"
# From so many requests in a batch on, it leaves it to others to check what clients signed,
# where it is not its turn; and how long they have for it, at least, before it checks all
# the same.
# vouched_from = {vouched_from}
# vouching_patience = \"{vouching_patience}\"
# Of a batch of so many requests, it leaves it to others to reply, where a client can spare
# it; and how long it replies at once to a client that had to ask it.
# spared_from = {spared_from}
# replies_for = \"{replies_for}\"
# So many numbers ahead of its votes it reserves, so that they need not be on the disk
# before they are sent; it says nothing about those that a crash made it forget. With 0 every
# vote is synced first.
# reserved_votes = {reserved_votes}
# How often the primary proposes an empty batch while the next checkpoint is needed.
# fill_up_interval = \"{fill_up_interval}\"
# A primary is slow if requests wait so many times longer than agreement takes, and never
# below the floor.
# slow_factor = {slow_factor}
# slow_floor = \"{slow_floor}\"

# What connections may take.
[limits]
# From the connection to the end of the hellos.
# handshake = \"{handshake}\"
# Handshakes under way at once, of all and of one address.
# handshakes = {handshakes}
# handshakes_per_address = {handshakes_per_address}
# Connections of clients, of all together and of one.
# client_connections = {client_connections}
# connections_per_client = {connections_per_client}
# New connections a second, of one replica and of one client.
# replica_rate = {replica_rate}
# client_rate = {client_rate}
# A replica that is not heard for so long is gone.
# replica_silence = \"{replica_silence}\"
# A client's machine that is not heard for so long is asked for a sign of life.
# client_keepalive = \"{client_keepalive}\"
# How long a message that has begun may take; large ones have longer.
# progress = \"{progress}\"

[storage]
# The size of one file of the log.
# segment_bytes = {segment_bytes}
",
        patience = span(settings.patience),
        most_patience = span(settings.most_patience),
        status_interval = span(settings.status_interval),
        fetch_timeout = span(settings.fetch_timeout),
        pipeline = settings.pipeline,
        eager = settings.eager,
        gathering = span(settings.gathering),
        vouched_from = settings.vouched_from,
        vouching_patience = span(settings.vouching_patience),
        spared_from = settings.spared_from,
        replies_for = span(settings.replies_for),
        reserved_votes = settings.reserved_votes,
        fill_up_interval = span(settings.fill_up_interval),
        slow_factor = settings.slow_factor,
        slow_floor = span(settings.slow_floor),
        handshake = written(limits.handshake),
        handshakes = limits.handshakes,
        handshakes_per_address = limits.handshakes_per_address,
        client_connections = limits.client_connections,
        connections_per_client = limits.connections_per_client,
        replica_rate = limits.replica_rate,
        client_rate = limits.client_rate,
        replica_silence = written(limits.replica_silence),
        client_keepalive = written(limits.client_keepalive),
        progress = written(limits.progress),
        segment_bytes = storage.segment_bytes,
    )
}

/// `client-N.toml`.
pub(super) fn client(id: u32) -> String {
    let settings = client::Settings::default();
    format!(
        "# What client {id} needs beside the cluster's file. Paths are relative to this file.

cluster = \"cluster.toml\"
id = {id}

# Its private keys. Nobody else may be able to read them; where the place is safe by other
# means, insecure_key_permissions = true lets others' permissions be.
key = \"../keys/client-{id}.key\"
tls_key = \"../keys/client-{id}-tls.key\"
# insecure_key_permissions = false

# Where it remembers which request numbers it has used. If it is lost, the replicas are
# asked. Two processes at once need two clients.
session = \"../client-{id}.session\"

[settings]
# How long the primary alone has for a request before all replicas are asked, and the
# longest that this may become by doubling.
# retry = \"{retry}\"
# most_retry = \"{most_retry}\"
# How long the others have to reply once one replica has, before they are asked; longer, if
# that took longer.
# reply_patience = \"{reply_patience}\"
# After so long, the outcome is told to be unknown.
# timeout = \"{timeout}\"
# How long a quorum read may take from its first answer on, before it is ordered like a
# write. For its first answer it waits up to ten times as long.
# read_patience = \"{read_patience}\"
# How long one replica has to prove what it answers before the next is asked.
# proof_patience = \"{proof_patience}\"
",
        retry = span(settings.retry),
        most_retry = span(settings.most_retry),
        reply_patience = span(settings.reply_patience),
        timeout = span(settings.timeout),
        read_patience = span(settings.read_patience),
        proof_patience = span(settings.proof_patience),
    )
}
