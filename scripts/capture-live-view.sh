#!/bin/sh
# Writes docs/images/live-view.svg: the demo's live view, as it really looked some seconds after it went live.
#
#   scripts/capture-live-view.sh [--seconds 45] [--out FILE]
#
# Needs Python 3 (a virtual environment with the terminal emulator pyte is made under .millrace/, once) and what
# `npm start` needs. Takes about two minutes.
set -eu
root=$(CDPATH='' cd -- "${0%/*}/.." && pwd)
venv="$root/.millrace/capture-venv"
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import pyte' 2>/dev/null; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check pyte==0.8.2
fi
exec "$venv/bin/python" -B "$root/scripts/capture-live-view.py" "$@"
