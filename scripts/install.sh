#!/bin/sh
# install.sh COMMAND PREFIX: puts the command serin, also as the plugin of kubectl, its completions and
# its manual pages there.
# DESTDIR goes before PREFIX, for who makes a package.
set -eu
serin=$1
prefix=${DESTDIR:-}$2

mkdir -p "$prefix/bin" "$prefix/share/bash-completion/completions" \
    "$prefix/share/zsh/site-functions" "$prefix/share/fish/vendor_completions.d"
# Moved into place: a command that runs is not overwritten.
cp "$serin" "$prefix/bin/serin.new"
mv "$prefix/bin/serin.new" "$prefix/bin/serin"
# Under this name the same file is a plugin of kubectl.
ln -sf serin "$prefix/bin/kubectl-serin"
"$serin" completions bash >"$prefix/share/bash-completion/completions/serin"
"$serin" completions zsh >"$prefix/share/zsh/site-functions/_serin"
"$serin" completions fish >"$prefix/share/fish/vendor_completions.d/serin.fish"
"$serin" man "$prefix/share/man/man1"
echo "installed $prefix/bin/serin; kubectl serin is the same command"
