"""The page "Styles" in Chromium: every style can be found, seen and copied."""

import os
import subprocess
import sys

import pytest

from benchmarks.browser import PAGE, browser, missing, served
from benchmarks.docs.styles import OUT, read_index
from styleaug import StylePack

NOT_BUILT = missing() or (None if OUT.is_dir() else "The page is not built: make docs.")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(NOT_BUILT is not None, reason=str(NOT_BUILT))]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the built site."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", folder]
    subprocess.run(command, cwd=PAGE.parents[1], check=True, capture_output=True)
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture
def page(chromium, site):
    """The page, which may neither complain nor ask for anything from elsewhere."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.told, page.asked = [], []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    page.goto(f"{site}styles/")
    page.wait_for_selector("#styles-page[data-ready]")
    yield page
    assert page.told == []
    assert [url for url in page.asked if not url.startswith((site, "data:"))] == []
    context.close()


def shown(page):
    """Names of the thumbnails that are not hidden."""
    return page.locator(".thumb:not([hidden])").evaluate_all("all => all.map((e) => e.title)")


def test_every_style_is_there_and_headings_count_them(page):
    pack = StylePack.load()
    assert sorted(shown(page)) == sorted(pack.names)
    rust = page.locator("section", has=page.get_by_role("heading", name="rust", exact=True))
    assert f"{len(pack.rows('rust'))} styles" in rust.inner_text()


def test_words_and_kinds_narrow_what_is_shown(page):
    page.get_by_role("searchbox", name="Search").fill("rust")
    pack = StylePack.load()
    texts = {n: " ".join([n, *t]).lower() for n, t in zip(pack.names, pack.tags, strict=True)}
    assert sorted(shown(page)) == sorted(name for name, text in texts.items() if "rust" in text)
    page.get_by_role("button", name="finish", exact=True).click()
    found = shown(page)
    assert found
    assert all(name.startswith("finish/") for name in found)
    page.get_by_role("searchbox", name="Search").fill("no such style")
    assert shown(page) == []


def test_a_style_is_copied_as_the_line_that_selects_it(page):
    page.locator(".thumb[title='finish/rust-001']").click()
    assert "finish, rust" in page.inner_text(".chosen")
    page.locator(".chosen .copy").click()
    assert page.evaluate("navigator.clipboard.readText()") == 'Restyle("finish/rust-001")'


def test_a_name_that_is_a_tag_too_says_how_many_it_selects(page):
    page.locator(".thumb[title='granite']").click()
    assert f"among {len(StylePack.load().rows('granite'))} styles" in page.inner_text(".chosen")


def test_only_sheets_near_the_window_are_loaded(page):
    page.wait_for_timeout(500)
    first = {url for url in page.asked if "/sheet-" in url}
    assert 1 <= len(first) < len([*OUT.glob("*.webp")]) / 2
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_timeout(500)
    assert {url for url in page.asked if "/sheet-" in url} - first


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_scrolls_sideways_in_either_colours(chromium, site, width):
    grounds = []
    for scheme in ("light", "dark"):
        page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto(f"{site}styles/")
        page.wait_for_selector("#styles-page[data-ready]")
        page.locator(".thumb").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ground = "getComputedStyle(document.querySelector('.chosen')).backgroundColor"
        grounds.append(page.evaluate(ground))
        page.close()
    assert grounds[0] != grounds[1]


def test_the_index_is_that_of_the_pack():
    """`make docs` draws anew when the pack changes."""
    index = read_index(OUT)
    pack = StylePack.load(index["pack"])
    assert index["id"] == pack.id
    told = {style["name"]: tuple(style["tags"]) for style in index["styles"]}
    assert told == dict(zip(pack.names, pack.tags, strict=True))


def test_it_works_when_it_is_opened_as_a_file(chromium, tmp_path):
    """As `OFFLINE=true make docs` builds it, without a server."""
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", tmp_path]
    environment = {**os.environ, "OFFLINE": "true"}
    root = PAGE.parents[1]
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    page = chromium.new_page()
    page.goto((tmp_path / "styles" / "index.html").as_uri())
    page.wait_for_selector("#styles-page[data-ready]")
    page.wait_for_function("document.querySelector('.thumb').style.backgroundImage")
    assert len(shown(page)) == len(StylePack.load())
    page.close()


def test_a_site_without_thumbnails_says_what_to_run(chromium, site):
    page = chromium.new_page()
    page.route("**/styles.js", lambda route: route.fulfill(status=404))
    page.goto(f"{site}styles/")
    page.get_by_text("This page was built without its thumbnails: make docs").wait_for()
    page.close()
