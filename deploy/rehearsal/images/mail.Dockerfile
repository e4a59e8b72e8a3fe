FROM imageblur-rehearsal/servers
# Keeps e-mails in a maildir, to be counted; the real one has a page for them on port 8025.
WORKDIR /tmp
ENTRYPOINT ["python3", "-m", "aiosmtpd", "--nosetuid", "--listen", "0.0.0.0:1025", "--class", "aiosmtpd.handlers.Mailbox", "/tmp/mail"]
