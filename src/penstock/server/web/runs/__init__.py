"""The pages of runs and experiments: one, all, side by side, their curves and their files."""
