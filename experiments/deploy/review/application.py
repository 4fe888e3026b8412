"""The review's server: its page, the images, and a label for each."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from analysis.record import SETTINGS
from experiments.data.decode import open_rgb
from experiments.deploy.local_page import answer_on, local_page
from experiments.deploy.review.doubtful import Doubtful
from experiments.deploy.review.labels import LABELS, Labelled
from experiments.errors import UserError
from experiments.ports import HOST, listening
from experiments.readers import reader_folder
from experiments.settings.config import RunConfig
from experiments.shell import ours

_FOLDER = Path(__file__).parent
# Of what the page sends, in bytes, and of a label, in characters.
_LONGEST, _LONGEST_LABEL = 10_000, 100
# Up to so many training images, so many epochs.
_EPOCHS = {100: 100, 500: 60}
# Labelled images that are enough for a test, a validation and a training part.
_FEWEST = 10


def serve(asked: Sequence[Doubtful], folder: Path, port: int, out: Path | None) -> None:
    """Ask on this machine alone until it is stopped. Raises UserError.

    folder: gets the labelled images.
    out: where to learn from them; None for images whose labels are to be put right where they are.
    """
    if not asked:
        print("nothing is in doubt: there is nothing to review")
        return
    labelled = Labelled(folder, [one.image for one in asked])
    with listening(port) as sock:
        print(
            f"http://{HOST}:{port} ({len(asked)} images, {len(labelled.values)} of them labelled; "
            "Ctrl-C ends it)",
            flush=True,
        )
        answer_on(sock, application(asked, labelled))
    count = len(labelled.values)
    print(f"{count} labelled images in {folder}")
    if out is None and count:
        print(f"put them right in your data set: {folder / LABELS}")
    elif out is not None and (command := to_learn(folder, count, out)):
        print(f"to learn from them:\n{command}")


def to_learn(folder: Path, labelled: int, out: Path) -> str:
    """The command that goes on from a reader, as the preset fine_tuning does; "" for too few.

    Fewer images have more epochs; an average as long as that of all published cells would hardly
    leave the weights that it began with. An epoch has two batches at least.
    """
    config = RunConfig()
    if labelled < _FEWEST:
        return ""
    # Parts are cut at whole groups of identical images: one or two images either way.
    images = int(labelled * (1 - config.test_fraction) * (1 - config.val_fraction)) - 2
    epochs = next((epochs for most, epochs in _EPOCHS.items() if images <= most), 30)
    settings = {"start": "ctc", "epochs": epochs, "ema": 0.98}
    if images // 2 < config.batch_size:
        settings["batch_size"] = images // 2
    given = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    reader = reader_folder("ctc") / SETTINGS
    return ours("train", "--config", reader, "--data", folder, "--out", out, *given)


def application(asked: Sequence[Doubtful], labelled: Labelled) -> Starlette:
    """GET the page; GET /asked, all that is asked; GET /image/N; POST /label, one answer."""

    async def everything(_: Request) -> Response:
        rows = [
            {
                "name": one.image.name,
                "value": one.value,
                "why": one.why,
                "label": labelled.values.get(number),
            }
            for number, one in enumerate(asked)
        ]
        return JSONResponse({"folder": str(labelled.folder), "images": rows})

    async def image(request: Request) -> Response:
        number = request.path_params["number"]
        if number >= len(asked):
            return JSONResponse({"message": f"no image {number}"}, 404)
        try:
            content = await run_in_threadpool(_as_png, asked[number].image)
        except UserError as error:
            return JSONResponse({"message": str(error)}, 400)
        return Response(content, media_type="image/png")

    async def label(request: Request) -> Response:
        # A page of somebody else's may send text here, but not JSON: the browser asks first.
        if request.headers.get("content-type") != "application/json":
            return JSONResponse({"message": "only JSON is taken"}, 415)
        try:
            number, value = await _answer(request, len(asked))
            await run_in_threadpool(labelled.label, number, value)
        except UserError as error:
            return JSONResponse({"message": str(error)}, 400)
        return JSONResponse({"labelled": len(labelled.values)})

    return local_page(
        _FOLDER,
        [
            Route("/asked", everything),
            Route("/image/{number:int}", image),
            Route("/label", label, methods=["POST"]),
        ],
    )


async def _answer(request: Request, count: int) -> tuple[int, str]:
    """The number of an image and its label. Raises UserError for anything else."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > _LONGEST:
            raise UserError("the answer is far too long")
    try:
        match json.loads(content):
            case {"number": int(number), "value": str(value)} if 0 <= number < count:
                pass
            case _:
                raise UserError("an answer is the number of an image and its value")
    except (ValueError, RecursionError) as error:
        raise UserError("an answer is the number of an image and its value") from error
    value = value.strip()
    if not value:
        raise UserError("there is no label: write what stands there, or go on without one")
    if len(value) > _LONGEST_LABEL or not value.isprintable():
        raise UserError("this is no label of a cell: write the characters that stand there")
    return number, value


def _as_png(file: Path) -> bytes:
    """Whatever format it has: a browser does not show all of them."""
    content = io.BytesIO()
    open_rgb(file).save(content, format="PNG")
    return content.getvalue()
