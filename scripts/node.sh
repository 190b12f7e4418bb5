#!/bin/sh
# Runs the Node this project needs, after setting the checkout up. `exec` all the way: signals reach the program.
set -eu
root=$(CDPATH='' cd -- "${0%/*}/.." && pwd)
if ! command -v node >/dev/null 2>&1; then
  echo 'set-up: there is no node on PATH. Install Node 24 or newer (any Node from 18 on will do on Linux).' >&2
  exit 1
fi
# A second start spends half as much on reading the sources; each service process of a test is such a start.
export NODE_COMPILE_CACHE="${NODE_COMPILE_CACHE:-$root/.millrace/compile-cache}"
node_to_use=$(node "$root/scripts/setup.mjs" --print-node) || exit $?
exec "$node_to_use" "$@"
