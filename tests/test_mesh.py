"""Textures of 3D models: what changes, what stays bit for bit, and what is refused."""

import base64
import json
import resource
import struct
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image, ImageFilter

from benchmarks.mesh.parts import as_glb, box, metal, seam_step, sphere
from styleaug.cli import main
from styleaug.errors import MissingExtraError
from styleaug.files import digest_file
from styleaug.mesh import restyle
from styleaug.mesh.files import read_model
from styleaug.mesh.fill import fill
from styleaug.mesh.gltf_bytes import BIN, JSON, read_chunks, write_chunks
from styleaug.mesh.paint import Paint
from styleaug.mesh.references import encode_texture, open_texture
from styleaug.mesh.texture import Texture, restyle_texture
from styleaug.mesh.uv import Surface

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def paint(augment):
    """``paint(seed)``: a drawn style, at full strength and texture unless told otherwise."""

    def make(seed=0, **restyle):
        made = augment(**restyle)
        return Paint(made, made.draw(1, torch.Generator().manual_seed(seed)))

    return make


def picture(part, size=96, *, alpha=False, gutter=False, seed=0):
    image = part.draw(size, metal(seed), gutter=gutter)
    if alpha:
        levels = np.random.default_rng(1).integers(0, 256, (size, size), dtype=np.uint8)
        image.putalpha(Image.fromarray(levels))
    return image


def glb(part=None, image=None, **maps) -> bytes:
    """A file with base colours with alpha, a normal map, and a map of roughness."""
    part = box() if part is None else part
    other = {
        "normalTexture": Image.new("RGB", (8, 8), (128, 128, 255)),
        "metallicRoughnessTexture": picture(part, 16),
        **maps,
    }
    return as_glb(part.mesh(picture(part, alpha=True) if image is None else image, **other))


def parsed(content: bytes) -> dict:
    return json.loads(read_chunks(content)[0][1])


def views_of(content: bytes) -> list[bytes]:
    chunks = dict(read_chunks(content))
    return [
        chunks[BIN][v.get("byteOffset", 0) :][: v["byteLength"]]
        for v in json.loads(chunks[JSON])["bufferViews"]
    ]


def base_image(content: bytes) -> tuple[int, Image.Image]:
    """The view and the image of the first material's base colour."""
    gltf = parsed(content)
    texture = gltf["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"]
    view = gltf["images"][gltf["textures"][texture]["source"]]["bufferView"]
    return view, Image.open(BytesIO(views_of(content)[view]))


def edited(content: bytes, change) -> bytes:
    """A GLB file with its JSON changed by a function."""
    chunks = read_chunks(content)
    gltf = json.loads(chunks[0][1])
    change(gltf)
    return write_chunks([(JSON, json.dumps(gltf).encode()), *chunks[1:]])


# ---------------------------------------------------------------- textures


def test_unknown_places_are_filled_smoothly_from_known_ones():
    values = torch.zeros(17, 23)
    values[:, -1] = 8
    known = torch.zeros(17, 23)
    known[:, [0, -1]] = 1
    filled = fill(values, known)
    assert torch.equal(filled[:, -1], values[:, -1])
    assert 0 < filled[8, 11] < 8
    assert (filled.diff(dim=1) > -1e-4).all()


@pytest.mark.parametrize("part", [box(), sphere(12)], ids=["box", "sphere"])
def test_seams_grow_by_a_fifth_at_most(part, paint):
    image = picture(part, 128, gutter=True)
    before = seam_step(image, part.surface)
    for seed in range(3):
        after = restyle_texture(Texture(image, part.surface), paint(seed))
        assert np.abs(np.asarray(after, int) - np.asarray(image, int)).mean() > 10
        assert seam_step(after, part.surface) < 1.2 * before


