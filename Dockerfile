# millrace as a container: compiled JavaScript on Node 24, not root, root file system may be read-only.
#
#   docker build -t millrace .
#   docker run --read-only --tmpfs /tmp -e MILLRACE_BROKERS=… -e MILLRACE_REDIS=… -p 127.0.0.1:9464:9464 millrace
#
# Behind a package mirror or a proxy with its own certificate: --secret id=npmrc,src=$HOME/.npmrc (never ends up in a
# layer). Needs BuildKit, the default of Docker since 23.
ARG NODE_IMAGE=node:24-bookworm-slim

# --- packages: what runs in production, for this system and processor only --------------------------------------------
FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# onnxruntime-node ships its libraries for every system (about 290 MB); those of this one are 25 to 45 MB.
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
    && cpu=$(node -p process.arch) \
    && test -d node_modules/onnxruntime-node/bin/napi-v*/linux/"$cpu" \
    && find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 -type d ! -path "*/linux/$cpu" \
       -exec rm -rf {} + \
    && find node_modules/onnxruntime-node/bin -mindepth 2 -maxdepth 2 -type d -empty -delete

# --- compiled: src to dist, with the development packages -------------------------------------------------------------
FROM ${NODE_IMAGE} AS compiled
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm --mount=type=secret,id=npmrc,target=/root/.npmrc \
    npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.sh scripts/node.sh scripts/setup.mjs scripts/
COPY src src
RUN sh scripts/build.sh

# --- the image ------------------------------------------------------------------------------------------------------
FROM ${NODE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="millrace" \
      org.opencontainers.image.description="Exactly-once inference on Kafka: events in, windowed features, ONNX models, predictions and alerts out." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# As process 1, node could neither be ended by a second SIGTERM nor kill itself when a model run hangs: the kernel
# drops signals to process 1 that have no handler. tini is process 1 instead and hands signals on.
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*

WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=compiled /app/dist dist
COPY package.json ./
COPY schemas schemas
COPY topologies topologies
COPY models models

ENV NODE_ENV=production \
    MILLRACE_PROBE=http://127.0.0.1:9464/livez
EXPOSE 9464
# A number, so that orchestrators can see that it is not root; it is the user `node` of the base image.
USER 1000:1000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.MILLRACE_PROBE).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tini", "--", "node", "/app/dist/main.js"]
CMD ["run", "/app/topologies/card-fraud.yaml", "--http", "0.0.0.0:9464"]
