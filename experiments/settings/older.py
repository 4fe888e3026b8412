"""Settings that an older version wrote, in the terms of this one."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from experiments.settings.config import RECIPE, RunConfig


def completed(written: dict[str, Any]) -> dict[str, Any]:
    """A run's config.json with the settings that its version did not know yet at their defaults.

    Those of another recipe were trained in another way and are not completed, but have this form:
    until recipe 2 the strengths of every augmentation stood beside its name. Settings that this
    version cannot read, such as those of a loss that is gone, stay as they are.
    """
    if written.get("recipe") == RECIPE:
        try:
            return RunConfig.model_validate(written).model_dump(mode="json")
        except ValidationError:
            return written
    if not isinstance(name := written.get("augmentation"), str):
        return written
    strengths = {"affine", "strong", "paper"}
    others = {key: value for key, value in written.items() if key not in strengths}
    return others | {"augmentation": {"name": name} | written.get(name, {})}
