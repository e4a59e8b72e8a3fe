FROM imageblur-rehearsal/servers
COPY mail_catcher.py /
ENTRYPOINT ["python3", "-u", "/mail_catcher.py"]
