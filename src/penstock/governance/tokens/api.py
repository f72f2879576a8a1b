"""The routes of tokens."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.governance.tokens.service import TokenService

ROUTES = [
    Route("GET", "/tokens", TokenService.list_tokens, needs=Role.ADMIN),
    Route("POST", "/tokens", TokenService.create_token, needs=Role.ADMIN),
    Route("DELETE", "/tokens/{name}", TokenService.revoke_token, needs=Role.ADMIN),
]