def test_the_background_neither_changes_nor_bleeds_in(paint):
    part = box()
    first, second = picture(part, 256), picture(part, 256)
    islands = part.surface.islands(256, 256) > 0
    second.paste((255, 0, 255), mask=Image.fromarray(~islands))
    one, two = (
        np.asarray(restyle_texture(Texture(image, part.surface), paint()))
        for image in (first, second)
    )
    assert np.array_equal(one[islands], two[islands])
    mask = Image.fromarray(islands.astype(np.uint8))
    far = np.asarray(mask.filter(ImageFilter.MaxFilter(5))) == 0
    assert far.any()
    assert np.array_equal(one[far], np.asarray(first)[far])


def test_a_texture_that_tiles_still_does(paint):
    """The step over its border is no larger than the largest between two of its lines."""
    across = np.arange(64) / 64 * 2 * np.pi
    level = 128 + 40 * np.sin(across)[None] + 30 * np.cos(2 * across)[:, None]
    image = Image.fromarray(level.astype(np.uint8)).convert("RGB")
    uv = np.array([[(0, 0), (3, 0), (3, 3)], [(0, 0), (3, 3), (0, 3)]], float)
    surface = Surface.of(np.pad(uv, ((0, 0), (0, 0), (0, 1))), uv)

    def steps(image):
        values = np.asarray(image, int)
        lines = [np.abs(values - np.roll(values, 1, axis)).mean((1 - axis, 2)) for axis in (0, 1)]
        return [line[0] / line[1:].max() for line in lines]

    for seed in range(3):
        after = restyle_texture(Texture(image, surface), paint(seed))
        assert max(steps(after)) < 1
    once = Texture(image, surface, (False, False))
    assert max(steps(restyle_texture(once, paint()))) > max(steps(after))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P"])
def test_mode_size_and_alpha_stay(mode, paint, tmp_path):
    image = picture(box(), 40, alpha=mode.endswith("A")).convert(mode)
    after = restyle_texture(Texture(image, box().surface), paint())
    assert (after.mode, after.size) == (image.mode, image.size)
    if mode.endswith("A"):
        assert after.getchannel("A").tobytes() == image.getchannel("A").tobytes()


def test_uvs_that_leave_a_texture_are_told_from_those_that_are_rounded():
    uv = box().surface.uv
    for shift, over in ((0.0, False), (-0.9, False), (-1.1, True)):
        moved = uv.copy()
        moved[0, 0, 0] = shift / 64
        assert Surface(box().surface.places, moved).overflows(32, 64) == (False, over)
        moved[0, 0, 0] = 1 - shift / 64
        assert Surface(box().surface.places, moved).overflows(32, 64) == (False, over)
    assert box().surface.reaches(64, 64) == (False, False)
    assert sphere(8).surface.reaches(32, 64) == (True, True)


def test_islands_share_no_edge():
    labels = box().surface.islands(64, 64)
    assert labels.max() == 6
    assert sphere(8).surface.islands(64, 64).max() == 1


def test_memory_is_bounded_by_the_texture(paint):
    """80 bytes a texel at most above what was there: 1.3 GB of a texture of 4096 x 4096 texels."""
    part = box()
    image = Image.effect_noise((2048, 2048), 30).convert("RGB")
    made = paint()
    restyle_texture(Texture(picture(part), part.surface), made)  # what is built once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    restyle_texture(Texture(image, part.surface), made)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 80 * 2048**2


# ---------------------------------------------------------------- files


def restyled(path: Path, content: bytes, paint, name: str | None = None) -> bytes:
    path.write_bytes(content)
    files = read_model(path).restyle(paint, name or path.name)
    return files[name or path.name]


def test_nothing_of_a_glb_changes_but_the_base_colours(paint, tmp_path):
    before = glb()
    after = restyled(tmp_path / "box.glb", before, paint())
    (view, old), (same, new) = base_image(before), base_image(after)
    assert view == same
    assert old.getchannel("A").tobytes() == new.getchannel("A").tobytes()
    assert old.convert("RGB").tobytes() != new.convert("RGB").tobytes()
    for index, (one, other) in enumerate(zip(views_of(before), views_of(after), strict=True)):
        assert (one == other) == (index != view)

    def rest(gltf):
        for part in (*gltf["bufferViews"], *gltf["buffers"]):
            part.pop("byteOffset", None)
            part.pop("byteLength")
        return gltf

    assert rest(parsed(before)) == rest(parsed(after))
    assert all(v.get("byteOffset", 0) % 4 == 0 for v in parsed(after)["bufferViews"])
    assert trimesh.load(BytesIO(after), file_type="glb").geometry  # others read it, too


