#!/usr/bin/env bash
# Fuzzes every target of tests/fuzz for so long, one after the other, and stops at the
# first that fails: cargo-fuzz then says which bytes did it.
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]   1800 seconds each of all targets unless told
#
# Begins with the corpus that is committed, and keeps what it finds in target/fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-fuzz >/dev/null || { echo "fuzz.sh: 'cargo install --locked cargo-fuzz' is needed" >&2; exit 1; }

seconds="${1:-1800}"
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(decode frames config log live)

# What the fuzzer needs of the compiler is not stable; everything else is.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$PWD/target/fuzz"
for target in "${targets[@]}"; do
    mkdir -p "$CARGO_TARGET_DIR/corpus/$target"
    cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none "$target" \
        "$CARGO_TARGET_DIR/corpus/$target" "tests/fuzz/corpus/$target" \
        -- -max_total_time="$seconds" -max_len=16384 -print_final_stats=1
done
