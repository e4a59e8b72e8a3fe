FROM imageblur-rehearsal/servers
# Stores e-mails in a Maildir; the real image shows them on port 8025.
WORKDIR /tmp
ENTRYPOINT ["python3", "-m", "aiosmtpd", "--nosetuid", "--listen", "0.0.0.0:1025", "--class", "aiosmtpd.handlers.Mailbox", "/tmp/mail"]
