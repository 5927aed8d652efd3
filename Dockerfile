# docker build -t customs:0.1.0 .
#
# Needs BuildKit (the default of Docker since 23) or a builder that knows --mount=type=cache, such as buildah and podman.

# bookworm, as the image below: a binary linked against a newer glibc would not start there.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# - The two caches keep downloads and compiled dependencies between builds; `locked`, because two cargos must not share them.
# - `fetch` brings every package of Cargo.lock, also those of other platforms: build.rs runs `cargo metadata --offline`,
#   which wants them all.
# - `touch`, because cargo compares times, and files out of an archive may look older than the cached build.
# - A cache mount is no part of the image, hence the copy.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find src crates proto -type f -exec touch {} + \
    && cargo fetch --locked \
    && cargo build --release --locked --bin customs --features parquet \
    && cp target/release/customs /customs \
    && /customs --version

# The image of a release: its static binaries on each platform, not built a second time. deploy/release/image makes the
# folder from which it is built; `docker build .` does not need it. Certificates; no libc, no shell, no package manager.
FROM gcr.io/distroless/static-debian12:nonroot AS release
ARG TARGETARCH
COPY ${TARGETARCH}/licenses/ /licenses/customs/
COPY ${TARGETARCH}/customs /customs
USER 65532:65532
EXPOSE 9191 9192
ENTRYPOINT ["/customs"]
CMD ["serve", "--listen", "0.0.0.0:9191", "--admin", "0.0.0.0:9192", "--policies", "/etc/customs/policies"]

# glibc, libgcc and certificates; no shell, no package manager. The binary needs glibc 2.34 or newer; this has 2.36.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/LICENSE /licenses/customs/LICENSE
COPY --from=build /customs /customs
# `nonroot`, as a number: with a name the kubelet cannot tell that it is not root.
USER 65532:65532
# 9191: Envoy asks here (gRPC). 9192: health, metrics, status.
EXPOSE 9191 9192
# The program's own default is loopback, where nobody outside the container could reach it. The image holds no policy: mount
# a directory at /etc/customs/policies. Until it holds one, customs runs and says that it is not ready.
ENTRYPOINT ["/customs"]
CMD ["serve", "--listen", "0.0.0.0:9191", "--admin", "0.0.0.0:9192", "--policies", "/etc/customs/policies"]