def test_an_image_that_another_map_needs_stays(paint, tmp_path):
    before = glb()

    def share(gltf):
        index = gltf["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"]
        gltf["materials"][0]["emissiveTexture"] = {"index": index}

    shared = edited(before, share)
    after = restyled(tmp_path / "box.glb", shared, paint())
    gltf = parsed(after)
    emissive = gltf["textures"][gltf["materials"][0]["emissiveTexture"]["index"]]["source"]
    view = gltf["images"][emissive]["bufferView"]
    assert views_of(after)[view] == views_of(shared)[base_image(shared)[0]]
    assert base_image(after)[0] != view


@pytest.mark.parametrize("embedded", [True, False])
def test_gltf_with_files_beside_it_or_inside(embedded, paint, tmp_path):
    chunks = dict(read_chunks(glb()))
    gltf = json.loads(chunks[JSON])
    view = base_image(write_chunks(list(chunks.items())))[0]
    image = next(i for i in gltf["images"] if i["bufferView"] == view)
    content = views_of(write_chunks(list(chunks.items())))[view]
    del image["bufferView"]
    gltf["buffers"][0]["uri"] = "data:;base64," + base64.b64encode(chunks[BIN]).decode()
    image["uri"] = "data:image/png;base64," + base64.b64encode(content).decode()
    if not embedded:
        (tmp_path / "maps").mkdir()
        (tmp_path / "maps/base colour.png").write_bytes(content)
        image["uri"] = "maps/base%20colour.png"
    path = tmp_path / "box.gltf"
    path.write_text(json.dumps(gltf))
    files = read_model(path).restyle(paint(), "box_1.gltf")
    new = json.loads(files["box_1.gltf"])
    place = gltf["images"].index(image)
    assert new["buffers"] == gltf["buffers"]
    assert new["images"][place]["uri"] != image["uri"]
    assert list(files) == (
        ["box_1.gltf"] if embedded else ["maps/box_1_base colour.png", "box_1.gltf"]
    )
    new["images"][place] = image
    assert new == gltf


def test_obj_and_its_materials(paint, tmp_path):
    part = box()
    mesh = part.mesh(picture(part))
    mesh.visual.material = mesh.visual.material.to_simple()
    mesh.export(tmp_path / "box.obj")
    library = next(tmp_path.glob("*.mtl"))
    image = next(tmp_path.glob("*.png"))
    Image.new("L", (4, 4), 9).save(tmp_path / "bump.png")
    library.write_text(f"{library.read_text()}\nmap_Bump -bm 0.5 bump.png\n")
    files = read_model(tmp_path / "box.obj").restyle(paint(), "new.obj")
    expected = {f"new_{image.name}", f"new_{library.name}", "bump.png", "new.obj"}
    assert set(files) == expected
    assert files["bump.png"] == (tmp_path / "bump.png").read_bytes()
    old = (tmp_path / "box.obj").read_bytes()
    renamed = files["new.obj"].replace(f"new_{library.name}".encode(), library.name.encode())
    assert renamed == old
    material = files[f"new_{library.name}"].decode()
    assert material.replace(f"new_{image.name}", image.name) == library.read_text()
    for name, content in files.items():
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / name).write_bytes(content)
    assert trimesh.load(tmp_path / "out/new.obj").visual.material.image.size == (96, 96)


