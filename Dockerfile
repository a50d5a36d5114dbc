# docker build --tag wsauthz .
# docker build --tag wsauthz --build-arg NATIVE=yes .     (with the native transport: docker run ... wsauthz serve --transport native)
#
# docker run --read-only --volume wsauthz-data:/data wsauthz db upgrade
# docker run --read-only --volume wsauthz-data:/data --network container:APPLICATION wsauthz
#
# As a sidecar it listens on the loopback address that it shares with the application (one pod, or one network namespace)
# or on a Unix socket in a volume that both mount at /run/wsauthz. Nothing outside of /data and /run/wsauthz is written.

FROM python:3.13-slim AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
ARG NATIVE=
COPY requirements/build.txt requirements/native.txt requirements/runtime.txt requirements/
RUN python -m venv --without-pip /opt/wsauthz \
 && python -m pip --python /opt/wsauthz install --require-hashes --only-binary :all: --requirement requirements/runtime.txt \
      ${NATIVE:+--requirement requirements/native.txt} \
 && python -m pip install --require-hashes --only-binary :all: --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY policies policies
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /opt/wsauthz install --no-deps --no-index dist/wsauthz-*.whl \
 && install --directory --owner=65532 --group=65532 --mode=0700 /empty/data \
 && install --directory --owner=65532 --group=65532 --mode=0755 /empty/run/wsauthz

FROM python:3.13-slim
ENV PATH=/opt/wsauthz/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WSAUTHZ_DATABASE_URL=sqlite:////data/wsauthz.db \
    WSAUTHZ_POLICY=/policies/dam
COPY --from=build /opt/wsauthz /opt/wsauthz
COPY --from=build --chown=65532:65532 /empty/data /data
COPY --from=build --chown=65532:65532 /empty/run/wsauthz /run/wsauthz
COPY policies /policies
USER 65532:65532
WORKDIR /data
VOLUME ["/data", "/run/wsauthz"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s CMD ["wsauthz", "health"]
ENTRYPOINT ["wsauthz"]
CMD ["serve"]
