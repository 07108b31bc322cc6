"""The page "Try it" in Chromium: what it shows must be what Python computes, and stay here."""

import base64
import io
import json
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import gaussian_blur

from benchmarks.browser import PAGE, browser, missing, served
from styleaug.edge import Restyler
from styleaug.stages.relight import NAMES, neutral_values, relight

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

MODEL = PAGE / "model"
LEVEL = 1 / 255
PATIENCE = 30  # seconds
DROP = """([selector, content, name]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  const options = { dataTransfer, bubbles: true, cancelable: true };
  document.querySelector(selector).dispatchEvent(new DragEvent("drop", options));
}"""


class Reader:
    """Someone who reads the page: what they see, and what they do."""

    def __init__(self, page, address):
        self.page = page
        self.told: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.told.append(message.text))
        page.on("pageerror", lambda error: self.told.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        self.address = address

    def open(self, query=""):
        self.page.goto(f"{self.address}try/{query}")
        self.page.wait_for_selector("body[data-ready]")
        self.held_first = self.held
        return self.rest()

    @property
    def held(self):
        """Styles of the pad's corners."""
        return self.page.locator(".corners span").all_inner_texts()

    def rest(self):
        self.page.wait_for_selector("#stage[aria-busy=false]")
        return self

    def until(self, condition):
        """Wait for an expression; Playwright's own way needs eval, which the page forbids."""
        end = time.monotonic() + PATIENCE
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(20)
        return self

    def seen(self, canvas="after"):
        """A canvas: (H, W, 3), uint8."""
        script = f"document.querySelector('#{canvas}').toDataURL('image/png')"
        content = base64.b64decode(self.page.evaluate(script).partition(",")[2])
        with Image.open(io.BytesIO(content)) as picture:
            return np.asarray(picture.convert("RGB"))

    def drop(self, pixels, name, selector="#stage"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "png")
        content = base64.b64encode(file.getvalue()).decode()
        self.page.evaluate(DROP, [selector, content, name])

    def show(self, pixels, name="part.png"):
        """Drop a picture, whose size differs from that of the one before."""
        self.drop(pixels, name)
        height, width = pixels.shape[:2]
        canvas = "document.querySelector('#before')"
        self.until(f"{canvas}.width === {width} && {canvas}.height === {height}")
        return self.rest()

    def set(self, **amounts):
        for name, value in amounts.items():
            self.page.locator(f"#{name}").fill(str(value))
        return self.rest()

    def press(self, selector, key):
        self.page.locator(selector).press(key)
        return self.rest()

    def pick(self, place):
        self.page.locator(".tile").nth(place).click()
        return self.rest()

    def choose(self, size):
        self.page.locator(f"#size label:has(input[value='{size}'])").click()

    @property
    def code(self):
        return self.page.inner_text("#code")

    @property
    def message(self):
        self.page.wait_for_selector("#message:not([hidden])")
        return self.page.inner_text("#message")


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def address():
    with served() as found:
        yield found


@pytest.fixture(scope="module")
def opened(chromium, address):
    """A page that stays open from test to test."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield Reader(context.new_page(), address).open()
    context.close()


@pytest.fixture
def reader(opened):
    """The same page, with its styles and amounts as they are at first; it may not complain."""
    if opened.held != opened.held_first:
        opened.open()
    opened.page.click("#reset")
    opened.press("#pad", "1")
    yield opened
    assert opened.told == []
    assert [url for url in opened.asked if not url.startswith((opened.address, "data:"))] == []


@pytest.fixture(scope="module")
def styles():
    return json.loads((MODEL / "page.json").read_text(encoding="utf-8"))["styles"]


@pytest.fixture(scope="module")
def restyler(styles, tmp_path_factory):
    """The page's networks and codes, in Python."""
    folder = tmp_path_factory.mktemp("export")
    files = {part: {"int8": f"{part}.onnx"} for part in ("restyle", "encoder")}
    for part in files:
        shutil.copyfile(MODEL / f"{part}.onnx", folder / f"{part}.onnx")
    names = [style["name"] for style in styles]
    told = {"format": 1, "files": files, "names": names, "tags": [[] for _ in names]}
    (folder / "export.json").write_text(json.dumps(told), encoding="utf-8")
    np.save(folder / "codes.npy", np.array([s["code"] for s in styles], dtype=np.float32))
    return Restyler(folder, threads=1)


def drawn(height, width, seed=0):
    """A part with a scratch: (height, width, 3), uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    values = 120 + 40 * np.sin(x / 9) + 25 * np.cos(y / 5) + 12 * rng.standard_normal(y.shape)
    values[np.abs(y - x / 2 - 20) < 2] = 230
    tint = np.array([1.0, 0.9, 0.75])
    return (values[..., None] * tint).clip(0, 255).astype(np.uint8)


def difference(one, other):
    """In levels of 255, mean and largest."""
    apart = np.abs(one.astype(float) - other.astype(float))
    return apart.mean(), apart.max()


# ---------------------------------------------------------------- what it computes


def test_a_dropped_picture_is_shown_as_it_is_and_restyled(reader):
    part = drawn(120, 152)
    reader.show(part)
    assert (reader.seen("before") == part).all()
    assert difference(reader.seen(), part)[0] > 10


def test_strength_0_gives_the_picture_back(reader):
    part = drawn(90, 131)
    reader.show(part).set(strength=0)
    assert (reader.seen() == part).all()


@pytest.mark.parametrize(
    ("height", "width", "place", "strength", "texture"),
    [(256, 256, 0, 1, 1), (123, 87, 4, 0.6, 0.3), (11, 37, 9, 1, 0)],
    ids=["square", "no whole cells", "tiny"],
)
def test_the_page_computes_what_python_computes(
    reader, restyler, styles, height, width, place, strength, texture
):
    part = drawn(height, width)
    reader.show(part).pick(place)
    reader.set(strength=strength, texture=texture)
    wanted = restyler(part, styles[place]["name"], strength=strength, texture=texture, seed=0)
    mean, largest = difference(reader.seen(), wanted)
    # 8-bit kernels of WebAssembly and of this processor round apart
    assert mean < 0.5
    assert largest <= 12


def test_a_large_picture_keeps_its_shape_in_the_area_of_the_chosen_size(reader):
    reader.drop(drawn(400, 900), "wide.png")
    for size in (256, 512):
        reader.choose(size)
        reader.until(f"Math.abs(document.querySelector('#before').width - {1.5 * size}) < 2")
        height, width = reader.rest().seen().shape[:2]
        assert height == pytest.approx(size / 1.5, abs=1)
        assert width == pytest.approx(size * 1.5, abs=1)
    reader.choose(256)


def test_corners_of_the_pad_are_their_styles_and_its_centre_is_a_mixture(reader, restyler, styles):
    part = drawn(96, 100)
    reader.show(part)
    corners = [reader.press("#pad", key).seen() for key in "1234"]
    centre = reader.press("#pad", "Home").seen()
    for place, corner in enumerate(corners):
        assert (reader.pick(place).seen() == corner).all()
        assert difference(corner, centre)[0] > 1
    weights = {style["name"]: 1 for style in styles[:4]}
    wanted = restyler(part, weights, strength=0.9, texture=0.6)
    assert difference(centre, wanted)[0] < 0.5


def test_a_style_from_outside_takes_the_nearest_corner(reader, styles):
    reader.press("#pad", "4")
    reader.pick(8)
    assert styles[8]["name"] in reader.code
    assert styles[8]["label"] in reader.page.get_attribute("#pad", "aria-valuetext")
    reader.press("#pad", "1")
    assert styles[0]["name"] in reader.code


def test_relief_is_a_gain_of_local_detail(reader):
    part = drawn(64, 81)
    reader.show(part).set(strength=0, relief=2)
    x = torch.from_numpy(part.copy()).permute(2, 0, 1)[None] / 255
    low = gaussian_blur(x, [19, 19], [3.0, 3.0])
    wanted = (low + 2 * (x - low)).clamp(0, 1) * 255
    assert difference(reader.seen(), wanted[0].permute(1, 2, 0).numpy())[1] <= 1


@pytest.mark.parametrize("amount", [0.8, -0.5])
def test_light_is_exposure_and_gradient_of_relight(reader, amount):
    part = drawn(70, 82)
    reader.show(part).set(strength=0, light=amount)
    values = neutral_values(1).clone()
    light = {"exposure": 0.45, "gradient": 0.6 * np.sign(amount), "gradient_angle": 1.25 * np.pi}
    for name, value in light.items():
        scale = 1 if name == "gradient_angle" else amount
        values[0, NAMES.index(name)] = value * scale
    x = torch.from_numpy(part.copy()).permute(2, 0, 1)[None] / 255
    wanted = relight(x, values)[0].permute(1, 2, 0).numpy() * 255
    assert difference(reader.seen(), wanted)[1] <= 1.5


def test_a_picture_of_ones_own_becomes_a_style(reader, restyler):
    part, reference = drawn(104, 112), drawn(80, 120, seed=1)[..., ::-1].copy()
    before = reader.show(part).seen()
    assert not any("encoder" in url for url in reader.asked)  # it is loaded when it is asked for
    reader.drop(reference, "mine.png", "#own")
    reader.page.wait_for_selector(".tile:nth-child(13)[aria-pressed=true]")
    after = reader.rest().seen()
    assert difference(after, before)[0] > 2
    wanted = restyler(part, restyler.encode(reference), strength=0.9, texture=0.6)
    assert difference(after, wanted)[0] < 3  # codes of the 8-bit encoder round apart, too
    assert '"mine.png"' in reader.code


# ---------------------------------------------------------------- its lines of Python


def run(code, images):
    names = {"images": images}
    exec(code, names)
    return names["restyled"]


def test_the_lines_for_one_style_run(reader):
    images = torch.from_numpy(drawn(64, 72).copy()).permute(2, 0, 1)[None]
    assert reader.code.count("\n") <= 4
    restyled = run(reader.code, images)
    assert restyled.shape == images.shape
    assert (restyled != images).any()


def test_the_lines_for_a_mixture_with_light_and_relief_give_the_same_picture(reader):
    part = drawn(88, 92)
    reader.show(part).press("#pad", "Home")
    reader.set(strength=0.7, texture=0.4, light=0.5, relief=1.5)
    x = torch.from_numpy(part.copy()).permute(2, 0, 1)[None] / 255
    restyled = run(reader.code, x)[0].permute(1, 2, 0).numpy() * 255
    assert difference(reader.seen(), restyled)[0] < 2  # the page's network has 8 bits


def test_the_lines_for_a_mixture_with_ones_own_picture_run(reader, tmp_path, monkeypatch):
    reference = drawn(60, 60, seed=2)
    Image.fromarray(reference).save(tmp_path / "mine too.png")
    reader.press("#pad", "2")
    place = reader.page.locator(".tile").count()
    reader.drop(reference, "mine too.png", "#pad")
    reader.page.wait_for_selector(f".tile:nth-child({place + 1})[aria-pressed=true]")
    reader.press("#pad", "Home")
    monkeypatch.chdir(tmp_path)
    images = torch.from_numpy(drawn(64, 64).copy()).permute(2, 0, 1)[None]
    assert run(reader.code, images).shape == images.shape


# ---------------------------------------------------------------- how it is used


def test_the_pad_follows_pointers_and_strength_the_wheel_and_the_pen(reader):
    box = reader.page.locator("#pad").bounding_box()
    middle = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    reader.page.mouse.move(box["x"] + 5, box["y"] + 5)
    reader.page.mouse.down()
    reader.page.mouse.move(*middle)
    reader.page.mouse.up()
    assert "25 %" in reader.page.get_attribute("#pad", "aria-valuetext")
    before = float(reader.page.input_value("#strength"))
    reader.page.mouse.wheel(0, 100)
    reader.until(f"document.querySelector('#strength').value < {before}")
    pen = """([x, y]) => { for (const type of ["pointerdown", "pointermove"])
      document.querySelector("#pad").dispatchEvent(new PointerEvent(type, {
        pointerId: 1, pointerType: "pen", pressure: 0.25, clientX: x, clientY: y })); }"""
    reader.page.evaluate("Element.prototype.setPointerCapture = () => {}")
    reader.page.evaluate(pen, middle)
    assert float(reader.page.input_value("#strength")) == pytest.approx(0.25)
    second = """([x, y]) => { for (const [type, up] of [["pointerdown", 0], ["pointermove", 75]])
      document.querySelector("#pad").dispatchEvent(new PointerEvent(type, {
        pointerId: 2, pointerType: "touch", clientX: x, clientY: y - up })); }"""
    reader.page.evaluate(second, middle)
    assert float(reader.page.input_value("#strength")) == pytest.approx(0.75, abs=0.02)


def test_the_divider_follows_keys_and_the_mouse(reader):
    divider = reader.page.locator("#divider")
    divider.press("Home")
    assert divider.get_attribute("aria-valuenow") == "0"
    divider.press("ArrowRight")
    assert divider.get_attribute("aria-valuenow") == "2"
    box = reader.page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.7
    reader.page.mouse.click(x, y)
    assert abs(int(divider.get_attribute("aria-valuenow")) - 50) <= 1


def test_the_result_can_be_downloaded(reader, tmp_path):
    reader.show(drawn(77, 93), "bracket.png")
    with reader.page.expect_download() as caught:
        reader.page.click("#download")
    assert caught.value.suggested_filename == "bracket-restyled.png"
    caught.value.save_as(tmp_path / "result.png")
    with Image.open(tmp_path / "result.png") as picture:
        assert (np.asarray(picture.convert("RGB")) == reader.seen()).all()


def test_the_camera_is_restyled_live_and_its_last_frame_stays(reader):
    reader.page.click("#camera")
    reader.page.wait_for_selector("#camera[aria-pressed=true]")
    reader.until("document.querySelector('#before').width > 200")
    first = reader.seen("before")
    reader.page.wait_for_timeout(500)
    assert (reader.seen("before") != first).any()  # the drawn camera has a clock
    assert "frames/s" in reader.page.inner_text("#speed")
    reader.page.click("#camera")
    last = reader.rest().seen("before")
    reader.page.wait_for_timeout(300)
    assert (reader.seen("before") == last).all()


def test_every_control_has_a_name(reader):
    unnamed = """() => [...document.querySelectorAll("button, input, [role=slider]")].filter((e) =>
      !(e.getAttribute("aria-label") || e.labels?.[0]?.textContent || e.textContent).trim()
    ).map((e) => e.outerHTML)"""
    assert reader.page.evaluate(unnamed) == []


# ---------------------------------------------------------------- where it runs


@pytest.mark.parametrize("isolated", [False, True])
def test_it_runs_with_threads_where_the_page_is_isolated_and_without_elsewhere(chromium, isolated):
    with served(isolated=isolated) as address:
        context = chromium.new_context()
        reader = Reader(context.new_page(), address).open("?threads=2" if isolated else "")
        assert reader.page.evaluate("crossOriginIsolated") == isolated
        assert ("2 threads" if isolated else "1 thread") in reader.page.inner_text("#speed")
        assert difference(reader.seen(), reader.seen("before"))[0] > 10
        assert reader.told == []
        context.close()


def test_it_works_offline_once_it_has_loaded(chromium, address):
    context = chromium.new_context()
    reader = Reader(context.new_page(), address).open()
    context.set_offline(True)
    asked = len(reader.asked)
    first = reader.seen()
    assert difference(reader.pick(5).seen(), first)[0] > 2
    part = drawn(100, 140)
    assert (reader.show(part).seen("before") == part).all()
    reader.page.locator(".part").nth(2).click()
    reader.until("document.querySelector('#before').width === 256")
    assert [url for url in reader.asked[asked:] if not url.startswith("blob:")] == []
    assert reader.told == []
    context.close()


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_scrolls_sideways_in_either_colours(chromium, address, width):
    grounds = []
    for scheme in ("light", "dark"):
        context = chromium.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, reduced_motion="reduce"
        )
        reader = Reader(context.new_page(), address).open()
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= width
        grounds.append(reader.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert reader.told == []
        context.close()
    assert grounds[0] != grounds[1]


def test_the_colours_chosen_on_the_site_are_kept(chromium, address):
    context = chromium.new_context(color_scheme="light")
    chosen = {"color": {"media": "(prefers-color-scheme: dark)", "scheme": "slate"}}
    context.add_init_script(f"localStorage.setItem('/.__palette', '{json.dumps(chosen)}')")
    reader = Reader(context.new_page(), address).open()
    assert reader.page.evaluate("document.documentElement.dataset.theme") == "dark"
    context.close()


# ---------------------------------------------------------------- what may go wrong


def test_a_file_that_is_no_picture_is_told(reader):
    before = reader.seen()
    content = base64.b64encode(b"no picture").decode()
    reader.page.evaluate(DROP, ["#stage", content, "broken.png"])
    assert reader.message == "broken.png is not a picture that this browser can read."
    assert (reader.seen() == before).all()
    reader.show(drawn(40, 61))
    assert not reader.page.is_visible("#message")


def test_a_missing_camera_is_told(chromium, address):
    context = chromium.new_context()
    context.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => {"
        " throw new DOMException('Requested device not found', 'NotFoundError'); }"
    )
    reader = Reader(context.new_page(), address).open()
    reader.page.click("#camera")
    assert reader.message == "No camera could be opened: there is none."
    assert reader.told == []
    context.close()


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("**/*.wasm", "The network could not be started in this browser: "),
        ("**/vendor/*.mjs", "The network could not be started in this browser: "),
        ("**/restyle.onnx", "The network could not be started in this browser: "),
        ("**/page.json", "This page was built without its network."),
    ],
)
def test_what_cannot_be_loaded_is_told(chromium, address, pattern, sentence):
    context = chromium.new_context()
    context.route(pattern, lambda route: route.fulfill(status=404))
    page = context.new_page()
    page.goto(f"{address}try/")
    page.wait_for_selector("#status.failure")
    assert page.inner_text("#status").startswith(sentence)
    context.close()


def test_the_site_holds_the_page_and_not_what_builds_it(tmp_path):
    root = PAGE.parents[1]
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", tmp_path / "site"]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    built = {path.name for path in (tmp_path / "site" / "try").iterdir()}
    assert {"index.html", "app.js", "model", "vendor"} <= built
    assert not {name for name in built if name.startswith(("package", "node_modules"))}
    home = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert 'href="try/"' in home
