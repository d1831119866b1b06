"""The cluster's programs: what is built, and when it is built again."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.e2e.cluster import binaries, images, paths
from tests.e2e.cluster.binaries import TOOLS, content_key, required_version

parts = st.lists(st.text(max_size=8), max_size=5)


@given(parts, parts)
def test_a_key_stands_for_its_parts_and_their_order(one, other):
    """Two builds share a cached program only if nothing about them differs."""
    assert (content_key(one) == content_key(other)) == (one == other)


def test_a_key_tells_where_a_part_ends():
    """Moving a letter from one part to the next makes another build."""
    assert content_key(["ab", "c"]) != content_key(["a", "bc"])


def test_the_version_is_read_from_the_requirement():
    """A replaced or indirect module of a similar name does not answer for it."""
    go_mod = (
        "module x\n\nrequire k8s.io/kubernetes v1.34.4\n\n"
        "require (\n\tk8s.io/kubernetes-csi v0.1.0 // indirect\n)\n"
        "replace k8s.io/api => k8s.io/api v0.34.4\n"
    )
    assert required_version(go_mod, "k8s.io/kubernetes") == "v1.34.4"
    assert required_version(go_mod, "k8s.io/kubernetes-csi") == "v0.1.0"


def test_a_module_that_is_not_required_is_told():
    """A wrong name does not become an empty version."""
    with pytest.raises(ValueError, match=r"expected go\.mod to require k8s\.io/api"):
        required_version("module x\nreplace k8s.io/api => k8s.io/api v0.34.4\n", "k8s.io/api")


@pytest.mark.parametrize("tool", TOOLS.values(), ids=lambda tool: tool.name)
def test_every_program_has_an_exact_version_and_its_sums(tool):
    """What is built tomorrow is what was tried today."""
    assert re.fullmatch(r"v\d+\.\d+\.\d+", tool.version())
    assert "h1:" in (tool.directory / "go.sum").read_text()
    assert tool.version() in tool.path().parts[-2]


def test_the_programs_of_kubernetes_have_one_version():
    """A kubelet of another version than the server is another test."""
    assert len({TOOLS[name].version() for name in binaries.KUBERNETES}) == 1
    staging = (paths.GO_MODULES / "kubernetes" / "go.mod").read_text()
    replaced = set(re.findall(r"^\s+k8s\.io/\S+ => k8s\.io/\S+ (v\S+)$", staging, re.MULTILINE))
    assert replaced == {TOOLS["kubelet"].version().replace("v1.", "v0.")}


def test_the_server_is_told_its_version():
    """Otherwise it calls itself v0.0.0 and clients refuse it."""
    flags = TOOLS["kube-apiserver"].link_flags()
    assert "version.gitVersion=v1.34" in flags
    assert "gitMinor=34" in flags


def test_an_unknown_program_is_refused_with_the_list():
    """A typing error is told with what there is."""
    with pytest.raises(binaries.UnknownTool, match=r"expected one of etcd.*received kubelt"):
        binaries.ensure("kubelt")


def test_module_files_name_no_host_to_fetch_from():
    """Modules come from whatever the machine's Go is set to; the sums decide what is taken."""
    texts = [path.read_text() for path in paths.GO_MODULES.glob("*/go.*")]
    assert texts
    assert [text for text in texts if "http://" in text or "https://" in text] == []


def test_caches_follow_the_environment(monkeypatch, tmp_path):
    """Nothing is written outside of the user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for path in (TOOLS["etcd"].path(), images.all_images()["pause"].archive(), paths.node()):
        assert path.is_relative_to(tmp_path)


def test_another_program_inside_makes_another_image():
    """An image is made again when what lies in it was."""
    known = images.all_images()
    assert len({image.key() for image in known.values()}) == len(known)
    assert all(image.full_name.startswith("recio.test/") for image in known.values())


def test_database_images_have_a_tag_that_begins_with_the_major_version():
    """CloudNativePG reads PostgreSQL's version from it."""
    assert re.match(r"\d+", images.all_images()["postgresql"].tag)
    assert f"/{images.all_images()['postgresql'].tag}/" in images.POSTGRES_PROGRAMS
