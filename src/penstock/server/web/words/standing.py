"""Who vouches for the code of a model and who signed its files, as pages say it."""

from markupsafe import Markup
from msgspec import Struct

from penstock.registry.trust.types import ModelSignature, Standing
from penstock.server.web.words.formats import format_moment, shorten


class Told(Struct, frozen=True):
    """Both in a line each, with the tone of what is to be seen at once."""

    vouched: Markup
    signed: Markup
    tone: str  # of the signature: good, bad or none


def tell_standing(standing: Standing) -> Told:
    """What is known of a model directory before it is loaded."""
    known = [held for held in standing.signatures if _find_name(held, standing)]
    signed = Markup("; ").join(_tell_signature(held, standing) for held in standing.signatures)
    tone = "good" if known else "bad" if standing.signatures else ""
    return Told(_tell_decision(standing), signed or Markup("by nobody"), tone)


def _tell_decision(standing: Standing) -> Markup:
    decision = standing.decision
    if decision is None:
        return Markup("nobody vouched for it, so it may run only while its format runs no code")
    told = "{} vouches for its code since {}" if decision.trusted else "{} withdrew the trust in its code, {}"
    line = Markup(told).format(decision.actor, format_moment(decision.at))
    return line + Markup(": {}").format(decision.reason) if decision.reason else line


def _tell_signature(held: ModelSignature, standing: Standing) -> Markup:
    name = _find_name(held, standing)
    if not name:
        return Markup("by a key that does not count here, <code>{}</code>").format(shorten(held.signer, 16))
    return Markup("{}, {}").format(name, format_moment(held.at))


def _find_name(held: ModelSignature, standing: Standing) -> str:
    return next((signer.name for signer in standing.signers if signer.fingerprint == held.signer), "")
