"""What a user sees of an account: made, kept, told of, changed, deleted. No node, all else real."""

import asyncio

from tests.apiserver.operator_world import TOKEN, paper, until

from recio_operator.kube import KINDS

SERVICES = {
    "auto-entry-supervisor",
    "active-trade-supervisor",
    "trade-initiator",
    "trade-executor",
    "kalshi-account-sync",
    "trade-manager",
}
CONDITIONS = {
    "Ready",
    "CredentialsValid",
    "DatabaseReady",
    "ExchangeReachable",
    "TradingEnabled",
    "Reconciled",
    "Progressing",
    "Overridden",
    "ReconciliationPaused",
}


def test_one_document_becomes_everything_an_account_needs(run):
    """Kubectl apply of a paper account is all: key, login, books, workloads, status."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one", topology="PerService")).expect()
        for service in SERVICES:
            await made.exists("Deployment", f"ta-one-{service}")
            await made.exists("Service", f"ta-one-{service}")
        for kind in ("ServiceAccount", "ConfigMap", "NetworkPolicy"):
            await made.exists(kind, "ta-one")
        for secret in ("ta-one-database", "ta-one-exchange-key", "recio-paper-market"):
            await made.exists("Secret", secret)
        assert await made.exchange.accounts() == ["market", "one"]
        assert made.ask("SELECT account, environment FROM trading.accounts") == [("one", "paper")]
        assert made.ask("SELECT rolcanlogin FROM pg_roles WHERE rolname = 'recio_account_one'")
        assert made.ask("SELECT account FROM trading.account_keys") == [("one",)]
        owned = made.list("Deployment")[0]["metadata"]["ownerReferences"][0]
        assert owned["uid"] == made.get("TradingAccount", "one")["metadata"]["uid"]
        await made.exists("ConfigMap", "recio-account-targets")
        probe = f"trade_executor@one=http://ta-one-trade-executor.{made.objects.namespace}:8080"
        await until(lambda: probe in targets(made), what="the monitor knows")

    run(check)


def test_status_is_complete_and_ready_follows_the_pods(run):
    """Every condition is there from the first visit; Ready is what kubectl wait waits for."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.says("one", "Ready", "False")
        status = made.get("TradingAccount", "one")["status"]
        assert {one["type"] for one in status["conditions"]} == CONDITIONS
        assert status["workloads"] == "0/1"
        await made.become_ready("ta-one-compact")
        await made.says("one", "Ready", "True")
        await made.says("one", "CredentialsValid", "True")
        assert made.get("TradingAccount", "one")["status"]["workloads"] == "1/1"

    run(check)


def test_idling_writes_nothing(run):
    """Nothing changes, so nothing is written: no object gets a new version."""

    async def check(made):
        operator = await made.start_operator(resync_seconds=10)
        for name in ("one", "two"):
            made.objects.create(paper(name)).expect()
            await made.become_ready(f"ta-{name}-compact")
            await made.says(name, "Ready", "True")
        await made.settled(operator)
        await asyncio.sleep(2)
        writes, versions = operator.kube.writes, made.versions()
        await operator.cluster.fill()
        operator._add_everything()
        await asyncio.sleep(8)
        assert operator.kube.writes == writes
        assert made.versions() == versions

    run(check)


def test_what_somebody_changes_or_deletes_is_put_back(run):
    """Drift is repaired; fields that are not ours stay."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.exists("Deployment", "ta-one-compact")
        patch = {
            "metadata": {"annotations": {"mine": "stays"}},
            "spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}},
        }
        made.objects.merge("Deployment", "ta-one-compact", patch).expect()
        await until(
            lambda: grace(made.get("Deployment", "ta-one-compact")) == 30, what="drift repaired"
        )
        live = made.get("Deployment", "ta-one-compact")
        assert live["metadata"]["annotations"]["mine"] == "stays"
        for kind in ("Service", "ServiceAccount", "NetworkPolicy", "ConfigMap", "Deployment"):
            name = "ta-one-compact" if kind in {"Service", "Deployment"} else "ta-one"
            before = (await made.exists(kind, name))["metadata"]["uid"]
            made.delete(kind, name)
            await until(
                lambda kind=kind, name=name, before=before: (
                    (made.get(kind, name) or {}).get("metadata", {}).get("uid", before) != before
                ),
                what=f"{kind} {name} is back",
            )

    run(check)


def grace(deployment):
    """Return the grace period of a Deployment's pods."""
    return deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def switch(made, account, source="resource"):
    """Return a switch row's position."""
    rows = made.ask(
        "SELECT state::text FROM trading.switches WHERE scope = %s AND source = %s", account, source
    )
    return rows[0][0] if rows else None


