"""Every image of a data set looked at once: what the audit needs of it, and no pixels kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from experiments.data.cells import Row
from experiments.data.decode import identity, open_rgb
from experiments.errors import UserError

# A thumbnail of this size distinguishes cells: strokes are several of its pixels long.
_THUMBNAIL = (16, 8)
# Two images whose thumbnails correlate at least so much are near-identical.
NEAR = 0.98
# Grey levels between the 1st and the 99th percentile of an image with ink on it.
INK = 16
# From here on the work outweighs the start of processes.
_FEW = 4000
_CHUNK = 256
# Links that wait to be joined: a bound on memory where a crowd of images is near-identical.
_MANY_LINKS = 2_000_000
_BLOCK = 256
_AXES = 8

_Links = tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]


class Look(NamedTuple):
    """size: (width, height). contrast: grey levels between the 1st and the 99th percentile."""

    size: tuple[int, int]
    identity: bytes
    contrast: int
    thumbnail: bytes


@dataclass(frozen=True)
class Scan:
    """What was found, an entry an image that can be read.

    at: (N,) indices of these images in the rows given. unreadable: index -> what is wrong.
    groups: (N,) the number of the group of images with identical pixels, counted from 0.
    near: (N,) the same for near-identical images; those without ink are each alone.
    """

    at: npt.NDArray[np.int_]
    sizes: list[tuple[int, int]]
    contrast: npt.NDArray[np.int_]
    groups: npt.NDArray[np.int_]
    near: npt.NDArray[np.int_]
    unreadable: dict[int, str]


def scan(rows: tuple[Row, ...], on_image: Callable[[], None] = lambda: None) -> Scan:
    """Look at every image. on_image: called after each.

    Near-identical: the greys of both, averaged down to 16 x 8 and freed of brightness and contrast,
    correlate by at least NEAR. That finds a cell saved again (another quality, size, brightness),
    not one that is shifted by some pixels. Near is passed on: a group holds all that are linked.
    """
    at: list[int] = []
    sizes: list[tuple[int, int]] = []
    contrast: list[int] = []
    groups: list[int] = []
    unreadable: dict[int, str] = {}
    numbers: dict[bytes, int] = {}
    thumbnails = bytearray()
    for index, seen in enumerate(_looks(rows)):
        on_image()
        if isinstance(seen, str):
            unreadable[index] = seen
            continue
        at.append(index)
        sizes.append(seen.size)
        contrast.append(seen.contrast)
        groups.append(numbers.setdefault(seen.identity, len(numbers)))
        thumbnails += seen.thumbnail
    group = np.array(groups, dtype=int)
    pixels = _THUMBNAIL[0] * _THUMBNAIL[1]
    thumbs = np.frombuffer(thumbnails, dtype=np.uint8).reshape(-1, pixels)
    inked = np.array(contrast, dtype=int) >= INK
    return Scan(
        np.array(at, dtype=int),
        sizes,
        np.array(contrast, dtype=int),
        group,
        _near(thumbs, group, inked),
        unreadable,
    )


def _looks(rows: tuple[Row, ...]) -> Iterator[Look | str]:
    if len(rows) < _FEW:
        yield from map(_look, rows)
        return
    # Processes: threads would wait for each other, as small images are mostly Python's work. New
    # ones rather than copies of this one, whose threads a copy would not have.
    with ProcessPoolExecutor(_cores(), mp_context=get_context("spawn")) as pool:
        # In portions, so that neither the work nor the results of all images wait in memory.
        step = _CHUNK * 4 * _cores()
        for start in range(0, len(rows), step):
            yield from pool.map(_look, rows[start : start + step], chunksize=_CHUNK)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _look(row: Row) -> Look | str:
    """What an image shows, or what is wrong with it."""
    try:
        image = open_rgb(row.path)
    except UserError as error:
        return str(error)
    grey = image.convert("L")
    below = np.cumsum(grey.histogram())
    dark, light = np.searchsorted(below, np.array([0.01, 0.99]) * below[-1])
    small = grey.resize(_THUMBNAIL, Image.Resampling.BOX)
    return Look(image.size, identity(image), int(light - dark), small.tobytes())


def _near(
    thumbnails: npt.NDArray[np.uint8], groups: npt.NDArray[np.int_], inked: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int_]:
    """(N,) group numbers: identical images together, and near-identical ones with ink."""
    count = len(groups)
    if not count:
        return groups
    # One image a group is enough; all of a group are linked to it.
    first = np.unique(groups, return_index=True)[1]
    chosen = first[inked[first]]
    component = _components(np.arange(count), first[groups], count)
    waiting: list[_Links] = []
    for a, b in _pairs(thumbnails[chosen]):
        waiting.append((chosen[a], chosen[b]))
        if sum(len(ends) for ends, _ in waiting) > _MANY_LINKS:
            component, waiting = _joined(component, waiting), []
    return _joined(component, waiting)


def _joined(
    component: npt.NDArray[np.int_],
    links: list[_Links],
) -> npt.NDArray[np.int_]:
    """The components with these links between images as well."""
    count = len(component)
    first = np.unique(component, return_index=True)[1]
    ends = [(np.arange(count), first[component]), *links]
    one, other = (np.concatenate(side) for side in zip(*ends, strict=True))
    return _components(one, other, count)


def _components(
    a: npt.NDArray[np.int_], b: npt.NDArray[np.int_], count: int
) -> npt.NDArray[np.int_]:
    """(count,) the number of the component of each, under links from a to b."""
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=int)


def _pairs(thumbnails: npt.NDArray[np.uint8]) -> Iterator[_Links]:
    """The pairs of near-identical thumbnails, a block at a time.

    Exact: two unit vectors with a correlation of c are sqrt(2 - 2c) apart, and no further in the
    few directions in which thumbnails vary most. A tree finds who is near there; they are compared.
    """
    if len(thumbnails) < 2:
        return
    reach = np.sqrt(2 - 2 * NEAR) + 1e-6
    sample = _unit(thumbnails[:: max(1, len(thumbnails) // 5000)])
    axes = np.linalg.svd(sample - sample.mean(axis=0), full_matrices=False)[2][:_AXES].T
    starts = range(0, len(thumbnails), _BLOCK)
    places = np.concatenate([_unit(thumbnails[i : i + _BLOCK]) @ axes for i in starts])
    tree = KDTree(places)
    for start in starts:
        found = tree.query_ball_point(places[start : start + _BLOCK], reach, workers=-1)
        one = np.repeat(np.arange(start, start + len(found)), [len(near) for near in found])
        other = np.concatenate([np.array(near, dtype=int) for near in found])
        one, other = one[other > one], other[other > one]
        for i in range(0, len(one), _BLOCK * 64):
            a, b = one[i : i + _BLOCK * 64], other[i : i + _BLOCK * 64]
            near = np.einsum("nd,nd->n", _unit(thumbnails[a]), _unit(thumbnails[b])) >= NEAR
            yield a[near], b[near]


def _unit(thumbnails: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Thumbnails as vectors of mean 0 and length 1."""
    values = thumbnails.astype(np.float32)
    values -= values.mean(axis=1, keepdims=True)
    # An image of one grey is near to none.
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
    return values
