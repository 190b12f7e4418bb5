#!/bin/sh
# Makes models/card-fraud/1 again, from nothing: simulated history, replayed features, training, report.
# Needs Java, Maven and Python 3.11; about two minutes.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work="$root/.millrace/training"
node() { sh "$root/scripts/node.sh" "$@"; }
node "$root/scripts/train/features.ts" "$work"
node "$root/src/main.ts" describe "$root/topologies/card-fraud.yaml" -o json > "$work/describe.json"
exec sh "$root/scripts/train/train.sh" "$work/features.csv" --describe "$work/describe.json" \
  --positives frauds --baseline amount --baseline terminal_risk_7d --simulated --truth "$work/truth.csv" \
  --out "$root/models/card-fraud/1" "$@"
