"""How a run is made: configuration, data, training, tracking, and the grid over them."""
