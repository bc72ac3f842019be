#!/usr/bin/env bash
# Tests the tests: puts each mistake of tests/seeded-bugs into a copy of the sources, and
# lets the simulator look for it. As many at a time as there are processors.
#
#   scripts/seeded-bugs.sh [--seeds N] [NAME...]
#
# Says which seed caught which mistake, by which invariant: the lowest seed, for each is
# searched on one processor. Ends with 1 if one was not caught within N seeds (20000 unless
# told), and with 2 if a patch does not apply or does not build: then the code has moved on,
# and the mistake must be put in anew.
set -euo pipefail
cd "$(dirname "$0")/.."

export SEEDS=20000
if [ "${1:-}" = --seeds ]; then
    SEEDS=$2
    shift 2
fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in tests/seeded-bugs/*.patch; do
        names+=("$(basename "$patch" .patch)")
    done
fi

# Quick builds, in which only what a mistake touches is built again; one directory for each
# processor.
export WORK="$PWD/target/seeded-bugs"
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_DEBUG=0
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 CARGO_PROFILE_RELEASE_INCREMENTAL=true
mkdir -p "$WORK"
rm -f "$WORK"/*.result

# Tries one mistake, and leaves a line of what came of it: its kind, seed and story.
try() {
    local name=$1 copy="$WORK/$SLOT/copy" out="$WORK/$1.txt" code=0
    export CARGO_TARGET_DIR="$WORK/$SLOT"
    # The sources as they are, in place of what the last mistake left.
    rm -rf "$copy"
    mkdir -p "$copy/tests"
    cp -r Cargo.toml Cargo.lock README.md src "$copy/"
    cp -r tests/benches "$copy/tests/"
    if ! patch -d "$copy" -p1 -s <"tests/seeded-bugs/$name.patch" >"$out" 2>&1 ||
        ! cargo build --release --quiet --bin quorate --manifest-path "$copy/Cargo.toml" >"$out" 2>&1; then
        report broken "$name" - "does not apply or build: $out"
        return
    fi
    "$CARGO_TARGET_DIR/release/quorate" simulate --jobs 1 --seeds "0..$SEEDS" >"$out" 2>&1 || code=$?
    local line seed by
    case $code in
    10 | 11 | 12)
        line=$(grep -aE '^seed [0-9]+( breaks |: a replica panics)' "$out" | tail -n 1)
        seed=$(sed -E 's/^seed ([0-9]+).*/\1/' <<<"$line")
        by=$(sed -E 's/^seed [0-9]+:?( breaks)? //' <<<"$line" | cut -c 1-90)
        report caught "$name" "$seed" "$by"
        ;;
    0) report missed "$name" - "NOT caught in $SEEDS seeds" ;;
    *) report broken "$name" - "the simulator ended with $code: $out" ;;
    esac
}

report() {
    echo "$1 $3" >"$WORK/$2.result"
    printf '%-44s %8s  %s\n' "$2" "$3" "$4"
}
export -f try report

printf '%-44s %8s  %s\n' mistake seed "caught by"
printf '%s\n' "${names[@]}" |
    xargs -n 1 -P "$(nproc)" --process-slot-var=SLOT bash -c 'set -euo pipefail; try "$1"' try

count() { cat "$WORK"/*.result | awk "$1" | wc -l; }
caught=$(count '/^caught/') early=$(count '/^caught/ && $2 < 1000')
missed=$(count '/^missed/') broken=$((${#names[@]} - caught - missed))
echo "${#names[@]} mistakes: $caught caught, $early of them within 1,000 seeds;" \
    "$missed not caught, $broken not tried"
[ "$broken" -eq 0 ] || exit 2
[ "$missed" -eq 0 ] || exit 1
