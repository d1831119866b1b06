"""Targets: what people write: account documents, settings, files, the bodies of the page's requests."""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from pydantic import BaseModel, ValidationError
from tests.fuzz.mutators import Binary, Json
from tests.fuzz.oracle import anything, without_storing
from tests.fuzz.targets import Target

from recio.adapters.postgres import config as stored
from recio.apps.main_app.routes import controls, disputes, login, orders
from recio.domain import account_config
from recio.domain.errors import Broken, InvalidValue, Rejected
from recio.runtime import settings
from recio.runtime.credentials import read_at
from recio.runtime.local.documents import read_document
from recio.runtime.local.start import _held

EXAMPLES = Path(__file__).parents[2] / "k8s" / "examples"
_ACCOUNT_FILES = sorted(path for path in EXAMPLES.glob("*account.yaml"))
ACCOUNTS = [yaml.safe_load(path.read_text("utf-8")) for path in _ACCOUNT_FILES]
FLEET = yaml.safe_load((EXAMPLES / "fleet.yaml").read_text("utf-8"))


def _decoded(parse: Callable[[object], Any]) -> Callable[[bytes], Any]:
    """Return what parses the JSON value of an input; what is no JSON never gets here."""

    def decode(data: bytes) -> Any:
        try:
            value = msgspec.json.decode(data)
        except (ValueError, RecursionError) as error:
            raise InvalidValue("not JSON") from error
        return parse(value)

    return decode


def _written(write: Callable[[Any], object]) -> Callable[[Any], bytes]:
    return lambda value: msgspec.json.encode(write(value))


def _document(
    name: str,
    parse: Callable[[object], Any],
    examples: list[Any],
    write: Callable[[Any], object],
) -> Target:
    texts = [msgspec.json.encode(each) for each in examples]
    return Target(
        name=name,
        decode=_decoded(parse),
        maker=Json(texts),
        examples=texts,
        refusals=(InvalidValue,),
        check=anything,
        again=_written(write),
        share=0.06,
    )


def _request(value: Any) -> None:
    """Check all but names and edits: whether an account or a setting is known is asked next."""
    fields = dict(value)
    for name in ("account", "market_ticker", "strategy", "risk"):
        fields.pop(name, None)
    without_storing(fields)


def _body(model: type[BaseModel], *examples: Any) -> Target:
    """Return the target of one request body, read as FastAPI reads it."""
    texts = [msgspec.json.encode(each) for each in examples]

    def decode(data: bytes) -> Any:
        return model.model_validate(json.loads(data))

    return Target(
        name=f"request {model.__name__}",
        decode=decode,
        maker=Json(texts),
        examples=texts,
        # ValueError and RecursionError: json's own; FastAPI answers 422 and 400.
        refusals=(ValidationError, ValueError, RecursionError),
        check=_request,
    )


_WISH = {
    "account": "paper", "purpose": "entry", "market_ticker": "KXBTCD-26AUG1717-T72749.99",
    "side": "yes", "qty_e2": 100, "trade_id": "80853845-8c14-8675-9318-9b640133675b",
    "slippage_e4": 100,
}  # fmt: skip
BODIES = (
    _body(orders.OrderWish, _WISH),
    _body(orders.Order, _WISH | {"limit_price_e4": 9500}),
    _body(controls.SwitchWish, {"scope": "*", "state": "Halted", "reason": "r"}),
    _body(controls.Edits, {"account": "paper", "risk": {"maxOpenTrades": 1},
                           "strategy": {"autoEntry": {"enabled": True}}}),
    _body(controls.OnOff, {"enabled": True, "account": "paper"}),
    _body(disputes.Decision, {"account": "paper", "accept": True, "note": "n"}),
    _body(login.Login, {"username": "u", "password": "p"}),
    _body(login.NewPassword, {"old": "o", "new": "0123456789"}),
)  # fmt: skip

_DOCUMENT = msgspec.json.encode(ACCOUNTS[0]).decode()


def _edits(data: bytes) -> Any:
    """Lay a person's edits, as stored, over a document."""
    try:
        edits = msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        raise InvalidValue("not JSON") from error
    if not (isinstance(edits, dict) and all(isinstance(each, dict) for each in edits.values())):
        raise InvalidValue("the API stores two mappings only")
    return stored._effective.__wrapped__(_DOCUMENT, data.decode(), _DOCUMENT)


