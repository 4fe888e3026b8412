"""What a run is: its settings, presets and identity."""
