"""The operator as a process: its command, its rights, its probes, its end; and the preparing Job."""

import asyncio
import contextlib
import signal
import sys
import urllib.request

import msgspec
import psycopg
import pytest
from tests.apiserver.operator_world import paper, until, world
from tests.e2e.cluster.control_plane import free_ports

from recio_operator import cli
from recio_operator import prepare as preparing
from recio_operator.settings import OperatorSettings

OPERATOR_RULES = [
    {
        "apiGroups": ["recio.io"],
        "resources": ["tradingaccounts", "tradingfleets"],
        "verbs": ["get", "list", "watch", "patch"],
    },
    {
        "apiGroups": ["recio.io"],
        "resources": ["tradingaccounts/status", "tradingfleets/status"],
        "verbs": ["get", "patch"],
    },
    {
        "apiGroups": ["recio.io"],
        "resources": ["tradingaccounts/finalizers", "tradingfleets/finalizers"],
        "verbs": ["update"],
    },
    {
        "apiGroups": ["apps"],
        "resources": ["deployments"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["networkpolicies"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
    {
        "apiGroups": [""],
        "resources": ["services", "serviceaccounts", "configmaps", "secrets"],
        "verbs": ["get", "list", "watch", "create", "patch", "delete"],
    },
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
]
"""As the chart's Role of the operator."""
PREPARE_RULES = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"]}]


def bind(made, control_plane, rules):
    """Make a user who may do what the rules say, in this namespace only; return his kubeconfig."""
    namespace = made.objects.namespace
    user = f"{namespace}-user-{len(rules)}"
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": user}}
    place = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    role = {**head, "kind": "Role", "rules": rules}
    made.objects.server.request("POST", f"{place}/roles", role).expect()
    binding = {
        **head,
        "kind": "RoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }
    made.objects.server.request("POST", f"{place}/rolebindings", binding).expect()
    return control_plane.kubeconfig_as(user)


def test_the_rights_in_one_namespace_are_enough(run, control_plane):
    """A Role is all: nothing outside of the namespace is read or written."""

    async def check(made):
        await made.start_operator(kubeconfig=bind(made, control_plane, OPERATOR_RULES))
        made.objects.create(paper("one")).expect()
        await made.become_ready("ta-one-compact")
        await made.says("one", "Ready", "True")
        made.delete("Pod", "ta-one-compact-0")
        made.delete("TradingAccount", "one")
        await made.is_gone("TradingAccount", "one")
        await made.is_gone("Deployment", "ta-one-compact")

    run(check)


@contextlib.asynccontextmanager
async def process(made, tmp_path, port):
    """Run ``recio-operator run`` as its container does."""
    path = tmp_path / "release.json"
    path.write_bytes(msgspec.json.encode(made.release))
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "recio_operator.cli", "run"),
        *("--release", str(path), "--kubeconfig", str(made.kubeconfig)),
        env={
            "RECIO_OPERATOR_HTTP_HOST": "127.0.0.1",
            "RECIO_OPERATOR_HTTP_PORT": str(port),
            "RECIO_OPERATOR_DATABASE_PASSWORD_FILE": "",
            "RECIO_OPERATOR_BOOKS_SECONDS": "1",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.communicate()


def asked(port, path):
    """Return the answer of a probe, empty while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


@pytest.fixture
def free_port():
    """A port that nobody uses now."""
    [port] = free_ports(1)
    return port


def test_the_process_answers_probes_and_ends_in_a_moment(run, tmp_path, free_port):
    """Alive, ready, measured; SIGTERM ends it with status 0 and the traders stay."""

    async def check(made):
        async with process(made, tmp_path, free_port) as running:
            await until(
                lambda: asyncio.to_thread(asked, free_port, "/readyz"), what="ready", seconds=60
            )
            assert await asyncio.to_thread(asked, free_port, "/healthz")
            made.objects.create(paper("one")).expect()
            await made.exists("Deployment", "ta-one-compact")

            async def is_counted():
                text = await asyncio.to_thread(asked, free_port, "/metrics")
                return 'recio_operator_accounts{mode="paper",ready="False"} 1.0' in text

            await until(is_counted, what="metrics")
            text = await asyncio.to_thread(asked, free_port, "/metrics")
            for name in (
                'recio_operator_reconciles_total{kind="account",result="ok"}',
                "recio_operator_reconcile_seconds_bucket",
                "recio_operator_queue_depth",
                "recio_operator_api_writes_total",
                "recio_operator_books_age_seconds",
                "process_resident_memory_bytes",
            ):
                assert name in text
            running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                _, told = await running.communicate()
            assert running.returncode == 0, told.decode()
            assert b"Traceback" not in told
            assert made.get("Deployment", "ta-one-compact") is not None

    run(check)


def test_prepare_makes_secrets_and_database_once(
    runner, objects, control_plane, postgres, tmp_path
):
    """Passwords, roles, schema, first user; again changes nothing; its own Role is enough."""
    name = f"prepared_{objects.namespace.replace('-', '_')}"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    owner = tmp_path / "owner"
    owner.mkdir()
    (owner / "username").write_text("postgres")
    (owner / "password").write_text("any")
    lines = []

    async def check(made):
        kubeconfig = bind(made, control_plane, PREPARE_RULES)
        settings = OperatorSettings(owner_directory=str(owner), kubeconfig=str(kubeconfig))

        def prepare():
            preparing.prepare(settings, made.release, say=lines.append)

        await asyncio.to_thread(prepare)
        secrets = {one["metadata"]["name"]: one["data"] for one in made.list("Secret")}
        assert {"recio-login-operator", "recio-login-main-app", "recio-admin"} <= secrets.keys()
        assert made.ask("SELECT name FROM ops.users") == [("admin",)]
        hashes = "SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'recio_%%'"
        before = dict(made.ask(hashes))
        assert str(before["recio_operator"]).startswith("SCRAM-SHA-256$")
        await asyncio.to_thread(prepare)
        assert {one["metadata"]["name"]: one["data"] for one in made.list("Secret")} == secrets
        assert dict(made.ask(hashes)) == before
        told = "\n".join(lines)
        assert "made Secret recio-admin" in told
        assert "kept Secret recio-admin" in told
        assert not [value for data in secrets.values() for value in data.values() if value in told]

    async def main():
        async with world(objects, control_plane.kubeconfig, postgres.url(name)) as made:
            await check(made)

    runner.run(main())
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_help_names_every_setting(capsys):
    """--help is the manual: each variable stands in it."""
    texts = []
    for words in (["run", "--help"], ["prepare", "--help"]):
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 0
        texts.append(capsys.readouterr().out)
    for field in msgspec.structs.fields(OperatorSettings):
        variable = f"RECIO_OPERATOR_{field.name.upper()}"
        assert any(variable in text or f"_{field.name.upper()}" in text for text in texts), variable


def test_a_release_that_cannot_be_read_is_told_in_one_line(capsys, tmp_path):
    """A failure that a person can mend has a message and status 1, no trace."""
    assert cli.main(["run", "--release", str(tmp_path / "none.json")]) == 1
    told = capsys.readouterr().err
    assert told.startswith("recio-operator: expected the release's description")
    assert "Traceback" not in told
