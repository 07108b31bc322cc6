"""What lies where on the page, in Gradio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from styleaug.augment.presets import PRESETS
from styleaug.datasets import Sample
from styleaug.images.io import to_image
from styleaug.pack import DEFAULT_PACK
from styleaug.stages.restyle import Restyle
from styleaug.studio.catalogue import catalogue
from styleaug.studio.pictures import EXAMPLE, PAINT, Subject, first_of
from styleaug.studio.session import Session, computed
from styleaug.studio.settings import Amount, Knob, board

ONE, MOST = "one draw", "the most"
HOLD, DEFECT = "holds new material back", "marks the defect"
_HEIGHT = 560
"""Of the picture on the page, in pixels."""


@dataclass(frozen=True)
class Start:
    """What a page begins with.

    Attributes:
        samples: the pictures to choose from, by name.
        preset: name of the preset.
        pack: name or path of the style pack.
        size: short side, in pixels, that larger images are brought to.
        seed: of the draws.
        device: where to compute.
        bits: that 16-bit images have; None: all 16.
    """

    samples: Mapping[str, Sample]
    preset: str = "default"
    pack: str = DEFAULT_PACK
    size: int = 512
    seed: int = 0
    device: str = "cpu"
    bits: int | None = None


class Layout:
    """The parts of the page by name, made inside a ``gradio.Blocks``.

    Args:
        start: what it begins with.
        gr: the module ``gradio``.

    Raises:
        OSError: if the first picture cannot be read.
    """

    def __init__(self, start: Start, gr: Any) -> None:
        self.start, self.gr = start, gr
        self.board, self.catalogue = board(start.pack), catalogue(start.pack)
        named = first_of(start.samples)
        drawn = computed(Subject.example, start.size)
        first = computed(Session, drawn, start.size, start.device)
        if named is not None:
            computed(first.open, start.samples[named])
        self.session = gr.State(first)
        gr.Markdown("# styleaug studio\nNothing leaves this machine, and no file is changed.")
        with gr.Row():
            with gr.Column(scale=4, min_width=320):
                self._lay_out_settings()
            with gr.Column(scale=9):
                self._lay_out_pictures(first, named)

    def _lay_out_settings(self) -> None:
        gr, name = self.gr, self.start.preset
        self.preset = gr.Dropdown(list(PRESETS), value=name, label="preset", elem_id="preset")
        self.when = gr.Markdown(PRESETS[name])
        values = self.board.values(name)
        self.p = self._slider(
            "p: probability that an image is changed", self.board.presets[name].p, None, "p"
        )
        self.protect = self._slider(
            "protect: how much new material masks and boxes hold back", 0.0, None, "protect"
        )
        self.sliders: list[Any] = []
        self.groups: list[Any] = []
        for kind in self.board.kinds:
            with gr.Accordion(kind.__name__, visible=self.board.has(name, kind)) as group:
                for knob in (k for k in self.board.knobs if k.kind is kind):
                    self._lay_out_knob(knob, values[knob.key])
                if kind is Restyle:
                    self._lay_out_styles()
            self.groups.append(group)
        self.reset = gr.Button("Back to the preset", size="sm")

    def _lay_out_knob(self, knob: Knob, value: Amount) -> None:
        self.gr.Markdown(f"**{knob.name}**: {knob.does}", elem_classes="does")
        name = knob.key.replace(".", "-")
        with self.gr.Row():
            if not isinstance(value, tuple):
                self.sliders.append(self._slider("", value, knob, name))
                return
            for part, one in zip(("from", "to"), value, strict=True):
                self.sliders.append(self._slider(part, one, knob, f"{name}-{part}"))

    def _slider(self, label: str, value: float, knob: Knob | None, name: str) -> Any:
        return self.gr.Slider(
            0,
            knob.top if knob else 1.0,
            value=value,
            step=knob.step if knob else 0.01,
            label=label,
            show_label=bool(label),
            buttons=[],
            min_width=120,
            elem_id=name,
        )

    def _lay_out_styles(self) -> None:
        gr = self.gr
        self.styles = gr.Dropdown(
            self.catalogue.tags,
            value=[],
            multiselect=True,
            allow_custom_value=True,
            label="styles",
            info=f"tags or names; none: all {len(self.catalogue):,}",
            elem_id="styles",
        )
        self.own = gr.File(
            file_count="multiple",
            file_types=["image"],
            label="own pictures as styles",
            height=130,
            elem_id="own",
        )
        with gr.Accordion("Find styles", open=False, elem_id="find") as self.finder:
            self.words = gr.Textbox(label="words in names and tags", elem_id="words")
            self.found = gr.Markdown()
            self.thumbnails = gr.Gallery(
                columns=3,
                height=400,
                buttons=[],
                allow_preview=False,
                show_label=False,
                object_fit="contain",
                elem_id="thumbnails",
            )
            with gr.Row():
                self.back = gr.Button("Back", size="sm", min_width=60)
                self.more = gr.Button("More", size="sm", min_width=60)
            self.place = gr.State(0)

    def _lay_out_pictures(self, first: Session, named: str | None) -> None:
        gr, start = self.gr, self.start
        with gr.Row(equal_height=True):
            self.picture = gr.Dropdown(
                [*start.samples, EXAMPLE],
                value=named or EXAMPLE,
                label="picture",
                scale=3,
                elem_id="picture",
            )
            self.upload = gr.UploadButton(
                "Open a picture", file_types=["image"], scale=1, elem_id="upload"
            )
            self.seed = gr.Number(start.seed, label="seed", precision=0, minimum=0, scale=1)
            self.again = gr.Button("Draw again", variant="primary", scale=1, elem_id="again")
        with gr.Row():
            with gr.Column():
                self.editor = gr.ImageEditor(
                    value=canvas(first),
                    type="numpy",
                    sources=(),
                    transforms=(),
                    layers=False,
                    brush=gr.Brush(default_size=24, colors=[PAINT], color_mode="fixed"),
                    label="the picture: paint on it",
                    buttons=[],
                    height=_HEIGHT,
                    elem_id="editor",
                )
                with gr.Row():
                    self.meaning = gr.Radio(
                        [HOLD, DEFECT], value=HOLD, label="paint", min_width=200
                    )
                    self.held = self._slider("how much paint holds back", 1.0, None, "held")
            with gr.Column():
                self.preview = gr.HTML(elem_id="preview")
                self.look = gr.Radio(
                    [ONE, MOST], value=ONE, label="amounts", elem_id="look", min_width=200
                )
        self.separability = gr.Markdown(elem_id="separability")
        self.shown = gr.HTML(elem_id="draws")
        self.code = gr.Code(language="python", label="to paste", elem_id="code")
        with gr.Row():
            self.write = gr.Button("Settings and plan as files", size="sm")
            self.files = gr.File(label="files", file_count="multiple", visible=False)
        with gr.Accordion("Stream", open=False, elem_id="stream"), gr.Row():
            with gr.Column():
                self.camera = gr.Image(
                    sources=["webcam"], streaming=True, label="camera", elem_id="camera"
                )
                self.video = gr.File(
                    file_types=["video"], label="or a video file", height=130, elem_id="video"
                )
            self.streamed = gr.Image(
                label="under these settings", interactive=False, elem_id="streamed"
            )


def canvas(session: Session) -> dict[str, Any]:
    """The picture with its defects outlined, to be painted on."""
    image = to_image(session.subject.outlined())
    return {"background": image, "layers": [], "composite": image}
