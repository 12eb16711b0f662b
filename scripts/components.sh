#!/usr/bin/env bash
# Fetches the real components that the tests run against, in pinned versions, into a cache outside the checkout.
#
#   scripts/components.sh            what `scripts/test` needs: kafka versitygw collector python emitters schemathesis mail postgres focus clients
#   scripts/components.sh NAME…      only these; also: minio
#   scripts/components.sh --check    say what is missing, fetch nothing; exit code 1 if anything is
#
# Cache: $SPENDSTREAM_CACHE, default ~/.cache/spendstream. Nothing is installed anywhere else; what is there already is kept.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=versions.env
. "$here/versions.env"
cache=${SPENDSTREAM_CACHE:-$HOME/.cache/spendstream}
parts=$cache/components
log=$cache/components.log

say() { printf 'components: %s\n' "$*"; }
fail() { printf 'components: %s\n' "$*" >&2; exit 1; }

# Where a component lies; the version is part of the name, so that two checkouts can share a cache.
place() {
  case $1 in
    kafka) echo "$parts/kafka-$KAFKA_VERSION" ;;
    versitygw) echo "$parts/versitygw-$VERSITYGW_VERSION" ;;
    minio) echo "$parts/minio-$MINIO_VERSION" ;;
    toxiproxy) echo "$parts/toxiproxy-$TOXIPROXY_VERSION" ;;
    collector) echo "$parts/collector-$COLLECTOR_VERSION" ;;
    mail) echo "$parts/mail-$GREENMAIL_VERSION-$AIOSMTPD_VERSION" ;;
    postgres) echo "$parts/postgres-$POSTGRES_VERSION" ;;
    python) echo "$parts/python-$DUCKDB_VERSION-$POLARS_VERSION-$DELTALAKE_VERSION-$PYARROW_VERSION" ;;
    clients) echo "$parts/clients-$PSYCOPG_VERSION-$PGSERVER_VERSION" ;;
    focus) echo "$parts/focus-$FOCUS_VALIDATOR_VERSION-$FOCUS_PYARROW_VERSION" ;;
    # Named by the hash of what they install: scripts/emitters.txt has a line for each package.
    emitters|schemathesis) echo "$parts/$1-$(sha256sum <"$here/$1.txt" | cut -c 1-12)" ;;
    *) fail "no component '$1'; there are kafka versitygw collector python emitters schemathesis mail postgres focus clients minio toxiproxy" ;;
  esac
}

need() { # need COMMAND WHAT-FOR DEBIAN-PACKAGES
  command -v "$1" >/dev/null || fail "$1 is missing ($2); on Debian: apt-get install $3"
}

prerequisites() {
  case $1 in
    mail)
      need java "runs GreenMail" openjdk-17-jre-headless
      need mvn "fetches GreenMail" maven
      need openssl "makes the mail servers' certificate" openssl
      need python3 "runs aiosmtpd" "python3 python3-venv" ;;
    kafka)
      need java "runs Apache Kafka" openjdk-17-jre-headless
      need mvn "fetches Apache Kafka" maven ;;
    postgres)
      debian_postgres >/dev/null || {
        need mvn "fetches PostgreSQL" maven
        need unzip "unpacks PostgreSQL" unzip
        need xz "unpacks PostgreSQL" xz-utils
      } ;;
    python|emitters|schemathesis|focus|clients)
      need python3 "runs DuckDB, Polars, deltalake, LiteLLM, the OpenTelemetry SDK, Schemathesis, psycopg and the FOCUS validator" "python3 python3-venv"
      python3 -c 'import venv, ensurepip' 2>/dev/null || fail "python3 has no venv module; on Debian: apt-get install python3-venv" ;;
    *) need go "builds $1; Go 1.25 or newer" golang ;;
  esac
}

# Runs a command with its output in the log; on failure the last lines of it are shown.
quiet() {
  "$@" >>"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "failed: $* (all of it: $log)"; }
}

# A Go module cache of our own, that can be deleted like any folder.
go_() {
  GOPATH=$cache/go GOMODCACHE=$cache/go/mod GOCACHE=$cache/go/build GOFLAGS="${GOFLAGS:-} -modcacherw" \
    GOTOOLCHAIN="${GOTOOLCHAIN:-auto}" CGO_ENABLED=0 "$@"
}

go_install() { # go_install DIR PACKAGE@VERSION
  export GOBIN=$1
  quiet go_ go install -trimpath -ldflags=-s "$2"
}

