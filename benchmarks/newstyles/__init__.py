"""What new styles reach: encoded, fitted, optimised; and how fast the optimisation is."""
