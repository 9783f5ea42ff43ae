#!/bin/sh
# cargo-tool.sh NAME VERSION [OPTIONS]: installs a command from crates.io into .cache/tools, unless that
# version is there. The command is then in .cache/tools/bin. cargo install gets the options.
set -eu
cd "$(dirname "$0")/.."
name=$1 version=$2
shift 2
tools=$PWD/.cache/tools

# Cargo keeps the list of what it has installed there.
if [ -x "$tools/bin/$name" ] && cargo install --list --root "$tools" | grep -qx "$name v$version:"; then
    exit 0
fi
echo "building $name $version into .cache/tools (once, a minute or two)" >&2
# Unoptimised: it runs for seconds. A target folder of its own keeps its build out of ours.
CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$tools/target" \
    nice cargo install --quiet --locked --debug --root "$tools" "$@" "$name@$version" >&2
rm -rf "$tools/target"