fetch_kafka() {
  cat >"$1/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>spendstream</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
  # -C: a checksum that does not fit is an error.
  quiet mvn -B -q -C -f "$1/pom.xml" -Dmaven.repo.local="$cache/maven" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$1/libs"
  echo "$KAFKA_SHA256  $1/libs/kafka_2.13-$KAFKA_VERSION.jar" | sha256sum --check --status ||
    fail "kafka_2.13-$KAFKA_VERSION.jar is not the file that versions.env names"
}

fetch_versitygw() { go_install "$1" "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW_VERSION"; }

fetch_minio() { go_install "$1" "github.com/minio/minio@$MINIO_VERSION"; }

fetch_toxiproxy() {
  go_install "$1" "github.com/Shopify/toxiproxy/v2/cmd/server@$TOXIPROXY_VERSION"
  mv "$1/server" "$1/toxiproxy"
}

fetch_collector() {
  go_install "$1" "go.opentelemetry.io/collector/cmd/builder@v$COLLECTOR_VERSION"
  cat >"$1/manifest.yaml" <<YAML
dist: { name: collector, output_path: $1/source, version: $COLLECTOR_VERSION }
receivers: [{ gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v$COLLECTOR_VERSION }]
exporters: [{ gomod: github.com/open-telemetry/opentelemetry-collector-contrib/exporter/kafkaexporter v$COLLECTOR_VERSION }]
YAML
  quiet go_ "$1/builder" --config "$1/manifest.yaml"
  mv "$1/source/collector" "$1/collector"
  rm -rf "$1/source" "$1/builder"
}

# GreenMail speaks SMTPS and tells over HTTP what arrived; it has no STARTTLS, aiosmtpd has.
fetch_mail() {
  quiet mvn -B -q -C -Dmaven.repo.local="$cache/maven" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact="com.icegreen:greenmail-standalone:$GREENMAIL_VERSION" -DoutputDirectory="$1"
  mv "$1/greenmail-standalone-$GREENMAIL_VERSION.jar" "$1/greenmail.jar"
  echo "$GREENMAIL_SHA256  $1/greenmail.jar" | sha256sum --check --status ||
    fail "greenmail-standalone-$GREENMAIL_VERSION.jar is not the file that versions.env names"
  python3 -m venv "$1/python"
  quiet "$1/python/bin/pip" install --quiet --only-binary :all: "aiosmtpd==$AIOSMTPD_VERSION"
}

# PostgreSQL as Debian installs it; the tests prefer it.
debian_postgres() { compgen -G '/usr/lib/postgresql/*/bin/pg_ctl'; }

# Where Debian's is not installed: initdb, pg_ctl and postgres as the project embedded-postgres-binaries builds them.
fetch_postgres() {
  if debian_postgres >/dev/null; then say "postgres is installed ($(debian_postgres | tail -n 1))"; return; fi
  local machine jar
  case $(uname -m) in
    x86_64) machine=amd64 ;;
    aarch64) machine=arm64v8 ;;
    *) fail "there is no PostgreSQL to fetch for $(uname -m); on Debian: apt-get install postgresql" ;;
  esac
  jar=embedded-postgres-binaries-linux-$machine
  quiet mvn -B -q -C -Dmaven.repo.local="$cache/maven" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact="io.zonky.test.postgres:$jar:$POSTGRES_VERSION" -DoutputDirectory="$1"
  [ $machine != amd64 ] || echo "$POSTGRES_SHA256_AMD64  $1/$jar-$POSTGRES_VERSION.jar" | sha256sum --check --status ||
    fail "$jar-$POSTGRES_VERSION.jar is not the file that versions.env names"
  quiet unzip -q -o "$1/$jar-$POSTGRES_VERSION.jar" '*.txz' -d "$1"
  quiet tar -xJf "$1"/*.txz -C "$1"
  rm "$1"/*.jar "$1"/*.txz
  [ -x "$1/bin/pg_ctl" ] || fail "$jar-$POSTGRES_VERSION.jar has no bin/pg_ctl"
}

fetch_python() {
  python3 -m venv "$1"
  quiet "$1/bin/pip" install --quiet --only-binary :all: "duckdb==$DUCKDB_VERSION" "duckdb-extensions==$DUCKDB_VERSION" \
    "duckdb-extension-delta==$DUCKDB_VERSION" "polars==$POLARS_VERSION" "deltalake==$DELTALAKE_VERSION" "pyarrow==$PYARROW_VERSION"
}

# Clients that speak PostgreSQL: psycopg, and psql as Debian installs it, or else as the package pgserver has it.
fetch_clients() {
  python3 -m venv "$1"
  quiet "$1/bin/pip" install --quiet --only-binary :all: "psycopg[binary]==$PSYCOPG_VERSION"
  if command -v psql >/dev/null; then ln -s "$(command -v psql)" "$1/bin/psql"; return; fi
  quiet "$1/bin/pip" install --quiet --no-deps --only-binary :all: "pgserver==$PGSERVER_VERSION"
  ln -s "$(compgen -G "$1/lib/python3*/site-packages/pgserver/pginstall/bin/psql")" "$1/bin/psql"
}

