#!/bin/sh
# Runs the evaluations and makes one page of them: scripts/eval.sh FOLDER OUTPUT [DATA], FOLDER that of the built commands
# QUICK=1 takes fewer simulated runs.
set -eu

commands=$1
output=$2
data=${3:-}
mkdir -p "$output"
found=
broken=

# Each run's JSON is written whole or not at all.
evaluate() {
    name=$1
    shift
    echo "serin-eval $*"
    code=0
    "$commands/serin-eval" "$@" --json > "$output/$name.json.part" || code=$?
    # 3: it was measured, and a promise was not kept. The page shows where.
    case $code in
        0) ;;
        3) broken="$broken $name" ;;
        *) exit "$code" ;;
    esac
    mv "$output/$name.json.part" "$output/$name.json"
    found="$found $output/$name.json"
}

if [ -n "${QUICK:-}" ]; then
    evaluate rates rates --quick
    evaluate real-traffic real-traffic --quick
    evaluate looks looks --quick
    evaluate judges judges --runs 5
else
    evaluate rates rates
    evaluate real-traffic real-traffic
    evaluate looks looks
    evaluate judges judges
fi

if [ -n "$data" ]; then
    for set in changerca nab api-traffic traceanomaly; do
        if [ ! -d "$data/$set" ]; then
            echo "$data has no folder $set: left out" >&2
        elif [ "$set" = changerca ]; then
            evaluate changerca changerca --each --stand-ins "$data/changerca"
        else
            evaluate "$set" "$set" "$data/$set"
        fi
    done
fi

# The names are this script's own and have no blanks.
# shellcheck disable=SC2086
"$commands/serin" report $found -o "$output/report.html"
echo "the page is $output/report.html"
if [ -n "$broken" ]; then
    echo "more false alarms than chance allows:$broken" >&2
    exit 3
fi
