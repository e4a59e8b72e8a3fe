FROM imageblur-rehearsal/servers
COPY weed /usr/local/bin/weed
VOLUME /data
ENTRYPOINT ["weed"]
