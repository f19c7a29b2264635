# syntax=docker/dockerfile:1
# The image is the binary, the shared libraries that it names, certificates of authorities (for rediss://) and a user:
# no shell, no package manager. It is built on the release of Debian that the tests run on. To be built the same
# again, to its id: pin the first line's image by its digest in your registry, and `buildah build --timestamp 0`.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# What would differ from one build to the next: dates and paths.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} RUSTFLAGS="--remap-path-prefix=/src=. --remap-path-prefix=/usr/local/cargo=cargo"
RUN cargo build --locked --release --bin leadgate
RUN packaging/image-root target/release/leadgate /image

FROM scratch
COPY --from=build /image /
ENV PATH=/usr/local/bin
USER 65532:65532
WORKDIR /var/lib/leadgate
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/leadgate"]
CMD ["serve"]
