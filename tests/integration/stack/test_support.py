"""The servers of other tests behave as documented, and leave nothing behind."""

import os
import signal
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from tests.support.postgres import PostgresServer
from tests.support.smtp import HANG, SmtpSink
from tests.support.valkey import start_valkey
from tests.support.waiting import eventually


def email(subject: str = "Hello") -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "from@example.org", "to@example.org"
    message.set_content("text")
    return message


def test_valkey_keeps_what_it_acknowledged_over_a_kill(tmp_path: Path) -> None:
    server = start_valkey(tmp_path)
    try:
        with redis.Redis.from_url(server.url) as client:
            client.set("name", "value")
        server.kill()
        server.start()
        with redis.Redis.from_url(server.url) as client:
            assert client.get("name") == b"value"
        pid = server.pid
    finally:
        server.close()
    assert not psutil.pid_exists(pid)
    assert not server.socket.parent.exists()


def test_postgres_comes_back_on_its_port_after_a_kill(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database().replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept (id int)")
    postgres_server.kill()
    postgres_server.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_the_sink_cuts_the_line_with_the_message_kept(smtp_sink: SmtpSink) -> None:
    smtp_sink.reply_to_data(None)
    client = smtplib.SMTP(smtp_sink.host, smtp_sink.port)
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        client.send_message(email())
    client.close()
    assert len(smtp_sink.received) == 1


def test_the_sink_treats_one_recipient_in_its_own_way(smtp_sink: SmtpSink) -> None:
    smtp_sink.reply_to("slow@example.org", HANG)
    smtp_sink.reply_to("to@example.org", "451 4.3.0 later")
    with smtplib.SMTP(smtp_sink.host, smtp_sink.port, timeout=30) as client:
        with pytest.raises(smtplib.SMTPDataError):
            client.send_message(email())
        client.send_message(email(), to_addrs=["other@example.org"])
        client.send_message(email())
        assert client.sock
        client.sock.settimeout(3)
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            client.send_message(email(), to_addrs=["slow@example.org"])
    assert smtp_sink.answers("slow@example.org") == [HANG]
    assert smtp_sink.answers("to@example.org") == ["451 4.3.0 later", "250 2.0.0 kept"]
    assert [len(smtp_sink.to(f"{name}@example.org")) for name in ("to", "other", "slow")] == [1, 1, 0]


def test_a_killed_test_session_leaves_no_server(tmp_path: Path) -> None:
    program = f"""
import pathlib, sys, threading
from tests.support.valkey import start_valkey
print(start_valkey(pathlib.Path({str(tmp_path)!r})).pid, flush=True)
threading.Event().wait()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as session:
        assert session.stdout is not None
        pid = int(session.stdout.readline())
        assert psutil.pid_exists(pid)
        os.kill(session.pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
