"""How strongly, diversely and safely a pack restyles."""
