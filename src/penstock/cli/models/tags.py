"""Tags in a line."""


def join_tags(tags: dict[str, str]) -> str:
    """Keys with their values, long ones cut."""
    return ", ".join(f"{key} = {value if len(value) <= 40 else value[:37] + '...'}" for key, value in tags.items())
