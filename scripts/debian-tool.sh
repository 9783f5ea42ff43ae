#!/bin/sh
# Finds programs that a Debian package has and links them into a folder: from PATH, else out of the
# package, without root and without installing anything. Where neither works it says so and ends
# well: what needs them is then skipped, and says it again.
#
# debian-tool.sh PACKAGE OLDEST-VERSION FOLDER WHAT-IS-SKIPPED PROGRAM…
#
# The first program says its version as Prometheus does. The package may put its own name before a
# program's: prometheus-alertmanager is alertmanager. SHARED=/usr/share/… names a folder whose files
# the first program reads: they are put into FOLDER/shared, and the program has to be run in FOLDER.
set -u
package=$1 oldest=$2 folder=$3 needed_by=$4
shift 4
first=$1

# What does not run here (another processor, a missing library) is none.
usable() { # PROGRAM…
    for program in "$@"; do
        "$folder/$program" --version >/dev/null 2>&1 || return 1
    done
    version=$("$folder/$first" --version 2>&1 | sed -n "s/^$first, version \([0-9.]*\).*/\1/p")
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$oldest" "$version" | sort -V | head -n 1)" = "$oldest" ]
}

skipped() { # REASON
    rm -rf "$folder"
    printf '%s\n' \
        "no $first: $1" \
        "  $needed_by is skipped" \
        "  to run it: put $programs $oldest or later on PATH (Debian: apt-get install $package)" >&2
    exit 0
}
programs=$(echo "$@" | sed 's/ / and /')

usable "$@" && exit 0
rm -rf "$folder"
mkdir -p "$folder/apt" || exit 1
folder=$(cd "$folder" && pwd)

on_path=1
for program in "$@"; do
    found=$(command -v "$program") && ln -s "$found" "$folder/$program" || on_path=0
done
if [ "$on_path" = 1 ]; then
    if usable "$@"; then
        rmdir "$folder/apt"
        exit 0
    fi
    echo "the $first on PATH is older than $oldest, or does not run"
fi
for program in "$@"; do rm -f "$folder/$program"; done
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    skipped 'not on PATH, and this is no Debian or Ubuntu, whose package could be fetched'

echo "fetching Debian's package $package into $folder (once; nothing is installed)"
mkdir -p "$folder/apt/lists/partial" "$folder/apt/archives/partial"
# Lists and archives of our own: the system's belong to root. What is installed does not matter.
apt() {
    apt-get -qq -o APT::Sandbox::User= -o Dir::State="$folder/apt" -o Dir::Cache="$folder/apt" \
        -o Dir::State::status=/dev/null -o Acquire::Languages=none -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=30 "$@" 2>&1
}
reason=$(apt update) || skipped "apt-get update failed: $(printf '%s' "$reason" | tail -n 1)"
reason=$(cd "$folder/apt" && apt download "$package") ||
    skipped "apt-get download failed: $(printf '%s' "$reason" | tail -n 1)"
reason=$(dpkg-deb -x "$folder/apt/$package"_*.deb "$folder/apt/unpacked" 2>&1) ||
    skipped "the package cannot be unpacked: $reason"
for program in "$@"; do
    mv "$folder/apt/unpacked/usr/bin/$program" "$folder" 2>/dev/null ||
        mv "$folder/apt/unpacked/usr/bin/prometheus-$program" "$folder/$program" ||
        skipped "the package holds no $program"
done
if [ -n "${SHARED:-}" ]; then
    mv "$folder/apt/unpacked$SHARED" "$folder/shared" || skipped "the package holds no $SHARED"
    # Nothing is installed, so that the path in the program becomes a relative one of the same length.
    relative=shared/
    while [ ${#relative} -lt ${#SHARED} ]; do relative=$relative/; done
    LC_ALL=C sed -i "s|$SHARED|$relative|g" "$folder/$first"
fi
rm -rf "$folder/apt"
usable "$@" || skipped "Debian's package is older than $oldest, or does not run here"
