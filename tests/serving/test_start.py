"""The start of the serving app, its errors, its log, and the shipped model."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.repository import REPOSITORY
from tests.support.serving import APP, Server, draw_photo
from tests.support.waiting import PATIENCE, wait_until


def refused_start(*options: object) -> str:
    """The one line that a serving app prints if it cannot start."""
    done = subprocess.run(
        [*APP, *map(str, options)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("serving: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    assert "nowhere" in refused_start("--model-dir", tmp_path / "nowhere")


def test_a_missing_network_is_named(app: ModuleType, write_model: Callable[..., Path]) -> None:
    directory = write_model()
    (directory / "model.onnx").unlink()
    with pytest.raises(ValueError, match=r"model\.onnx.*exist"):
        app.Model(directory)


def test_a_broken_network_is_named(app: ModuleType, write_model: Callable[..., Path]) -> None:
    directory = write_model()
    (directory / "model.onnx").write_bytes(b"not ONNX")
    with pytest.raises(ValueError, match=r"^cannot run .*model\.onnx: [^\n]+$"):
        app.Model(directory)


@pytest.mark.parametrize("contents", ["", "{", "[]", "{}", '"model"'])
def test_malformed_metadata_is_named(
    app: ModuleType, write_model: Callable[..., Path], contents: str
) -> None:
    directory = write_model()
    (directory / "metadata.json").write_text(contents)
    with pytest.raises(ValueError, match=r"metadata\.json"):
        app.Model(directory)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", None),
        ("name", "two words"),
        ("version", 1),
        ("version", "é"),
        ("labels", []),
        ("labels", "bicycle"),
        ("labels", ["bicycle", "bicycle", "other"]),
        ("input_size", 0),
        ("input_size", "32"),
    ],
)
def test_metadata_that_cannot_serve_is_named(
    app: ModuleType, write_model: Callable[..., Path], key: str, value: object
) -> None:
    with pytest.raises(ValueError, match=f"metadata.json: {key} is .* must be"):
        app.Model(write_model(**{key: value}))


@pytest.mark.parametrize("metadata", [{"labels": ["bicycle", "motorcycle"]}, {"input_size": 33}])
def test_metadata_of_another_network_is_noticed(
    app: ModuleType, write_model: Callable[..., Path], metadata: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"model\.onnx"):
        app.Model(write_model(**metadata))


def test_a_taken_port_is_named(server: Server, write_model: Callable[..., Path]) -> None:
    line = refused_start("--port", server.port, "--model-dir", write_model())
    assert str(server.port) in line
    assert "in use" in line


def test_the_log_has_only_refusals(start: Callable[..., Server]) -> None:
    logged = start()
    logged.request("GET", "/ping")
    logged.infer(draw_photo("red"))
    logged.infer(b"hello")
    wait_until(lambda: len(logged.log) > 1, "the refusal in the log")
    started, refused = logged.log
    assert (started["level"], started["url"], started["model"]) == ("INFO", logged.url, "colours/1")
    assert (refused["level"], refused["status"]) == ("WARNING", 400)
    assert "not a photo" in refused["reason"]


def test_bad_input_is_not_logged_as_an_error(server: Server) -> None:
    assert {line["message"] for line in server.log[1:]} <= {
        "refused",
        "Invalid HTTP request received.",
    }


# -- the shipped model ------------------------------------------------------------------------

SHIPPED_MODEL = REPOSITORY / "models" / "vehicles"


@pytest.mark.skipif(not (SHIPPED_MODEL / "model.onnx").exists(), reason="no model is trained yet")
def test_the_shipped_model_classifies_the_sample_photos(start: Callable[..., Server]) -> None:
    shipped = start(model_dir=SHIPPED_MODEL)
    photos = [
        photo
        for photo in (REPOSITORY / "local" / "photos").iterdir()
        if not photo.name.startswith("broken")
    ]
    assert photos
    for photo in photos:
        response = shipped.infer(photo.read_bytes())
        assert response.status == 200, photo
        assert list(response.body) == ["bicycle", "motorcycle", "other"]
        assert sum(response.body.values()) == pytest.approx(1, abs=1e-5)