def test_a_halt_by_kubectl_patch_lands_in_the_books_and_touches_no_pod(run):
    """spec.trading is a switch row, at once; limits are read from the books too."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        before = (await made.exists("Deployment", "ta-one-compact"))["metadata"]["generation"]
        await until(lambda: switch(made, "one") == "Active", what="Active")
        made.patch("one", trading="Halted")
        await until(lambda: switch(made, "one") == "Halted", what="Halted")
        await made.says("one", "TradingEnabled", "False")
        made.patch("one", trading="Active", risk={"maxOpenTrades": 1})
        await until(lambda: switch(made, "one") == "Active", what="released")
        await until(lambda: limit(made, "one") == 1, what="limit")
        assert made.get("Deployment", "ta-one-compact")["metadata"]["generation"] == before

    run(check)


def newest(made, account):
    """Return the spec that services read."""
    rows = made.ask(
        "SELECT document->'spec' FROM trading.account_config WHERE account = %s "
        "ORDER BY generation DESC LIMIT 1",
        account,
    )
    return rows[0][0] if rows else {}


def limit(made, account):
    """Return how many trades the account may have open, as services read it."""
    return newest(made, account).get("risk", {}).get("maxOpenTrades")


def test_the_fleet_is_one_switch_over_all_accounts_and_releases_it_when_deleted(run):
    """TradingFleet default: its switch and limits count for all, and go with it."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.exists("Deployment", "ta-one-compact")
        fleet = {
            "apiVersion": "recio.io/v1alpha1",
            "kind": "TradingFleet",
            "metadata": {"name": "default"},
            "spec": {"trading": "Halted", "risk": {"maxOpenTrades": 2}},
        }
        made.objects.create(fleet).expect()
        await until(lambda: switch(made, "*", "fleet") == "Halted", what="fleet halted")
        await until(
            lambda: made.get("TradingAccount", "one")["status"]["trading"]["effective"] == "Halted",
            what="the account's status says it",
        )
        await until(
            lambda: (
                (made.get("TradingFleet", "default").get("status") or {})
                .get("trading", {})
                .get("effective")
                == "Halted"
            ),
            what="the fleet's status says it",
        )
        made.delete("TradingFleet", "default")
        await until(lambda: switch(made, "*", "fleet") == "Active", what="released")
        limits = made.ask("SELECT document->'spec'->'risk' FROM trading.fleet")[0][0]
        assert not limits

    run(check)


def test_a_deleted_account_leaves_clean_and_its_books_stay(run):
    """Children and key go, the login is closed, the rows of its history stay."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.become_ready("ta-one-compact")
        await made.says("one", "Ready", "True")
        made.delete("TradingAccount", "one")
        made.delete("Pod", "ta-one-compact-0")
        await made.is_gone("TradingAccount", "one")
        for kind, name in (
            ("Deployment", "ta-one-compact"),
            ("Secret", "ta-one-database"),
            ("Secret", "ta-one-exchange-key"),
            ("ConfigMap", "ta-one"),
        ):
            await made.is_gone(kind, name)
        assert made.ask("SELECT account FROM trading.account_keys") == []
        can = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'recio_account_one'"
        assert made.ask(can) == [(False,)]
        assert made.ask("SELECT account FROM trading.accounts") == [("one",)]
        made.objects.create(paper("one")).expect()
        await made.exists("Deployment", "ta-one-compact")
        assert made.ask(can) == [(True,)]

    run(check)


def test_a_paused_account_is_left_alone_and_says_so(run):
    """recio.io/paused: nothing but the status is written, drift stays."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.exists("Deployment", "ta-one-compact")
        paused = {"metadata": {"annotations": {"recio.io/paused": "true"}}}
        made.objects.merge("TradingAccount", "one", paused).expect()
        await made.says("one", "ReconciliationPaused", "True")
        made.delete("Service", "ta-one-compact")
        made.patch("one", trading="Halted")
        await asyncio.sleep(2)
        assert made.get("Service", "ta-one-compact") is None
        assert switch(made, "one") == "Active"
        paused["metadata"]["annotations"]["recio.io/paused"] = None
        made.objects.merge("TradingAccount", "one", paused).expect()
        await made.exists("Service", "ta-one-compact")
        await until(lambda: switch(made, "one") == "Halted", what="what was held counts now")

    run(check)


