"""What an attacker writes into a field, by the kind of field."""

from typing import Any

NESTED: Any = "x"
for _ in range(200):
    NESTED = {"a": [NESTED]}

TEXTS: list[Any] = [
    "",
    " ",
    "a\0b",
    "\x01\x1b[31m\r\nset-cookie: a=b",
    "\u202eexe.gpj\u200b",
    "𝒳é漢字👩‍👩‍👧",
    "../../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..\\..\\windows\\win.ini",
    "C:\\boot.ini",
    "/etc/passwd",
    "'; DROP TABLE runs; --",
    "' OR '1'='1",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}",
    "x" * 100_000,
]
NUMBERS: list[Any] = [-1, 0, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 1.5, 1e308, -1e308]
TIMES: list[Any] = [
    "2024-05-01T00:00:00",
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "2024-02-30T00:00:00Z",
    "yesterday",
    0,
]
WRONG: list[Any] = [None, True, [], {}, [[1]], {"a": 1}, "text", 7, NESTED]
# How JSON can carry what Python's own writer would not.
LITERALS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    '"\\ud800"',
    '"\\udc00\\ud800"',
    "01",
    "1.",
    "+1",
    "0x10",
]
QUERY = ["", "%00", "%ff%fe", "%ed%a0%80", "..%2f..%2fetc", "%27%20OR%201=1--", "nan", "inf", "1e400", "-1", "0"]
QUERY += ["99999999999999999999999", "9223372036854775808", "true", "null", "2024-05-01T00:00:00", "5.0", "x" * 5000]
QUERY += ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "1e18", "%25s%25n", "%E2%80%AE%0d%0a"]
PATHS = ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "..%5c..%5cwin.ini", "C:%5cboot.ini", "%2fetc%2fpasswd", "%00"]
PATHS += ["%ff", "%ed%a0%80", "%27;DROP%20TABLE%20runs;--", "%E2%80%AE", "%0d%0aa:b", "-1", "0", "1e5", "nan", "%20"]
PATHS += ["9223372036854775808", "99999999999999999999999999", "x" * 3000, "a:b", "%25", "%", "%zz", "*", "null"]


def values_for(held: Any) -> list[Any]:
    """What to put in the place of a value."""
    if isinstance(held, str) and held.startswith("2024-"):
        return TIMES + WRONG[:3]
    if isinstance(held, str):
        return TEXTS + WRONG[:4]
    if isinstance(held, (int, float)) and not isinstance(held, bool):
        return NUMBERS + WRONG[:4]
    return WRONG
