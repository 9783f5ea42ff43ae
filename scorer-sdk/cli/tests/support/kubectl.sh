#!/bin/sh
# Stands in for kubectl. It answers from files of the folder that it is called from: `pods` has the
# list, `port-POD` the port that a forward to the pod gets. Each call is a line of `calls`. Each forward
# leaves its process number in `forward-POD` and lasts until somebody ends it.
here=$(dirname "$0")
echo "$@" >>"$here/calls"
for word; do
    case $word in
    get) cat "$here/pods"; exit ;;
    pod/*) pod=${word#pod/} ;;
    esac
done
if [ ! -f "$here/port-$pod" ]; then
    echo "error: pod $pod is not running" >&2
    exit 1
fi
echo $$ >"$here/forward-$pod"
[ "$(cat "$here/port-$pod")" = silent ] ||
    echo "Forwarding from 127.0.0.1:$(cat "$here/port-$pod") -> 15000"
exec sleep 600
