"""Whether a retrain would help, on which rows, and whether what it made may be released: pure functions of losses."""
