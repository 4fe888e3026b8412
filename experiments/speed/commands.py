"""Commands about how fast a training is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from experiments.options import OUT, Data, Out

if TYPE_CHECKING:
    from experiments.settings.config import RunConfig

# As in __main__: what a command needs is imported when it runs.

app = typer.Typer()


@app.command()
def bench(
    preset: Annotated[
        str, typer.Option(help="Whose first run of each loss is measured; a name or .toml.")
    ] = "speedrun",
    against: Annotated[
        str, typer.Option(help="With whose first run they take turns.")
    ] = "ablation",
    data: Data = None,
    out: Out = OUT,
) -> None:
    """Compare speeds on this machine, as ratios: steps, a plain loop, data, two runs at once."""
    import torch

    from experiments.settings.presets import load_preset
    from experiments.speed.bench import Arm, as_table, measure
    from experiments.speed.side_by_side import as_lines, side_by_side
    from experiments.training.run import data_folder, load_data

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = data_folder(data, out)

    def arm(config: RunConfig) -> Arm:
        return Arm(config, load_data(config, folder, out, judges=False))

    # Of each loss the first.
    configs = {config.loss: config for config in reversed(load_preset(preset).expand([0]))}
    arms = {f"{preset}, {loss}": arm(config) for loss, config in reversed(configs.items())}
    other = arm(load_preset(against).expand([0])[0])
    print(as_table(measure(arms, other), against), flush=True)
    if threads > 1:
        first = next(iter(arms.values())).config
        print(as_lines(side_by_side(first, folder, out, threads)))
