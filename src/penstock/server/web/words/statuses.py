"""The colours of what a run or a step has come to."""

TONES = {"finished": "good", "cached": "", "failed": "bad", "killed": "bad", "running": "accent"}


def status_tone(status: str) -> str:
    """The colour of a run's or a step's status."""
    return TONES.get(status, "")
