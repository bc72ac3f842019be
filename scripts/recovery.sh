#!/bin/bash
# How long a replica of a large cluster takes to come back: killed and started again; with
# its disk wiped, by --recover; and after it missed many requests, under load. Prints a table.
#
# Usage: scripts/recovery.sh
#
# By environment: KEYS 1000000 in the state, VALUE_BYTES 100 each, MISSED 100000 requests,
# LOAD "--clients 4 --in-flight 32", SECONDS_EACH 10 of measured load, BASE_PORT 24100,
# QUORATE (the program; built if not given), TMPDIR. QUICK=1 tries the script with few keys.
#
# Four replicas on loopback; ends only what it started, and all of that.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -n ${QUICK:-} ]]; then KEYS=${KEYS:-20000} MISSED=${MISSED:-3000} SECONDS_EACH=${SECONDS_EACH:-3}; fi
keys=${KEYS:-1000000}
value_bytes=${VALUE_BYTES:-100}
missed=${MISSED:-100000}
seconds=${SECONDS_EACH:-10}
read -ra load <<<"${LOAD:---clients 4 --in-flight 32}"
patience=600

folder=$(mktemp -d)
# shellcheck source=scripts/local-cluster.sh
source scripts/local-cluster.sh
trap 'end_all; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

bench() {
    "$QUORATE" bench --cluster "$folder/cluster" --keys "$keys" --value-bytes "$value_bytes" \
        --warm-up 1 -o json "${load[@]}" "$@"
}

row() { printf '| %s | %s | %s |\n' "$@"; }

provide_quorate
make_cluster 8
start_all
say "writes $keys keys of $value_bytes bytes"
bench --fill --seconds 1 >/dev/null
for id in 1 2 3; do await "replica $id has all" "$patience" has_all "$id"; done

row "what" "measured" "aim"
row "---" "---" "---"

say "kills replica 3 and starts it again"
end 3 KILL
began=$(now)
start 3
await "replica 3 serves" "$patience" ready 3
row "killed, and serving again with $keys keys" "$(seconds_between "$began" "$(now)") s" "under 5 s"
row "of which reading the disk" "$(sed -n 's/.*took_ms=\([0-9]*\).*/\1/p' "$folder/log-3") ms" ""
row "its memory then" "$(memory 3) MiB" ""

say "wipes the disk of replica 3 and recovers it"
end 3 KILL
rm -rf "$folder/cluster/data/replica-3"
began=$(now)
start 3 --recover
await "replica 3 votes" "$patience" ready 3
voting=$(seconds_between "$began" "$(now)")
if grep -q "has fetched the state" "$folder/log-3"; then
    fetched=$(seconds_between "$(said_at 3 'fetches the state')" "$(said_at 3 'has fetched the state')")
    bytes=$(metric 3 quorate_transferred_bytes_total)
    rate=$(awk -v bytes="$bytes" -v seconds="$fetched" \
        'BEGIN { printf "%.0f", bytes / (seconds + 0.001) / 1e6 }')
    row "wiped, state fetched ($((bytes / 1000000)) MB in $fetched s)" "$rate MB/s" "over 50 MB/s"
else
    row "wiped, and no state to fetch: there was no checkpoint yet" "" ""
fi
row "wiped, and voting again in a new life" "$voting s" ""

say "stops replica 3 while $missed requests are served"
end 3 TERM
done=0
while ((done < missed)); do
    before=$(bench --seconds "$seconds")
    done=$((done + $(field operations "$before")))
done
say "starts it again under load"
bench --seconds $((6 * seconds)) >"$folder/during" &
loading=$!
# The load is under way when replica 0 executes again.
at=$(metric 0 quorate_executed)
advances() { (($(metric 0 quorate_executed) > at)); }
await "the load begins" 60 advances
began=$(now)
start 3
# It has caught up when it votes, fetches nothing, and is less than a checkpoint behind.
keeps_up() { ready 3 && (($(metric 3 quorate_lag) < 128)); }
await "replica 3 keeps up" "$patience" keeps_up
caught_up=$(seconds_between "$began" "$(now)")
under_load=$(kill -0 "$loading" 2>/dev/null && echo yes || echo "no, it had ended")
wait "$loading"
during=$(<"$folder/during")
row "missed $done requests, caught up under load (still under load: $under_load)" "$caught_up s" ""
row "requests/s of the others, before" "$(field throughput "$before")" ""
row "requests/s of the others, meanwhile" "$(field throughput "$during")" "not stopped"
row "longest answer meanwhile" "$(($(field max "$during") / 1000)) ms" ""
