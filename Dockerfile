# Production image: DATABASE_URL, SMTP_URL, MAIL_FROM, PUBLIC_URL and AUTH_SECRET must be given when it is run.

FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No scripts: ours builds, and the sources are not here yet.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
# Production runs on a PostgreSQL server, so the prepared embedded database stays behind.
RUN npm run build && rm -rf dist/empty-database-*

FROM node:20-bookworm-slim
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts && npm cache clean --force
COPY migrations ./migrations
COPY --from=build /app/dist ./dist
# Only used where the database, the mailbox or the secret is not configured, which production does not allow.
RUN install -d -o node -g node -m 700 /data
VOLUME /data
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/health/ready').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# As by `npm start`: so that V8 collects before the heap is several times as large as what lives.
CMD ["node", "--max-semi-space-size=8", "--heap-growing-percent=40", "dist/server.js"]
