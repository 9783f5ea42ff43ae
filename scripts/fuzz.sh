#!/bin/sh
# Fuzzes each target of scorer-sdk/fuzz, or those that are named: fuzz.sh SECONDS [TARGET…]
# The pinned stable toolchain does: without a sanitizer, which safe Rust hardly needs,
# nothing unstable is asked of it.
set -u
cd "$(dirname "$0")/.." || exit 1
seconds=${1:?usage: fuzz.sh SECONDS [TARGET…]}
shift
version=0.13.2
tools=$PWD/.cache/tools
export PATH="$tools/bin:$PATH"

if ! command -v c++ >/dev/null; then
    echo 'missing: a C++ compiler (libFuzzer is built with it)' >&2
    echo '  Debian, Ubuntu: sudo apt-get install g++' >&2
    echo '  otherwise:      macOS: xcode-select --install; Fedora: sudo dnf install gcc-c++' >&2
    exit 1
fi
if ! command -v cargo-fuzz >/dev/null; then
    echo "building cargo-fuzz $version into .cache/tools (once, a minute)"
    # A target folder of its own keeps its build out of ours.
    if ! CARGO_TARGET_DIR="$tools/target" \
        cargo install --quiet --locked --debug --root "$tools" "cargo-fuzz@$version"; then
        echo "missing: cargo-fuzz; install it with: cargo install --locked cargo-fuzz@$version" >&2
        exit 1
    fi
    rm -rf "$tools/target"
fi

fuzz=scorer-sdk/fuzz
work=${CARGO_TARGET_DIR:-$PWD/target}/fuzz
# Link-time optimisation takes minutes and finds nothing.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
[ $# -gt 0 ] || set -- $(ls "$fuzz/corpus")
status=0
for target; do
    printf '\n=== %s, %s s ===\n' "$target" "$seconds"
    # What is found goes to the first folder; the seeds in the repository stay as they are.
    mkdir -p "$work/corpus/$target"
    cargo fuzz run --fuzz-dir "$fuzz" --target-dir "$work/build" --features libfuzzer \
        --sanitizer none "$target" "$work/corpus/$target" "$fuzz/corpus/$target" -- \
        -max_total_time="$seconds" -max_len=2048 -timeout=10 -print_final_stats=1 || status=1
done
[ $status = 0 ] || echo "An input that crashed is in $fuzz/artifacts: mend the bug, then add it to $fuzz/corpus." >&2
exit $status
