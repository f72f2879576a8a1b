"""What callers call their requests: kept in the prediction log, and answered back where that is usual.

Platforms and proxies put it into a header; Open Inference V2 has it in the body, which goes first.
"""

from penstock.serving.http import Headers

REQUEST_ID = b"x-request-id"
_HEADERS = (b"x-amzn-sagemaker-inference-id", b"ce-id", REQUEST_ID)
_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"  # of SageMaker's headers the one that reaches its caller again
_LONGEST = 200
_LONGEST_ATTRIBUTES = 1024  # as SageMaker says


def choose_caller_id(named: str | None, headers: Headers) -> str:
    """The id of a request; empty where it has none that can be kept.

    Args:
        named: what stands in the body.
        headers: of the request.
    """
    if named and _is_plain(named, _LONGEST):
        return named
    for name in _HEADERS:
        given = headers.get(name)
        if given and _is_plain(text := given.decode("latin-1"), _LONGEST):
            return text
    return ""


def answer_back(headers: Headers, prediction_id: str) -> Headers:
    """The headers by which a caller, or what stands between, knows the answer again."""
    answered = {}
    given = headers.get(REQUEST_ID)
    if given is not None and _is_plain(given.decode("latin-1"), _LONGEST_ATTRIBUTES):
        answered[REQUEST_ID] = given
    attributes = headers.get(_ATTRIBUTES)
    if attributes is not None and _is_plain(attributes.decode("latin-1"), _LONGEST_ATTRIBUTES):
        told = b";".join(filter(None, (attributes, b"penstock-prediction-id=" + prediction_id.encode())))
        answered[_ATTRIBUTES] = told if len(told) <= _LONGEST_ATTRIBUTES else attributes
    return answered


def _is_plain(text: str, longest: int) -> bool:
    return len(text) <= longest and text.isascii() and text.isprintable()
