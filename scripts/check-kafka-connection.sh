#!/usr/bin/env bash
# Checks that Kafka can be reached and used with the settings.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

usage() {
  cat <<'EOF'
Usage: check-kafka-connection.sh [--channel NAME] [options]

Checks that the brokers answer and that a record goes through KAFKA_TEMP_TOPIC
and back. Exit code 0 says that it does.

  --channel NAME    with the settings of this channel: email, sms or whatsapp
  --brokers LIST    instead of KAFKA_BROKERS
  --env-file FILE   settings that the environment does not set (default: .env)
  --output json     the answer as JSON

Options win over the environment, and the environment over the file. It is msgctl
check by another name.

  scripts/check-kafka-connection.sh --brokers localhost:9092
EOF
}

if wants_help "$@"; then
  usage
  exit 0
fi
run_msgctl check "$@"
