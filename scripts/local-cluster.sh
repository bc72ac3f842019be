# A cluster of four replicas on this machine, for the scripts that measure: to be sourced.
# It needs $QUORATE, the program, and $folder, where the cluster's files go. Listens at
# BASE_PORT (24100) and the three above, for operators a hundred above those.
# Ends only what it started: each by its number, which is a child's of the script's shell.

base_port=${BASE_PORT:-24100}
pids=()

say() { echo "$(date +%T) $*" >&2; }
fail() { say "$*"; exit 1; }

# The program, built unless it was named.
provide_quorate() {
    if [[ -z ${QUORATE:-} ]]; then
        say "builds Quorate"
        cargo build --release --quiet --bin quorate
        QUORATE=${CARGO_TARGET_DIR:-target}/release/quorate
    fi
    QUORATE=$(realpath "$QUORATE")
}

# Writes the cluster's files: how many clients.
make_cluster() {
    "$QUORATE" init --dir "$folder/cluster" --name measured --clients "$1" \
        --base-port "$base_port" >/dev/null
}

# Starts a replica: its number, and more arguments.
start() {
    local id=$1
    shift
    "$QUORATE" node --config "$folder/cluster/config/replica-$id.toml" "$@" \
        >"$folder/log-$id" 2>&1 &
    pids[id]=$!
}

# Ends a replica by a signal, and waits until it is gone: its number, the signal.
end() {
    [[ -n ${pids[$1]:-} ]] || return 0
    kill "-$2" "${pids[$1]}" 2>/dev/null || true
    wait "${pids[$1]}" 2>/dev/null || true
    unset "pids[$1]"
}

end_all() {
    local id
    for id in "${!pids[@]}"; do end "$id" KILL; done
}

# A page of a replica's admin address: its number, the page. Fails unless it is there.
page() {
    local port=$((base_port + 100 + $1)) line body=0
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
    printf 'GET %s HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n' "$2" >&3
    while IFS= read -r line <&3 || [[ -n $line ]]; do
        line=${line%$'\r'}
        case $body,$line in
            0,HTTP/1.1\ 200*) ;;
            0,HTTP/*) exec 3<&-; return 1 ;;
            0,) body=1 ;;
            1,*) printf '%s\n' "$line" ;;
        esac
    done
    exec 3<&-
}

# One of a replica's metrics: its number, the metric's name.
metric() { page "$1" /metrics 2>/dev/null | awk -v name="$2" '$1 == name { print $2 }'; }

# Waits until a command succeeds, so many seconds at most: what is waited for, the seconds,
# the command.
await() {
    local what=$1 deadline=$((SECONDS + $2))
    shift 2
    until "$@" >/dev/null 2>&1; do
        if ((SECONDS >= deadline)); then
            tail -n 5 "$folder"/log-* >&2
            fail "$what: not in time"
        fi
        sleep 0.02
    done
}

ready() { page "$1" /readyz; }

start_all() {
    local id
    for id in 0 1 2 3; do start "$id"; done
    for id in 0 1 2 3; do await "replica $id serves" 120 ready "$id"; done
}

# Whether a replica has executed all that replica 0 has.
has_all() { [[ $(metric "$1" quorate_executed) == "$(metric 0 quorate_executed)" ]]; }

# The seconds from one time to another, both in nanoseconds since 1970.
seconds_between() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.2f", (to - from) / 1e9 }'; }

now() { date +%s%N; }

# When a replica's log first said something: its number, the words. In nanoseconds.
said_at() {
    local time
    time=$(sed 's/\x1b\[[0-9;]*m//g' "$folder/log-$1" | grep -m 1 -F "$2" | cut -d' ' -f1)
    [[ -n $time ]] && date -d "$time" +%s%N
}

# A number from what 'quorate bench -o json' printed of one run: the field, the text.
field() { sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p" <<<"$2"; }

# The most memory that a replica ever had, in MiB: its number.
memory() { awk '/^VmHWM/ { printf "%.0f", $2 / 1024 }' "/proc/${pids[$1]}/status"; }
