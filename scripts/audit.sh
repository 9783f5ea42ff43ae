#!/bin/sh
# Licences, sources and advisories of all dependencies, as deny.toml wants them.
# The last line says what was audited and what was not. A database that cannot be fetched is no
# failure; in CI a tool that cannot be had is one.
set -u
cd "$(dirname "$0")/.." || exit 1
version=0.20.2
tools=$PWD/.cache/tools

export PATH="$tools/bin:$PATH"
if [ "$(cargo-deny --version 2>/dev/null)" != "cargo-deny $version" ]; then
    if ! scripts/cargo-tool.sh cargo-deny "$version"; then
        echo "to have it elsewhere: cargo install --locked cargo-deny@$version"
        echo "not audited: licences, bans, sources, advisories (no cargo-deny $version)"
        # Crates.io has it, and CI needs crates.io anyway.
        [ -z "${CI:-}" ]
        exit
    fi
fi

cargo deny check --hide-inclusion-graph licenses bans sources || exit 1

# Only the fetch may fail for want of a network.
if reason=$(GIT_TERMINAL_PROMPT=0 cargo deny fetch db 2>&1); then
    cargo deny check --hide-inclusion-graph advisories || exit 1
    echo "audited: licences, bans, sources, advisories"
else
    printf '%s\n' "$reason" | grep . | tail -n 1
    echo "audited: licences, bans, sources; not audited: advisories (no database)"
fi
