"""How a browser shows a token: a page that takes one and gives a session's cookie for it."""

import secrets
from urllib.parse import parse_qsl, quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from penstock.core.errors import PenstockError, UnauthenticatedError
from penstock.governance.tokens.book import TokenBook
from penstock.governance.tokens.service import SESSION_LIFE, TokenService
from penstock.governance.tokens.text import digest_of
from penstock.server.bodies import read_body
from penstock.server.guard import error_response
from penstock.server.identity import COOKIE, Identifier, read_cookie
from penstock.server.web.context import wants_page
from penstock.server.web.render import Renderer

SIGN_IN = "/sign-in"
_FORM_LIMIT_BYTES = 8 * 1024


def sign_in_routes(tokens: TokenService, renderer: Renderer, identify: Identifier, book: TokenBook) -> list[Route]:
    """`GET /sign-in` asks for a token, `POST /sign-in` takes it, and `POST /sign-out` ends the session."""

    def show(request: Request, after: str, *, told: str = "", status: int = 200) -> Response:
        return renderer.page(request, "sign_in.html", status=status, title="Sign in", told=told, next=local_path(after))

    async def ask(request: Request) -> Response:
        return show(request, request.query_params.get("next", "/"))

    async def take(request: Request) -> Response:
        form = dict(parse_qsl((await read_body(request.receive, _FORM_LIMIT_BYTES)).decode("latin-1")))
        await run_in_threadpool(book.read)
        token_id = identify.find_token_id(form.get("token", "").strip())
        if token_id is None:
            return show(
                request,
                form.get("next", "/"),
                told="This token is not good here: unknown, ended or revoked.",
                status=401,
            )
        cookie = secrets.token_urlsafe(32)
        await run_in_threadpool(tokens.open_session, digest_of(cookie).hex(), token_id)
        await run_in_threadpool(book.read)
        answer = RedirectResponse(local_path(form.get("next", "/")), status_code=303)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(SESSION_LIFE.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def leave(request: Request) -> Response:
        cookie = read_cookie(request.headers.get("cookie", "").encode("latin-1"))
        await run_in_threadpool(tokens.close_session, digest_of(cookie).hex())
        await run_in_threadpool(book.read)
        answer = RedirectResponse(SIGN_IN, status_code=303)
        answer.delete_cookie(COOKIE)
        return answer

    return [
        Route(SIGN_IN, ask, methods=["GET"]),
        Route(SIGN_IN, take, methods=["POST"]),
        Route("/sign-out", leave, methods=["POST"]),
    ]


def refuse_stranger(request: Request, error: PenstockError) -> Response:
    """The answer to whoever has to show a token: a person is led to the page that takes one."""
    if isinstance(error, UnauthenticatedError) and wants_page(request):
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{SIGN_IN}?next={quote(path)}", status_code=303)
    return error_response(error)


def local_path(text: str) -> str:
    """A path of this server; anything else, such as another site's address, becomes the first page."""
    is_ours = text.startswith("/") and not text.startswith("//") and text.isprintable() and "\\" not in text
    return text if is_ours else "/"
