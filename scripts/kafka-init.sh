#!/usr/bin/env bash
# Creates the topics and sets the quotas that the settings describe.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

usage() {
  cat <<'EOF'
Usage: kafka-init.sh [--channel NAME] [--dry-run] [options]

Creates the request topics of all lanes, the status and dead letter topics of the
channels and the control topic, and sets the producer quota, as the settings say.
What is there already stays. Lanes and control topic that are not set are left out
where the channel's request topic is set.

  --channel NAME    only this channel: email, sms or whatsapp
  --dry-run         tell what would be done, and do nothing
  --brokers LIST    instead of KAFKA_BROKERS
  --env-file FILE   settings that the environment does not set (default: .env)
  --output json     the answer as JSON

Settings: KAFKA_BROKERS, KAFKA_TOPIC_PARTITIONS, KAFKA_TOPIC_REPLICATION,
KAFKA_TOPIC_MIN_ISR, KAFKA_TOPIC_RETENTION_HOURS, KAFKA_PRODUCER_QUOTA_BYTES and
the topics' names; see .env.example. Options win over the environment, and the
environment over the file. It is msgctl topics init by another name.

  scripts/kafka-init.sh --dry-run
EOF
}

if wants_help "$@"; then
  usage
  exit 0
fi
run_msgctl topics init "$@"
