#!/bin/sh
# Builds the module twice, from copies of the sources at two paths of different length, with two
# target folders and two names of cargo's home, and compares the sums.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
work=${TMPDIR:-/tmp}/serin-reproducible.$$
home=${CARGO_HOME:-$HOME/.cargo}
trap 'rm -rf "$work"' EXIT INT TERM

first=
for folder in one another/and/longer; do
    copy=$work/$folder
    mkdir -p "$copy"
    tar -c --exclude=./target --exclude=./.cache --exclude=./.git . | tar -x -C "$copy"
    # Another name of the same folder: the crates are not fetched again.
    ln -s "$home" "$work/$folder.home"
    echo "building in $copy"
    (
        cd "$copy"
        unset MAKEFLAGS MAKELEVEL
        CARGO_HOME=$work/$folder.home CARGO_TARGET_DIR=$copy/build nice make --no-print-directory wasm
    ) >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    sum=$(sha256sum "$copy/target/serin.wasm" | cut -d ' ' -f 1)
    echo "$sum  serin.wasm, $(wc -c <"$copy/target/serin.wasm") bytes"
    if [ -n "$first" ] && [ "$first" != "$sum" ]; then
        mkdir -p "$root/target/reproducible"
        cp "$work/one/target/serin.wasm" "$root/target/reproducible/one.wasm"
        cp "$copy/target/serin.wasm" "$root/target/reproducible/another.wasm"
        echo 'the two differ: see target/reproducible' >&2
        exit 1
    fi
    first=$sum
done
echo 'the same'
