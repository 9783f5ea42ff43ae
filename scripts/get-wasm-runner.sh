#!/bin/sh
# Builds the program that runs wasm tests in node, in the version of wasm-bindgen that Cargo.lock
# pins, and prints its path. It goes into .cache/wasm-bindgen-VERSION and is not built again.
#
# Exit 3: node is missing, with the repair; nothing was done.
set -eu
cd "$(dirname "$0")/.."

if ! command -v node >/dev/null; then
    cat >&2 <<END
missing: node; the engine's golden tests are not run in wasm here
  sudo apt-get install nodejs, or https://nodejs.org/en/download
END
    exit 3
fi
version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
folder=$PWD/.cache/wasm-bindgen-$version
runner=$folder/bin/wasm-bindgen-test-runner
if [ ! -x "$runner" ]; then
    echo "building wasm-bindgen-test-runner $version into ${folder#"$PWD"/} (once, a few minutes)" >&2
    # It runs for a second: what optimising it takes would never be saved.
    CARGO_PROFILE_RELEASE_OPT_LEVEL=1 nice cargo install --quiet --no-track \
        --root "$folder" --bin wasm-bindgen-test-runner "wasm-bindgen-cli@$version" >&2
fi
echo "$runner"