@pytest.mark.parametrize("encoding", ["binary", "ascii"])
def test_ply_changes_the_colours_of_vertices_alone(encoding, paint, tmp_path):
    part = sphere(8)
    colours = np.full((len(part.points), 4), 255, np.uint8)
    colours[:, :3] = metal()(part.points).clip(0, 255)
    colours[5] = colours[9]
    mesh = trimesh.Trimesh(part.points, part.faces, process=False, vertex_colors=colours)
    before = mesh.export(file_type="ply", encoding=encoding)
    after = restyled(tmp_path / "a.ply", before, paint())
    one, other = (trimesh.load(BytesIO(c), file_type="ply", process=False) for c in (before, after))
    assert np.array_equal(one.vertices, other.vertices)
    assert np.array_equal(one.faces, other.faces)
    new = np.asarray(other.visual.vertex_colors)
    assert np.array_equal(new[:, 3], colours[:, 3])
    assert (new[:, :3] != colours[:, :3]).any()
    assert np.array_equal(new[5], new[9])
    assert len(after) == len(before) or encoding == "ascii"


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_textures_keep_their_format(kind, paint, tmp_path):
    file = BytesIO()
    picture(box()).save(file, kind)
    texture = open_texture(file.getvalue(), "a.glb")
    after = restyle_texture(Texture(texture, box().surface), paint())
    assert Image.open(BytesIO(encode_texture(after, texture))).format == kind


def test_palettes_become_colours():
    """A palette has room for few of the new ones."""
    file = BytesIO()
    Image.new("P", (8, 8)).save(file, "PNG", transparency=0)
    texture = open_texture(file.getvalue(), "a.glb")
    assert texture.mode == "RGBA"
    assert texture.getchannel("A").getextrema() == (0, 0)
    assert Image.open(BytesIO(encode_texture(texture, texture))).mode == "RGBA"


def test_textures_of_sixteen_bits_are_refused():
    file = BytesIO()
    Image.new("I;16", (8, 8)).save(file, "PNG")
    with pytest.raises(ValueError, match="8 bits"):
        open_texture(file.getvalue(), "a.glb")


def test_no_change_gives_the_same_bytes(paint, tmp_path):
    before = glb()
    assert restyled(tmp_path / "a.glb", before, paint(strength=0), "b.glb") == before


def surface_in(path: Path):
    return next(iter(read_model(path)._textures.values())).surface


