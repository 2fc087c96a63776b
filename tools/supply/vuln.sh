#!/usr/bin/env bash
# Looks for known vulnerabilities in what the code calls. Exit code: 0 none, or
# no database in reach; 3 findings. The database is asked where it lives, or
# taken from the Go module that has the same reports.
set -euo pipefail
cd "$(dirname "$0")/../.."

db=${VULN_DB:-https://vuln.go.dev}
if [[ $db == http* ]] && ! curl -fsS -m 10 -o /dev/null "$db/index/db.json" 2>/dev/null; then
  reports=$(cd "${TMPDIR:-/tmp}" && go mod download -json golang.org/x/vulndb@latest 2>/dev/null) || true
  dir=$(sed -n 's/^\t"Dir": "\(.*\)",$/\1/p' <<<"${reports:-}")
  if [[ -z $dir ]]; then
    echo "*** vulnerability check SKIPPED: its database cannot be reached ***" >&2
    exit 0
  fi
  db=file://$dir/data/osv
  echo "using the reports of $(basename "$dir")"
fi
# A few traces of each finding will do.
go tool -modfile=tools/supply/go.mod govulncheck -db "$db" ./... | { grep -vE '^ +#([4-9]|[0-9]{2,}): ' || true; }
