"""The page in a browser, continued: what is copied, the slider, full screen, hovering on a relief, three surfaces, and the basin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from viewer.conftest import Viewer
from viewer.surfaces import changed, plane, tilted

import landscape
from landscape.cli.parser import parse
from landscape.measures import basin_radius
from landscape.measures.mesh import mesh_of

Show = Callable[..., Viewer]
RESULTS = Path(__file__).parents[2] / "results"


def copied(viewer: Viewer, button: str) -> str:
    """What stands on the clipboard after a button of the Save menu was clicked."""
    viewer.tab.locator("#take summary").click()
    viewer.tab.locator(f"[data-take={button}]").click()
    viewer.until("document.getElementById('said').textContent", lambda text: " copied: " in text)
    return str(viewer.tab.evaluate("navigator.clipboard.readText()"))


def test_the_camera_copied_is_the_one_of_plot(show: Show) -> None:
    from mpl_toolkits.mplot3d.axes3d import Axes3D

    viewer = show(tilted(), permissions=["clipboard-read", "clipboard-write"])
    viewer.press("ArrowRight", ".plane")
    viewer.press("ArrowUp")
    text = copied(viewer, "camera")
    elevation, azimuth = parse(["plot", "net.h5", text]).camera
    axes = Axes3D(landscape.plotting.contour([tilted()]))
    axes.view_init(elevation, azimuth)
    axes.get_proj()
    seen = viewer.each("plane", "gd.layout.scene.camera")[0]
    way = np.array([seen["eye"][c] - seen["center"][c] for c in "xyz"])
    # matplotlib's own vector from the middle to the eye; angles are rounded to 0.1 degrees, so each is off by at most 0.05.
    apart = np.degrees(np.arccos(axes._view_w @ way / np.linalg.norm(way)))
    assert apart < 0.05 * np.sqrt(2)


def test_a_link_and_a_command_are_copied(show: Show) -> None:
    surface = changed(tilted(), runs=({"command": "landscape surface digits 'my net.pt'"},))
    viewer = show(surface, permissions=["clipboard-read", "clipboard-write"])
    viewer.choose("Log")
    assert copied(viewer, "link").endswith("page.html#values=log")
    button = viewer.tab.locator(".code .copy").first
    button.evaluate("(some) => { for (let on = some; on; on = on.parentElement) if (on.tagName === 'DETAILS') on.open = true; }")
    button.click()
    viewer.until("document.getElementById('said').textContent", lambda text: text.startswith("Command copied"))
    assert viewer.tab.evaluate("navigator.clipboard.readText()") == "landscape surface digits 'my net.pt'"


def test_the_clip_slider_by_mouse(show: Show) -> None:
    viewer = show(tilted())
    box = viewer.tab.locator("#clip-slider").bounding_box()
    middle = box["y"] + box["height"] / 2
    viewer.tab.mouse.move(box["x"] + box["width"] - 8, middle)
    viewer.tab.mouse.down()
    viewer.tab.mouse.move(box["x"] + box["width"] / 2, middle, steps=4)
    viewer.tab.mouse.up()
    clip = float(viewer.until("document.getElementById('clip').value", bool))
    viewer.settled()
    # Halfway between 110 and 320 is 215; a tenth of the slider's way to either side for the size of its knob.
    assert 190 < clip < 240
    viewer.until("document.querySelector('.plane').data[0].z", lambda z: max(map(max, z)) == clip)
    assert viewer.notes()[0].startswith(f"Drawn flat: {sum(z > clip for z in (110, 120, 210, 220, 310, 320))} values above ")
    viewer.tab.mouse.move(box["x"] + box["width"] / 2, middle)
    viewer.tab.mouse.down()
    viewer.tab.mouse.move(box["x"] + box["width"] + 30, middle, steps=4)
    viewer.tab.mouse.up()
    viewer.until("document.getElementById('clip').value", lambda value: value == "")  # the right end clips nothing
    viewer.until("document.querySelector('.plane').data[0].z[1][2]", lambda value: value == 320)


def test_full_screen_by_button_and_by_key(show: Show) -> None:
    viewer = show(tilted())
    viewer.tab.locator("#full").click()
    viewer.until("document.fullscreenElement?.className ?? ''", lambda name: name.startswith("stage"))
    viewer.press("f")
    viewer.until("document.fullscreenElement", lambda element: element is None)


def test_hovering_on_a_relief_says_what_was_measured_there(show: Show) -> None:
    viewer = show(plane(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5), train_loss=np.arange(1.0, 26).reshape(5, 5)))
    assert viewer.tab.locator("#place").inner_text() == "Through x 0, y 0"
    box = viewer.tab.locator(".plane").bounding_box()
    for step in range(40):  # until the pointer is near enough to a node other than the middle
        viewer.tab.mouse.move(box["x"] + box["width"] * (0.3 + 0.01 * step), box["y"] + box["height"] * 0.55)
        viewer.tab.wait_for_timeout(50)
        if viewer.tab.locator("#place").inner_text() != "Through x 0, y 0":
            break
    place = viewer.until("document.getElementById('place').textContent", lambda text: text != "Through x 0, y 0")
    x, y = (float(part.replace("\u2212", "-").split()[-1]) for part in place.removeprefix("Through ").split(","))
    value = 1 + 5 * round(2 * (x + 1)) + round(2 * (y + 1))
    label = viewer.until("document.querySelector('.plane').textContent", lambda text: "train loss" in text)
    assert f"train loss {value}" in label


def test_three_surfaces_stand_side_by_side(show: Show) -> None:
    viewer = show(tilted(), tilted("b"), tilted("c"), viewport={"width": 1280, "height": 800})
    places = viewer.each("plane", "(({ x, y, width }) => [x, y, width])(gd.getBoundingClientRect())")
    assert len(places) == 3
    assert len({y for _, y, _ in places}) == 1
    assert places[0][0] + places[0][2] <= places[1][0]
    assert places[1][0] + places[1][2] <= places[2][0]
    assert viewer.tab.locator("#readout tr").count() == 4
    assert viewer.tab.evaluate("document.documentElement.scrollWidth") <= 1280


def test_negative_losses_are_drawn_and_a_logarithm_says_that_it_has_none(show: Show) -> None:
    loss = -np.arange(1.0, 10).reshape(3, 3)
    viewer = show(plane(range(3), range(3), train_loss=loss))
    assert viewer.each("plane", "gd.data[0].z") == viewer.each("map", "gd.data[0].z") == [loss.T.tolist()]
    low, high = viewer.each("plane", "gd.layout.scene.zaxis.range")[0]
    assert -10 < low < -9 < -1 < high < 0
    assert viewer.each("map", "[gd.data[5].x, gd.data[5].y]") == [[[2], [2]]]  # the lowest
    viewer.clip("-5")
    assert viewer.each("plane", "gd.data[0].z") == [np.minimum(loss, -5).T.tolist()]
    viewer.choose("Log")
    assert viewer.each("plane", "gd.data[0].z") == [[[None] * 3] * 3]
    assert "9 values ≤ 0, which a log scale cannot show" in viewer.notes()[0]
    assert viewer.tab.locator("#clip").evaluate("(some) => some.validationMessage").startswith("A log scale has no place")


def loops_of(points: list[Any]) -> list[np.ndarray]:
    """Pieces a, b, None of closed lines, joined at their ends to polygons."""
    ends: dict[tuple[float, ...], list[tuple[float, ...]]] = {}
    for k in range(0, len(points), 3):
        # Nine decimals: neighbours compute the same crossing from either side.
        a, b = (tuple(float(f"{coordinate:.9f}") for coordinate in points[k + end]) for end in (0, 1))
        if a != b:
            ends.setdefault(a, []).append(b)
            ends.setdefault(b, []).append(a)
    assert {len(joined) for joined in ends.values()} == {2}
    loops = []
    while ends:
        start = here = next(iter(ends))
        loop = [here]
        while here in ends:
            onwards = [there for there in ends.pop(here) if there in ends]
            if onwards:
                here = onwards[0]
                loop.append(here)
            else:
                break
        loops.append(np.array([*loop, start]))
    return loops


def area(loop: np.ndarray) -> float:
    return abs(float(np.sum(loop[:-1, 0] * loop[1:, 1] - loop[1:, 0] * loop[:-1, 1]))) / 2


def basin_area(surface: landscape.Surface) -> float:
    """Of the component that is drawn, also where the grid is too coarse for a number."""
    mesh, threshold = mesh_of([surface.x, surface.y], surface.values["train_loss"]), surface.origin("train_loss") + 1
    return mesh.size_within(threshold, mesh.component_of_origin(threshold))


def test_the_basins_edge_encloses_what_the_measure_says(show: Show) -> None:
    surfaces = [landscape.read(RESULTS / "li2018" / f"{name}.h5") for name in ("resnet56", "resnet56-noshort")]
    edges = show(*surfaces).each("map", "[gd.data[4].x, gd.data[4].y]")
    for surface, (x, y) in zip(surfaces, edges, strict=True):
        areas = sorted(area(loop) for loop in loops_of(list(zip(x, y, strict=True))))
        inside = areas[-1] - sum(areas[:-1])  # the outer edge less the holes
        # Ends are rounded to 1e-9 of a plane 2 wide; of at most some hundred of them that makes less than 1e-6 of the area.
        assert inside == pytest.approx(basin_area(surface), rel=1e-6)
    radius = basin_radius(surfaces[0])
    assert radius is not None
    assert np.sqrt(basin_area(surfaces[0]) / np.pi) == pytest.approx(radius.value, rel=1e-12)
