"""What everything else rests on: errors, ids, clock, JSON, the project file, fail-points. Knows no noun."""