pinned() { # pinned DIR LIST
  python3 -m venv "$1"
  quiet "$1/bin/pip" install --quiet --no-deps --only-binary :all: --requirement "$here/$2.txt"
}

# A stock LiteLLM proxy and a stock OpenTelemetry SDK: who posts events over HTTP.
fetch_emitters() { pinned "$1" emitters; }

# Asks the servers whatever their OpenAPI documents allow.
fetch_schemathesis() { pinned "$1" schemathesis; }

# A Python of 3.12 or newer, of the system or of pyenv; else nothing.
new_python() {
  local python
  for python in python3 python3.14 python3.13 python3.12 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[2-4].*/bin/python3; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then echo "$python"; return; fi
  done
}

# The FOCUS validator with its rules, which is published as source. It asks for Python 3.12. Where the system's is older, uv (a package of its own) fetches one; where that cannot be
# reached, the validator runs on the older one: all it needs of 3.12 is a quote within an f-string, which is written otherwise.
fetch_focus() {
  local python packages=("focus-validator==$FOCUS_VALIDATOR_VERSION" "pyarrow==$FOCUS_PYARROW_VERSION")
  python=$(new_python)
  if [ -z "$python" ]; then
    python3 -m venv "$1/uv"
    quiet "$1/uv/bin/pip" install --quiet --only-binary :all: uv
    if UV_PYTHON_INSTALL_DIR=$1/pythons UV_CACHE_DIR=$1/cache "$1/uv/bin/uv" python install --no-bin 3.12 >>"$log" 2>&1; then
      python=$(compgen -G "$1/pythons/cpython-3.12*/bin/python3.12" | head -n 1)
    fi
    rm -rf "$1/uv" "$1/cache"
  fi
  if [ -n "$python" ]; then
    "$python" -m venv "$1/venv"
    quiet "$1/venv/bin/pip" install --quiet --prefer-binary "${packages[@]}"
  else
    say "no Python 3.12 to be had; the FOCUS validator runs on $(python3 --version)"
    python3 -m venv "$1/venv"
    quiet "$1/venv/bin/pip" install --quiet --prefer-binary --ignore-requires-python "${packages[@]}"
    sed -i -f - "$1"/venv/lib/python3*/site-packages/focus_validator/config_objects/focus_to_duckdb_converter.py <<'SED'
s/f"'{k\.replace(.*)}'" for k in ignore_keys/"'" + k.replace(chr(34), chr(34) * 2) + "'" for k in ignore_keys/
SED
  fi
  # Its working directory: it looks for its rules beside where it is started.
  (cd "$1"/venv/lib/python3*/site-packages && ln -sfn "$PWD" "$1/packages")
  quiet env -C "$1/packages" "$1/venv/bin/focus-validator" --help
}

fetch() {
  local name=$1 to started=$SECONDS
  to=$(place "$name")
  if [ -e "$to/.complete" ]; then say "$name is there ($to)"; return; fi
  prerequisites "$name"
  say "fetching $name …"
  rm -rf "$to"
  mkdir -p "$to"
  "fetch_$name" "$to"
  touch "$to/.complete"
  say "$name took $((SECONDS - started)) s ($to)"
}

check() {
  local missing=0
  for name in "$@"; do
    if [ ! -e "$(place "$name")/.complete" ]; then
      say "$name is missing; scripts/components.sh $name fetches it"
      missing=1
    fi
  done
  return $missing
}

mode=fetch
if [ "${1:-}" = --check ]; then mode=check; shift; fi
[ $# -gt 0 ] || set -- kafka versitygw collector python emitters schemathesis mail postgres focus clients
mkdir -p "$parts"
if [ $mode = check ]; then check "$@"; exit; fi
# Two runs at a time would build into each other's folders.
if command -v flock >/dev/null; then exec 9>"$cache/components.lock"; flock 9; fi
for name in "$@"; do place "$name" >/dev/null; done
for name in "$@"; do (fetch "$name"); done
# Sources and package caches are only needed while building; they are larger than what was built.
rm -rf "$cache/go" "$cache/maven"
