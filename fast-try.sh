#!/bin/sh
# A whole RingLedger cluster on this machine: ./fast-try.sh start. Needs Node 20 or newer with npm; everything
# else is installed below this directory at the first call. ./fast-try.sh --help lists the verbs.
set -e
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
if ! command -v node >/dev/null 2>&1; then
  echo "fast-try.sh: node is not found; install Node 20 or newer (https://nodejs.org)" >&2
  exit 1
fi
node "$here/scripts/bootstrap.mjs"
exec "$here/node_modules/.bin/node" "$here/packages/cli/bin/quick-start.mjs" "$@"
