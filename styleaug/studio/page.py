"""What happens on the page when something is changed."""

from __future__ import annotations

import functools
import inspect
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import sleep
from typing import Any

from styleaug.augment.presets import PRESETS
from styleaug.datasets import Sample
from styleaug.images.io import to_image
from styleaug.studio.figures import alone, side_by_side
from styleaug.studio.layout import DEFECT, MOST, Layout, Start, canvas
from styleaug.studio.pictures import painted_in, told_separability
from styleaug.studio.session import DRAWS, Session, computed
from styleaug.studio.settings import Amount, Settings, line_to_paste, write_files
from styleaug.video.clip import Clip

_PAGE = 24
"""Styles that are shown at a time."""
_PATIENCE = 0.3
"""Seconds without a change after which draws begin: while a slider moves, only the preview does."""

_TEMPORARY = re.compile(r"""[^\s'"(]*[/\\][0-9a-f]{40,}[/\\]""")
"""The folder that Gradio puts an uploaded file into: it tells the reader nothing."""


def build_page(start: Start, gr: Any) -> Any:
    """The page.

    Args:
        start: what it begins with.
        gr: the module ``gradio``.

    Raises:
        OSError: if the first picture cannot be read.
    """
    # pictures that the page has shown are forgotten after an hour
    with gr.Blocks(
        title="styleaug studio", analytics_enabled=False, delete_cache=(3600, 3600)
    ) as page:
        _Page(Layout(start, gr)).connect(page)
    return page


