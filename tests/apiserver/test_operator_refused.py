"""What the API server refuses of the operator's own writing is told where a person looks."""

from __future__ import annotations

from tests.apiserver.operator_world import paper, until

TOO_MUCH = {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}


def test_a_child_that_is_refused_is_told_and_recovered_from(run):
    """The condition carries the API server's words; with a better document the account comes up."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one", pod={"resources": TOO_MUCH})).expect()
        await made.says("one", "Reconciled", "False", reason="ApplyRefused")
        await made.says("one", "Ready", "False", reason="ApplyRefused")
        assert "memory limit" in made.condition("one", "Reconciled")["message"]

        made.patch("one", pod={"resources": {"requests": {"memory": "64Mi"}}})

        await made.exists("Deployment", "ta-one-compact")
        await made.says("one", "Reconciled", "True")

    run(check)


def test_a_document_that_the_books_refuse_does_not_count(run):
    """The status says so, and which generation counts, until the books take it."""

    async def check(made):
        await made.start_operator()
        made.objects.create(paper("one")).expect()
        await made.says("one", "Reconciled", "True")
        await until(lambda: counts(made) == 1, what="the first generation counts")
        made.ask("REVOKE INSERT ON trading.account_config FROM recio_operator")

        made.patch("one", risk={"maxOpenTrades": 1})

        await made.says("one", "Reconciled", "False", reason="ApplyRefused")
        assert counts(made) == 1

        made.ask("GRANT INSERT ON trading.account_config TO recio_operator")
        await made.says("one", "Reconciled", "True")
        await until(lambda: counts(made) == 2, what="the second generation counts")

    run(check)


def counts(made):
    """Return the generation that counts, as the status says."""
    return made.get("TradingAccount", "one").get("status", {}).get("effectiveGeneration")
