FROM imageblur-rehearsal/servers
COPY postgres-entrypoint /usr/local/bin/
RUN chmod 755 /usr/local/bin/postgres-entrypoint && mkdir -p /var/lib/postgresql && chown -R postgres /var/lib/postgresql
ENV PATH=/usr/lib/postgresql/17/bin:$PATH
USER postgres
VOLUME /var/lib/postgresql
ENTRYPOINT ["postgres-entrypoint"]
