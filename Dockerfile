# The daemon and its dashboard in one image: docs/image.md. `make image` builds it, `make image-test` tries it.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements/run.lock requirements/tools.lock requirements/
# The tools stay behind; so does pip. What is installed is what the lock file has, by hash.
RUN python -m venv /tools \
    && /tools/bin/pip install --quiet --require-hashes --no-deps -r requirements/tools.lock \
    && python -m venv --without-pip /opt/botd \
    && /tools/bin/pip --python /opt/botd/bin/python install --quiet --require-hashes --no-deps -r requirements/run.lock \
    && find /opt/botd/lib -depth -type d -name tests -path '*/site-packages/*' -exec rm -rf {} + \
    && find /opt/botd/lib -depth -type d -path '*/pyarrow/include' -exec rm -rf {} +
COPY pyproject.toml README.md LICENSE ./
COPY botd botd
COPY streamlit_app streamlit_app
RUN /tools/bin/python -m hatchling build -t wheel -d /dist \
    && /tools/bin/pip --python /opt/botd/bin/python install --quiet --no-deps --prefix /app /dist/*.whl

FROM ${PYTHON_IMAGE}
RUN useradd --no-log-init --uid 10001 --user-group --home-dir /state --no-create-home --shell /usr/sbin/nologin botd \
    && install -d -o botd -g botd /state /state/tmp
ENV PATH=/opt/botd/bin:$PATH \
    HOME=/state \
    TMPDIR=/state/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BOTD_CONFIG=/etc/botd \
    BOTD_CACHE_DIR=/state/cache \
    BOTD_API_HOST=0.0.0.0 \
    BOTD_API_PORT=8080 \
    BOTD_API_EXPOSE=true \
    BOTD_API_BEHIND_PROXY=true \
    BOTD_DASHBOARD_HOST=0.0.0.0 \
    BOTD_DASHBOARD_PORT=8501
# What botd needs is a layer of its own, which a change of botd leaves as it is.
COPY --from=build /opt/botd /opt/botd
COPY --from=build /app /opt/botd
COPY config.yaml /usr/share/botd/
COPY configs /usr/share/botd/configs
COPY strategies /usr/share/botd/strategies
# The kernels are compiled here and not above: their cache goes by the times of the sources, which copying rounds.
RUN ln -s /state /usr/share/botd/state \
    && cp -a /usr/share/botd /etc/botd \
    && chown -Rh botd:botd /etc/botd \
    && BOTD_CACHE_DIR=/tmp/warm python -P -m botd.engine.warm \
    && mv /tmp/warm/botd /usr/share/botd/kernels \
    && rm -rf /tmp/warm
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="botd" \
      org.opencontainers.image.description="A trading daemon whose bots are folders of YAML, with its dashboard" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 10001:10001
WORKDIR /etc/botd
VOLUME ["/state"]
EXPOSE 8080 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-P", "-m", "botd.hosting.health"]
ENTRYPOINT ["botd", "container"]
CMD []
