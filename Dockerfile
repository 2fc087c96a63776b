# Builds the three workers, msgctl and a toolbox. Each is a target:
#
#   docker build --target sms-worker -t sms-worker .
#
# Targets: email-worker, sms-worker, whatsapp-worker, msgctl (static binaries
# and nothing else), tools (msgctl and the scripts, with bash). Base images are
# pinned by tag; pin them by digest where your registry mirrors them.
ARG GO_VERSION=1.26.10
ARG DEBIAN_VERSION=13.1

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-trixie AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd ./cmd
COPY internal ./internal
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
# The same sources, version and Go give the same bytes, wherever they are built.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X messaging-worker/internal/app.version=${VERSION}" -o /out/ ./cmd/...

# What every binary needs beside itself: the roots of public CAs. Times are in
# UTC, names are resolved by Go, so there is no zone file and no libc.
FROM scratch AS runtime
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="Messaging Worker Service" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 65532:65532

FROM runtime AS msgctl
LABEL org.opencontainers.image.title="msgctl" \
      org.opencontainers.image.description="Runs, feeds, watches and mends the messaging workers"
COPY --from=build /out/msgctl /msgctl
ENTRYPOINT ["/msgctl"]

FROM debian:${DEBIAN_VERSION}-slim AS tools
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="messaging-tools" \
      org.opencontainers.image.description="msgctl and the scripts around it" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
WORKDIR /opt/messaging
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/msgctl /usr/local/bin/msgctl
COPY scripts ./scripts
USER 65532:65532
CMD ["bash"]

FROM runtime AS email-worker
LABEL org.opencontainers.image.title="email-worker" \
      org.opencontainers.image.description="Delivers the requests of the email channel"
COPY --from=build /out/email-worker /email-worker
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["/email-worker", "--healthcheck"]
ENTRYPOINT ["/email-worker"]

FROM runtime AS sms-worker
LABEL org.opencontainers.image.title="sms-worker" \
      org.opencontainers.image.description="Delivers the requests of the SMS channel"
COPY --from=build /out/sms-worker /sms-worker
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["/sms-worker", "--healthcheck"]
ENTRYPOINT ["/sms-worker"]

FROM runtime AS whatsapp-worker
LABEL org.opencontainers.image.title="whatsapp-worker" \
      org.opencontainers.image.description="Delivers the requests of the WhatsApp channel"
COPY --from=build /out/whatsapp-worker /whatsapp-worker
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 CMD ["/whatsapp-worker", "--healthcheck"]
ENTRYPOINT ["/whatsapp-worker"]
