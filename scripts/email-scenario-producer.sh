#!/usr/bin/env bash
# Produces sample requests with hints for the mock providers.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

usage() {
  cat <<'EOF'
Usage: email-scenario-producer.sh [--scenario NAME] [options]

Produces sample requests whose meta tells the mock provider what to do, and
prints a line for each one that Kafka acknowledged.

  --scenario NAME   success (default), transient, transient_once, permanent,
                    rate_limited, timeout, timeout_once, partial, slow, unknown,
                    panic, invalid, not_json, or mixed: each in turn
  --channel NAME    email (default), sms or whatsapp
  --count N         how many requests (default: 1; mixed: one of each)
  --rate N          requests a second (default: 100)
  --meta KEY=VALUE  further entry of meta, for example scenario_failures=2
  --lane NAME       request topic of this lane: high, normal (default) or bulk
  --topic NAME      request topic, instead of the channel's settings
  --dry-run         print the requests and produce nothing
  --brokers LIST    instead of KAFKA_BROKERS
  --env-file FILE   settings that the environment does not set (default: .env)
  --output json     an object a line

Settings: KAFKA_BROKERS, KAFKA_EMAIL_REQUEST_TOPIC and the like; see .env.example.
Options win over the environment, and the environment over the file. It is msgctl
produce by another name.

  scripts/email-scenario-producer.sh --scenario transient
  scripts/email-scenario-producer.sh --scenario mixed --channel sms --lane bulk
EOF
}

if wants_help "$@"; then
  usage
  exit 0
fi
run_msgctl produce --channel email "$@"
