"""What a stranger mistypes: one line that names the option, file or port and says what would do."""

from __future__ import annotations

import socket

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from recio import cli
from recio.cli_keys import signer_at
from recio.domain.errors import Broken, Rejected
from recio.runtime.http_server import listening_socket
from recio.runtime.settings import SettingsInvalid, process_settings

PROCESS = {
    "RECIO_ENVIRONMENT": "paper",
    "RECIO_DATABASE_URL": "postgresql:///recio",
    "RECIO_REDIS_URL": "redis://localhost",
}


def pem(key):
    """Return a private key as text."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def told(capsys, *words):
    """Run a command that fails; return what it said."""
    assert cli.main(words) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "70000"), "cannot listen on 127.0.0.1:70000: expected a port from 0 (any)"),
        (("--port", "-1"), "expected a port from 0 (any) to 65535"),
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1: no such address on this machine"),
        (("--start", "yesterday"), "--start: expected an RFC 3339 time, received 'yesterday'"),
        (("--accounts", "0"), "--accounts: expected 1 to 20, received 0"),
        (("--recording", "NOPE"), "no recording is called 'NOPE'; there are KXBTC15M"),
        (("--database-url", "nonsense"), "--database-url: expected an address such as postgresql"),
    ],
)
def test_up_names_the_option_that_cannot_be(tmp_path, capsys, words, said):
    """Before anything is started."""
    assert said in told(capsys, "up", "--state", str(tmp_path / "state"), "--port", "0", *words)


def test_up_names_the_file_of_a_malformed_account(tmp_path, capsys):
    """And the field, and what was expected in it."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        "apiVersion: recio.io/v1alpha1\nkind: TradingAccount\nmetadata: {name: paper}\n"
        "spec: {risk: {maxContractsPerOrder: ten}}\n"
    )
    said = told(capsys, "up", "--state", str(tmp_path / "state"), "--account-file", str(file))
    assert f"{file}: TradingAccount paper: 1 problem" in said
    assert "spec.risk.maxContractsPerOrder: expected an integer" in said
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "99999"), "expected a port from 0 (any) to 65535, received 99999"),
        (("--port", "0", "--key-out", "/nowhere/key"), "--key-out: cannot write /nowhere/key"),
    ],
)
def test_the_exchange_names_what_cannot_be(capsys, monkeypatch, words, said):
    """Without a traceback."""
    monkeypatch.setattr("recio.runtime.json_log.set_up", lambda **_options: None)
    assert said in told(capsys, "exchange", *words)


def test_an_occupied_port_is_told_with_how_to_find_who_has_it():
    """The address is ours, the port is somebody else's."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Broken, match=f"Another program uses the port.*{port}.*shows which"):
            listening_socket("127.0.0.1", port)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a key", "expected a private key in PEM form"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "expected an RSA or Ed25519 private key"),
    ],
)
def test_a_key_that_does_not_parse_is_named(tmp_path, content, said):
    """By its place; never with its content."""
    (tmp_path / "key-id").write_text("abc")
    (tmp_path / "private-key").write_bytes(content)
    with pytest.raises(Rejected, match=said) as refused:
        signer_at(tmp_path)
    assert str(tmp_path) in str(refused.value)
    assert content.decode() not in str(refused.value)


def test_a_key_is_read_from_the_file_that_the_exchange_writes(tmp_path):
    """Its first line says the id; a PEM without it is not enough."""
    file = tmp_path / "key.pem"
    text = pem(ed25519.Ed25519PrivateKey.generate())
    file.write_bytes(b"Key-Id: abc\n\n" + text)
    assert signer_at(file).key_id == "abc"
    file.write_bytes(text)
    with pytest.raises(Broken, match=r"expected `Key-Id: …` in the first line of .*key\.pem"):
        signer_at(file)


def test_a_setting_of_few_choices_names_them():
    """Not only what was wrong."""
    with pytest.raises(SettingsInvalid, match=r"RECIO_MODE.*expected paper, shadow, demo, prod"):
        process_settings({**PROCESS, "RECIO_MODE": "papr"})
