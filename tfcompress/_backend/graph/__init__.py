"""One walker for the graphs of both Kerases: flavour, layers, names, calls."""
