"""Reports of how good a model is, what it is compared with, and the gates that read them."""
