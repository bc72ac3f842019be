#!/usr/bin/env bash
# Everything that must hold before a change lands: format, lints, docs, dependencies,
# tests. Stops at the first that does not, and says which it was.
#
#   scripts/check.sh                everything
#   scripts/check.sh --advisories   and known vulnerabilities, where they can be fetched
#   QUORATE_SKIP_TESTS=1 scripts/check.sh   all but the tests
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    printf '\n== %s\n' "$1"
    shift
    "$@" || { printf 'check.sh: "%s" failed\n' "$*" >&2; exit 1; }
}

step "format" cargo fmt --all --check
step "lints" cargo clippy --quiet --all-targets -- --deny warnings
RUSTDOCFLAGS="--deny warnings" step "docs" cargo doc --quiet --no-deps --document-private-items
checks="bans licenses sources"
if [ "${1:-}" = "--advisories" ]; then checks="$checks advisories"; fi
if ! command -v cargo-deny >/dev/null; then
    echo "check.sh: cargo-deny is not installed; 'cargo install --locked cargo-deny' brings it" >&2
    exit 1
fi
# shellcheck disable=SC2086
step "dependencies" cargo deny --log-level error check $checks
if [ -z "${QUORATE_SKIP_TESTS:-}" ]; then step "tests" cargo test --quiet; fi
