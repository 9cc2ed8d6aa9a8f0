# Any glibc base with libstdc++ can run it: the distroless cc image has no shell at all. From a private registry:
#   docker build --build-arg BUILD_IMAGE=registry.example/node:24-bookworm-slim --build-arg RUNTIME_IMAGE=registry.example/debian:bookworm-slim \
#     --build-arg NPM_CONFIG_REGISTRY=https://registry.example/npm/ .
ARG BUILD_IMAGE=node:24.21.0-bookworm-slim
ARG RUNTIME_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
ARG NPM_CONFIG_REGISTRY
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# The base is Node 24 already; without scripts the pinned runtime is not fetched a second time.
RUN npm ci --ignore-scripts
COPY bin bin
COPY scripts scripts
COPY src src
COPY tsconfig.json ./
RUN node scripts/build.ts
# `curlew` for `kubectl exec`: its first line names the Node of the image, as there may be no env to look for one.
RUN printf '#!/usr/local/bin/node\nimport("/app/bin/curlew.js")\n' > curlew && chmod 0755 curlew
RUN mkdir -p /app /state && cp -r package.json bin dist /app/ && install -d -o 65532 -g 65532 /app/node-cache
# The compiled code is kept in the image, so that a start compiles nothing. Node keeps it by user: the one it will run as.
USER 65532:65532
RUN NODE_COMPILE_CACHE=/app/node-cache node /app/bin/curlew.js serve --help

FROM ${RUNTIME_IMAGE}
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /app /app
COPY --from=build /build/curlew /usr/local/bin/curlew
COPY LICENSE /app/
COPY --from=build --chown=65532:65532 /state /var/lib/curlew
# Unbounded, the space for young objects doubles until it is as large as all that lives: docs/decisions.md.
ENV NODE_COMPILE_CACHE=/app/node-cache NODE_OPTIONS=--max-semi-space-size=16 STATE_DIRECTORY=/var/lib/curlew NODE_ENV=production
WORKDIR /app
USER 65532:65532
EXPOSE 9797
# Healthy means that something answers HTTP, with or without TLS, whoever may see the page.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/node", "-e", "const get = (scheme, otherwise) => require(scheme).get({ port: 9797, path: '/-/healthy', rejectUnauthorized: false }, (answer) => process.exit(answer.statusCode < 500 ? 0 : 1)).on('error', otherwise); get('node:http', () => get('node:https', () => process.exit(1)))"]
ENTRYPOINT ["/usr/local/bin/node", "/app/bin/curlew.js"]
CMD ["serve"]
