"""What the API server answers becomes one of three families; lists come whole, page by page."""

import asyncio
import json

import pytest
from aiohttp import web
from kubernetes.aio import client

from recio.domain.errors import Unavailable
from recio_operator import kube as api
from recio_operator.kube import Conflict, Kube, Refused


@pytest.fixture
def served(runner):
    """Run a coroutine with a Kube before a server that answers as told."""

    def start(answers, check):
        async def main():
            asked = []

            async def handler(request):
                asked.append((request.method, request.path_qs, await request.text()))
                status, body = answers.pop(0)
                text = body if isinstance(body, str) else json.dumps(body)
                return web.Response(status=status, text=text, content_type="application/json")

            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            server = web.AppRunner(app)
            await server.setup()
            await web.TCPSite(server, "127.0.0.1", 0).start()
            settings = client.Configuration()
            settings.host = f"http://127.0.0.1:{server.addresses[0][1]}"
            kube = Kube(client.ApiClient(settings), "here")
            try:
                await check(kube, asked)
            finally:
                await kube.close()
                await server.cleanup()

        runner.run(main())

    return start


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_by_itself_is_unavailable(served, status):
    """A busy or a broken server: try again later."""

    async def check(kube, _asked):
        with pytest.raises(Unavailable, match="please wait"):
            await kube.get(api.SECRETS, "one")

    served([(status, {"message": "please wait"})], check)


def test_who_was_overtaken_is_told_apart_from_who_is_refused(served):
    """409 means read again; 403 and 422 mean that asking again helps nobody."""

    async def check(kube, _asked):
        with pytest.raises(Conflict):
            await kube.create({"kind": "Secret", "metadata": {"name": "one"}})
        with pytest.raises(Refused) as refused:
            await kube.create({"kind": "Secret", "metadata": {"name": "one"}})
        assert (refused.value.reason, refused.value.status) == ("Invalid", 422)
        assert not isinstance(refused.value, Conflict)

    answers = [(409, {"reason": "AlreadyExists"}), (422, {"reason": "Invalid", "message": "no"})]
    served(answers, check)


def test_what_is_not_there_is_none(served):
    """404 of one object is an answer, no failure; deleting it twice is none either."""

    async def check(kube, _asked):
        assert await kube.get(api.SECRETS, "one") is None
        assert await kube.delete(api.SECRETS, "one") is False
        assert await kube.delete(api.SECRETS, "one") is True

    served([(404, {"reason": "NotFound"}), (404, {}), (200, {"kind": "Status"})], check)


def test_an_answer_that_is_no_json_is_told_as_it_is(served):
    """A proxy in between answers in its own words."""

    async def check(kube, _asked):
        with pytest.raises(Unavailable, match="Bad gateway of the balancer"):
            await kube.get(api.SECRETS, "one")

    served([(502, "Bad gateway of the balancer")], check)


def test_lists_are_read_page_by_page_and_know_their_kind(served):
    """Memory stays bounded; items of a list carry no kind of their own."""

    async def check(kube, asked):
        listing = await kube.listing(api.SECRETS, label_selector="a=b")
        assert [one["metadata"]["name"] for one in listing.items] == ["one", "two"]
        assert {one["kind"] for one in listing.items} == {"Secret"}
        assert listing.version == 12
        assert "continue=more" in asked[1][1]
        assert all("labelSelector=a%3Db" in path for _, path, _ in asked)
        assert kube.writes == 0

    first = {"items": [{"metadata": {"name": "one"}}], "metadata": {"continue": "more"}}
    last = {"items": [{"metadata": {"name": "two"}}], "metadata": {"resourceVersion": "12"}}
    served([(200, first), (200, last)], check)


def test_an_apply_says_what_is_ours_under_one_name(served):
    """Server-side apply, forced, by one field manager; it counts as a write."""

    async def check(kube, asked):
        await kube.apply({"kind": "Secret", "metadata": {"name": "one"}}, subresource="status")
        [(method, path, _)] = asked
        assert method == "PATCH"
        assert path.startswith("/api/v1/namespaces/here/secrets/one/status?")
        assert "fieldManager=recio-operator" in path
        assert "force=true" in path
        assert kube.writes == 1

    served([(200, {"kind": "Secret"})], check)


def test_nobody_listening_is_unavailable(runner):
    """A refused connection is no crash."""

    async def check():
        settings = client.Configuration()
        settings.host = "http://127.0.0.1:9"
        kube = Kube(client.ApiClient(settings), "here")
        with pytest.raises(Unavailable, match="does not answer"):
            await kube.get(api.SECRETS, "one")
        await kube.close()
        await asyncio.sleep(0)

    runner.run(check())