def test_uvs_move_as_the_file_says(tmp_path):
    """KHR_texture_transform scales, turns, then shifts."""

    def move(gltf):
        info = gltf["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]
        info["extensions"] = {
            "KHR_texture_transform": {"offset": [0.5, 0], "rotation": np.pi / 2, "scale": [1, 0.5]}
        }

    path = tmp_path / "a.glb"
    path.write_bytes(glb())
    plain = surface_in(path)
    assert np.allclose(plain.uv, box().surface.uv, atol=1e-6)
    path.write_bytes(edited(glb(), move))
    u, v = plain.uv[..., 0], plain.uv[..., 1]
    assert np.allclose(surface_in(path).uv, np.stack([0.5 * v + 0.5, -u], -1), atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "faces"), [(5, [[0, 1, 2], [1, 2, 3]]), (6, [[0, 1, 2], [0, 2, 3]])]
)
def test_strips_fans_sparse_values_and_integers_are_read(mode, faces, tmp_path):
    uv = np.array([(0, 0), (65535, 0), (0, 65535), (65535, 65535)], np.uint16)
    file = BytesIO()
    Image.new("RGB", (8, 8), "gray").save(file, "PNG")
    parts = [
        uv.tobytes(),
        np.uint32([1, 3]).tobytes(),
        np.float32([(1, 0, 0), (1, 1, 0)]).tobytes(),
    ]
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    kinds = {
        "byteLength": starts[-1],
        "uri": f"data:;base64,{base64.b64encode(b''.join(parts)).decode()}",
    }
    gltf = {
        "asset": {"version": "2.0"},
        "buffers": [kinds],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": len(part)}
            for start, part in zip(starts, parts, strict=False)
        ],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5123,
                "normalized": True,
                "count": 4,
                "type": "VEC2",
            },
            {
                "componentType": 5126,
                "count": 4,
                "type": "VEC3",
                "sparse": {
                    "count": 2,
                    "indices": {"bufferView": 1, "componentType": 5125},
                    "values": {"bufferView": 2},
                },
            },
        ],
        "images": [{"uri": f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"}],
        "textures": [{"source": 0}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
        "meshes": [
            {
                "primitives": [
                    {"attributes": {"POSITION": 1, "TEXCOORD_0": 0}, "mode": mode, "material": 0}
                ]
            }
        ],
    }
    path = tmp_path / "a.gltf"
    path.write_text(json.dumps(gltf))
    found = surface_in(path)
    assert np.array_equal(found.uv, (uv / 65535)[faces])
    # the first and the third vertex are at the origin
    assert len(np.unique(found.places)) == 3


def test_bytes_that_two_images_share_stay_for_the_other(paint, tmp_path):
    def share(gltf):
        base = base_image(glb())[0]
        for image in gltf["images"]:
            image["bufferView"] = base

    before = edited(glb(), share)
    after = restyled(tmp_path / "a.glb", before, paint())
    index = parsed(after)["materials"][0]["normalTexture"]["index"]
    normal = parsed(after)["images"][parsed(after)["textures"][index]["source"]]["bufferView"]
    assert views_of(after)[normal] == views_of(before)[normal]
    assert base_image(after)[0] == len(views_of(before))


def test_an_image_in_a_buffer_beside_the_model(paint, tmp_path):
    """The buffer gets a new name, since other models may need the old one."""
    chunks = dict(read_chunks(glb()))
    gltf = json.loads(chunks[JSON])
    gltf["buffers"][0]["uri"] = "box.bin"
    (tmp_path / "box.bin").write_bytes(chunks[BIN])
    (tmp_path / "box.gltf").write_text(json.dumps(gltf))
    files = read_model(tmp_path / "box.gltf").restyle(paint(), "new.gltf")
    assert list(files) == ["new_box.bin", "new.gltf"]
    assert json.loads(files["new.gltf"])["buffers"][0]["byteLength"] == len(files["new_box.bin"])


# ---------------------------------------------------------------- scenes


def test_a_scene_is_copied_with_other_base_colours(paint):
    part = box()
    first, second = part.mesh(picture(part)), part.mesh(picture(part, seed=1))
    coloured = trimesh.creation.icosphere(subdivisions=1)
    coloured.visual.vertex_colors = np.full((len(coloured.vertices), 4), (90, 120, 150, 60))
    scene = trimesh.Scene({"a": first, "b": second, "c": coloured})
    images = [mesh.visual.material.baseColorTexture.copy() for mesh in (first, second)]
    made = paint()
    after = restyle(scene, made.augment, made.plan)
    for name, old in zip("ab", images, strict=True):
        before = scene.geometry[name].visual.material.baseColorTexture
        assert before.tobytes() == old.tobytes()
        assert after.geometry[name].visual.material.baseColorTexture.tobytes() != old.tobytes()
        assert np.array_equal(after.geometry[name].visual.uv, scene.geometry[name].visual.uv)
    new = np.asarray(after.geometry["c"].visual.vertex_colors)
    assert (new[:, 3] == 60).all()
    assert (new[:, :3] != (90, 120, 150)).any()
    assert len(np.unique(new, axis=0)) == 1


def test_scenes_need_trimesh(augment, monkeypatch):
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(MissingExtraError, match=r"styleaug\[mesh\]"):
        restyle(None, augment())


def test_what_is_no_model_is_refused(augment):
    with pytest.raises(TypeError, match="Scene or Trimesh"):
        restyle("part.glb", augment())
    with pytest.raises(ValueError, match="a texture with UVs"):
        restyle(trimesh.Trimesh([(0, 0, 0), (1, 0, 0), (0, 1, 0)], [(0, 1, 2)]), augment())
    with pytest.raises(ValueError, match="one row"):
        restyle(box().mesh(picture(box())), augment(), augment().draw(2))


# ---------------------------------------------------------------- the command


def stylize(*words: object) -> int:
    fixed = ["--preset", "material", "--device", "cpu"]
    return main(["stylize", *map(str, words), *fixed])


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): digest_file(p) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.glb").write_bytes(glb())
    part = box()
    mesh = part.mesh(picture(part))
    mesh.visual.material = mesh.visual.material.to_simple()
    mesh.export(folder / "sub" / "b.obj")
    return folder


def test_stylize_mirrors_folders_of_models_and_resumes(models, pack_file, tmp_path, capsys):
    before, out = contents(models), tmp_path / "out"
    command = [models, "--out", out, "--copies", 2, "--pack", pack_file]
    assert stylize(*command) == 0
    assert "4 models in" in capsys.readouterr().out
    first = contents(out)
    assert {"a_1.glb", "a_2.glb", "sub/b_1.obj", "sub/b_2.obj", "manifest.csv"} <= set(first)
    assert first["a_1.glb"] != first["a_2.glb"]
    (out / "a_2.glb").unlink()
    assert stylize(*command) == 0
    assert contents(out) == first | {
        name: digest for name, digest in contents(out).items() if name.startswith("manifest")
    }
    assert contents(models) == before


def test_a_texture_that_changed_meanwhile_is_noticed(models, pack_file, tmp_path, capsys):
    command = [models / "sub", "--out", tmp_path / "out", "--pack", pack_file]
    assert stylize(*command) == 0
    picture(box(), seed=3).save(next((models / "sub").glob("*.png")))
    assert stylize(*command) == 2
    assert "was made with another beside" in capsys.readouterr().err
    assert stylize(*command, "--overwrite") == 0


def test_files_of_others_are_not_replaced(models, pack_file, tmp_path, caplog):
    image = next((models / "sub").glob("*.png"))
    out = tmp_path / "out"
    out.mkdir()
    (out / f"b_{image.name}").write_bytes(b"mine")
    assert stylize(models / "sub", "--out", out, "--pack", pack_file) == 1
    assert "is there, but with another content" in caplog.text
    assert not (out / "b.obj").exists()


def test_models_and_pictures_do_not_mix(models, pack_file, tmp_path, capsys):
    (tmp_path / "photos").mkdir()
    picture(box()).save(tmp_path / "photos" / "a.png")
    words = [models, tmp_path / "photos", "--out", tmp_path / "out", "--pack", pack_file]
    assert stylize(*words) == 2
    assert "must be of one kind" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lighting", "0.5"], "--lighting has no effect on models"),
        (["--preset", "sensor"], "--preset sensor has no Restyle"),
    ],
)
def test_what_textures_do_not_carry_is_refused(models, tmp_path, capsys, words, message):
    preset = ["--preset", "default"] if "--preset" not in words else []
    command = ["stylize", str(models), "--out", str(tmp_path / "out"), *words, *preset]
    assert main(command) == 2
    assert message in capsys.readouterr().err


