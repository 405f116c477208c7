# The image of Portunus, docs/container.md. All in one: `docker build -t portunus .`, `docker build --target shell .`
#
# Pipelines in two stages (container.sh, .gitlab-ci.yml) use Dockerfile.build, which is stage `build`, and Dockerfile.exec,
# which is stages `shell` and `exec`. Both are made of this file by scripts/image/dockerfiles.sh.

ARG BASE_IMAGE=debian:bookworm-slim

# --- build: compiler, source and build.sh, which makes the content of the target image
FROM ${BASE_IMAGE} AS build
ARG IMAGE_TOOL=external
COPY scripts/image/ca /image/ca
COPY scripts/image/setup.sh /image/
RUN IMAGE_TOOL="$IMAGE_TOOL" /image/setup.sh
COPY . /image/src
COPY scripts/image /image
ARG CI_COMMIT_TAG=none
ARG CI_COMMIT_SHA=unknown
ARG SOURCE_DATE_EPOCH=
ENV IMAGE_TOOL=$IMAGE_TOOL CI_COMMIT_TAG=$CI_COMMIT_TAG CI_COMMIT_SHA=$CI_COMMIT_SHA SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH
RUN /image/build.sh --info >/build.info
WORKDIR /image
ENTRYPOINT ["/image/build.sh"]

# --- content: what build.sh makes, for those who build all in one
FROM build AS content
ARG JANUS_REPO=
ARG JANUS_VERSION=
RUN IMAGE_TOOL=external JANUS_REPO="$JANUS_REPO" JANUS_VERSION="$JANUS_VERSION" /image/build.sh

# --- shell: the same on a small Debian, for CONFIG_GEN_SCRIPT, which needs a shell
FROM ${BASE_IMAGE} AS shell
ARG VERSION=unknown
ARG CI_COMMIT_TAG=none
ARG CI_COMMIT_SHA=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Portunus" \
      org.opencontainers.image.description="A WebRTC media gateway that speaks the Janus API, with a shell" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$CI_COMMIT_SHA" \
      org.opencontainers.image.ref.name="$CI_COMMIT_TAG" \
      org.opencontainers.image.created="$CREATED"
COPY --from=content /image/root/ /
ENV PATH=/janus/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /janus/bin
USER 10001:10001
EXPOSE 8089 7889 10000/udp
VOLUME ["/html", "/janus/bin/janus-recordings", "/janus/etc/janus_fallback"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/janus/bin/portunus", "healthcheck"]
ENTRYPOINT ["/janus/bin/portunus", "start"]

# --- exec: the target image, nothing but the gateway
FROM scratch AS exec
ARG VERSION=unknown
ARG CI_COMMIT_TAG=none
ARG CI_COMMIT_SHA=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="Portunus" \
      org.opencontainers.image.description="A WebRTC media gateway that speaks the Janus API" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$CI_COMMIT_SHA" \
      org.opencontainers.image.ref.name="$CI_COMMIT_TAG" \
      org.opencontainers.image.created="$CREATED"
COPY --from=content /image/root/ /
ENV PATH=/janus/bin
WORKDIR /janus/bin
USER 10001:10001
EXPOSE 8089 7889 10000/udp
VOLUME ["/html", "/janus/bin/janus-recordings", "/janus/etc/janus_fallback"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/janus/bin/portunus", "healthcheck"]
ENTRYPOINT ["/janus/bin/portunus", "start"]
