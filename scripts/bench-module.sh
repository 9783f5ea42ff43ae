#!/bin/sh
# Runs the benchmark of the module alone; all arguments are its own (`--help`).
#
# Exit 3: node is missing or too old, with the repair; nothing was done.
set -eu
cd "$(dirname "$0")/.."

if ! node -e 'process.exit(parseInt(process.versions.node, 10) >= 20 ? 0 : 1)' 2>/dev/null; then
    cat >&2 <<END
missing: node 20 or later; the module alone cannot be measured here
  sudo apt-get install nodejs, or https://nodejs.org/en/download
END
    exit 3
fi
# As Envoy runs a module: every function is compiled by the optimising compiler, before the first call;
# else a tick takes the time in which V8 compiles what it calls first. One thread, so that the process's
# processor time is the filter's and the host's.
exec node --no-liftoff --no-wasm-lazy-compilation --single-threaded-gc --expose-gc integration/module-bench/main.mjs "$@"
