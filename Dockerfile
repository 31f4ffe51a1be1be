# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=/src/constraints.txt
WORKDIR /src
RUN python -m venv /opt/hub
# What the hub depends on changes seldom, and is a layer of its own.
COPY pyproject.toml constraints.txt deploy/requirements.py ./
RUN python requirements.py > requirements.txt && /opt/hub/bin/pip install -r requirements.txt
COPY . .
RUN /opt/hub/bin/pip install --no-deps .

FROM python:3.11-slim
RUN useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin hub && install -d -o hub -m 0700 /data
COPY --from=build /opt/hub /opt/hub
# By number: a cluster that forbids root does not look names up.
USER 10001
WORKDIR /data
ENV PATH=/opt/hub/bin:$PATH PYTHONUNBUFFERED=1 HUB_HOST=0.0.0.0 HUB_DATA_DIR=/data
EXPOSE 8000
# That it lives, and not that it is ready: no restart helps while the database is away.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ.get(\"HUB_PORT\") or os.environ.get(\"PORT\") or 8000}/healthz', timeout=2)"]
CMD ["python", "-m", "hub", "serve"]
