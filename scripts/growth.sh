#!/bin/bash
# Measures what Quorate costs as things grow, on this machine: replicas, the size of values,
# keys in the state, clients; and what the worst single liar makes of it. Writes the tables
# into docs/growth.md, and drawings beside it.
#
# Usage: scripts/growth.sh [folder]     docs unless told
#
# By environment: REPLICAS "4 7 10 13", BYTES "16 256 4096 65536 1048576", KEYS "10000
# 100000 1000000" (add 10000000 where there are 16 GiB to spare), CLIENTS
# 1,4,16,64,256,1000,2000, LIARS (all behaviours), PARTS "replicas values keys clients
# liars", SECONDS_EACH 10, WARM_UP 3, LOAD "--clients 16 --in-flight 4", BASE_PORT 24100,
# QUORATE (the program; built if not given), TMPDIR. QUICK=1 tries the script in a few
# minutes: its figures say nothing.
#
# All on loopback; ends only what it started, and all of that.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -n ${QUICK:-} ]]; then
    REPLICAS=${REPLICAS:-4 7} BYTES=${BYTES:-16 65536} KEYS=${KEYS:-1000 20000}
    CLIENTS=${CLIENTS:-1,16,64} LIARS=${LIARS:-equivocating slow-primary}
    SECONDS_EACH=${SECONDS_EACH:-2} WARM_UP=${WARM_UP:-1}
fi
read -ra replicas <<<"${REPLICAS:-4 7 10 13}"
read -ra sizes <<<"${BYTES:-16 256 4096 65536 1048576}"
read -ra states <<<"${KEYS:-10000 100000 1000000}"
read -ra parts <<<"${PARTS:-replicas values keys clients liars}"
read -ra load <<<"${LOAD:---clients 16 --in-flight 4}"
clients=${CLIENTS:-1,4,16,64,256,1000,2000}
seconds=${SECONDS_EACH:-10}
warm_up=${WARM_UP:-3}
patience=3600

out=${1:-docs}
folder=$(mktemp -d)
# shellcheck source=scripts/local-cluster.sh
source scripts/local-cluster.sh
running=
stop_bench() { if [[ -n $running ]]; then kill "$running" 2>/dev/null || true; wait "$running" 2>/dev/null || true; fi; }
trap 'stop_bench; end_all; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

# Runs 'quorate bench' so that a signal to this script ends it, which ends its replicas.
bench() {
    TMPDIR=$folder "$QUORATE" bench --seconds "$seconds" --warm-up "$warm_up" -o json "$@" \
        >"$folder/result" &
    running=$!
    if ! wait "$running"; then running=; return 1; fi
    running=
    result=$(<"$folder/result")
}

# One field of the run that 'bench' measured last, by its path, as a whole number.
of() { jq -r "(.runs[0] | $1) // 0 | floor" <<<"$result"; }
per_s() { of .throughput; }
p50() { jq -r '.runs[0].latency_us.p50 / 1000' <<<"$result"; }
p99() { jq -r '.runs[0].latency_us.p99 / 1000' <<<"$result"; }
longest() { jq -r '.runs[0].latency_us.max / 1000' <<<"$result"; }
pause() { jq -r '.runs[0].longest_pause_us / 1000' <<<"$result"; }
# Of all replicas, for each request: processor time in microseconds, bytes sent, written.
cpu() { of '[.replicas[].cpu_us_per_operation] | add'; }
sent() { of .sent_bytes_per_operation; }
written() { of '[.replicas[].written_bytes_per_operation] | add'; }
peak() { of '[.replicas[].peak_memory_bytes] | max / 1048576'; }

write() { printf '%s\n' "$@" >>"$out/growth.md"; }
row() {
    local line='|' cell
    for cell in "$@"; do line+=" $cell |"; done
    write "$line"
}
point() { local file=$1 IFS=$'\t'; shift; printf '%s\n' "$*" >>"$folder/$file"; }

# Draws the points of a file: the drawing's name, title, x, y, the lines' names.
draw() {
    awk -v title="$2" -v x_name="$3" -v y_name="$4" -v names="$5" -f scripts/plot.awk \
        "$folder/$1" >"$out/growth-$1.svg"
    write "" "![$2](growth-$1.svg)"
}

with_replicas() {
    write "" "## Replicas" "" "Puts of 100 bytes, \`quorate bench --replicas N ${load[*]}\`." ""
    row replicas "may lie" "per s" "p50 ms" "p99 ms" "CPU µs of all" "of each" "bytes sent by all" "of each"
    row --- --- --- --- --- --- --- --- ---
    local n
    for n in "${replicas[@]}"; do
        say "$n replicas"
        bench --replicas "$n" "${load[@]}"
        row "$n" $(((n - 1) / 3)) "$(per_s)" "$(p50)" "$(p99)" "$(cpu)" $(($(cpu) / n)) "$(sent)" \
            $(($(sent) / n))
        point replicas "$n" "$(per_s)" "$(cpu)" "$(sent)"
    done
    draw replicas "What a request costs, by the number of replicas" replicas "" \
        "requests/s,CPU µs of all,bytes sent by all"
}

