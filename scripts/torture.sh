#!/usr/bin/env bash
# Kills replicas of a real cluster at random moments under load, and checks that nothing
# acknowledged was lost and that all the clients saw could have happened in one order.
#
#   scripts/torture.sh [ROUNDS]     1000 unless told; 20 are in 'cargo test'
#   QUORATE_SEED=7 scripts/torture.sh   with the chance of that number
set -euo pipefail
cd "$(dirname "$0")/.."
export QUORATE_ROUNDS="${1:-1000}"
exec cargo test --release --quiet --test cluster -- --exact --nocapture \
    torture::killed_again_and_again_a_cluster_loses_nothing
