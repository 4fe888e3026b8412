"""Commands about how fast a training is."""

from __future__ import annotations

from typing import Annotated

import typer

from experiments.options import OUT, Data, Out

# As in __main__: what a command needs is imported when it runs.

app = typer.Typer()


@app.command()
def bench(
    preset: Annotated[
        str, typer.Option(help="Whose first run is measured; a name or .toml.")
    ] = "speedrun",
    against: Annotated[str, typer.Option(help="With whose first run it takes turns.")] = "ablation",
    data: Data = None,
    out: Out = OUT,
) -> None:
    """Compare speeds on this machine, as ratios: two steps, a plain torch loop, the data paths."""
    import torch

    from experiments.settings.presets import load_preset
    from experiments.speed.bench import as_table, measure
    from experiments.training.run import data_folder, load_data

    torch.set_num_threads(1)
    folder = data_folder(data, out)
    configs = [load_preset(name).expand([0])[0] for name in (preset, against)]
    seen = [load_data(config, folder, out, judges=False) for config in configs]
    print(as_table(measure(configs[0], seen[0], configs[1], seen[1]), preset, against))
