#!/usr/bin/env bash
# Simulates until told to stop (Ctrl-C), or until a seed fails: ten thousand seeds at a
# time, from FIRST_SEED on (a number drawn from the clock unless told). A failing seed is
# told with the command that replays it, and the exit code is the simulator's.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet
first=${FIRST_SEED:-$(($(date +%s) * 1000))}
done_so_far=0
trap 'echo "held: $done_so_far seeds from ${FIRST_SEED:-$first} on"; exit 0' INT TERM
begin=$first
while true; do
    target/release/quorate simulate --seeds "$begin..$((begin + 10000))" "$@"
    begin=$((begin + 10000))
    done_so_far=$((begin - first))
    echo "held: $done_so_far seeds from $first on"
done
