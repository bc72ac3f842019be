#!/bin/bash
# Compares Quorate with etcd and ZooKeeper on this machine: three nodes of each of those and
# four replicas of Quorate, all on loopback, all with sync on, under the same closed loop of
# writes. The systems take turns, and all is measured several times: what else the machine
# does then hits all alike. Prints a table of medians, ranges and ratios.
#
# Usage: scripts/compare.sh [results file]
#
# By environment: CLIENTS "1 16 64 256", BYTES "100 1024", REPEAT 3, SECONDS_EACH 10,
# WARM_UP 3, SYSTEMS "quorate quorate-one etcd zookeeper" (quorate-one is one client with as
# many requests in flight), QUORATE (the program; built if not given).
#
# Installs etcd-server, zookeeper, a Java runtime and a Go compiler from the distribution
# where they are missing, which takes root. Ends only what it started, and all of that.
set -euo pipefail
cd "$(dirname "$0")/.."

read -ra clients <<<"${CLIENTS:-1 16 64 256}"
read -ra sizes <<<"${BYTES:-100 1024}"
read -ra systems <<<"${SYSTEMS:-quorate quorate-one etcd zookeeper}"
repeat=${REPEAT:-3}
seconds=${SECONDS_EACH:-10}
warm_up=${WARM_UP:-3}
base_port=${BASE_PORT:-23790}

folder=$(mktemp -d)
results=${1:-$folder/results}
pids=()
# Ends a program and waits for it. It is a child of this shell, so the number is its own.
end() { kill "$1" 2>/dev/null || true; wait "$1" 2>/dev/null || true; }
# Runs a program so that a signal to this shell is heard at once, and ends it then.
within() {
    timeout "$@" &
    pids+=($!)
    wait $!
}
end_all() { for pid in "${pids[@]}"; do end "$pid"; done; pids=(); }
trap 'end_all; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

say() { echo "$(date +%T) $*" >&2; }

install_missing() {
    local missing=()
    for package in etcd-server zookeeper default-jre-headless golang-go golang-etcd-server-dev; do
        dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
    done
    ((${#missing[@]} == 0)) && return
    say "installs ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

# Waits until somebody listens at a port, half a minute at most.
await_port() {
    for _ in $(seq 300); do
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    say "nobody listens at port $1; the logs:"
    tail -n 20 "$folder"/*/log* >&2
    exit 1
}

start_etcd() {
    local members="" node
    for node in 0 1 2; do
        members+="node$node=http://127.0.0.1:$((base_port + 10 * node + 1)),"
    done
    for node in 0 1 2; do
        local client="http://127.0.0.1:$((base_port + 10 * node))"
        local peer="http://127.0.0.1:$((base_port + 10 * node + 1))"
        etcd --name "node$node" --data-dir "$1/node$node" --logger zap --log-level error \
            --listen-client-urls "$client" --advertise-client-urls "$client" \
            --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
            --initial-cluster "${members%,}" >"$1/log$node" 2>&1 &
        pids+=($!)
    done
}

start_zookeeper() {
    local node other
    for node in 0 1 2; do
        mkdir -p "$1/node$node"
        echo "$node" >"$1/node$node/myid"
        {
            printf 'tickTime=2000\ninitLimit=10\nsyncLimit=5\nmaxClientCnxns=0\n'
            printf 'admin.enableServer=false\ndataDir=%s\n' "$1/node$node"
            printf 'clientPort=%s\nclientPortAddress=127.0.0.1\n' $((base_port + 10 * node))
            for other in 0 1 2; do
                printf 'server.%s=127.0.0.1:%s:%s\n' "$other" \
                    $((base_port + 10 * other + 1)) $((base_port + 10 * other + 2))
            done
        } >"$1/node$node.cfg"
        java -Xmx512m -cp "/etc/zookeeper/conf_example:/usr/share/java/zookeeper.jar:/usr/share/java/*" \
            -Dzookeeper.log.threshold=ERROR -Dzookeeper.root.logger=ERROR,CONSOLE \
            org.apache.zookeeper.server.quorum.QuorumPeerMain "$1/node$node.cfg" \
            >"$1/log$node" 2>&1 &
        pids+=($!)
    done
}

# Measures one of the others with new data: the system, clients, bytes.
measure() {
    local home="$folder/$1"
    rm -rf "$home"
    mkdir -p "$home"
    "start_$1" "$home"
    local servers="" numbers node
    for node in 0 1 2; do
        await_port $((base_port + 10 * node))
        servers+="127.0.0.1:$((base_port + 10 * node)),"
    done
    numbers=$(IFS=,; echo "${pids[*]}")
    local patience=$((seconds + warm_up + 90))
    # A quorum may take a moment more than the ports.
    for _ in $(seq 20); do
        if within $patience "$folder/load" -system "$1" -servers "${servers%,}" \
            -clients "$2" -value-bytes "$3" -warm-up "${warm_up}s" -seconds "${seconds}s" \
            -pids "$numbers" 2>"$home/complaint"; then
            return
        fi
        sleep 1
    done
    cat "$home/complaint" "$home"/log* >&2
    exit 1
}

# Measures Quorate with new data: clients, requests in flight each, bytes.
measure_quorate() {
    TMPDIR=$folder within $((seconds + warm_up + 90)) "$QUORATE" bench --cluster local \
        --clients "$1" --in-flight "$2" --value-bytes "$3" --warm-up "$warm_up" \
        --seconds "$seconds" -o json
}

install_missing
if [[ -z ${QUORATE:-} ]]; then
    say "builds Quorate"
    cargo build --release --quiet --bin quorate
    QUORATE=${CARGO_TARGET_DIR:-target}/release/quorate
fi
say "builds the load for the others"
(cd tests/compare/load && GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$folder/cache \
    go build -o "$folder/load" .)

: >"$results"
for round in $(seq "$repeat"); do
    for bytes in "${sizes[@]}"; do
        for count in "${clients[@]}"; do
            for system in "${systems[@]}"; do
                # With one request in flight it is the same.
                [[ $system == quorate-one && $count == 1 ]] && continue
                say "round $round of $repeat: $count clients, $bytes bytes, $system"
                case $system in
                    quorate) measure_quorate "$count" 1 "$bytes" ;;
                    quorate-one) measure_quorate 1 "$count" "$bytes" ;;
                    *) measure "$system" "$count" "$bytes" ;;
                esac >"$folder/run"
                end_all
                printf '%s clients, %s B\t%s\t%s\n' "$count" "$bytes" "$system" \
                    "$(<"$folder/run")" >>"$results"
            done
        done
    done
done
"$folder/load" -summary "$results"
