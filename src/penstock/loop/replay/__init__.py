"""A whole history lived through again, chunk by chunk, under several policies of retraining."""
