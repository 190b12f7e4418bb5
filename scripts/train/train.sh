#!/bin/sh
# Trains a model on replayed features, in a virtual environment of its own under .millrace/:
#
#   millrace describe topologies/card-fraud.yaml -o json > describe.json
#   millrace replay topologies/card-fraud.yaml --labels labels.fraud --out features.csv
#   scripts/train/train.sh features.csv --describe describe.json --out models/card-fraud/1
#
# Needs Python 3.11 or newer. See `train.sh --help` for the options.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv="$here/../../.millrace/train-venv"
# The stamp holds the requirements that are installed, so a half-built or outdated environment is made again.
if ! cmp -s "$here/requirements.txt" "$venv/requirements.installed"; then
  rm -rf "$venv"
  echo "train: making a Python environment in .millrace/train-venv (once, about 700 MB on disk)" >&2
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/requirements.installed"
fi
exec "$venv/bin/python" -B "$here/train.py" "$@"