class _Page:
    """What its parts do."""

    def __init__(self, parts: Layout) -> None:
        self.parts, self.gr, self.start = parts, parts.gr, parts.start
        self.board, self.catalogue = parts.board, parts.catalogue

    def connect(self, page: Any) -> None:
        """Tell each part what to do when it is changed."""
        gr, parts, session = self.gr, self.parts, self.parts.session
        controls = [
            *(parts.preset, parts.p, parts.protect, parts.styles, parts.own),
            *(parts.seed, parts.look, *parts.sliders),
        ]
        every = [session, *controls]
        seen: dict[str, Any] = {
            "fn": self._told(self._preview),
            "inputs": every,
            "outputs": [parts.preview, parts.code],
            "show_progress": "hidden",
        }
        follow: dict[str, Any] = {
            "fn": self._told(self._draws),
            "inputs": every,
            "outputs": [parts.shown, parts.separability],
            "show_progress": "hidden",
            "trigger_mode": "multiple",  # an earlier turn ends by itself
            "concurrency_limit": 8,
        }
        changing = [parts.p, parts.protect, parts.styles, parts.own, parts.seed, parts.look]
        live = gr.on(
            [part.change for part in (*changing, *parts.sliders)],
            **seen,
            trigger_mode="always_last",
        )
        live.success(**follow)

        def then_all(event: Any) -> None:
            event.success(**seen).success(**follow)

        shown = [parts.when, parts.p, *parts.groups, *parts.sliders]
        for event in (parts.preset.change, parts.reset.click):
            then_all(event(self._told(self._load_preset), parts.preset, shown))
        picked: dict[str, Any] = {"outputs": [parts.editor], "show_progress": "hidden"}
        then_all(parts.picture.input(self._told(self._pick), [session, parts.picture], **picked))
        then_all(parts.upload.upload(self._told(self._open), [session, parts.upload], **picked))
        then_all(
            gr.on(
                [parts.editor.input, parts.meaning.change, parts.held.change],
                self._told(self._paint),
                [session, parts.editor, parts.meaning, parts.held],
                trigger_mode="always_last",
                show_progress="hidden",
            )
        )
        parts.again.click(lambda seed: int(seed or 0) + 1, parts.seed, parts.seed)
        then_all(page.load(lambda _: None, session))
        self._connect_styles()
        parts.write.click(self._told(self._write), every, parts.files)
        parts.camera.stream(
            self._told(self._frame),
            [parts.camera, *every],
            parts.streamed,
            stream_every=0.1,
            concurrency_limit=1,
            show_progress="hidden",
        )
        parts.video.upload(
            self._told(self._film), [parts.video, *every], parts.streamed, show_progress="hidden"
        )

    def _connect_styles(self) -> None:
        parts = self.parts
        outputs = [parts.thumbnails, parts.found, parts.place]
        # one event for what starts a search: an earlier answer never comes after a later one
        searched = functools.partial(self.gr.on, [parts.finder.expand, parts.words.change])
        for event, step in (
            (searched, None),
            (parts.back.click, -_PAGE),
            (parts.more.click, _PAGE),
        ):
            event(
                self._told(functools.partial(self._find, step=step)),
                [parts.words, parts.place],
                outputs,
                trigger_mode="always_last",
                show_progress="hidden",
            )

        def choose(styles: list[str], event: Any) -> list[str]:
            name = str(event.value["caption"])
            return [s for s in styles if s != name] if name in styles else [*styles, name]

        choose.__annotations__["event"] = self.gr.SelectData  # by which Gradio knows it
        parts.thumbnails.select(choose, parts.styles, parts.styles)

    def _told(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same, with errors in one sentence, where the page shows them."""
        gr = self.gr

        def failed(error: Exception) -> Exception:
            sentence = " ".join(str(error).split()) or type(error).__name__
            sentence = _TEMPORARY.sub("", sentence)
            return gr.Error(sentence, title="", print_exception=False)  # type: ignore[no-any-return]

        if inspect.isgeneratorfunction(work):

            def generate(*arguments: Any) -> Iterator[Any]:
                try:
                    yield from work(*arguments)
                except Exception as error:
                    raise failed(error) from error

            return generate

        def call(*arguments: Any) -> Any:
            try:
                return work(*arguments)
            except Exception as error:
                raise failed(error) from error

        return call

    def _settings(self, values: Sequence[Any]) -> Settings:
        preset, p, protect, styles, own, _, _, *places = values
        found: dict[str, Amount] = {}
        numbers = iter(places)
        for knob in self.board.knobs:
            one, *other = (float(next(numbers) or 0) for _ in range(1 + knob.ranged))
            found[knob.key] = (one, other[0]) if other else one
        chosen = (*(styles or ()), *(str(path) for path in own or ()))
        return Settings(preset, p or 0.0, protect or 0.0, found, chosen, self.start.pack)

    def _preview(self, session: Session, *values: Any) -> tuple[Any, ...]:
        session.turn += 1
        augment = computed(self._settings(values).build)
        draw = computed(session.preview, augment, _seed(values), most=values[6] == MOST)
        return alone(draw, session.before), line_to_paste(augment, _names(values[4]))

    def _draws(self, session: Session, *values: Any) -> Iterator[Any]:
        turn = session.turn
        sleep(_PATIENCE)
        if session.turn != turn:
            yield self.gr.skip(), self.gr.skip()
            return
        before = session.before
        augment = computed(self._settings(values).build)
        for made in session.draws(augment, _seed(values)):
            if len(made) in (4, DRAWS):
                yield side_by_side(made, before, DRAWS), told_separability(before, made)

    def _load_preset(self, name: str) -> list[Any]:
        gr, values = self.gr, self.board.values(name)
        visible = [gr.update(visible=self.board.has(name, kind)) for kind in self.board.kinds]
        places: list[float] = []
        for knob in self.board.knobs:
            value = values[knob.key]
            places += value if isinstance(value, tuple) else (value,)
        return [PRESETS[name], self.board.presets[name].p, *visible, *places]

    def _pick(self, session: Session, name: str) -> Any:
        computed(session.open, self.start.samples.get(name))
        return canvas(session)

    def _open(self, session: Session, path: str) -> Any:
        computed(session.open, Sample(Path(path), bits=self.start.bits))
        return canvas(session)

    def _paint(self, session: Session, value: Any, meaning: str, held: float) -> None:
        size = session.subject.image.shape[-2:]
        painted = painted_in((value or {}).get("layers") or [], *size)
        computed(session.paint, painted, is_defect=meaning == DEFECT, held=held or 0.0)

    def _find(self, words: str | None, place: int, step: int | None) -> tuple[Any, ...]:
        rows = self.catalogue.search(words or "")
        place = 0 if step is None else max(0, min(place + step, (len(rows) - 1) // _PAGE * _PAGE))
        some = rows[place : place + _PAGE]
        pictures = computed(self.catalogue.thumbnails, some)
        names = [self.catalogue.pack.names[row] for row in some]
        told = f"{place + 1} to {place + len(some)} of {len(rows):,}" if rows else "none"
        return [(to_image(t), n) for t, n in zip(pictures, names, strict=True)], told, place

    def _write(self, session: Session, *values: Any) -> Any:
        if session.plan is None:
            raise ValueError("A plan must be drawn before it can be written: wait for the draws.")
        folder = Path(tempfile.mkdtemp(prefix="styleaug-"))
        augment = self._settings(values).build()
        written = write_files(folder, augment, session.plan, _names(values[4]))
        return self.gr.update(value=[str(path) for path in written], visible=True)

    def _frame(self, image: Any, session: Session, *values: Any) -> Any:
        if image is None:
            return None
        augment = self._settings(values).build()
        return computed(session.frame, image, augment, _seed(values), most=values[6] == MOST)

    def _film(self, path: str, session: Session, *values: Any) -> Iterator[Any]:
        for frame, _ in Clip(Path(path)).read():
            yield self._frame(frame.to_ndarray(format="rgb24"), session, *values)


def _names(own: Sequence[str] | None) -> dict[str, str]:
    """What dropped pictures are called in code: their own names, not those of temporary copies."""
    return {str(path): f"./{Path(path).name}" for path in own or ()}


def _seed(values: Sequence[Any]) -> int:
    """What is typed as the seed; an empty field is 0."""
    return abs(int(values[5] or 0)) % 2**32
