#!/bin/sh
# Compiles src to dist, the published form of the package.
set -eu
cd "$(dirname "$0")/.."
rm -rf dist
sh scripts/node.sh node_modules/typescript/bin/tsc -p tsconfig.build.json
chmod +x dist/main.js
