"""What a reviewer relies on: the response says which parts of a photo speak for a label."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.drawn import encoded
from tests.support.repository import DATA, REPOSITORY
from tests.support.serving import Server, colour_model, draw_photo

SCONES = REPOSITORY / "models" / "scones"


def explain(server: Server, photo: bytes) -> Any:
    client = server.runtime()
    response = client.invoke_endpoint(
        EndpointName="scones-unlimited", Body=photo, CustomAttributes="explain"
    )
    return json.load(response["Body"])


@pytest.mark.parametrize("size", [(64, 64), (120, 30), (30, 120)])
def test_each_half_of_a_photo_speaks_for_its_label(server: Server, size: tuple[int, int]) -> None:
    photo = Image.new("RGB", size, "red")
    photo.paste("blue", (size[0] // 2, 0, *size))
    body = explain(server, encoded(photo, "PNG"))
    assert set(body["probabilities"]) == set(body["activation"])
    red, blue = (np.array(body["activation"][label]) for label in ("bicycle", "other"))
    half = red.shape[1] // 2
    assert (red[:, : half - 1] > 0).all()
    assert (red[:, half + 1 :] < 0).all()
    assert (blue[:, : half - 1] < 0).all()
    assert (blue[:, half + 1 :] > 0).all()


def test_the_activation_has_the_proportions_of_the_photo_as_the_model_sees_it(
    server: Server,
) -> None:
    activation = explain(server, draw_photo("red", (120, 30)))["activation"]["bicycle"]
    assert (len(activation), len(activation[0])) == (16, 32)


def test_without_being_asked_the_response_has_probabilities_only(server: Server) -> None:
    assert list(server.infer(draw_photo("red")).body) == ["bicycle", "motorcycle", "other"]


def test_a_model_that_cannot_explain_says_so(
    app: ModuleType, write_model: Callable[..., Path]
) -> None:
    directory = write_model()
    (directory / "model.onnx").write_bytes(colour_model(explains=False))
    model = app.Model(directory)
    assert model.infer(draw_photo("red"))[0]["bicycle"] > 0.9
    with pytest.raises(app.HTTPException, match="cannot explain"):
        model.infer(draw_photo("red"), explain=True)


BREAKS = {  # left, top, right, bottom of the break on broken scones, in pixels, marked by eye
    9: (110, 220, 180, 300),
    10: (30, 170, 110, 230),
    14: (100, 150, 190, 290),
    16: (125, 130, 220, 215),
    29: (75, 220, 135, 300),
}


@pytest.mark.skipif(not DATA.is_dir(), reason="no real data: set SCONES_DATA to its folder")
@pytest.mark.parametrize("number", BREAKS)
def test_broken_is_explained_by_the_place_of_the_break(app: ModuleType, number: int) -> None:
    file = DATA / "scones" / "broken" / f"cookies__broken-{number}.jpg"
    response, _ = app.Model(SCONES).infer(file.read_bytes(), explain=True)
    activation = np.array(response["activation"]["broken"])
    row, column = np.unravel_index(activation.argmax(), activation.shape)
    with Image.open(file) as photo:
        width, height = np.array(photo.size) / activation.shape[::-1]
    left, top, right, bottom = BREAKS[number]
    assert left - width / 2 <= (column + 0.5) * width <= right + width / 2
    assert top - height / 2 <= (row + 0.5) * height <= bottom + height / 2
