"""The routes of trust."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.registry.trust.service import TrustService

ROUTES = [
    Route("POST", "/model-trees/{tree}/trust", TrustService.trust, needs=Role.MAINTAINER),
    Route("POST", "/model-trees/{tree}/distrust", TrustService.distrust, needs=Role.MAINTAINER),
    Route("GET", "/model-trees/{tree}/standing", TrustService.get_standing, needs=Role.READER),
    Route("POST", "/model-trees/{tree}/signatures", TrustService.record_signature, needs=Role.CONTRIBUTOR),
    Route("GET", "/trust-decisions", TrustService.list_decisions, needs=Role.READER),
    Route("GET", "/model-signers", TrustService.list_signers, needs=Role.READER),
    Route("POST", "/model-signers", TrustService.add_signer, needs=Role.MAINTAINER),
    Route("DELETE", "/model-signers/{fingerprint}", TrustService.remove_signer, needs=Role.MAINTAINER),
]
