"""What axe-core finds in the page: nothing serious, in both themes."""

from __future__ import annotations

import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from viewer.conftest import Viewer
from viewer.surfaces import changed, line, tilted

VERSION = "4.14.1"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, from npm's registry: at 650 kB it is not kept here."""
    folder = tmp_path_factory.mktemp("axe")
    try:
        subprocess.run(["npm", "pack", "--silent", f"axe-core@{VERSION}"], cwd=folder, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"axe-core cannot be fetched from npm: {error}")
    with tarfile.open(folder / f"axe-core-{VERSION}.tgz") as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(show: Callable[..., Viewer], axe: str, theme: str, tmp_path: Path) -> None:
    surface = changed(tilted(), runs=({"command": "landscape surface digits net.pt", "host": "node-7"},), checks={"passed": True})
    viewer = show(surface, tilted("b"), line([0, 1], [200, 300]), color_scheme=theme, bypass_csp=True)
    viewer.clip("250")
    viewer.tab.evaluate("document.querySelectorAll('details:not(.menu)').forEach((some) => { some.open = true; })")
    viewer.tab.evaluate(f"() => {{ {axe} }}")
    found = viewer.tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    told = [(item["id"], item["impact"], [node["html"][:160] for node in item["nodes"]][:4]) for item in found]
    assert [item for item in told if item[1] in ("serious", "critical")] == []
    unnamed = viewer.tab.evaluate(
        "[...document.querySelectorAll('button, input, select, summary, [tabindex]')].filter((some) => !some.closest('[hidden]')"
        " && !(some.textContent.trim() || some.ariaLabel || some.labels?.length)).map((some) => some.outerHTML)"
    )
    assert unnamed == []


def test_the_axe_check_can_fail(show: Callable[..., Viewer], axe: str) -> None:
    viewer = show(tilted(), bypass_csp=True)
    viewer.tab.evaluate(f"() => {{ {axe} }}")
    viewer.tab.evaluate("document.querySelector('#metric').closest('.control').querySelector('label').remove()")
    found = viewer.tab.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    assert "select-name" in [item["id"] for item in found]
