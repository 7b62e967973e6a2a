# One image per service: docker build --build-arg SERVICE=risk -t factoring-crm/risk-service .
FROM python:3.11-slim-bookworm AS build
ARG SERVICE
# A mirror of packages, where there is one.
ARG PIP_INDEX_URL
ARG UV_DEFAULT_INDEX
WORKDIR /app
RUN pip install --no-cache-dir uv==0.13.9
COPY pyproject.toml requirements.lock ./
COPY libs libs
COPY services/${SERVICE}-service services/${SERVICE}-service
# What this service needs, and no more; every hash must be the lock's (-c), whatever the index says.
RUN uv pip compile --quiet --generate-hashes --python-version 3.11 -c requirements.lock \
      --no-emit-package contracts --no-emit-package eventing --no-emit-package servicekit \
      services/${SERVICE}-service/pyproject.toml -o run.lock \
 && uv venv --quiet --python 3.11 venv \
 && uv pip install --quiet --python venv/bin/python --require-hashes -r run.lock -c requirements.lock
RUN mkdir src \
 && cp -r libs/*/src/. services/${SERVICE}-service/src/. src/ \
 && cp -r services/${SERVICE}-service/migrations migrations \
 && venv/bin/python -m compileall -q venv src migrations

FROM python:3.11-slim-bookworm
ARG SERVICE
ENV SERVICE=${SERVICE} \
    PATH=/app/venv/bin:$PATH \
    PYTHONPATH=/app/src \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HTTP_HOST=0.0.0.0 \
    HTTP_PORT=8000 \
    METRICS_HOST=0.0.0.0 \
    METRICS_PORT=9000
COPY --from=build /app/venv /app/venv
COPY --from=build /app/src /app/src
COPY --from=build /app/migrations /app/migrations
WORKDIR /app
USER 10001:10001
EXPOSE 8000 9000
ENTRYPOINT ["/bin/sh", "-c", "exec python -m \"${SERVICE}_service\" \"$@\"", "service"]
CMD ["api"]
