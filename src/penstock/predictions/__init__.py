"""What a model answered, and what turned out to be true: the prediction log, its segments, and the outcomes."""