SETTINGS = (
    {"RECIO_ENVIRONMENT": "paper", "RECIO_MODE": "paper", "RECIO_DATABASE_URL": "postgresql:///r",
     "RECIO_REDIS_URL": "redis://localhost", "RECIO_HTTP_PORT": "8000",
     "RECIO_ENVIRONMENTS": "paper,demo", "RECIO_DATABASE_POOLER_PREPARES": "true"},
)  # fmt: skip


def _settings(values: object) -> Any:
    if not isinstance(values, Mapping):
        raise InvalidValue("the environment is a mapping of texts")
    texts = {str(name): value for name, value in values.items() if isinstance(value, str)}
    return settings.process_settings(texts)


_FOLDER = Path(tempfile.mkdtemp(prefix="recio-fuzz-"))


def _file(read: Callable[[Path], Any]) -> Callable[[bytes], Any]:
    path = _FOLDER / "input"

    def decode(data: bytes) -> Any:
        path.write_bytes(data)
        return read(path)

    return decode


def _yaml_check(value: Any) -> None:
    """Accept whatever YAML means: the document's own decoder judges it."""


class _Yaml(Binary):
    """Bytes of a document, and the knots that only YAML ties."""

    knots = (
        b"a: &a [*a]\n", b"a: &a {b: *a}\n", b"? [1]\n: 2\n", b"!!python/object:os.system x\n",
        b"a: 2026-11-21\n", b"a: .nan\n", b"a: 0o17\n", b"- " * 900, b"{" * 900, b"a: !!binary x\n",
        b"\xff\xfe", b"a: !!timestamp x\n", b"a: 1:2:3\n", b"!!set {a}\n", b"%YAML 9.9\n---\na: 1\n",
        b"a: 9999-99-99\n", b"a: 2026-02-30\n", b"---\n---\n", b"\x00", b"a: \x85\n", b"<<: 1\n",
    )  # fmt: skip

    def make(self, random: Any) -> bytes:
        text = super().make(random)
        if random.random() < 0.3:
            lines = text.split(b"\n")
            place = int(random.random() * len(lines))
            lines[place:place] = [self.knots[int(random.random() * len(self.knots))]]
            return b"\n".join(lines)
        return text


_YAMLS = [path.read_bytes() for path in _ACCOUNT_FILES]
DOCUMENTS = (
    _document("account document", account_config.parse_account, ACCOUNTS,
              account_config.to_document),
    _document("fleet document", account_config.parse_fleet, [FLEET],
              account_config.fleet_to_document),
    _document("risk settings", account_config.parse_risk,
              [each["spec"]["risk"] for each in ACCOUNTS if "risk" in each["spec"]],
              account_config.to_fields),
    _document("strategy settings", account_config.parse_strategy,
              [each["spec"]["strategy"] for each in ACCOUNTS if "strategy" in each["spec"]],
              account_config.to_fields),
)  # fmt: skip
_EDITS = ({"strategy": {"autoEntry": {"enabled": True, "minProbabilityPermille": 950}},
           "risk": {"maxOpenTrades": 1, "maxPriceCents": 90}},)  # fmt: skip
FILES = (
    Target(name="stored edits", decode=_edits,
           maker=Json([msgspec.json.encode(each) for each in _EDITS]),
           examples=[b'{"risk":{"maxOpenTrades":1}}'], refusals=(InvalidValue,), check=anything,
           begin=stored._parsed.cache_clear, share=0.05),
    Target(name="environment variables", decode=_decoded(_settings),
           maker=Json([msgspec.json.encode(each) for each in SETTINGS]),
           examples=[msgspec.json.encode(each) for each in SETTINGS],
           refusals=(InvalidValue, settings.SettingsInvalid), check=_yaml_check, share=0.05),
    Target(name="account file", decode=_file(lambda path: account_config.parse_account(read_document(path))), maker=_Yaml(_YAMLS), examples=_YAMLS,
           refusals=(Rejected,), check=anything,
           share=0.005),
    Target(name="world file", decode=_file(_held),
           maker=Json([b'{"start_us":1795255200000000,"recording":"","is_live":false}']),
           examples=[b'{"start_us":1795255200000000,"recording":""}'], refusals=(Broken,),
           check=_yaml_check, share=0.02),
    Target(name="key file", decode=_file(read_at),
           maker=Binary([b"# key id: k-1\n-----BEGIN PRIVATE KEY-----\nabc\n"]),
           examples=[], refusals=(Broken,), check=anything, share=0.05),
)  # fmt: skip
TARGETS = (*BODIES, *DOCUMENTS, *FILES)
