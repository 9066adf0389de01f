# docker build -t parley .
# docker run -p 5000:5000 -v parley:/data -e FLASK_SECRET_KEY="$(openssl rand -base64 32)" parley
# The secret signs sessions: keep it, or everybody has to sign in again. With -e REDIS_URL=... -e WORKERS=2 two workers
# share the port. compose.yaml has all of it together; docs/operations.md tells the rest.

FROM node:22-slim AS page
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements.txt requirements-local.txt ./
# --build-arg SLIM=1 leaves out the engines that read and listen without a key.
ARG SLIM=
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements.txt \
    && { [ -n "$SLIM" ] || .venv/bin/pip install --no-cache-dir --require-hashes --no-deps -r requirements-local.txt; }
COPY . .
COPY --from=page /app/node_modules node_modules
# Compiled here, since the server's user may not write there: else every start of every worker would compile anew.
RUN python -c "import pathlib, run; run.copy_page(pathlib.Path('/tmp/vendor'))" && rm -r node_modules \
    && python -m compileall -q -x '/\.venv/' .

FROM python:3.13-slim
RUN groupadd --gid 10001 parley && useradd --create-home --uid 10001 --gid 10001 parley && install -d -o parley -g parley /data
WORKDIR /app
COPY --from=build /app ./
ENV HOST=0.0.0.0 PORT=5000 DATA_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 5000
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
# Running answers have DRAIN_S (5 s) to end or to find another worker, and a worker 15 s more: docker stop --time 30.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["/app/.venv/bin/python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=3)"]
CMD ["/app/.venv/bin/python", "server.py", "serve"]
