FROM imageblur-rehearsal/servers
CMD ["valkey-server"]
