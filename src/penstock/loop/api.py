"""The routes of the loop."""

from penstock.core.identity import Role
from penstock.core.routes import Route
from penstock.loop.service import LoopService

ROUTES = [
    Route("POST", "/episodes", LoopService.open_episode, needs=Role.MAINTAINER),
    Route("GET", "/episodes", LoopService.list_episodes, needs=Role.READER),
    Route("GET", "/episodes/{episode_id}", LoopService.get_episode, needs=Role.READER),
    Route("POST", "/episodes/{episode_id}/cancel", LoopService.cancel_episode, needs=Role.MAINTAINER),
    Route("GET", "/loops/{project}/standing", LoopService.find_standing, needs=Role.READER),
    Route("GET", "/loops/{project}", LoopService.get_state, needs=Role.READER),
]
