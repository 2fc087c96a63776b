#!/usr/bin/env bash
# Puts a high load on a request topic, for soak tests.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/lib.sh"

usage() {
  cat <<'EOF'
Usage: kafka-producer-load-test.sh [--channel NAME] [--messages N] [options]

Produces requests as fast as it goes, or at a rate, and tells throughput and the
percentiles of the acknowledgements' latency.

  --channel NAME    email (default), sms or whatsapp
  --messages N      how many (default: 100000 where --duration is not given)
  --duration TIME   how long to produce, for example 30m
  --rate N          messages a second (default: no limit)
  --size BYTES      of a request (default: 300)
  --keys KIND       message-id (default) or none
  --scenario NAME   what the mock provider does (default: success)
  --await           follow every message to its end, and check that none was
                    lost or doubled; exit code 1 where one was
  --timeout TIME    with --await: what has no end is lost when nothing has ended
                    for so long (default: 1m)
  --acks, --batch-bytes, --linger, --compression
                    as acks, batch.size, linger.ms and compression.type of
                    kafka-producer-perf-test
  --lane NAME       request topic of this lane: high, normal (default) or bulk
  --topic NAME      request topic, instead of the channel's settings
  --brokers LIST    instead of KAFKA_BROKERS
  --env-file FILE   settings that the environment does not set (default: .env)
  --output json     the report as JSON

Options win over the environment, and the environment over the file. It is msgctl
load by another name.

  scripts/kafka-producer-load-test.sh --messages 1000000
  scripts/kafka-producer-load-test.sh --channel sms --duration 1h --rate 500 --await
EOF
}

if wants_help "$@"; then
  usage
  exit 0
fi
run_msgctl load "$@"
