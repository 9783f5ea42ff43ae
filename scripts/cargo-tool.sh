#!/bin/sh
# cargo-tool.sh NAME VERSION: builds a command of cargo's into .cache/tools, unless it is there in that
# version. The command is then in .cache/tools/bin.
set -eu
cd "$(dirname "$0")/.."
name=$1 version=$2
tools=$PWD/.cache/tools

# Cargo keeps the list of what it has installed there.
if [ -x "$tools/bin/$name" ] && cargo install --list --root "$tools" | grep -qx "$name v$version:"; then
    exit 0
fi
echo "building $name $version into .cache/tools (once, a minute or two)" >&2
# Unoptimised: it runs for seconds. A target folder of its own keeps its build out of ours.
CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$tools/target" \
    nice cargo install --quiet --locked --debug --root "$tools" "$name@$version" >&2
rm -rf "$tools/target"
