#!/bin/sh
# Everything that can be checked without servers, in under a minute. Each step is reported as `ok` or `FAILED` (the
# lines .ci/run counts); all steps run even when one fails.
set -u
cd "$(dirname "$0")/.." || exit 1
node=$(node scripts/setup.mjs --print-node) || exit $?
PATH=$(dirname "$node"):$PWD/node_modules/.bin:$PATH
export PATH
failed=0

step() {
  name=$1
  shift
  if "$@"; then
    echo "check: ok $name"
  else
    echo "check: FAILED $name"
    failed=$((failed + 1))
  fi
}

step format prettier --check --log-level warn .
step lint oxlint --type-aware
step types tsc -p .
# the simulation has a share of its seeds here and all of them in `npm test`
MILLRACE_SEEDS=${MILLRACE_SEEDS:-25}
export MILLRACE_SEEDS
step unit-tests vitest run --project unit --reporter dot "$@"
[ "$failed" -eq 0 ]
