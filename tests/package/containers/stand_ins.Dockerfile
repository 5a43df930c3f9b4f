# Stand-ins for images of registries that a test does not reach, of Debian's packages; and a system with systemd.
FROM debian:bookworm AS prometheus
RUN apt-get update && apt-get install -y --no-install-recommends prometheus
USER 65534:65534
ENTRYPOINT ["prometheus"]

FROM debian:bookworm AS python
RUN apt-get update && apt-get install -y --no-install-recommends python3

FROM shmetrics-exporter AS systemd
USER 0:0
RUN apt-get update && apt-get install -y --no-install-recommends systemd && groupadd shmetrics \
 && ln -s /usr/local/bin/shmetrics-exporter /usr/bin/ && install -d -m 0755 /run/app
COPY deploy/systemd/shmetrics-exporter.service deploy/systemd/shmetrics-exporter.socket /etc/systemd/system/
RUN install -d -m 0700 /etc/shmetrics && echo a-token-of-the-test >/etc/shmetrics/tokens \
 && systemctl enable shmetrics-exporter.service \
 && systemctl mask systemd-sysctl.service systemd-modules-load.service # the container is privileged: they are the host's
# systemd hands credentials over by mounts that have to reach all of its services, as they do on a machine.
ENTRYPOINT ["sh", "-c", "mount --make-rshared / && exec /lib/systemd/systemd"]
CMD []
HEALTHCHECK NONE