with_values() {
    write "" "## The size of values" "" "\`quorate bench --value-bytes B ${load[*]}\`. What is written is what" \
        "the system counts for the processes: where its cache works in large pieces, many times what" \
        "reaches the disk." ""
    row bytes "per s" "MB/s" "p50 ms" "p99 ms" "CPU µs of all" "bytes sent by all" "written by all"
    row --- --- --- --- --- --- --- ---
    local bytes
    for bytes in "${sizes[@]}"; do
        say "values of $bytes bytes"
        # Fewer keys of large values: what is measured is no want of memory.
        local keys=$((256000000 / (bytes + 1000)))
        bench --value-bytes "$bytes" --keys $((keys < 10000 ? keys : 10000)) "${load[@]}"
        row "$bytes" "$(per_s)" "$(awk "BEGIN { printf \"%.1f\", $(per_s) * $bytes / 1e6 }")" \
            "$(p50)" "$(p99)" "$(cpu)" "$(sent)" "$(written)"
        point values "$bytes" "$(per_s)" "$(cpu)" "$(sent)"
    done
    draw values "What a request costs, by the size of its value" bytes "" \
        "requests/s,CPU µs of all,bytes sent by all"
}

with_keys() {
    write "" "## Keys in the state" "" \
        "Values of 100 bytes; all keys are there before puts to any of them are measured, first in a" \
        "closed loop and then at 1,000 a second by 16 clients. A pause is a time in which nothing is" \
        "answered, the longest of each measurement: no checkpoint may stop all others for long. A" \
        "replica is killed then, and started again." ""
    row keys "per s" "p50 ms" "p99 ms" "pause ms" "at 1,000/s: p99 ms" "pause ms" "serves again s" \
        "of that the disk" "memory MiB"
    row --- --- --- --- --- --- --- --- --- ---
    local keys began again closed
    for keys in "${states[@]}"; do
        say "$keys keys"
        rm -rf "$folder/cluster"
        make_cluster 16
        start_all
        bench --cluster "$folder/cluster" --keys "$keys" --fill "${load[@]}"
        closed=("$(per_s)" "$(p50)" "$(p99)" "$(pause)")
        bench --cluster "$folder/cluster" --keys "$keys" --clients 16 --rate 1000
        await "replica 3 has all" "$patience" has_all 3
        local memory
        memory=$(memory 3)
        end 3 KILL
        began=$(now)
        start 3
        await "replica 3 serves" "$patience" ready 3
        again=$(seconds_between "$began" "$(now)")
        row "$keys" "${closed[@]}" "$(p99)" "$(pause)" "$again" \
            "$(sed -n 's/.*took_ms=\([0-9]*\).*/\1/p' "$folder/log-3") ms" "$memory"
        point keys "$keys" "${closed[0]}" "$(pause)" "$(awk "BEGIN { print $again * 1000 }")" "$memory"
        end_all
    done
    draw keys "What a state costs, by its keys" keys "" \
        "puts/s,longest pause at 1000/s ms,restart ms,memory MiB"
}

with_clients() {
    write "" "## Clients" "" "Puts of 100 bytes, \`quorate bench --clients $clients\`, one request of" \
        "each under way." ""
    row clients "per s" "p50 ms" "p99 ms" "longest ms" "CPU µs of all" "memory MiB"
    row --- --- --- --- --- --- ---
    say "clients: $clients"
    bench --clients "$clients" --plot "$out/growth-clients.svg"
    local all=$result each
    while IFS= read -r each; do
        result=$each
        row "$(of .clients)" "$(per_s)" "$(p50)" "$(p99)" "$(longest)" "$(cpu)" "$(peak)"
    done < <(jq -c '.runs[] | {runs: [.]}' <<<"$all")
    write "" "![Throughput and latency](growth-clients.svg)"
}

with_liars() {
    write "" "## The worst liar" "" \
        "Replica 0, the primary of the first view, lies in each way of the cast in turn; the load is" \
        "the same, and so are the honest replicas. The slowest first; \`none\` is nobody." ""
    row behaviour "per s" "p50 ms" "p99 ms" "longest ms" "errors"
    row --- --- --- --- --- ---
    local liars liar
    liars=${LIARS:-$("$QUORATE" byzantine-node --list | awk 'NR > 1 { print $1 }')}
    : >"$folder/liars"
    for liar in none $liars; do
        say "liar: $liar"
        local lies=()
        [[ $liar == none ]] || lies=(--byzantine "0=$liar")
        if bench "${load[@]}" "${lies[@]}"; then
            point liars "$liar" "$(per_s)" "$(p50)" "$(p99)" "$(longest)" \
                "$(of '[.errors[]] | add')"
        else
            point liars "$liar" 0 - - - "nothing was answered"
        fi
    done
    local fields
    while IFS=$'\t' read -ra fields; do row "${fields[@]}"; done \
        < <(sort -t $'\t' -k 2,2n "$folder/liars")
}

command -v jq >/dev/null || fail "needs jq: apt-get install jq"
provide_quorate
ulimit -n "$(ulimit -H -n)"
mkdir -p "$out"
{
    echo "# Growth"
    echo
    echo "Made by \`SECONDS_EACH=$seconds WARM_UP=$warm_up PARTS=\"${parts[*]}\" scripts/growth.sh\`"
    echo "on $(git rev-parse --short HEAD), with $(nproc) cores ($(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1))"
    echo "for all replicas and clients together. Compare by ratio within one run."
} >"$out/growth.md"
for part in "${parts[@]}"; do "with_$part"; done
say "written: $out/growth.md"
