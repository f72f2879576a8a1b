"""What callers call their requests: kept in the prediction log, and answered back where that is usual.

Platforms and proxies put it into a header; Open Inference V2 has it in the body, which goes first.
"""

from collections.abc import Mapping

REQUEST_ID = "x-request-id"
_HEADERS = ("x-amzn-sagemaker-inference-id", "ce-id", REQUEST_ID)
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"  # of SageMaker's headers the one that reaches its caller again
_LONGEST = 200
_LONGEST_ATTRIBUTES = 1024  # as SageMaker says


def choose_caller_id(named: str | None, headers: Mapping[str, str]) -> str:
    """The id of a request; empty where it has none that can be kept.

    Args:
        named: what stands in the body.
        headers: of the request.
    """
    for text in (named, *(headers.get(name) for name in _HEADERS)):
        if text and len(text) <= _LONGEST and text.isascii() and text.isprintable():
            return text
    return ""


def answer_back(headers: Mapping[str, str], prediction_id: str) -> dict[str, str]:
    """The headers by which a caller, or what stands between, knows the answer again."""
    answered = {}
    given = headers.get(REQUEST_ID)
    if given is not None and _is_plain(given):
        answered[REQUEST_ID] = given
    attributes = headers.get(_ATTRIBUTES)
    if attributes is not None and _is_plain(attributes):
        told = ";".join(filter(None, (attributes, f"penstock-prediction-id={prediction_id}")))
        answered[_ATTRIBUTES] = told if len(told) <= _LONGEST_ATTRIBUTES else attributes
    return answered


def _is_plain(text: str) -> bool:
    return len(text) <= _LONGEST_ATTRIBUTES and text.isascii() and text.isprintable()
