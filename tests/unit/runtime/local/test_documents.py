"""Account files: every mistake is told with the file's name."""

from __future__ import annotations

import pytest

from recio.domain.account_config import PaperSource, Series, Topology
from recio.domain.errors import Rejected
from recio.runtime.local.documents import fitted, paper_accounts, read_document
from recio.runtime.local.start import World

DOCUMENT = """
apiVersion: recio.io/v1alpha1
kind: TradingAccount
metadata: {name: paper}
spec: {mode: paper}
"""


def accounts(path, number=1, topology=None):
    """Read a file."""
    return paper_accounts(path, number=number, topology=topology)


@pytest.fixture
def file(tmp_path):
    """Write a document and return its path."""

    def write(text):
        path = tmp_path / "account.yaml"
        path.write_text(text)
        return path

    return write


def test_further_accounts_are_copies_under_other_names(file):
    """The document itself stays as it is."""
    made = accounts(file(DOCUMENT), 3, Topology.POOLED)
    assert [config.name for _, config in made] == ["paper", "paper-2", "paper-3"]
    assert {config.topology for _, config in made} == {Topology.POOLED}
    assert [document["metadata"]["name"] for document, _ in made] == ["paper", "paper-2", "paper-3"]


def test_accounts_fit_the_world_that_they_trade_in(file):
    """A recorded 15-minute market lists one series; live prices are a source of their own."""
    made = accounts(file(DOCUMENT))
    ((_, recorded),) = fitted(made, World(start_us=1, recording="26MAY130915-15"))
    ((_, live),) = fitted(made, World(start_us=1, is_live=True))
    assert recorded.series == (Series.KXBTC15M,)
    assert live.paper.source is PaperSource.LIVE_FEED
    assert [config for _, config in fitted(made, World(start_us=1))] == [made[0][1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("", "received 0"),
        (f"{DOCUMENT}---{DOCUMENT}", "received 2"),
        ("- 1", "expected a TradingAccount document"),
        (DOCUMENT.replace("mode: paper", "mode: papr"), "spec.mode"),
        (DOCUMENT.replace("{mode: paper}", "{mode: paper, tradng: Active}"), "tradng"),
        (DOCUMENT.replace("name: paper", "name: Paper!"), "metadata.name"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
    ],
)
def test_a_malformed_document_is_refused(file, text, said):
    """The message says what is wrong, and nothing in the file is run."""
    with pytest.raises(Rejected, match=said):
        accounts(file(text))


def test_a_missing_file_is_named(tmp_path):
    """With what was expected there."""
    with pytest.raises(Rejected, match=r"none\.yaml"):
        accounts(tmp_path / "none.yaml")


def test_an_account_with_real_money_does_not_run_here(file):
    """`recio up` is paper only."""
    text = DOCUMENT.replace("{mode: paper}", "{mode: demo, credentialsSecretRef: {name: key}}")
    with pytest.raises(Rejected, match="runs paper accounts"):
        accounts(file(text))


@pytest.mark.parametrize("number", [0, 21])
def test_the_number_of_accounts_is_bounded(file, number):
    """One to twenty."""
    with pytest.raises(Rejected, match=str(number)):
        accounts(file(DOCUMENT), number)


@pytest.mark.parametrize(
    "text", ["a: 2026-02-30", "a: 9999-99-99", "a: !!timestamp x", "- " * 5000, "a: &a [*a]\nb"]
)
def test_what_only_the_parser_chokes_on_is_no_yaml(tmp_path, text):
    """Found by fuzzing: a date that is none ended in the parser's own exception."""
    path = tmp_path / "account.yaml"
    path.write_text(text)
    with pytest.raises(Rejected, match="is not YAML"):
        read_document(path)
