# The image of the driver, for both of its roles. `docker build .` makes it; so does `make image`, without an engine.
# docs/reference/image.md says what is in it. The layers go from what changes least to what changes most.

# --- Debian with OpenZFS and the programs that the driver starts ---
FROM debian:bookworm-slim AS debian
ENV DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
# The backports come from the archive that the base image names first. Of them only OpenZFS: the rest is the release's.
RUN set -eu; \
    cd /etc/apt/sources.list.d; \
    sed -e '/^$/,$d' -e 's/^Suites:.*/Suites: bookworm-backports/' -e 's/^Components:.*/Components: main contrib/' \
        debian.sources >backports.sources; \
    printf 'Package: src:zfs-linux:any\nPin: release n=*-backports\nPin-Priority: 900\n' \
        >/etc/apt/preferences.d/backports; \
    printf 'path-exclude=/usr/share/%s/*\n' doc info lintian locale man >/etc/dpkg/dpkg.cfg.d/no-documents; \
    printf 'path-include=/usr/share/doc/*/copyright\n' >>/etc/dpkg/dpkg.cfg.d/no-documents; \
    # 36 MB of Unicode tables, for names that xfs_scrub alone looks at; the driver does not start it.
    printf 'path-exclude=%s\n' '/usr/lib/*/libicu*' '/usr/sbin/xfs_scrub*' >/etc/dpkg/dpkg.cfg.d/no-scrub; \
    apt-get update --quiet; \
    apt-get install --quiet --yes --no-install-recommends \
        e2fsprogs mount python3-pyzfs util-linux xfsprogs zfsutils-linux

# --- the environment of the locked wheels ---
FROM debian AS wheels
RUN apt-get install --quiet --yes --no-install-recommends binutils python3-venv && python3.11 -m venv /build/tools
WORKDIR /build
COPY requirements/build.lock requirements/run.lock ./
RUN set -eu; \
    install="install --quiet --disable-pip-version-check --no-cache-dir --require-hashes --only-binary=:all:"; \
    tools/bin/pip $install --requirement build.lock; \
    python3.11 -m venv --without-pip /opt/csi-zfs; \
    tools/bin/pip --python /opt/csi-zfs/bin/python $install --no-compile --requirement run.lock; \
    cd /opt/csi-zfs; \
    find bin -type f -delete; \
    # A second client of Kubernetes, for asyncio: 40 MB that the first one does not load.
    rm -r lib/python3.11/site-packages/kubernetes/aio; \
    # Of the first one, by far the largest package, only what runs: 32 MB of sources.
    python3.11 -B -m compileall -b -f -q --invalidation-mode unchecked-hash lib/python3.11/site-packages/kubernetes; \
    find lib/python3.11/site-packages/kubernetes -name '*.py' -delete; \
    # What debuggers read in libraries: 29 MB.
    find lib -name '*.so' -exec strip --strip-unneeded {} +; \
    # libzfs_core belongs to the system's OpenZFS: the environment sees it and what it imports, nothing else.
    mkdir openzfs; \
    for name in libzfs_core cffi _cffi_backend.cpython-311-$(uname -m)-linux-gnu.so pycparser ply; do \
        test -e "/usr/lib/python3/dist-packages/$name"; \
        ln -s "/usr/lib/python3/dist-packages/$name" openzfs/; \
    done; \
    echo /opt/csi-zfs/openzfs >lib/python3.11/site-packages/openzfs.pth; \
    # The root is read-only, so nothing is compiled later; and compiled files that look at no times stay valid
    # whatever a builder makes of these.
    python3.11 -B -m compileall -f -q --invalidation-mode unchecked-hash lib

# --- the system without what only installing needs ---
FROM debian AS system
# What nothing depends on goes, as packages, so that the list of packages stays true: apt, accounts and their setuid
# programs, bash (dash stays, as sh), perl, and the libraries that only these have. What dpkg itself and the others need
# in order to go, goes last.
RUN set -eu; \
    apt-mark auto '.*' >/dev/null; \
    apt-mark manual e2fsprogs mount python3-pyzfs util-linux xfsprogs zfsutils-linux >/dev/null; \
    apt-get --simulate --quiet --option APT::AutoRemove::RecommendsImportant=false \
        purge --autoremove --allow-remove-essential \
        adduser apt bash debian-archive-keyring hostname login passwd tzdata >/tmp/purged; \
    dpkg --purge --force-remove-essential $(sed -n 's/^Purg \([^ ]*\).*/\1/p' /tmp/purged); \
    dpkg --purge --force-remove-essential --force-bad-path diffutils perl-base; \
    find / -xdev -type f -perm /6000 -exec chmod ug-s {} +; \
    find /usr/lib/python3 /usr/lib/python3.11 -name __pycache__ -type d -prune -exec rm -r {} +; \
    python3.11 -B -m compileall -f -q --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.11
# What a build leaves does not come along: logs, caches, older states, where packages came from, the day and the
# number of an installation; and the files that a builder mounts, which no command can remove in place.
RUN set -eu; \
    mkdir /image; \
    tar --create --one-file-system --exclude='./dev/*' --exclude=./image --exclude='./mnt/*' --exclude='./proc/*' \
        --exclude='./run/*' --exclude='./sys/*' --exclude='./tmp/*' . | tar --extract --directory /image; \
    cd /image; \
    rm -rf etc/*- etc/.pwd.lock etc/apt etc/gshadow etc/hostid etc/hostname etc/hosts etc/machine-id etc/pip.conf \
        etc/resolv.conf etc/shadow etc/ssl/certs root/.??* usr/share/info usr/share/lintian usr/share/locale usr/share/man \
        var/cache/* var/lib/apt var/lib/dpkg/*-old var/log/*; \
    find usr/share/doc -type f ! -name copyright -delete; \
    find usr/share/doc -type d -empty -delete

# --- the driver itself ---
FROM wheels AS driver
COPY tools/sbom.py ./
COPY --from=system /image/var/lib/dpkg/status ./system-packages
COPY LICENSE README.md pyproject.toml ./
COPY csi_zfs csi_zfs
RUN set -eu; \
    offline="--quiet --disable-pip-version-check --no-index --no-deps"; \
    tools/bin/pip wheel $offline --no-build-isolation --wheel-dir dist .; \
    tools/bin/pip --python /opt/csi-zfs/bin/python install $offline --no-compile --no-warn-script-location \
        --root /driver --find-links dist csi-zfs; \
    python3.11 -B -m compileall -f -q --invalidation-mode unchecked-hash -s /driver -p / /driver; \
    mkdir -p /driver/usr/share/csi-zfs; \
    python3.11 sbom.py system-packages /opt/csi-zfs/lib /driver >/driver/usr/share/csi-zfs/sbom.cdx.json

# --- the image ---
FROM scratch
COPY --from=system /image /
COPY --from=wheels /opt/csi-zfs /opt/csi-zfs
COPY --from=driver /driver /
ENV PATH=/opt/csi-zfs/bin:/usr/sbin:/usr/bin LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
LABEL org.opencontainers.image.title="csi-zfs" \
    org.opencontainers.image.description="A Kubernetes CSI driver: node-local volumes at ZFS speed, with snapshots that travel." \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="0.1.0"
ENTRYPOINT ["/opt/csi-zfs/bin/csi-zfs"]
