# The image of a node: docker build --tag millrace .
#
#   docker run --name gateway-7 --volume gateway-7:/var/lib/millrace --publish 127.0.0.1:4454:4454 --publish 4001:4001 millrace
#
# Settings come from the environment (docs/configuration.md), or from a file that MILLRACE_CONFIG names.
FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY . .
RUN node scripts/build-program.mjs /program

FROM node:20-bookworm-slim
COPY --from=build /program /usr/lib/millrace
RUN ln -s /usr/lib/millrace/dist/cli/main.js /usr/local/bin/millrace \
  && install -d -m 0700 -o node -g node /var/lib/millrace \
  && install -d -m 0750 -o node -g node /etc/millrace /run/millrace
USER node
ENV NODE_ENV=production \
  MILLRACE_DATA=/var/lib/millrace \
  MILLRACE_API_LISTEN=0.0.0.0:4454 \
  MILLRACE_API_SOCKET=/run/millrace/api.sock
VOLUME /var/lib/millrace
EXPOSE 4454 4001
STOPSIGNAL SIGTERM
# Over the socket, so that it holds wherever the node listens. Not ready is unhealthy: GET /ready says why.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
  CMD ["node", "-e", "require('http').get({ socketPath: process.env.MILLRACE_API_SOCKET, path: '/ready' }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
CMD ["millrace", "run"]
