"""The pages of datasets: versions, quality, and what changed between two of them."""
