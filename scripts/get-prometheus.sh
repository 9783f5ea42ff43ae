#!/bin/sh
# Finds Prometheus, promtool and Alertmanager for the tests of alerts, dashboards and hooks, and links
# them into prometheus and alertmanager in the folder given as the argument. Where one cannot be had
# here, scripts/debian-tool.sh says why, and its tests are skipped.
set -u
cd "$(dirname "$0")/.." || exit 1
folder=${1:-.cache}
# What the tests use is in every release since then.
scripts/debian-tool.sh prometheus 2.40 "$folder/prometheus" \
    'the test of alerts, dashboards, Flagger and Argo Rollouts' prometheus promtool || exit 1
SHARED=/usr/share/prometheus/alertmanager \
    scripts/debian-tool.sh prometheus-alertmanager 0.24 "$folder/alertmanager" \
    'the test of how soon the owner hears of it' alertmanager
