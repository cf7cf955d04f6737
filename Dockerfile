# The gateway as one static binary in an image without anything else.
#
#   docker build -t ws-gateway --build-arg VERSION=$(git describe --tags --always) .
#   docker buildx build --platform linux/amd64,linux/arm64 …
#
# It runs as nobody in particular, needs no writable file system and no
# capability: docker run --read-only --cap-drop ALL --user 65532 …
ARG GO_IMAGE=golang:1.26-bookworm
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd/gateway cmd/gateway
COPY config config
COPY internal internal
COPY modules modules
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -buildvcs=false -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /gateway ./cmd/gateway

FROM ${BASE_IMAGE}
COPY LICENSE /licenses/LICENSE
COPY --from=build /gateway /gateway
ARG VERSION=devel
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="ws-gateway" \
      org.opencontainers.image.description="A WebSocket gateway between very many browsers and your backends" \
      org.opencontainers.image.source="https://github.com/moonx-farm/ws-gateway" \
      org.opencontainers.image.documentation="https://github.com/moonx-farm/ws-gateway#readme" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
USER 65532:65532
EXPOSE 3007 9007
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["/gateway", "healthcheck"]
ENTRYPOINT ["/gateway"]
