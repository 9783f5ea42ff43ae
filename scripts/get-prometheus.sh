#!/bin/sh
# Finds Prometheus and promtool for the tests of alerts, dashboards and hooks, and links both into
# the folder given as the argument: from PATH, else out of Debian's package, without root and
# without installing anything. Where neither works it says so and ends well: those tests are then
# skipped, and say it again.
set -u
cd "$(dirname "$0")/.." || exit 1
folder=${1:-.cache/prometheus}
# What the tests use is in every release since then.
oldest=2.40

# A Prometheus that does not run here (another processor, a missing library) is none.
usable() { # FOLDER
    [ -x "$1/prometheus" ] && [ -x "$1/promtool" ] && "$1/promtool" --version >/dev/null 2>&1 || return 1
    version=$("$1/prometheus" --version 2>&1 | sed -n 's/^prometheus, version \([0-9.]*\).*/\1/p')
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ]
}

skipped() { # REASON
    rm -rf "$folder"
    printf '%s\n' \
        "no Prometheus: $1" \
        "  the tests of alerts, dashboards, Flagger and Argo Rollouts are skipped" \
        "  to run them: put prometheus and promtool $oldest or later on PATH (Debian: apt-get install prometheus)" >&2
    exit 0
}

usable "$folder" && exit 0
rm -rf "$folder"
mkdir -p "$folder/apt" || exit 1
folder=$(cd "$folder" && pwd)

if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
    ln -s "$(command -v prometheus)" "$(command -v promtool)" "$folder"
    if usable "$folder"; then
        rmdir "$folder/apt"
        exit 0
    fi
    echo "the Prometheus on PATH is older than $oldest, or does not run"
    rm "$folder/prometheus" "$folder/promtool"
fi
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    skipped 'not on PATH, and this is no Debian or Ubuntu, whose package could be fetched'

echo "fetching Debian's package prometheus into $folder (once; nothing is installed)"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
# Lists and archives of our own: the system's belong to root. What is installed does not matter.
apt() {
    apt-get -qq -o APT::Sandbox::User= -o Dir::State="$folder/apt" -o Dir::Cache="$folder/apt" \
        -o Dir::State::status=/dev/null -o Acquire::Languages=none -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=30 "$@" 2>&1
}
reason=$(apt update) || skipped "apt-get update failed: $(printf '%s' "$reason" | tail -n 1)"
reason=$(cd "$folder/apt" && apt download prometheus) ||
    skipped "apt-get download failed: $(printf '%s' "$reason" | tail -n 1)"
reason=$(dpkg-deb -x "$folder"/apt/prometheus_*.deb "$folder/apt/unpacked" 2>&1) ||
    skipped "the package cannot be unpacked: $reason"
mv "$folder/apt/unpacked/usr/bin/prometheus" "$folder/apt/unpacked/usr/bin/promtool" "$folder" ||
    skipped 'the package holds no prometheus and promtool'
rm -rf "$folder/apt"
usable "$folder" || skipped "Debian's package is older than $oldest, or does not run here"
