#!/bin/sh
# Checks that the machine has what the build needs, and adds the pinned Rust toolchain and its wasm
# target where rustup can. Names all that is missing, each with the command that installs it.
set -u
cd "$(dirname "$0")/.." || exit 1
channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
target=wasm32-unknown-unknown
missing=0

need() { # WHAT, DEBIAN PACKAGES, OTHERWISE
    missing=1
    printf 'missing: %s\n  Debian, Ubuntu: sudo apt-get install %s\n  otherwise:      %s\n' "$1" "$2" "$3" >&2
}

if ! command -v python3 >/dev/null; then
    need 'Python 3' 'python3 python3-pip' 'https://www.python.org/downloads/'
elif ! python3 -m pip --version >/dev/null 2>&1; then
    need 'pip for Python 3' python3-pip 'python3 -m ensurepip'
fi
if ! command -v cc >/dev/null; then
    need 'a C compiler (cargo links with it)' gcc 'macOS: xcode-select --install; Fedora: sudo dnf install gcc'
fi
if ! command -v cargo >/dev/null; then
    need "Rust $channel, best through rustup" 'rustup (Debian 13 and later)' \
        "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh, then a new shell"
fi
[ "$missing" = 0 ] || exit 1

# Without rustup there is no pinned toolchain: any rustc that cargo accepts will do.
complete() {
    libraries=$(rustc --print target-libdir --target "$target" 2>/dev/null) &&
        ls "$libraries"/libcore-*.rlib >/dev/null 2>&1 &&
        cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1
}

if complete; then
    exit 0
fi
if command -v rustup >/dev/null; then
    echo "adding Rust $channel with rustfmt, clippy and the target $target (once)"
    RUST_BACKTRACE=0 rustup toolchain install "$channel" --profile minimal \
        --component rustfmt --component clippy --target "$target" && complete && exit 0
fi
cat >&2 <<END

missing: Rust $channel with rustfmt, clippy and the target $target
  with rustup: rustup toolchain install $channel --profile minimal -c rustfmt -c clippy -t $target
  without:     a rustc of version $channel or later from the distribution, with its standard library for
               wasm: sudo apt-get install rustc cargo rustfmt rust-clippy libstd-rust-dev-wasm32
END
exit 1