def test_a_suspended_account_has_no_pods_and_keeps_everything_else(run):
    """spec.suspend: replicas 0 once flat; taken back, it runs again."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.become_ready("ta-one-compact")
        made.patch("one", suspend=True)
        await until(lambda: replicas(made) == 0, what="no pods")
        await until(
            lambda: "ta-one" not in targets(made), what="nobody probes what should not answer"
        )
        made.patch("one", suspend=False)
        await until(lambda: replicas(made) == 1, what="a pod again")

    run(check)


def replicas(made):
    """Return how many pods the account should have."""
    return made.get("Deployment", "ta-one-compact")["spec"]["replicas"]


def targets(made):
    """Return the monitor's list."""
    return made.get("ConfigMap", "recio-account-targets")["data"]["targets"]


def test_the_exchange_that_forgot_is_told_again(run):
    """The simulator came back with an empty database: accounts and the market reader are known again."""

    async def check(made):
        operator = await made.start_operator()
        operator._reconciler.markets.every_s = 0.5
        made.objects.create(paper("one")).expect()
        await until(lambda: made.get("Secret", "ta-one-exchange-key"), what="its key")
        await until(lambda: made.get("Secret", "recio-paper-market"), what="the reader's key")
        key = made.get("Secret", "ta-one-exchange-key")["data"]["private-key"]
        await made.exchange.stop()
        await asyncio.sleep(1)
        await made.exchange.start_again()

        async def are_known():
            return await made.exchange.accounts() == ["market", "one"]

        await until(are_known, what="both are known again", seconds=60)
        assert made.get("Secret", "ta-one-exchange-key")["data"]["private-key"] == key

    run(check)


def test_an_exchange_that_is_away_is_told_of_and_waited_for(run):
    """A paper account without its exchange says what is missing, and starts when it is there."""

    async def check(made):
        await made.exchange.stop()
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.says("one", "CredentialsValid", "False", reason="RegistrationFailed")
        assert made.list("Deployment") == []
        await made.exchange.start_again()
        await made.exists("Deployment", "ta-one-compact")

    run(check)


def test_secrets_are_in_secrets_only(run, caplog):
    """No password and no key in status, Events, ConfigMaps, Deployments or logs."""

    async def check(made):
        operator = await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.become_ready("ta-one-compact")
        await made.settled(operator)
        secrets = [TOKEN]
        for name in ("ta-one-database", "ta-one-exchange-key"):
            secrets += made.get("Secret", name)["data"].values()
        kinds = ("TradingAccount", "Deployment", "ConfigMap", "Event", "Service")
        told = "".join(str(made.list(kind)) for kind in kinds) + caplog.text
        assert not [one for one in secrets if one in told]

    run(check)


def test_what_changed_is_told_once_as_an_event(run):
    """Kubectl describe tells the story: Events on changes, none while nothing changes."""

    async def check(made):
        operator = await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.become_ready("ta-one-compact")
        await made.says("one", "Ready", "True")
        await made.settled(operator)
        told = [one for one in made.list("Event") if one["regarding"]["name"] == "one"]
        assert told
        assert {one["reportingController"] for one in told} == {"recio.io/recio-operator"}
        operator._add_everything()
        await made.settled(operator)
        assert len(made.list("Event")) == len(told)

    run(check)


def test_a_document_that_changes_while_it_is_worked_on_ends_as_it_says_last(run):
    """Changes faster than the operator: whatever it meets in between, the last one counts."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        for number in range(1, 21):
            made.patch("one", risk={"maxOpenTrades": number}, trading="Halted")
            made.patch("one", trading="Active" if number % 2 else "ReduceOnly")
            await asyncio.sleep(0.02)
        await until(lambda: limit(made, "one") == 20, what="20")
        await until(lambda: switch(made, "one") == "ReduceOnly", what="the last switch")
        await made.exists("Deployment", "ta-one-compact")

    run(check)


def test_a_document_of_another_version_is_told_of_and_stops_nobody(run):
    """What the CRD let in once and we cannot read: a condition, no crash; a halt in it counts."""

    async def check(made):
        operator = await made.start_operator()
        made.objects.create(paper("good")).expect()
        document = made.get("TradingAccount", "good")
        strange = {**document, "spec": {**document["spec"], "fromTheFuture": 1}}
        await made.exists("Deployment", "ta-good-compact")
        strange["metadata"] = {**document["metadata"], "resourceVersion": str(10**15)}
        strange["spec"]["trading"] = "Halted"
        operator.cluster.put(KINDS["TradingAccount"], strange)
        await until(lambda: switch(made, "good") == "Halted", what="the halt counts")
        await made.says("good", "Reconciled", "False", reason="SpecInvalid")
        made.objects.create(paper("other")).expect()
        await made.exists("Deployment", "ta-other-compact")

    run(check)
