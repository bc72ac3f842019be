#!/usr/bin/env bash
# Tests the tests: puts each mistake of tests/seeded-bugs into a copy of the sources, and
# lets the simulator look for it.
#
#   scripts/seeded-bugs.sh [--seeds N] [NAME...]
#
# Says which seed caught which mistake, by which invariant. Ends with 1 if one was not
# caught within N seeds (20000 unless told), and with 2 if a patch does not apply or does
# not build: then the code has moved on, and the mistake must be put in anew.
set -euo pipefail
cd "$(dirname "$0")/.."

seeds=20000
if [ "${1:-}" = --seeds ]; then
    seeds=$2
    shift 2
fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in tests/seeded-bugs/*.patch; do
        names+=("$(basename "$patch" .patch)")
    done
fi

# One target directory for all, so that only this crate is built again.
export CARGO_TARGET_DIR="$PWD/target/seeded-bugs"
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_INCREMENTAL=true
copy="$CARGO_TARGET_DIR/copy"

# The sources as they are, in place of what the last mistake left.
fresh() {
    rm -rf "$copy"
    mkdir -p "$copy/tests"
    cp -r Cargo.toml Cargo.lock README.md src "$copy/"
    cp -r tests/benches "$copy/tests/"
}

caught=0 early=0 missed=() broken=()
printf '%-44s %8s  %s\n' mistake seed "caught by"
for name in "${names[@]}"; do
    fresh
    if ! patch -d "$copy" -p1 -s <"tests/seeded-bugs/$name.patch" ||
        ! cargo build --release --quiet --bin quorate --manifest-path "$copy/Cargo.toml" 2>"$copy.log"; then
        broken+=("$name")
        printf '%-44s %8s  %s\n' "$name" - "does not apply or build: $copy.log"
        continue
    fi
    out="$CARGO_TARGET_DIR/$name.txt"
    code=0
    "$CARGO_TARGET_DIR/release/quorate" simulate --seeds "0..$seeds" >"$out" 2>&1 || code=$?
    case $code in
    10 | 11 | 12)
        caught=$((caught + 1))
        line=$(grep -aE '^seed [0-9]+( breaks |: a replica panics)' "$out" | tail -n 1)
        seed=$(sed -E 's/^seed ([0-9]+).*/\1/' <<<"$line")
        if [ "$seed" -lt 1000 ]; then early=$((early + 1)); fi
        by=$(sed -E 's/^seed [0-9]+:?( breaks)? //' <<<"$line" | cut -c 1-90)
        printf '%-44s %8s  %s\n' "$name" "$seed" "$by"
        ;;
    0)
        missed+=("$name")
        printf '%-44s %8s  %s\n' "$name" - "NOT caught in $seeds seeds"
        ;;
    *)
        broken+=("$name")
        printf '%-44s %8s  %s\n' "$name" - "the simulator ended with $code: $out"
        ;;
    esac
done
echo "${#names[@]} mistakes: $caught caught, $early of them within 1,000 seeds;" \
    "${#missed[@]} not caught, ${#broken[@]} not tried"
[ ${#broken[@]} -eq 0 ] || exit 2
[ ${#missed[@]} -eq 0 ] || exit 1