def no_texture(gltf):
    del gltf["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]


def no_uvs(gltf):
    for mesh in gltf["meshes"]:
        for primitive in mesh["primitives"]:
            del primitive["attributes"]["TEXCOORD_0"]


def draco(gltf):
    gltf["extensionsUsed"] = ["KHR_draco_mesh_compression"]


def missing(gltf):
    gltf["images"][0] = {"uri": "gone.png"}
    index = gltf["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"]["index"]
    gltf["textures"][index]["source"] = 0


def elsewhere(gltf):
    gltf["images"][0] = {"uri": "../gone.png"}


def far(gltf):
    for accessor in gltf["accessors"]:
        accessor["count"] = 10**9


def broken(gltf):
    gltf["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = 3


def no_number(gltf):
    gltf["textures"] = "none"


def no_finite_uvs(gltf):
    index = gltf["meshes"][0]["primitives"][0]["attributes"]["TEXCOORD_0"]
    gltf["accessors"][index] |= {"componentType": 5126, "bufferView": len(gltf["bufferViews"])}
    gltf["buffers"].append({"byteLength": 192, "uri": "data:;base64," + "//9/fwAA" * 32})
    gltf["bufferViews"].append({"buffer": 1, "byteLength": 192})


def cut_image(gltf):
    for image in gltf["images"]:
        gltf["bufferViews"][image["bufferView"]]["byteLength"] = 60


OBJ = b"mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nusemtl m\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.glb", lambda: glb()[:-200], "cut off"),
        ("a.glb", lambda: b"", "valid glTF"),
        ("a.glb", lambda: b"glTF", "valid glTF"),
        ("a.glb", lambda: struct.pack("<4sII", b"glTF", 1, 12), "version 1 is not 2"),
        ("a.gltf", lambda: b"[1, 2]", "valid glTF"),
        ("a.gltf", lambda: b"\xff\xfe", "valid glTF"),
        ("a.glb", lambda: edited(glb(), no_texture), "must have a base-colour texture"),
        ("a.glb", lambda: edited(glb(), no_uvs), "must have UVs"),
        ("a.glb", lambda: edited(glb(), draco), "must be uncompressed"),
        ("a.glb", lambda: edited(glb(), missing), "needs the file gone.png"),
        ("a.glb", lambda: edited(glb(), elsewhere), "beside or below it"),
        ("a.glb", lambda: edited(glb(), far), "leaves buffer"),
        ("a.glb", lambda: edited(glb(), no_finite_uvs), "NaN or infinite"),
        ("a.glb", lambda: edited(glb(), broken), "must have a base-colour texture"),
        ("a.glb", lambda: edited(glb(), no_number), "valid glTF"),
        ("a.glb", lambda: edited(glb(), cut_image), "must be a readable image"),
        ("a.obj", lambda: OBJ + b"f 1 2 3\n", "needs the file a.mtl"),
        ("a.obj", lambda: b"v 0 0 0\n", "must have a base-colour texture"),
        ("b.obj", lambda: OBJ.replace(b"a.", b"b.") + b"f 1 2 3\n", "must have UVs"),
        ("b.obj", lambda: OBJ.replace(b"a.", b"b.") + b"vt 0 0\nf 1/1 2/1 9/1\n", "is damaged"),
        (
            "b.obj",
            lambda: OBJ.replace(b"a.", b"b.") + b"vt nan 0\nf 1/1 2/1 3/1\n",
            "NaN or infinite",
        ),
        ("c.obj", lambda: OBJ.replace(b"a.", b"c.") + b"f 1 2 3\n", "needs the file gone.png"),
        ("a.ply", lambda: b"ply\nformat ascii 1.0\n", "no header"),
        ("a.ply", lambda: b"ply\nelement vertex 1\nend_header\n", "must be a valid PLY"),
        (
            "a.ply",
            lambda: (
                b"ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n0\n1\n"
            ),
            "must have vertex colours",
        ),
        (
            "a.ply",
            lambda: trimesh.Trimesh(
                box().points, box().faces, vertex_colors=np.full((24, 4), 9), process=False
            ).export(file_type="ply")[:420],
            "must be whole",
        ),
    ],
)
def test_odd_models_are_skipped_with_one_sentence(
    name, content, message, pack_file, tmp_path, caplog
):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.mtl").write_text("newmtl m\nmap_Kd b.png\n")
    (folder / "c.mtl").write_text("newmtl m\nmap_Kd gone.png\n")
    Image.new("RGB", (8, 8)).save(folder / "b.png")
    (folder / name).write_bytes(content())
    assert stylize(folder / name, "--out", tmp_path / "out", "--pack", pack_file) == 1
    assert message in caplog.text
    assert len(caplog.records) == 1
    assert "\n" not in caplog.records[0].getMessage()
    assert not (tmp_path / "out" / name).exists()
