"""What each way of installing renders, compared with a file (UPDATE_GOLDEN=1 writes it)."""

from __future__ import annotations

import pytest
from tests.e2e.cluster import paths
from tests.unit.chart import rendering


@pytest.mark.parametrize("case", rendering.CASES)
def test_a_case_renders_as_its_golden_file_says(case):
    """Rule: whoever changes what is installed sees the change in full before it is merged."""
    path = rendering.GOLDEN / f"{case}.yaml"
    rendered = rendering.golden(case)
    if paths.environment().get("UPDATE_GOLDEN"):
        path.write_text(rendered, encoding="utf-8")
    assert rendered == path.read_text(encoding="utf-8"), (
        f"{path.name} differs; if it should: UPDATE_GOLDEN=1 pytest tests/unit/chart/test_golden.py"
    )


@pytest.mark.parametrize("case", rendering.CASES)
def test_a_name_fits_a_dns_label(case):
    """Rule: no name of ours is longer than 63 characters; Services and labels take no more."""
    for one in rendering.objects(case):
        if one["kind"] != "ClusterRole":
            assert len(one["metadata"]["name"]) <= 63
        for value in one["metadata"].get("labels", {}).values():
            assert len(value) <= 63


def test_the_longest_names_fit_too():
    """Rule: a name of 20 characters and an environment of 11 are the most, and they fit."""
    settings = (
        "profile=standard",
        f"fullnameOverride={'n' * 20}",
        "environments.paper.enabled=false",
        "environments.environment.enabled=true",
        "environments.environment.mode=paper",
        "environments.environment.priceSource=Recording",
        "environments.environment.series={KXBTCD}",
    )
    names = [one["metadata"]["name"] for one in rendering.parsed(rendering.run(*settings))]
    assert max(map(len, names)) == 63


@pytest.mark.parametrize("release", ["r" * 21, "a-release-with-a-name-of-more-than-40-characters"])
def test_a_release_with_too_long_a_name_is_told_so(release):
    """Rule: a name that some object could not bear is refused before anything is made."""
    with pytest.raises(rendering.Refused, match="expected at most 20: choose a shorter release"):
        rendering.run(release=release)


@pytest.mark.parametrize("case", rendering.CASES)
def test_nothing_secret_is_rendered(case):
    """Rule: the chart makes no Secret and no value of it holds one; the release's text is public."""
    for one in rendering.objects(case):
        assert one["kind"] != "Secret"
    assert "PRIVATE KEY" not in rendering.text(case)


@pytest.mark.parametrize("case", ["standard", "ha", "watched", "reached", "backup"])
def test_selectors_do_not_depend_on_profile_or_version(case):
    """Rule: a Deployment's selector cannot be changed, so nothing that changes stands in it."""
    for name, one in rendering.of_kind(case, "Deployment").items():
        labels = one["spec"]["selector"]["matchLabels"]
        allowed = {"name", "instance", "component"}
        assert {key.removeprefix("app.kubernetes.io/") for key in labels} <= allowed | {
            "recio.io/environment"
        }
        twin = {**rendering.of_kind("small", "Deployment"), **rendering.of_kind("ha", "Deployment")}
        if name in twin:
            assert twin[name]["spec"]["selector"] == one["spec"]["selector"]
        assert labels.items() <= one["spec"]["template"]["metadata"]["labels"].items()


def test_each_deployment_is_selected_by_itself_alone():
    """Rule: no Deployment's selector chooses another one's pods."""
    for case in rendering.CASES:
        found = rendering.of_kind(case, "Deployment")
        for name, one in found.items():
            wanted = one["spec"]["selector"]["matchLabels"].items()
            chosen = {
                other
                for other, pod in rendering.pods(case)
                if wanted <= pod["metadata"]["labels"].items()
            }
            assert chosen == {name}


def test_a_changed_price_series_restarts_only_what_uses_it():
    """Rule: a change of configuration rolls the processes that it concerns and no other."""
    before = dict(rendering.pods("small"))
    after = {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in rendering.parsed(rendering.run("redis.maxMemoryMebibytes=96"))
        if one["kind"] == "Deployment"
    }
    assert [name for name, pod in after.items() if pod != before[name]] == ["recio-redis"]


def test_the_job_that_prepares_has_another_name_when_it_does_something_else():
    """Rule: a Job cannot be changed; one that would differ is another one."""
    (same,) = [name for name, _ in rendering.pods("small") if "-prepare-" in name]
    (again,) = [name for name, _ in rendering.pods("watched") if "-prepare-" in name]
    others = [
        name
        for case in ("standard", "reached", "environments", "external")
        for name, _ in rendering.pods(case)
        if "-prepare-" in name
    ]
    # A larger release prepares the same; another image, environment or database is another work.
    assert same == again == others[0]
    assert len({same, *others[1:]}) == 4


def test_crds_stay_when_the_release_goes():
    """Rule: accounts are never deleted because a chart is removed."""
    found = rendering.parsed(rendering.run(crds=True))
    crds = [one for one in found if one["kind"] == "CustomResourceDefinition"]
    assert {one["spec"]["names"]["kind"] for one in crds} == {"TradingAccount", "TradingFleet"}
    for one in crds:
        assert one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not rendering.of_kind("small", "CustomResourceDefinition")
