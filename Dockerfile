# docker build -t parley .
# docker run -p 5000:5000 -v parley:/data -e FLASK_SECRET_KEY="$(openssl rand -base64 32)" parley
# The secret signs sessions: keep it, or everybody has to sign in again.

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
RUN python -c "import pathlib, run; run.copy_page(pathlib.Path('/tmp/vendor'))" && rm -r node_modules

FROM python:3.13-slim
RUN useradd --create-home --uid 10001 parley && install -d -o parley /data
WORKDIR /app
COPY --from=build /app ./
ENV HOST=0.0.0.0 PORT=5000 DATA_DIR=/data PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
VOLUME /data
EXPOSE 5000
USER parley
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/app/.venv/bin/python", "-c", \
    "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['PORT'] + '/healthz', timeout=2)"]
CMD ["/app/.venv/bin/python", "server.py", "serve"]
