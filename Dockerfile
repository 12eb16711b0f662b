# Builds spendstream and leaves it, as a user without rights, on a small Debian.
FROM rust:1.95-slim-bookworm AS build
# librdkafka and OpenSSL are built from source: make, perl and a C++ compiler.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends build-essential cmake perl pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
# Caches outlive a build; so the binary is copied out of the target directory.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin spendstream && cp target/release/spendstream /usr/local/bin/

FROM debian:bookworm-slim
# curl for the health check, socat for the compose file's gate.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl socat \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /var/lib/spendstream --create-home spendstream
COPY --from=build /usr/local/bin/spendstream /usr/local/bin/spendstream
USER spendstream
WORKDIR /var/lib/spendstream
# Without API keys both listen on loopback only: reach them from the same network namespace (docker compose does).
EXPOSE 8080 8081 5433
STOPSIGNAL SIGTERM
ENTRYPOINT ["spendstream"]
CMD ["run"]
