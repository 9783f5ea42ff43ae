#!/bin/sh
# Builds mdBook, which turns docs/ into a site, into .cache/tools and prints the path of the command.
# Without its server and its watcher, which `make docs` does not use.
set -eu
cd "$(dirname "$0")/.."

scripts/cargo-tool.sh mdbook 0.5.4 --no-default-features --features search
echo "$PWD/.cache/tools/bin/mdbook"
