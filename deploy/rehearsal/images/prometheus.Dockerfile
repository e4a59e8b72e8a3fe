FROM imageblur-rehearsal/servers
RUN mkdir -p /prometheus && chown 65534 /prometheus
USER 65534
ENTRYPOINT ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
