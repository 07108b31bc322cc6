"""How fast: whole transforms and networks, training loops, commands."""
